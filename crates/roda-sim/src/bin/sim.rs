//! `sim`: runs seeds of the simulator; `cargo xtask sim` calls it.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use roda_sim::runner::{self, Kind, Plan};
use roda_sim::scenario::{NAMED, large_group};

const USAGE: &str = "\
usage: cargo xtask sim [OPTIONS]
  --seeds N       how many seeds to run (default 100, or as many as --seconds allow)
  --seed S        the first one (default 0)
  --seconds T     stop after so many seconds
  --token         the lock protocol instead of the log
  --nodes N       members in each run (default: drawn)
  --large N       instead: a group of N nodes, NACKs and repairs against RFC 5401
  --loss P        with --large: loss of each datagram at each receiver (default 0.01)
  --named NAME    instead: a fault with a name, or `all`
  --lines N       lines of the trace of what failed (default 60)";

enum Task {
    Help,
    Seeds(Plan),
    Large { nodes: usize, loss: f64, seed: u64 },
    Named { name: String, seed: u64 },
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut out = io::stdout();
    let task = match parse(&arguments) {
        Ok(task) => task,
        Err(error) => {
            eprintln!("error: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let result = match task {
        Task::Help => writeln!(out, "{USAGE}").map(|()| true),
        Task::Seeds(plan) => runner::run(plan, &mut out).map(|summary| summary.failed == 0),
        Task::Large { nodes, loss, seed } => large(&mut out, nodes, loss, seed),
        Task::Named { name, seed } => named(&mut out, &name, seed),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: &[String]) -> Result<Task, String> {
    let (mut seeds, mut plan) = (
        None,
        Plan {
            kind: Kind::Group,
            first: 0,
            seeds: 0,
            limit: None,
            nodes: None,
            kept: true,
            lines: 60,
        },
    );
    let (mut large, mut loss, mut name) = (None, 0.01, None);
    let mut rest = arguments.iter();
    while let Some(option) = rest.next() {
        if option == "--help" {
            return Ok(Task::Help);
        }
        if option == "--token" {
            plan.kind = Kind::Token;
            continue;
        }
        let value = rest
            .next()
            .ok_or_else(|| format!("{option} needs a value"))?;
        let bad = || format!("{option} cannot be {value:?}");
        match option.as_str() {
            "--seeds" => seeds = Some(value.parse().map_err(|_error| bad())?),
            "--seed" => {
                plan.first = value.parse().map_err(|_error| bad())?;
                plan.kept = false;
            }
            "--seconds" => {
                let seconds = value.parse().map_err(|_error| bad())?;
                plan.limit = Some(Duration::from_secs(seconds));
            }
            "--lines" => plan.lines = value.parse().map_err(|_error| bad())?,
            "--nodes" => plan.nodes = Some(value.parse().map_err(|_error| bad())?),
            "--large" => large = Some(value.parse().map_err(|_error| bad())?),
            "--loss" => loss = value.parse().map_err(|_error| bad())?,
            "--named" => name = Some(value.clone()),
            _ => return Err(format!("unknown option {option:?}")),
        }
    }
    if plan.kind == Kind::Token && plan.nodes.is_some() {
        return Err("--nodes is not for --token".into());
    }
    let seed = plan.first;
    // With a time limit alone, the limit decides.
    let default = if plan.limit.is_some() { u64::MAX } else { 100 };
    plan.seeds = seeds.unwrap_or(default).min(u64::MAX - plan.first);
    Ok(match (large, name) {
        (Some(nodes), _) => Task::Large { nodes, loss, seed },
        (None, Some(name)) => Task::Named { name, seed },
        (None, None) => Task::Seeds(plan),
    })
}

fn large(out: &mut impl Write, nodes: usize, loss: f64, seed: u64) -> io::Result<bool> {
    let started = Instant::now();
    let result = large_group(seed, nodes, loss, 20);
    match &result {
        Ok(group) => writeln!(
            out,
            "{}; {} datagrams, {} bytes in all; slowest message {:?}; {:.1} s",
            group.report,
            group.datagrams,
            group.bytes,
            group.slowest,
            started.elapsed().as_secs_f64(),
        )?,
        Err(violation) => writeln!(out, "FAILED: {violation}")?,
    }
    Ok(result.is_ok())
}

fn named(out: &mut impl Write, name: &str, seed: u64) -> io::Result<bool> {
    let chosen: Vec<_> = NAMED
        .iter()
        .filter(|named| name == "all" || named.name == name)
        .collect();
    if chosen.is_empty() {
        let names: Vec<_> = NAMED.iter().map(|named| named.name).collect();
        writeln!(
            out,
            "no run is called {name:?}; there are {}",
            names.join(", ")
        )?;
        return Ok(false);
    }
    let mut all_passed = true;
    for named in chosen {
        match (named.run)(seed) {
            Ok(()) => writeln!(out, "{}: passed", named.name)?,
            Err(violation) => {
                writeln!(out, "{}: FAILED: {violation}", named.name)?;
                all_passed = false;
            }
        }
    }
    Ok(all_passed)
}

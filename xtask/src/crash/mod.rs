//! `cargo xtask crash`: power cuts, failing disks and `kill -9`, with the real program and the real
//! databases. See `docs/crash-laboratory.md`.

mod call;
mod check;
mod disk;
mod draw;
mod faults;
mod file;
mod kill;
pub(crate) mod node;
mod promise;
mod recording;
mod replay;
mod strace;
mod timeline;
mod workload;

use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::hosts;
use crate::hosts::isolate::Directory;
use crate::verify::Outcome;
use disk::Faith;
use node::Node;
use recording::Recording;
use replay::{Plan, seconds};

const USAGE: &str = "\
usage: cargo xtask crash [--states N] [--faults N] [--kills N] [--seed S] [--keep] [--binary PATH]

  --states N   states after a power cut (4000)
  --faults N   let calls of each kind fail at N places, one after the other (8)
  --kills N    rounds of kill -9 (40)
  --seed S     for everything that is left to chance (1)
  --keep       leave the traces and homes, and say where
  --binary P   test this program instead of building one
";

const DIRECTORY_PREFIX: &str = "roda-crash-";
/// In memory: the laboratory decides what is on the disk.
const MEMORY: &str = "/dev/shm";
/// Starts of the node in a recording; a recording of its own for each so many states.
const STARTS: usize = 4;
const STATES_PER_RECORDING: usize = 1000;
/// States of a disk that lies; of the second half of a recording most have lost something.
const STATES_LIED_ABOUT: usize = 40;
/// States of a power cut for each fault.
const STATES_PER_FAULT: usize = 40;
/// One of so many states is started with the program as well.
const STARTED_OF: usize = 100;

/// What the command line asked for.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    states: usize,
    /// At which calls of each kind one fails.
    faults: Vec<usize>,
    kills: usize,
    seed: u64,
    keep: bool,
    binary: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            states: 4000,
            faults: (1..=8).collect(),
            kills: 40,
            seed: 1,
            keep: false,
            binary: None,
        }
    }
}

impl Options {
    fn parse(words: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} needs a value"))
            };
            match word.as_str() {
                "--states" => options.states = value()?.parse().context("--states: a number")?,
                "--faults" => {
                    let count: usize = value()?.parse().context("--faults: a number")?;
                    options.faults = (1..=count).collect();
                }
                "--kills" => options.kills = value()?.parse().context("--kills: a number")?,
                "--seed" => options.seed = value()?.parse().context("--seed: a number")?,
                "--keep" => options.keep = true,
                "--binary" => options.binary = Some(PathBuf::from(value()?)),
                other => bail!("not understood: {other}\n{USAGE}"),
            }
        }
        Ok(options)
    }
}

/// The command itself.
pub(crate) fn run(words: &[String]) -> ExitCode {
    let outcome = Options::parse(words).and_then(|options| {
        if let Some(why) = strace::obstacle() {
            return Ok(Outcome::Skipped(why));
        }
        laboratory(&options).map(Outcome::Passed)
    });
    match outcome {
        Ok(Outcome::Passed(report)) => {
            say(&format!("passed: {report}"));
            ExitCode::SUCCESS
        }
        Ok(Outcome::Skipped(why)) => {
            say(&format!("SKIPPED: the crash laboratory: {why}"));
            ExitCode::SUCCESS
        }
        Ok(Outcome::Failed(why)) => {
            say(&format!("FAILED: {why}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            say(&format!("FAILED: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A short form, as a step of `cargo xtask test`, with a binary that was built already.
pub(crate) fn check() -> Outcome {
    if let Some(why) = strace::obstacle() {
        return Outcome::Skipped(why);
    }
    let options = Options {
        states: 300,
        // A commit in the middle: some pushes are acknowledged before it.
        faults: vec![5],
        kills: 3,
        binary: Some(hosts::release_binary()),
        ..Options::default()
    };
    match laboratory(&options) {
        Ok(report) => Outcome::Passed(report),
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

/// All three parts; a line about them.
fn laboratory(options: &Options) -> Result<String> {
    let binary = match &options.binary {
        Some(path) => path.clone(),
        None => hosts::build()?,
    };
    let binary = binary
        .canonicalize()
        .with_context(|| format!("no program at {}", binary.display()))?;
    let memory = Path::new(MEMORY);
    let parent = if memory.is_dir() {
        memory.to_owned()
    } else {
        env::temp_dir()
    };
    let directory = Directory::new(&parent, DIRECTORY_PREFIX)?;
    let bench = Bench {
        binary,
        directory: directory.path().to_owned(),
        seed: options.seed,
    };
    if options.keep {
        say(&format!(
            "kept until the next run: {}",
            directory.path().display()
        ));
        std::mem::forget(directory);
    }
    let parts = [
        bench.power_cuts(options.states)?,
        bench.faults(&options.faults)?,
        bench.kills(options.kills)?,
    ];
    Ok(parts.join("; "))
}

struct Bench {
    binary: PathBuf,
    directory: PathBuf,
    seed: u64,
}

impl Bench {
    fn node(&self, name: &str) -> Result<Node> {
        let directory = self.directory.join(name);
        fs::create_dir(&directory)?;
        Ok(Node::new(&self.binary, directory.join("home")))
    }

    fn power_cuts(&self, states: usize) -> Result<String> {
        let (mut checked, mut promises, mut started) = (0, 0, 0);
        let mut failures = Vec::new();
        let since = Instant::now();
        let mut seed = self.seed;
        while checked < states {
            let wanted = (states - checked).min(STATES_PER_RECORDING);
            let outcome = self.one_recording(seed, wanted)?;
            say(&format!(
                "power cuts: seed {seed}: {} promises in {} events; {} states, {} of them in doubt, \
                 {} started; {} failed ({})",
                outcome.promises,
                outcome.events,
                outcome.states,
                outcome.doubtful,
                outcome.started,
                outcome.failed,
                seconds(since),
            ));
            checked += outcome.states;
            promises += outcome.promises;
            started += outcome.started;
            let told = outcome.failures.iter();
            failures.extend(told.map(|what| format!("seed {seed}: {what}")));
            seed += 1;
        }
        ensure!(
            failures.is_empty(),
            "power cuts:\n  {}",
            failures.join("\n  ")
        );
        Ok(format!(
            "power cuts: {checked} states, {started} of them started, {promises} promises, 0 lost"
        ))
    }

    fn one_recording(&self, seed: u64, states: usize) -> Result<replay::Outcome> {
        let mut node = self.node(&format!("power-{seed}"))?;
        let recording = workload::record(&mut node, STARTS, seed).with_context(|| node.log())?;
        let plan = Plan {
            states,
            started: states.div_ceil(STARTED_OF),
            seed,
            faith: Faith::Kept,
        };
        let outcome = replay::replay(&recording, &node, &plan)?;
        ensure!(outcome.states > 0, "there is nothing to replay");
        if seed == self.seed {
            prove(&recording, &node, seed)?;
        }
        Ok(outcome)
    }

    fn faults(&self, places: &[usize]) -> Result<String> {
        let since = Instant::now();
        let mut sum = faults::Outcome::default();
        let mut failures = Vec::new();
        for (number, fault) in faults::all(places).into_iter().enumerate() {
            let mut node = self.node(&format!("fault-{number}"))?;
            if let Err(error) = faults::run(&mut node, fault, STATES_PER_FAULT, &mut sum) {
                failures.push(format!("{fault:?}: {error:#}\n{}", node.log()));
            }
        }
        say(&format!(
            "faults: {} of {}, {} of them noticed by whoever pushed; {} promises, {} states; {} \
             failed ({})",
            sum.faults,
            sum.faults + failures.len(),
            sum.refused,
            sum.promises,
            sum.states,
            failures.len(),
            seconds(since),
        ));
        ensure!(failures.is_empty(), "faults:\n  {}", failures.join("\n  "));
        Ok(format!(
            "{} failing calls, {} states after them, {} promises, 0 lost",
            sum.faults, sum.states, sum.promises
        ))
    }

    fn kills(&self, kills: usize) -> Result<String> {
        if kills == 0 {
            return Ok("no kills".to_owned());
        }
        let since = Instant::now();
        let mut node = self.node("kill")?;
        let outcome = kill::kill_loop(&mut node, kills, self.seed).with_context(|| node.log())?;
        let report = format!(
            "{} kills, {} promises, 0 lost",
            outcome.kills, outcome.promises
        );
        say(&format!("{report} ({})", seconds(since)));
        Ok(report)
    }
}

/// The laboratory can fail: on a disk that lies about syncs it must find losses, or what it says of
/// other disks means nothing.
fn prove(recording: &Recording, node: &Node, seed: u64) -> Result<()> {
    let plan = Plan {
        states: STATES_LIED_ABOUT,
        started: 0,
        seed,
        // Not from the start, or no name would ever be on the disk.
        faith: Faith::Lying {
            from: recording.events.len() / 2,
        },
    };
    let outcome = replay::replay(recording, node, &plan)?;
    say(&format!(
        "on a disk that lies: {} of {} states have lost something, for example: {}",
        outcome.failed,
        outcome.states,
        outcome.failures.first().map_or("none", String::as_str)
    ));
    ensure!(
        outcome.failed > outcome.states / 10,
        "the laboratory does not notice a disk that lies"
    );
    Ok(())
}

pub(crate) fn say(line: &str) {
    // There is nobody left to tell when standard error is closed.
    let _closed = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_refused() {
        let parse = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            Options::parse(&words)
        };
        assert_eq!(parse(&["--states", "7"]).unwrap().states, 7);
        for words in [&["--states"][..], &["--states", "many"], &["--fast"]] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}

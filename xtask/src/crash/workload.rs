//! What is done with a node while it is recorded.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::check::LockNames;
use super::node::{Node, PATIENCE, Start};
use super::recording::{Recording, keep_base};
use crate::hosts::command;
use crate::hosts::random::Random;

/// Steps between two starts of the node.
const STEPS_PER_START: usize = 14;
/// Jobs in one push of many.
const LINES_MAX: usize = 30;
/// Producers at the same time, so that several writes become one commit.
const PRODUCERS: usize = 4;
/// Bytes of a large payload, so that a job needs pages of its own.
const LARGE_LEN: usize = 20_000;

/// Records a node from the making of its group on, over some starts, of which every other ends by
/// `kill -9`.
///
/// # Errors
/// If a command fails, or the recording does not explain what is on the disk.
pub(crate) fn record(node: &mut Node, starts: usize, seed: u64) -> Result<Recording> {
    let base = keep_base(&node.home)?;
    let mut workload = Workload {
        random: Random::new(seed),
        locks: BTreeMap::new(),
        traces: Vec::new(),
    };
    for number in 0..starts {
        let trace = node.home.with_extension(format!("trace-{number}"));
        workload.traces.push(trace.clone());
        let start = Start {
            trace: Some(&trace),
            ..Start::default()
        };
        if number == 0 {
            node.create(&start)?;
        } else {
            node.up(&start)?;
        }
        for step in 0..STEPS_PER_START {
            workload
                .step(node, number, step)
                .with_context(|| format!("start {number}, step {step}"))?;
        }
        // The last start ends cleanly, so that the whole way down is in the recording too.
        if number % 2 == 0 && number + 1 < starts {
            workload.kill_amid_pushes(node)?;
        } else {
            node.down()?;
        }
    }
    Recording::read(&workload.traces, base, node, workload.locks)
}

struct Workload {
    random: Random,
    locks: LockNames,
    traces: Vec<PathBuf>,
}

impl Workload {
    fn step(&mut self, node: &mut Node, start: usize, step: usize) -> Result<()> {
        let name = format!("{start}-{step}");
        // Each kind once in each start; the rest at random.
        let kind = if step < 7 { step } else { self.random.below(5) };
        match kind {
            0 => drop(node.ask(&["push", "plain", &name, "--json"], b"")?),
            1 => {
                let words = ["push", "keyed", &name, "--key", &name, "--json"];
                node.ask(&words, b"")?;
                // The same again promises the same job.
                node.ask(&words, b"")?;
            }
            2 => {
                let count = 2 + self.random.below(LINES_MAX);
                let lines: String = (0..count).map(|line| format!("{name}-{line}\n")).collect();
                let lines = lines.into_bytes();
                node.ask(&["push", "many", "--lines", "--json"], &as_json(&lines)?)?;
            }
            3 => drop(node.ask(&["say", "room", &name, "--json"], b"")?),
            4 => self.push_together(node, &name)?,
            5 => {
                let lock = format!("crash-lock-{name}");
                let fence = node.lock(&lock)?;
                self.locks.insert(fence, lock);
            }
            _ => {
                let queue = format!("work-{name}");
                node.ask(
                    &["push", &queue, "--lines", "--json"],
                    &as_json(b"a\nb\nc\n")?,
                )?;
                let words = ["work", &queue, "--idle-exit", "-j", "2", "--", "true"];
                node.run(&words, b"")?.success()?;
                node.ask(&["jobs", &queue, "--json"], b"")?;
            }
        }
        Ok(())
    }

    /// Several producers at once, with payloads that need pages of their own.
    fn push_together(&mut self, node: &mut Node, name: &str) -> Result<()> {
        let large = "x".repeat(self.random.below(LARGE_LEN) + 1);
        let mut producers = Vec::new();
        for producer in 0..PRODUCERS {
            let payload = format!("{name}-{producer}-{large}");
            let push = node.command(&["push", "together", &payload, "--json"]);
            producers.push(command::start(push, b"")?);
        }
        for producer in producers {
            let finished = producer.finish(PATIENCE)?.success()?;
            node.believe(&finished);
        }
        Ok(())
    }

    /// What a push still prints while its node is killed, it has promised.
    fn kill_amid_pushes(&mut self, node: &mut Node) -> Result<()> {
        let mut producers = Vec::new();
        for _ in 0..PRODUCERS {
            let push = node.command(&["push", "killed", "--lines", "--json"]);
            producers.push(command::start(push, &as_json(&b"y\n".repeat(LINES_MAX))?)?);
        }
        std::thread::sleep(std::time::Duration::from_millis(self.random.next() % 20));
        node.kill()?;
        for producer in producers {
            node.believe(&producer.finish(PATIENCE)?);
        }
        Ok(())
    }
}

/// Lines as `push --lines --json` reads them.
fn as_json(lines: &[u8]) -> Result<Vec<u8>> {
    let mut json = Vec::new();
    for line in std::str::from_utf8(lines)?.lines() {
        serde_json::to_writer(&mut json, &serde_json::json!({ "payload": line }))?;
        json.push(b'\n');
    }
    Ok(json)
}

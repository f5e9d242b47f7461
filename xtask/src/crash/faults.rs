//! System calls that fail, one after the other: the n-th sync, a full disk, a broken one.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::disk::Faith;
use super::node::{Node, Start};
use super::recording::{Recording, keep_base};
use super::replay::{self, Plan};
use crate::hosts::command::wait_for;

/// Pushes while calls fail, and again after a start without failures.
const PUSHES: usize = 8;
/// About so many writes come before a sync; a number that leads to another place of a commit each time.
const WRITES_PER_SYNC: usize = 7;
/// How long a node may need until it says that it cannot start.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// A way for system calls to fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) calls: &'static str,
    pub(crate) error: &'static str,
    /// The first one that fails, counted in each thread.
    pub(crate) when: usize,
    /// Whether all later ones fail too.
    pub(crate) lasting: bool,
}

impl Fault {
    /// As strace's `inject=` takes it.
    fn inject(self) -> String {
        let Self {
            calls,
            error,
            when,
            lasting,
        } = self;
        let lasting = if lasting { "+" } else { "" };
        format!("{calls}:error={error}:when={when}{lasting}")
    }
}

/// Each kind of fault, at these places.
pub(crate) fn all(places: &[usize]) -> Vec<Fault> {
    let kinds = [
        ("fsync,fdatasync", 1, "EIO", false),
        ("fsync,fdatasync", 1, "EIO", true),
        ("pwrite64", WRITES_PER_SYNC, "ENOSPC", true),
        ("pwrite64", WRITES_PER_SYNC, "ENOSPC", false),
        ("pwrite64", WRITES_PER_SYNC, "EIO", false),
        ("ftruncate", 1, "EIO", false),
    ];
    let every = places.iter().flat_map(|place| {
        kinds.map(|(calls, stride, error, lasting)| Fault {
            calls,
            error,
            when: place * stride,
            lasting,
        })
    });
    every.collect()
}

/// What came of all of them.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) faults: usize,
    /// In how many of them some command was refused, or the node did not start.
    pub(crate) refused: usize,
    pub(crate) promises: usize,
    pub(crate) states: usize,
}

/// Runs a node under one fault, then without it, and replays power cuts over both.
///
/// # Errors
/// What was lost or is broken.
pub(crate) fn run(node: &mut Node, fault: Fault, states: usize, sum: &mut Outcome) -> Result<()> {
    node.create(&Start::default())?;
    push(node, "before", 2)?;
    node.down()?;
    let base = keep_base(&node.home)?;
    // What was promised before is on the disk; the recording does not know of it.
    let before = std::mem::take(&mut node.believed);
    let traces = ["faulty", "after"].map(|name| node.home.with_extension(name));
    let refused = under_fault(node, fault, &traces[0])?;
    node.up(&Start {
        trace: Some(&traces[1]),
        ..Start::default()
    })
    .context("it does not start again")?;
    node.check().context("after a start without failures")?;
    push(node, "after", 2).context("after a start without failures")?;
    node.down()?;
    let recording = Recording::read(&traces, base, node, std::collections::BTreeMap::new())?;
    node.believed.extend(before);
    let plan = Plan {
        states,
        started: 0,
        seed: 1,
        faith: Faith::Kept,
    };
    let outcome = replay::replay(&recording, node, &plan)?;
    anyhow::ensure!(
        outcome.failed == 0,
        "after a power cut, {} of {} states: {}",
        outcome.failed,
        outcome.states,
        outcome.failures.join("; ")
    );
    sum.faults += 1;
    sum.refused += usize::from(refused);
    sum.promises += node.believed.len();
    sum.states += outcome.states;
    Ok(())
}

/// Returns whether anything was refused, clearly.
fn under_fault(node: &mut Node, fault: Fault, trace: &Path) -> Result<bool> {
    let faults = [fault.inject()];
    node.begin_up(&Start {
        trace: Some(trace),
        faults: &faults,
    })?;
    let up = wait_for("the node to answer or to end", START_PATIENCE, || {
        Ok(if node.is_up()? {
            Ok(true)
        } else if node.has_ended()? {
            Ok(false)
        } else {
            Err("neither".to_owned())
        })
    })?;
    let mut refused = !up;
    for number in 0..PUSHES {
        let words = ["push", "faulty", &number.to_string(), "--json"];
        refused |= up && !node.try_to(&words)?;
    }
    if up && fault.when.is_multiple_of(2) {
        // The checkpoint of a clean stop meets the failures too, if it gets that far.
        let _may_fail = node.run(&["down"], b"")?;
    }
    node.kill()?;
    Ok(refused)
}

fn push(node: &mut Node, queue: &str, count: usize) -> Result<()> {
    for number in 0..count {
        node.ask(&["push", queue, &number.to_string(), "--json"], b"")?;
    }
    Ok(())
}

//! Whatever ends or hangs, the next holder comes only when the last one is dead.
//!
//! The table that comes out is kept in `docs/locks-kill-matrix.md`.

mod case;
mod latency;
mod table;

use anyhow::Result;

use crate::hosts::scenarios::report::settle;
use case::{CASES, Case, Target, play};
use latency::Waits;
use rustix::process::Signal;

use crate::hosts::Bench;
use crate::hosts::scenarios::Group;

/// How often a holder's machine is lost.
const MACHINES_LOST: usize = 5;

/// Each thing that can be hit, with each signal; then the two most frequent ones many times.
pub(crate) fn never_the_next_before_the_last_is_dead(bench: &Bench) -> Result<()> {
    let group = Group::start(bench, 5)?;
    settle(&group, 3)?;
    let killed = latency::processes(bench, &group)?;
    bench.note(&killed.describe("holder's process killed, until the next is inside"));
    let mut rows = Vec::new();
    let mut lost = Waits::default();
    for (number, case) in CASES.iter().enumerate() {
        let row = play(bench, &group, case, &format!("case-{number}"))?;
        if case.is(Target::Host, Signal::KILL) {
            lost.add(row.next_ns);
        }
        rows.push(row);
    }
    lose_machines(bench, &group, MACHINES_LOST - 1, &mut lost)?;
    bench.note(&format!("\n{}", table::markdown(&rows)));
    lost.ensure_median("the next after a lost machine", latency::MACHINE_MAX)?;
    killed.ensure_median("the next after a killed process", latency::PROCESS_MAX)
}

/// The same for the machine alone, with `--lock-timing wired`.
pub(crate) fn wired_is_twice_as_fast(bench: &Bench) -> Result<()> {
    let group = Group::start_timed(bench, 3, "wired")?;
    settle(&group, 3)?;
    let mut lost = Waits::default();
    lose_machines(bench, &group, MACHINES_LOST, &mut lost)?;
    lost.ensure_median("the next after a lost machine", latency::WIRED_MACHINE_MAX)
}

fn lose_machines(bench: &Bench, group: &Group<'_>, count: usize, lost: &mut Waits) -> Result<()> {
    let machine = Case::new(Target::Host, Signal::KILL);
    for number in 0..count {
        let row = play(bench, group, &machine, &format!("lost-{number}"))?;
        lost.add(row.next_ns);
    }
    bench.note(&lost.describe("holder's machine lost, until the next is inside"));
    Ok(())
}

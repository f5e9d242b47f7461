//! How long the next one waits after the holder is gone, many times.

use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::{Pid, Signal};

use crate::hosts::Bench;
use crate::hosts::process::{self, now_ns};
use crate::hosts::scenarios::Group;
use crate::hosts::scenarios::locks::arena::Arena;
use crate::hosts::scenarios::report::wait_waiting;

/// For the median; other programs run here too, so a single one may take longer.
pub(super) const PROCESS_MAX: Duration = Duration::from_millis(50);
/// See [`PROCESS_MAX`].
pub(super) const MACHINE_MAX: Duration = Duration::from_millis(6_100);
/// The same with the timing for wired networks.
pub(super) const WIRED_MACHINE_MAX: Duration = Duration::from_millis(3_100);
/// How often a process is killed.
const KILLS: usize = 32;
const SOON: Duration = Duration::from_secs(20);
const LOCK: &str = "killed";

/// Kills holders, in turn their wrapper and their child; each who comes next is hit next.
pub(super) fn processes(bench: &Bench, group: &Group<'_>) -> Result<Waits> {
    let arena = Arena::new(bench, LOCK)?;
    let start = |number: usize| {
        let node = &group.nodes[number % group.nodes.len()];
        let label = format!("{}-{number}", node.nick);
        let attempt = arena.lock(node, &label, &[LOCK], &arena.hold(&label, "family"))?;
        Ok::<_, anyhow::Error>((attempt, label))
    };
    let (mut holder, mut label) = start(0)?;
    let mut waits = Waits::default();
    for number in 0..KILLS {
        let inside = arena.wait_entered(&label, SOON)?;
        let (next, next_label) = start(number + 1)?;
        wait_waiting(&group.nodes[0], LOCK, 1, SOON)?;
        let killed_ns = now_ns();
        if number.is_multiple_of(2) {
            holder.signal(Signal::KILL);
        } else if let Some(child) = Pid::from_raw(inside.pid) {
            process::signal(child, Signal::KILL);
        }
        let entered = arena.wait_entered(&next_label, SOON)?;
        waits.add(entered.at_ns.saturating_sub(killed_ns));
        holder.finish(SOON)?.expect(128 + Signal::KILL.as_raw())?;
        (holder, label) = (next, next_label);
    }
    arena.dismiss(&label)?;
    holder.finish(SOON)?.expect(0)?;
    arena.journal()?.ensure_alone()?;
    Ok(waits)
}

/// Times that were waited, in nanoseconds.
#[derive(Default)]
pub(super) struct Waits(Vec<u64>);

impl Waits {
    pub(super) fn add(&mut self, wait_ns: u64) {
        self.0.push(wait_ns);
        self.0.sort_unstable();
    }

    /// The time that so many percent did not exceed.
    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1) - 1;
        Duration::from_nanos(self.0.get(rank).copied().unwrap_or_default())
    }

    pub(super) fn describe(&self, what: &str) -> String {
        let [p50, p90, p99, max] = [50, 90, 99, 100].map(|percent| {
            let millis = self.percentile(percent).as_secs_f64() * 1_000.0;
            format!("{millis:.1}")
        });
        let count = self.0.len();
        format!("{what}, {count} times: p50 {p50} ms, p90 {p90} ms, p99 {p99} ms, max {max} ms")
    }

    pub(super) fn ensure_median(&self, what: &str, limit: Duration) -> Result<()> {
        let median = self.percentile(50);
        ensure!(
            median <= limit,
            "{what}: the median is {median:?}, the limit {limit:?}"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_waits_that_were_measured() {
        let mut waits = Waits::default();
        for millis in [4, 1, 3, 2] {
            waits.add(millis * 1_000_000);
        }
        assert_eq!(waits.percentile(50), Duration::from_millis(2));
        assert_eq!(waits.percentile(99), Duration::from_millis(4));
        assert!(waits.ensure_median("x", Duration::from_millis(2)).is_ok());
        assert!(waits.ensure_median("x", Duration::from_millis(1)).is_err());
    }
}

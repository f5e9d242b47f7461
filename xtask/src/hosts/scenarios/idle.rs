//! What a group costs that has nothing to do.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Group;
use crate::hosts::Bench;
use crate::hosts::node::{Node, ensure_within};

const WATCHED: Duration = Duration::from_secs(10);
const BYTES_PER_SECOND_MAX: u64 = 300;
const RESIDENT_KIB_MAX: u64 = 40 * 1024;
const START_MAX: Duration = Duration::from_millis(150);
const BINARY_LEN_MAX: u64 = 20_000_000;

/// Memory, beacons, time to start and size of the program stay within their limits.
pub(crate) fn a_quiet_group_costs_little(bench: &Bench) -> Result<()> {
    ensure_within(
        "the program's length",
        std::fs::metadata(&bench.binary)?.len(),
        BINARY_LEN_MAX,
    )?;
    let group = Group::start(bench, 4)?;
    // Rates need time to pass; what happens right after the start does not count.
    thread::sleep(Duration::from_secs(3));
    let sent_before = group
        .nodes
        .iter()
        .map(|node| node.counter("bytes_sent"))
        .collect::<Result<Vec<_>>>()?;
    thread::sleep(WATCHED);
    for (node, before) in group.nodes.iter().zip(sent_before) {
        let rate = (node.counter("bytes_sent")? - before) / WATCHED.as_secs();
        if rate > BYTES_PER_SECOND_MAX {
            bench.note(&format!("{}: {}", node.nick, node.status()?));
        }
        let (who, resident) = (&node.nick, node.resident_kib()?);
        bench.note(&format!("{who}: {rate} B/s sent, {resident} KiB resident"));
        ensure_within(
            &format!("{who}: bytes sent a second"),
            rate,
            BYTES_PER_SECOND_MAX,
        )?;
        ensure_within(
            &format!("{who}: KiB resident"),
            node.resident_kib()?,
            RESIDENT_KIB_MAX,
        )?;
    }
    quick_start(bench, &group.nodes[0])
}

/// The best of three, because other programs run here too.
fn quick_start(bench: &Bench, node: &Node<'_>) -> Result<()> {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        node.down()?;
        let started = Instant::now();
        node.up()?;
        best = best.min(started.elapsed());
    }
    let millis = u64::try_from(best.as_millis())?;
    bench.note(&format!("{millis} ms to start"));
    ensure_within(
        "milliseconds to start",
        millis,
        u64::try_from(START_MAX.as_millis())?,
    )
}

//! A network that loses much: slower, and never wrong.

use std::time::Duration;

use anyhow::Result;

use super::arena::Arena;
use crate::hosts::Bench;
use crate::hosts::net::Filter;
use crate::hosts::process::now_ns;
use crate::hosts::scenarios::Group;
use crate::hosts::scenarios::report::settle;

/// Of a thousand packets, on every host.
const LOSS_PER_MILLE: u16 = 200;
/// Who wants the lock on each node, all at once.
const EACH: usize = 6;
const SERVED_WITHIN: Duration = Duration::from_secs(90);

/// Everybody gets a turn while a fifth of all packets is lost.
pub(crate) fn a_lossy_network_is_slower_and_not_wrong(bench: &Bench) -> Result<()> {
    let group = Group::start(bench, 3)?;
    settle(&group, 3)?;
    group.filter(&Filter::loss(LOSS_PER_MILLE))?;
    let arena = Arena::new(bench, "lossy")?;
    let began_ns = now_ns();
    let mut attempts = Vec::new();
    for number in 0..EACH {
        for node in &group.nodes {
            let who = format!("{}-{number}", node.nick);
            let words = ["lossy", "--wait", "80s"];
            attempts.push(arena.lock(node, &who, &words, &arena.section(&who))?);
        }
    }
    let count = attempts.len();
    for attempt in attempts {
        attempt.finish(SERVED_WITHIN)?.expect(0)?;
    }
    let took_ms = (now_ns() - began_ns) / 1_000_000;
    bench.note(&format!("{count} sections in {took_ms} ms"));
    arena.journal()?.ensure_alone()
}

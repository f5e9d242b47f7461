//! Whether attempts go on where the last acknowledged checkpoint was.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use super::journal::{Journal, Life, describe};
use super::judge::Attempts;
use crate::hosts::Bench;
use crate::hosts::scenarios::Group;
use crate::hosts::scenarios::chaos::{Fault, Record};

/// A host that was cut off so long before a checkpoint may still be: longer than any such accident and
/// what follows from it.
const CUT_OFF_NS: u64 = 16_000_000_000;

/// Why an attempt may begin before an acknowledged checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// The attempt that saved it does not count.
    Void,
    /// The node of the attempt that saved it was killed, stopped or cut off before others had it.
    NodeDisturbed,
    /// None.
    Unexplained,
}

/// Notes how many began too early, and fails if one did so without a reason.
pub(super) fn check(
    bench: &Bench,
    group: &Group<'_>,
    journal: &Journal,
    attempts: &Attempts,
    record: &Record,
) -> Result<()> {
    let mut zero: BTreeMap<Reason, usize> = BTreeMap::new();
    let mut earlier: BTreeMap<Reason, usize> = BTreeMap::new();
    let (mut resumed, mut wrong) = (0_usize, Vec::new());
    for (id, lives) in &journal.0 {
        for (index, life) in lives.iter().enumerate() {
            let Some(from) = life.from() else { continue };
            resumed += usize::from(from > 0);
            let saved = lives[..index].iter().filter_map(|before| {
                let line = before.saved_before(life.began_ns())?;
                (line.value > from).then_some((before, line.at_ns))
            });
            // One without a reason is enough.
            let reason = saved.map(|(before, at_ns)| {
                let tried = &attempts[id];
                let found = tried.iter().find(|tried| tried.attempt == before.attempt);
                let Some(found) = found else {
                    return Reason::Void;
                };
                let is_lost = found.outcome == "lost";
                if is_lost && is_disturbed(group, record, before, (at_ns, life.began_ns())) {
                    Reason::NodeDisturbed
                } else {
                    Reason::Unexplained
                }
            });
            let Some(reason) = reason.max() else { continue };
            let counts = if from == 0 { &mut zero } else { &mut earlier };
            *counts.entry(reason).or_default() += 1;
            if reason == Reason::Unexplained {
                wrong.push(format!(
                    "{id}, attempt {} from {from}; attempts that count: {:?}\n{}",
                    life.attempt,
                    attempts[id],
                    describe(lives)
                ));
            }
        }
    }
    bench.note(&format!(
        "{resumed} attempts went on after the first step; before an acknowledged checkpoint began, from \
         zero: {zero:?}, from a later step: {earlier:?}"
    ));
    ensure!(
        wrong.is_empty(),
        "PROGRESS LOST: {} attempts began before a checkpoint that was acknowledged:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(())
}

/// Whether an accident to the node of an attempt explains that nobody else has what it saved.
fn is_disturbed(
    group: &Group<'_>,
    record: &Record,
    life: &Life,
    (from, until): (u64, u64),
) -> bool {
    let host = group.nodes.iter().position(|node| node.nick == life.node);
    record.strikes.iter().any(|strike| {
        let earliest = match strike.fault {
            Fault::Cut | Fault::Deafen | Fault::Mute => from.saturating_sub(CUT_OFF_NS),
            // A node that did not run then would not have acknowledged it.
            Fault::KillNode | Fault::KillHost | Fault::StopNode => from,
            Fault::KillWrapper | Fault::KillChild | Fault::StopWrapper => return false,
        };
        Some(strike.host) == host && (earliest..=until).contains(&strike.at_ns)
    })
}

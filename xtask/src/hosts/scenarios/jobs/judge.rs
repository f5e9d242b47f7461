//! Everything that must be so, whatever happened.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::arena::Arena;
use super::journal::{Journal, Life, What, describe};
use super::pushing::Pushed;
use super::queue::{self, Tried};
use super::resumed;
use crate::hosts::Bench;
use crate::hosts::scenarios::Group;
use crate::hosts::scenarios::chaos::Record;

/// An attempt that a kill ended has said something so shortly before.
const LIVELY: Duration = Duration::from_secs(1);

/// The attempts of each job that count.
pub(super) type Attempts = BTreeMap<String, Vec<Tried>>;

/// Notes the figures, then fails if anything is wrong.
pub(super) fn judge(
    bench: &Bench,
    group: &Group<'_>,
    arena: &Arena,
    queue: &str,
    (record, pushed): (&Record, &Pushed),
) -> Result<()> {
    let journal = arena.journal()?;
    note_lives(bench, &journal, pushed);
    note_takeovers(bench, group, &journal, record);
    journal.ensure_alone()?;
    let attempts = one_end(group, arena, queue, pushed)?;
    note_outcomes(bench, &journal, &attempts, arena);
    for (id, lives) in &journal.0 {
        ensure!(
            attempts.contains_key(id),
            "{id} ran, and no node knows of it:\n{}",
            describe(lives)
        );
    }
    resumed::check(bench, group, &journal, &attempts, record)
}

/// Fails unless all that was pushed is done, by the same attempt on every node.
fn one_end(group: &Group<'_>, arena: &Arena, queue: &str, pushed: &Pushed) -> Result<Attempts> {
    let lists = group.nodes.iter().map(|node| queue::jobs(node, queue));
    let lists = lists.collect::<Result<Vec<_>>>()?;
    let known = &lists[0];
    for id in &pushed.ids {
        let (state, _) = known
            .get(id)
            .with_context(|| format!("{id} was acknowledged and is lost"))?;
        ensure!(state == "done", "{id} is {state}");
    }
    for (node, list) in group.nodes.iter().zip(&lists) {
        for (id, seen) in known {
            ensure!(
                list.get(id) == Some(seen),
                "{id} is {seen:?} on one node and {:?} on {}",
                list.get(id),
                node.nick
            );
        }
        ensure!(list.len() == known.len(), "{} knows of more", node.nick);
    }
    let mut attempts = Attempts::new();
    for (index, (id, (_state, last))) in known.iter().enumerate() {
        // To ask each node about every job would take longer than the rest.
        let node = &group.nodes[index % group.nodes.len()];
        let tried = queue::tried(node, id)?;
        let done: Vec<&str> = tried
            .iter()
            .filter(|tried| tried.outcome == "done")
            .map(|tried| tried.attempt.as_str())
            .collect();
        ensure!(
            done == [last],
            "{id} ended by {done:?}, and its last attempt is {last}, as {} says: {tried:?}",
            node.nick
        );
        ensure!(
            arena.is_marked(id, last),
            "attempt {last} of {id} is said to be done, and never came to its end"
        );
        attempts.insert(id.clone(), tried);
    }
    Ok(attempts)
}

fn note_lives(bench: &Bench, journal: &Journal, pushed: &Pushed) {
    let lives = || journal.0.values().flatten();
    let count = |what: What| {
        lives()
            .flat_map(|life| &life.lines)
            .filter(|line| line.what == what)
            .count()
    };
    let moved = journal.pairs().filter(|(one, next)| one.node != next.node);
    bench.note(&format!(
        "{} jobs acknowledged, {} failed calls of push; {} attempts began, {} of them after another \
         one, {} of these on another node; {} checkpoints acknowledged, {} refused; {} times no \
         progress could be loaded",
        pushed.ids.len(),
        pushed.failures,
        lives().count(),
        journal.pairs().count(),
        moved.count(),
        count(What::Saved),
        count(What::Unsaved),
        count(What::Unloaded),
    ));
    bench.note(&format!(
        "a job had to see up to {} begin that were pushed after it",
        overtaken(journal, pushed)
    ));
}

/// How many jobs that were pushed after another one began before it, at most.
fn overtaken(journal: &Journal, pushed: &Pushed) -> usize {
    let lives = pushed
        .ids
        .iter()
        .filter_map(|id| journal.0.get(id)?.first());
    let begins: Vec<u64> = lives.map(Life::began_ns).collect();
    let counts = begins.iter().enumerate().map(|(index, began)| {
        let later = begins[index + 1..].iter();
        later.filter(|other| *other < began).count()
    });
    counts.max().unwrap_or_default()
}

fn note_outcomes(bench: &Bench, journal: &Journal, attempts: &Attempts, arena: &Arena) {
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    for tried in attempts.values().flatten() {
        *outcomes.entry(&tried.outcome).or_default() += 1;
    }
    let mut void = 0;
    let mut again = 0;
    for (id, lives) in &journal.0 {
        let counting = attempts.get(id).map(Vec::as_slice).unwrap_or_default();
        for life in lives {
            let found = counting.iter().find(|tried| tried.attempt == life.attempt);
            void += usize::from(found.is_none());
            let is_done = found.is_some_and(|tried| tried.outcome == "done");
            again += usize::from(!is_done && arena.is_marked(id, &life.attempt));
        }
    }
    bench.note(&format!(
        "attempts by outcome: {outcomes:?}; {void} that began do not count; {again} came to their \
         end and were repeated"
    ));
}

/// How long it took from a kill to the begin of the next attempt.
fn note_takeovers(bench: &Bench, group: &Group<'_>, journal: &Journal, record: &Record) {
    let mut waits: BTreeMap<_, Vec<(Duration, usize)>> = BTreeMap::new();
    let begins: Vec<u64> = journal.0.values().flatten().map(Life::began_ns).collect();
    for (one, next) in journal.pairs() {
        let host = group.nodes.iter().position(|node| node.nick == one.node);
        let killed = record.strikes.iter().find(|strike| {
            strike.fault.is_a_kill() && Some(strike.host) == host && ended_by(one, strike.at_ns)
        });
        if let Some(strike) = killed {
            let (from, until) = (strike.at_ns, next.began_ns());
            let meanwhile = begins.iter().filter(|at| (from..until).contains(*at));
            let wait = Duration::from_nanos(until.saturating_sub(from));
            let waits = waits.entry(strike.fault).or_default();
            waits.push((wait, meanwhile.count()));
        }
    }
    for (fault, mut waits) in waits {
        waits.sort();
        let (half, _) = waits[waits.len() / 2];
        let (most, meanwhile) = waits[waits.len() - 1];
        bench.note(&format!(
            "from {fault:?} to the begin of the next attempt: p50 {half:.1?}, max {most:.1?} while \
             {meanwhile} others began ({} times)",
            waits.len()
        ));
    }
}

/// Whether what happened at a time can have ended an attempt.
fn ended_by(life: &Life, at_ns: u64) -> bool {
    let silent_ns = at_ns.checked_sub(life.last_ns());
    !life.has(What::End) && silent_ns.is_some_and(|silent| Duration::from_nanos(silent) < LIVELY)
}

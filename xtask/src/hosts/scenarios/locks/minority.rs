//! Too few voters: nothing is granted, and everybody is told why.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::arena::Arena;
use super::basics::{SOON, inside};
use crate::hosts::Bench;
use crate::hosts::net::Filter;
use crate::hosts::node::Node;
use crate::hosts::process::now_ns;
use crate::hosts::scenarios::Group;
use crate::hosts::scenarios::attempt::{BUSY, LOST};
use crate::hosts::scenarios::report::settle;

/// Until no session from before is valid any more, and a leader has noticed that it is alone.
const LEASES_OVER: Duration = Duration::from_secs(5);
/// How long a group may take to find itself again.
const HEALED_WITHIN: Duration = Duration::from_secs(30);

/// A majority of the voters is cut off, each from everybody.
pub(crate) fn without_a_majority_nothing_is_granted(bench: &Bench) -> Result<()> {
    let group = Group::start(bench, 5)?;
    let report = settle(&group, 3)?;
    let (voters, others) = sides(&group, &report.voters);
    bench.note(&format!("voters: {}", report.voters.join(", ")));
    let arena = Arena::new(bench, "minority")?;
    let (lost, kept) = voters.split_at(voters.len() / 2 + 1);
    let holders = [
        inside(others[0], &arena, &label(others[0], "holder"), &["outside"])?,
        inside(lost[0], &Arena::new(bench, "lost")?, "lost", &["lost"])?,
    ];
    let cut_ns = now_ns();
    for voter in lost {
        voter.host.filter(&Filter::isolated())?;
    }
    for holder in holders {
        let ended = holder.finish(SOON)?.expect(LOST)?;
        ensure!(!ended.errors.is_empty(), "nobody was told why it was lost");
    }
    let stopped_ns = now_ns() - cut_ns;
    bench.note(&format!(
        "holders stopped {} ms after the cut",
        stopped_ns / 1_000_000
    ));
    thread::sleep(LEASES_OVER);
    let reached = format!("{} of {} voters", kept.len(), voters.len());
    let needed = format!("{} needed", voters.len() / 2 + 1);
    for node in [kept[0], others[0], lost[0]] {
        for wish in [&["--try"][..], &["--wait", "2s"]] {
            // Those who are cut off see only themselves, which is as many here.
            refused(node, &arena, wish, &[&reached, &needed])?;
        }
    }
    let waiter = arena.lock(
        others[1],
        "waiter",
        &["outside", "--wait", "60s"],
        &arena.section("waiter"),
    )?;
    thread::sleep(LEASES_OVER);
    let granted = arena.journal()?.order().join(" ");
    ensure!(
        granted == label(others[0], "holder"),
        "granted without a majority: {granted}"
    );
    let healed_ns = now_ns();
    group.filter(&Filter::default())?;
    waiter.finish(HEALED_WITHIN)?.expect(0)?;
    let after = (now_ns() - healed_ns) / 1_000_000;
    bench.note(&format!("granted {after} ms after the cut healed"));
    settle(&group, 3)?;
    for node in &group.nodes {
        let (who, words) = (label(node, "healed"), ["outside", "--wait", "30s"]);
        let attempt = arena.lock(node, &who, &words, &arena.section(&who))?;
        attempt.finish(HEALED_WITHIN)?.expect(0)?;
    }
    arena.journal()?.ensure_alone()
}

/// Voters, and all others.
fn sides<'g, 'a>(
    group: &'g Group<'a>,
    voters: &[String],
) -> (Vec<&'g Node<'a>>, Vec<&'g Node<'a>>) {
    group
        .nodes
        .iter()
        .partition(|node| voters.contains(&node.nick))
}

/// One more wish that cannot be granted, and the words that say why.
fn refused(node: &Node<'_>, arena: &Arena, wish: &[&str], told: &[&str]) -> Result<()> {
    let label = label(node, wish[0]);
    let words = [&["outside"], wish].concat();
    let attempt = arena.lock(node, &label, &words, &arena.section(&label))?;
    let ended = attempt.finish(SOON)?.expect(BUSY)?;
    for expected in told {
        ensure!(
            ended.errors.contains(expected),
            "{label} was not told {expected:?} but: {}",
            ended.errors
        );
    }
    ensure!(
        ended.took < Duration::from_secs(8),
        "{label} took {:?}",
        ended.took
    );
    Ok(())
}

fn label(node: &Node<'_>, what: &str) -> String {
    format!("{}-{what}", node.nick)
}

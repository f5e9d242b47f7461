//! Members that missed much, for good reasons.

use anyhow::{Result, ensure};

use super::{CONVERGED_WITHIN, Group, say_together, texts};
use crate::hosts::Bench;
use crate::hosts::history::{converge, mirrors_converge};
use crate::hosts::net::{Addresses, Filter};

const TOPIC: &str = "roda";

/// A newcomer gets what was written before it came, and what is written meanwhile.
pub(crate) fn a_late_joiner_gets_everything(bench: &Bench) -> Result<()> {
    let mut group = Group::start(bench, 3)?;
    let before = texts("before", 1_500);
    let others = texts("others", 200);
    say_together(TOPIC, &[(&group.nodes[0], &before)], CONVERGED_WITHIN)?;
    say_together("another", &[(&group.nodes[1], &others)], CONVERGED_WITHIN)?;
    converge(&group.all(), TOPIC, before.len(), CONVERGED_WITHIN)?;

    group.filter(&Filter::loss(50))?;
    let late = group.newcomer(bench, Addresses::Both)?;
    late.host.filter(&Filter::loss(50))?;
    let meanwhile = texts("meanwhile", 300);
    let saying = group.nodes[1].start_saying(TOPIC, &meanwhile)?;
    late.join(&group.nodes[2].invite(&[])?)?;
    saying.finish(CONVERGED_WITHIN)?.success()?;
    let file = late.mirror(TOPIC)?;
    group.nodes.push(late);
    let own = texts("newcomer", 50);
    say_together(TOPIC, &[(&group.nodes[3], &own)], CONVERGED_WITHIN)?;

    let said = [before, meanwhile, own].concat();
    let history = converge(&group.all(), TOPIC, said.len(), CONVERGED_WITHIN)?;
    history.ensure_exactly(&said)?;
    mirrors_converge(&[file], &said, CONVERGED_WITHIN)?;
    let history = converge(&group.all(), "another", others.len(), CONVERGED_WITHIN)?;
    history.ensure_exactly(&others)
}

/// Two and two members, both sides writing; then one network again.
pub(crate) fn a_split_heals(bench: &Bench) -> Result<()> {
    let group = Group::start(bench, 4)?;
    let files = group
        .nodes
        .iter()
        .map(|node| node.mirror(TOPIC))
        .collect::<Result<Vec<_>>>()?;
    let before = texts("before", 100);
    say_together(TOPIC, &[(&group.nodes[0], &before)], CONVERGED_WITHIN)?;
    converge(&group.all(), TOPIC, before.len(), CONVERGED_WITHIN)?;

    group.split_after(2)?;
    let (west, east) = (texts("west", 300), texts("east", 300));
    let says = [(&group.nodes[0], &west[..]), (&group.nodes[3], &east[..])];
    say_together(TOPIC, &says, CONVERGED_WITHIN)?;
    let all = group.all();
    let half = before.len() + 300;
    let west_history = converge(&all[..2], TOPIC, half, CONVERGED_WITHIN)?;
    let east_history = converge(&all[2..], TOPIC, half, CONVERGED_WITHIN)?;
    west_history.ensure_none(&east)?;
    east_history.ensure_none(&west)?;
    let (one, other) = (std::fs::read(&files[0])?, std::fs::read(&files[3])?);
    ensure!(
        one.starts_with(&other) || other.starts_with(&one),
        "mirrors went different ways while the group was split"
    );

    group.filter(&Filter::default())?;
    let said = [before, west, east].concat();
    let history = converge(&all, TOPIC, said.len(), CONVERGED_WITHIN)?;
    history.ensure_exactly(&said)?;
    mirrors_converge(&files, &said, CONVERGED_WITHIN)
}

//! All speak at once while the network loses much of it.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Group, NICKS, say_together, texts};
use crate::hosts::Bench;
use crate::hosts::history::{converge, mirrors_converge};
use crate::hosts::net::Filter;

const TOPIC: &str = "roda";
const EACH: usize = 500;
/// Saying waits only for the own disk; convergence for repairs of repairs.
const SAID_WITHIN: Duration = Duration::from_secs(60);
const CONVERGED_WITHIN: Duration = Duration::from_secs(90);

/// 10 % loss each way.
pub(crate) fn ten_percent(bench: &Bench) -> Result<()> {
    all_have_all(bench, 100)
}

/// 30 % loss each way.
pub(crate) fn thirty_percent(bench: &Bench) -> Result<()> {
    all_have_all(bench, 300)
}

fn all_have_all(bench: &Bench, loss_per_mille: u16) -> Result<()> {
    let group = Group::start(bench, 4)?;
    group.filter(&Filter::loss(loss_per_mille))?;
    let files = group
        .nodes
        .iter()
        .map(|node| node.mirror(TOPIC))
        .collect::<Result<Vec<_>>>()?;
    let said: Vec<Vec<String>> = NICKS[..4].iter().map(|nick| texts(nick, EACH)).collect();
    let says: Vec<_> = group
        .nodes
        .iter()
        .zip(&said)
        .map(|(node, texts)| (node, texts.as_slice()))
        .collect();
    say_together(TOPIC, &says, SAID_WITHIN)?;
    let said = said.concat();
    let history = converge(&group.all(), TOPIC, said.len(), CONVERGED_WITHIN)?;
    history.ensure_exactly(&said)?;
    mirrors_converge(&files, &said, CONVERGED_WITHIN)?;
    let (mut nacks, mut repairs) = (0, 0);
    for node in &group.nodes {
        nacks += node.counter("nacks_sent")?;
        repairs += node.counter("repairs_sent")?;
    }
    bench.note(&format!("{nacks} NACKs, {repairs} repairs"));
    ensure!(
        nacks > 0 && repairs > 0,
        "nothing was lost, so nothing was shown"
    );
    Ok(())
}

//! Asks others who leads while this node's own Raft cannot tell: most nodes do not vote.

use std::sync::Arc;

use roda_proto::NodeId;
use tokio::sync::watch;
use tokio::time::Instant;

use super::life::Life;
use super::network::Network;
use super::role::has_leader;
use super::wire::Acquaintance;
use super::{Caller, Candidate, Online};

/// Who leads is asked for at every tick until it is known, and then only so often.
const TICKS_IF_KNOWN: usize = 4;

/// Asks as long as it is not aborted. Cancel-safe.
pub(super) async fn run<C: Caller>(
    life: Arc<Life>,
    network: Network<C>,
    candidates: watch::Receiver<Vec<Candidate>>,
    told: watch::Sender<Option<Acquaintance>>,
) {
    let mut ticks = tokio::time::interval(life.timings.session() / 8);
    let mut round = 0_usize;
    loop {
        ticks.tick().await;
        if has_leader(&life, Instant::now()) {
            life.raft.runtime_config().elect(true);
            told.send_if_modified(|told| told.take().is_some());
            continue;
        }
        let is_known = told.borrow().is_some();
        round += 1;
        if is_known && !round.is_multiple_of(TICKS_IF_KNOWN) {
            continue;
        }
        let whom = next(&life, &candidates.borrow(), told.borrow().as_ref(), round);
        let Some(node) = whom else {
            continue;
        };
        let answer = network.hello(node, life.timings.session() / 4).await;
        let found = answer.ok().map(|(_, found)| found);
        if let Some(found) = &found {
            heed(&life, node, found);
        }
        // Who leads is believed until somebody says otherwise; a silent one perhaps leads no more.
        let led = told.borrow().as_ref().and_then(|told| told.leader);
        if found.as_ref().is_some_and(|found| found.leader.is_some()) || led == Some(node) {
            told.send_if_modified(|told| {
                let is_new = *told != found;
                *told = found;
                is_new
            });
        }
    }
}

/// Whom to ask: the leader and the voters that are known, else anybody who is there, in turns.
fn next(
    life: &Life,
    candidates: &[Candidate],
    told: Option<&Acquaintance>,
    round: usize,
) -> Option<NodeId> {
    let is_there = |node: &NodeId| {
        let of = candidates.iter().find(|candidate| candidate.node == *node);
        of.is_some_and(|candidate| matches!(candidate.presence, Online::Since(_)))
    };
    if let Some(leader) = told.and_then(|told| told.leader).filter(is_there)
        && leader != life.node
    {
        return Some(leader);
    }
    let members = life.members();
    let known = members.nodes().map(|(_, peer)| peer.node);
    let others = candidates.iter().filter(|candidate| candidate.is_member);
    let all: Vec<NodeId> = known
        .chain(others.map(|candidate| candidate.node))
        .filter(|node| *node != life.node && is_there(node))
        .collect();
    (!all.is_empty()).then(|| all[round % all.len()])
}

/// A voter that was replaced while it was away does not know that, and would disturb the others with
/// elections for ever. Only those that it takes for voters can tell it.
fn heed(life: &Life, by: NodeId, found: &Acquaintance) {
    let members = life.members();
    let is_voter = |node: NodeId| {
        let mut ids = members.voter_ids();
        ids.any(|id| {
            members
                .membership()
                .get_node(&id)
                .is_some_and(|peer| peer.node == node)
        })
    };
    if is_voter(life.node) && is_voter(by) {
        let is_replaced = found.leader.is_some() && !found.voters.contains(&life.node);
        life.raft.runtime_config().elect(!is_replaced);
    }
}

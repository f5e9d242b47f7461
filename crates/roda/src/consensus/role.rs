//! Who leads, as a node sees it: as a voter from the Raft itself, otherwise from what others tell.

use std::sync::Arc;

use openraft::ServerState;
use roda_proto::NodeId;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Role;
use super::life::{Life, election_max};
use super::types::StoredMembers;
use super::wire::Acquaintance;

/// Keeps `role` up to date as long as it is not aborted. Cancel-safe.
pub(super) async fn follow(
    life: Arc<Life>,
    mut told: watch::Receiver<Option<Acquaintance>>,
    role: watch::Sender<Role>,
) {
    let mut server = life.raft.server_metrics();
    let mut data = life.raft.data_metrics();
    let mut ticks = tokio::time::interval(life.timings.session() / 8);
    loop {
        let found = {
            let told = told.borrow_and_update().clone();
            let _seen = server.borrow_and_update();
            let _applied = data.borrow_and_update();
            drop((_seen, _applied));
            current(&life, told, Instant::now())
        };
        let is_waiting = is_elected(&life) && !found.is_leading;
        role.send_if_modified(|role| {
            let is_new = *role != found;
            *role = found;
            is_new
        });
        let changed = tokio::select! {
            changed = server.changed() => changed,
            // Every entry changes these numbers: only of interest until the first one is applied.
            changed = data.changed(), if is_waiting => changed,
            changed = told.changed() => changed,
            _tick = ticks.tick() => Ok(()),
        };
        if changed.is_err() {
            // The library has given up: the disk, as a rule; that is in the log already.
            tracing::error!("this node takes no part in the locks any more");
            role.send_replace(Role::default());
            return;
        }
    }
}

/// Whether the Raft of this node has a leader that is alive.
pub(super) fn has_leader(life: &Life, now: Instant) -> bool {
    is_elected(life) || {
        let metrics = life.raft.server_metrics();
        let is_known = metrics.borrow().current_leader.is_some();
        let lately =
            |heard: Instant| now.saturating_duration_since(heard) <= election_max(life.timings);
        is_known && life.heard().is_some_and(lately)
    }
}

fn is_elected(life: &Life) -> bool {
    life.raft.server_metrics().borrow().state == ServerState::Leader
}

fn current(life: &Life, told: Option<Acquaintance>, now: Instant) -> Role {
    let metrics = life.raft.server_metrics().borrow().clone();
    let own = Role {
        term: metrics.vote.leader_id.term,
        leader: None,
        is_leading: false,
        voters: voters(&metrics.membership_config),
    };
    if metrics.state == ServerState::Leader {
        let applied = life.raft.data_metrics().borrow().last_applied;
        return Role {
            leader: Some(life.node),
            is_leading: applied.is_some_and(|place| place.leader_id == metrics.vote.leader_id),
            ..own
        };
    }
    if has_leader(life, now) {
        let leader = metrics.current_leader.and_then(|id| life.node_of(id));
        return Role { leader, ..own };
    }
    match told.filter(|told| told.leader.is_some_and(|leader| leader != life.node)) {
        Some(told) if told.term >= own.term || own.voters.is_empty() => Role {
            term: told.term,
            leader: told.leader,
            is_leading: false,
            voters: told.voters,
        },
        Some(_) | None => own,
    }
}

fn voters(members: &StoredMembers) -> Vec<NodeId> {
    let nodes = members
        .voter_ids()
        .filter_map(|id| members.membership().get_node(&id));
    nodes.map(|peer| peer.node).collect()
}

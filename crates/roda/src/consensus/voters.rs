//! Who should vote: 1, 3 or 5 of the steadiest members, chosen by the leader.
//!
//! Never 2 or 4: an even number needs one more answer than the odd number below it, and survives no
//! more failures. Whoever votes goes on voting as long as it is there; a new voter costs a transfer of
//! the table, and nodes that come and go are no gain.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use roda_proto::NodeId;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::life::Life;
use super::network::Network;
use super::types::{RaftPeer, StoredMembers};
use super::{Caller, Candidate, Online, Role};

/// A voter that is away for longer is replaced, if another member can take its place.
const AWAY_MAX: Duration = Duration::from_secs(30);
/// A member that has been there for so long is steady enough to vote.
const STEADY_MIN: Duration = Duration::from_secs(5);
/// A new voter gets the table within this time, or is tried again later.
const ADMISSION_TIME_MAX: Duration = Duration::from_secs(60);

/// A voter as the leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Voter {
    node: NodeId,
    raft_id: u64,
    /// Its node has another log now.
    is_lost: bool,
}

/// A voter that should be: the one there is, or a node under whatever raft id it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Choice {
    Present(u64),
    New(NodeId),
}

/// Keeps the voters as they should be while this node leads, as long as it is not aborted.
pub(super) async fn run<C: Caller>(
    life: Arc<Life>,
    network: Network<C>,
    mut candidates: watch::Receiver<Vec<Candidate>>,
    mut role: watch::Receiver<Role>,
) {
    let mut ticks = tokio::time::interval(life.timings.session() / 4);
    loop {
        tokio::select! {
            _tick = ticks.tick() => {}
            changed = candidates.changed() => if changed.is_err() { return },
            changed = role.changed() => if changed.is_err() { return },
        }
        if !role.borrow_and_update().is_leading {
            continue;
        }
        let mut known = candidates.borrow_and_update().clone();
        let voters = present(&life, &life.members());
        let choose = |known: &[Candidate]| {
            choose(Instant::now(), life.node, life.voters_max, &voters, known)
        };
        let mut settled = settle(&life, &network, choose(&known)).await;
        if settled.is_none() && !is_member(life.node, &known) {
            // Who has left is perhaps not believed any more by those that do not know it as a voter.
            known.retain(|one| voters.iter().any(|voter| voter.node == one.node));
            settled = settle(&life, &network, choose(&known)).await;
        }
        if let Some(wanted) = settled {
            change(&life, &wanted).await;
        }
    }
}

/// The best voters, by what is known now; as many as there should be or can be.
fn choose(
    now: Instant,
    me: NodeId,
    voters_max: usize,
    voters: &[Voter],
    candidates: &[Candidate],
) -> BTreeSet<Choice> {
    let members = candidates.iter().filter(|candidate| candidate.is_member);
    let target = match (members.clone().count(), voters_max) {
        (0..=2, _) | (_, 0..=2) => 1,
        (3..=6, _) | (_, 3..=4) => 3,
        _ => 5,
    };
    let mut ranked: Vec<(u8, Instant, Choice)> = Vec::new();
    for member in members {
        let is_present = |voter: &&Voter| voter.node == member.node && !voter.is_lost;
        let present = voters.iter().find(is_present);
        match (present, member.presence) {
            (Some(voter), _) if voter.node == me => {
                ranked.push((0, now, Choice::Present(voter.raft_id)));
            }
            (Some(voter), Online::Since(since)) => {
                ranked.push((1, since, Choice::Present(voter.raft_id)));
            }
            (Some(voter), Online::NotSince(since)) => {
                let is_away = now.saturating_duration_since(since) > AWAY_MAX;
                let rank = if is_away { 4 } else { 2 };
                ranked.push((rank, since, Choice::Present(voter.raft_id)));
            }
            (None, Online::Since(since)) => {
                if now.saturating_duration_since(since) >= STEADY_MIN {
                    ranked.push((3, since, Choice::New(member.node)));
                }
            }
            (None, Online::NotSince(_)) => {}
        }
    }
    // A lost voter counts against the others until another takes its place; without any, it stays.
    for voter in voters.iter().filter(|voter| voter.is_lost) {
        ranked.push((5, now, Choice::Present(voter.raft_id)));
    }
    ranked.sort_unstable();
    let possible = match ranked.len().min(target) {
        0 => 0,
        1 | 2 => 1,
        3 | 4 => 3,
        _ => 5,
    };
    let chosen = ranked.into_iter().take(possible);
    chosen.map(|(_, _, choice)| choice).collect()
}

fn is_member(node: NodeId, candidates: &[Candidate]) -> bool {
    let mut members = candidates.iter().filter(|one| one.is_member);
    members.any(|one| one.node == node)
}

fn present(life: &Life, members: &StoredMembers) -> Vec<Voter> {
    let ids = members.voter_ids();
    ids.filter_map(|raft_id| {
        let peer = members.membership().get_node(&raft_id)?;
        Some(Voter {
            node: peer.node,
            raft_id,
            is_lost: life.peers.is_lost(raft_id),
        })
    })
    .collect()
}

/// Finds out the raft ids of new voters, and gives them the table. `None`: nothing is to be changed,
/// or one of them cannot be had now.
async fn settle<C: Caller>(
    life: &Life,
    network: &Network<C>,
    wanted: BTreeSet<Choice>,
) -> Option<BTreeSet<u64>> {
    if wanted.is_empty() {
        return None;
    }
    let mut ids = BTreeSet::new();
    for choice in wanted {
        match choice {
            Choice::Present(raft_id) => ids.insert(raft_id),
            Choice::New(node) => ids.insert(admit(life, network, node).await?),
        };
    }
    let members = life.members();
    let configs = members.membership().get_joint_config();
    let is_settled = configs.len() == 1 && configs.contains(&ids);
    let others = members.membership().learner_ids().count();
    (!is_settled || others > 0).then_some(ids)
}

/// Makes a node follow, and returns its raft id once it has (nearly) all.
async fn admit<C: Caller>(life: &Life, network: &Network<C>, node: NodeId) -> Option<u64> {
    let asked = network.hello(node, life.timings.session() / 4).await;
    let (raft_id, _) = asked.ok()?;
    let members = life.members();
    if members
        .membership()
        .get_node(&raft_id)
        .is_some_and(|peer| peer.node != node)
    {
        tracing::warn!(%node, raft_id, "a node claims the raft id of another");
        return None;
    }
    let adding = follow(life, raft_id, RaftPeer { node });
    match timeout(ADMISSION_TIME_MAX, adding).await {
        Ok(true) => Some(raft_id),
        Ok(false) => None,
        Err(_elapsed) => {
            tracing::info!(%node, "a new voter did not get the table in time");
            None
        }
    }
}

/// Returns `true` when a node has all that was written until it began to follow. The library would
/// take it for up to date before it answered even once.
async fn follow(life: &Life, raft_id: u64, peer: RaftPeer) -> bool {
    let added = match life.raft.add_learner(raft_id, peer, false).await {
        Ok(written) => written.log_id,
        Err(error) => {
            tracing::debug!(node = %peer.node, %error, "a new voter was not admitted");
            return false;
        }
    };
    let mut metrics = life.raft.data_metrics();
    let begin = Instant::now();
    let patience = life.timings.session() * 2;
    loop {
        let caught_up = metrics.wait_for(|data| match &data.replication {
            Some(progress) => progress
                .get(&raft_id)
                .is_some_and(|last| *last >= Some(added)),
            // It does not lead any more.
            None => true,
        });
        if let Ok(data) = timeout(life.timings.session() / 4, caught_up).await {
            return data.is_ok_and(|data| data.replication.is_some());
        }
        let now = Instant::now();
        let is_silent = now.saturating_duration_since(begin) > patience
            && !life.peers.answered_within(raft_id, now, patience);
        if is_silent || life.peers.is_lost(raft_id) {
            return false;
        }
    }
}

/// Changes the voters in one step, and forgets whoever does not vote any more.
async fn change(life: &Life, ids: &BTreeSet<u64>) {
    let limit = life.timings.session() * 4;
    let changing = life.raft.change_membership(ids.clone(), false);
    match timeout(limit, changing).await {
        Ok(Ok(_)) => tracing::info!(voters = ids.len(), "the voters have changed"),
        Ok(Err(error)) => tracing::debug!(%error, "the voters could not be changed"),
        Err(_elapsed) => tracing::info!("the voters could not be changed in time"),
    }
    let others: BTreeSet<u64> = life.members().membership().learner_ids().collect();
    if !others.is_empty() && life.members().voter_ids().collect::<BTreeSet<_>>() == *ids {
        let removal = openraft::ChangeMembers::RemoveNodes(others);
        let removing = life.raft.change_membership(removal, false);
        if timeout(limit, removing).await.is_err() {
            tracing::debug!("nodes that do not vote could not be forgotten in time");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: u8 = 1;

    struct Case {
        now: Instant,
        voters: Vec<Voter>,
        members: Vec<Candidate>,
    }

    fn id(node: u8) -> NodeId {
        NodeId([node; 32])
    }

    impl Case {
        /// So many members that are there for long, of which the first few vote.
        fn new(members: u8, voters: u8) -> Self {
            let now = Instant::now();
            let since = now.checked_sub(Duration::from_secs(1000)).unwrap_or(now);
            let member = |node| Candidate {
                node: id(node),
                presence: Online::Since(since + Duration::from_secs(u64::from(node))),
                is_member: true,
            };
            let voter = |node| Voter {
                node: id(node),
                raft_id: u64::from(node),
                is_lost: false,
            };
            Self {
                now,
                voters: (1..=voters).map(voter).collect(),
                members: (1..=members).map(member).collect(),
            }
        }

        fn away(mut self, node: u8, seconds: u64) -> Self {
            let since = self.now - Duration::from_secs(seconds);
            self.members[usize::from(node) - 1].presence = Online::NotSince(since);
            self
        }

        fn came(mut self, node: u8, seconds: u64) -> Self {
            let since = self.now - Duration::from_secs(seconds);
            self.members[usize::from(node) - 1].presence = Online::Since(since);
            self
        }

        fn left(mut self, node: u8) -> Self {
            self.members[usize::from(node) - 1].is_member = false;
            self
        }

        fn lost(mut self, node: u8) -> Self {
            self.voters[usize::from(node) - 1].is_lost = true;
            self
        }

        /// Nodes that should vote; those that are new are negative.
        fn chosen(&self) -> Vec<i16> {
            let chosen = choose(self.now, id(ME), 5, &self.voters, &self.members);
            let mut numbers: Vec<i16> = chosen
                .into_iter()
                .map(|choice| match choice {
                    Choice::Present(raft_id) => i16::try_from(raft_id).unwrap(),
                    Choice::New(node) => -i16::from(node.0[0]),
                })
                .collect();
            numbers.sort_unstable_by_key(|number| number.abs());
            numbers
        }
    }

    #[test]
    fn there_are_one_three_or_five_voters_by_the_number_of_members() {
        let counts =
            [1, 2, 3, 4, 5, 6, 7, 8, 100].map(|members| Case::new(members, 1).chosen().len());
        assert_eq!(counts, [1, 1, 3, 3, 3, 3, 5, 5, 5]);
    }

    #[test]
    fn whoever_votes_goes_on_voting() {
        assert_eq!(Case::new(6, 3).chosen(), [1, 2, 3]);
        assert_eq!(Case::new(6, 3).came(3, 0).chosen(), [1, 2, 3]);
        assert_eq!(Case::new(7, 3).chosen(), [1, 2, 3, -4, -5]);
    }

    #[test]
    fn a_voter_is_replaced_only_when_it_is_away_for_long_and_another_is_steady() {
        assert_eq!(Case::new(4, 3).away(2, 30).chosen(), [1, 2, 3]);
        assert_eq!(Case::new(4, 3).away(2, 31).chosen(), [1, 3, -4]);
        assert_eq!(Case::new(4, 3).away(2, 31).came(4, 4).chosen(), [1, 2, 3]);
        assert_eq!(Case::new(4, 3).away(2, 31).came(4, 5).chosen(), [1, 3, -4]);
        assert_eq!(Case::new(3, 3).away(2, 1000).chosen(), [1, 2, 3]);
    }

    #[test]
    fn there_are_never_two_or_four() {
        assert_eq!(Case::new(3, 1).away(3, 100).chosen(), [1]);
        let six_there = Case::new(8, 3).away(4, 1).away(5, 1).away(6, 1).away(7, 1);
        assert_eq!(six_there.chosen(), [1, 2, 3]);
        assert_eq!(Case::new(6, 5).chosen(), [1, 2, 3]);
        assert_eq!(Case::new(3, 3).left(3).chosen(), [1]);
    }

    #[test]
    fn whoever_leaves_votes_no_more_and_the_leader_hands_over() {
        assert_eq!(Case::new(4, 3).left(2).chosen(), [1, 3, -4]);
        assert_eq!(Case::new(4, 3).left(ME).chosen(), [2, 3, -4]);
        assert_eq!(Case::new(2, 1).left(ME).chosen(), [-2]);
        assert!(Case::new(1, 1).left(ME).chosen().is_empty());
    }

    #[test]
    fn a_voter_that_lost_its_log_is_replaced_by_its_own_node() {
        assert_eq!(Case::new(3, 3).lost(2).chosen(), [1, -2, 3]);
        assert_eq!(Case::new(3, 3).lost(2).away(2, 1).chosen(), [1, 2, 3]);
        assert_eq!(Case::new(3, 3).lost(2).came(2, 4).chosen(), [1, 2, 3]);
    }
}

//! What this node remembers of the other voters: which log each has, and who answered lately.
//!
//! A voter must never forget what it promised. One that lost its log draws another raft id, and so is
//! another voter. One whose log was put back to an earlier state (a virtual machine to a snapshot of
//! itself) does not notice that; the others do: each opening of its log is another *generation*, and
//! here is the last one that was seen; and a leader knows up to where it has acknowledged the log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roda_proto::NodeId;
use tokio::time::Instant;

use super::ConsensusError;
use super::writer::{Found, Writer};

/// Most nodes and raft ids that are remembered; a group has no more members.
const PEERS_MAX: usize = 4096;

/// What is known of others.
pub(super) struct Peers {
    state: Mutex<State>,
    is_noticed: AtomicBool,
    writer: Writer,
}

#[derive(Default)]
struct State {
    /// Raft id and last generation. As on disk.
    logs: BTreeMap<NodeId, (u64, u64)>,
    /// When a voter last gave a sound answer.
    answered: BTreeMap<u64, Instant>,
    /// Raft ids that are no more: their nodes have other logs, or earlier states of these.
    lost: BTreeSet<u64>,
    /// Up to where followers have acknowledged the log to this node as the leader of a term.
    matching: BTreeMap<u64, u64>,
    matching_term: u64,
}

/// The log of a node is in an earlier state than one that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reverted {
    /// The generation that was seen.
    pub(super) known: u64,
}

impl Peers {
    pub(super) fn new(writer: Writer, found: &Found) -> Self {
        let logs = found.known.clone();
        let state = State {
            logs,
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            is_noticed: AtomicBool::new(false),
            writer,
        }
    }

    /// Takes note of a node's log. What is new is on disk when this returns: this node must not count
    /// on a voter of which it would not notice later that it was put back.
    pub(super) async fn meet(
        &self,
        node: NodeId,
        raft_id: u64,
        generation: u64,
    ) -> Result<Result<(), Reverted>, ConsensusError> {
        {
            let state = self.state();
            match state.logs.get(&node) {
                Some((id, known)) if *id == raft_id && is_earlier(generation, *known) => {
                    return Ok(Err(Reverted { known: *known }));
                }
                Some(known) if *known == (raft_id, generation) => return Ok(Ok(())),
                None if state.logs.len() >= PEERS_MAX => return Err(ConsensusError::Stopped),
                Some(_) | None => {}
            }
        }
        self.writer.save_known(node, (raft_id, generation)).await?;
        self.state().logs.insert(node, (raft_id, generation));
        Ok(Ok(()))
    }

    /// The last generation that was seen of this log; 0: none.
    pub(super) fn generation(&self, node: NodeId, raft_id: u64) -> u64 {
        let state = self.state();
        let known = state.logs.get(&node).filter(|(id, _)| *id == raft_id);
        known.map_or(0, |(_, generation)| *generation)
    }

    /// Another node has remembered the generation of this node's log.
    pub(super) fn on_noticed(&self) {
        if !self.is_noticed.swap(true, Ordering::Relaxed) {
            self.writer.set_noticed();
        }
    }

    /// A voter gave a sound answer.
    pub(super) fn on_answer(&self, raft_id: u64, now: Instant) {
        let mut state = self.state();
        state.lost.remove(&raft_id);
        bound(&mut state.answered);
        state.answered.insert(raft_id, now);
    }

    /// The node says that this is not its log any more.
    pub(super) fn on_lost(&self, raft_id: u64) {
        let mut state = self.state();
        if state.lost.len() < PEERS_MAX {
            state.lost.insert(raft_id);
        }
        state.answered.remove(&raft_id);
    }

    /// A follower of this node as the leader of `term` has acknowledged the log up to `index`.
    pub(super) fn on_matching(&self, term: u64, raft_id: u64, index: u64) {
        let mut state = self.state();
        if state.matching_term != term {
            state.matching_term = term;
            state.matching.clear();
        }
        let matching = state.matching.entry(raft_id).or_default();
        *matching = index.max(*matching);
    }

    /// A follower says that it does not have the entry at `index`. If it had acknowledged it in this
    /// term, its log was put back: from now on it counts as lost, also after a restart of this node.
    pub(super) async fn on_conflict(
        &self,
        term: u64,
        (node, raft_id): (NodeId, u64),
        index: u64,
    ) -> Result<(), Reverted> {
        let known = {
            let state = self.state();
            let matching = state.matching.get(&raft_id);
            let is_reverted = state.matching_term == term && matching >= Some(&index);
            match state.logs.get(&node) {
                Some((id, generation)) if is_reverted && *id == raft_id => {
                    *generation + (1 << COUNT_SHIFT)
                }
                _ => return Ok(()),
            }
        };
        tracing::warn!(%node, raft_id, index, "a voter lost what it had acknowledged");
        // If it cannot be written, the log cannot either, and this node stops to lead.
        let _saved = self.writer.save_known(node, (raft_id, known)).await;
        self.state().logs.insert(node, (raft_id, known));
        self.on_lost(raft_id);
        Err(Reverted { known })
    }

    /// Whether the voter's node has another log now.
    pub(super) fn is_lost(&self, raft_id: u64) -> bool {
        self.state().lost.contains(&raft_id)
    }

    /// Whether the voter gave a sound answer within this time.
    pub(super) fn answered_within(&self, raft_id: u64, now: Instant, time: Duration) -> bool {
        let state = self.state();
        let last = state.answered.get(&raft_id);
        last.is_some_and(|last| now.saturating_duration_since(*last) <= time)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a log of this generation is in an earlier state than one of a known generation: it counts
/// less, or went another way from the same state.
pub(super) const fn is_earlier(generation: u64, known: u64) -> bool {
    let (count, known_count) = (generation >> COUNT_SHIFT, known >> COUNT_SHIFT);
    count < known_count || count == known_count && generation != known
}

/// The lower bits of a generation are random.
const COUNT_SHIFT: u32 = 32;

/// What is forgotten here comes again with the next answer.
fn bound<V>(map: &mut BTreeMap<u64, V>) {
    if map.len() >= PEERS_MAX {
        map.clear();
    }
}

//! One log's part in the Raft: from its raft id to the next, or to the end of the process.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::{Config, Raft, RaftMetrics, SnapshotPolicy};
use roda_proto::token::{Quorum, Table, Timings};
use roda_proto::{GroupId, NodeId};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::incoming::Receiving;
use super::log_store::LogStore;
use super::machine::Machine;
use super::network::Network;
use super::peers::Peers;
use super::types::{Ballot, RaftPeer, StoredMembers, Types};
use super::wire::CHUNK_LEN;
use super::writer::{Found, Writer};
use super::{AppliedEntry, Caller, Candidate, ConsensusError};

/// Entries after which the table is written down as a whole.
const SNAPSHOT_ENTRIES: u64 = 10_000;
/// Entries that stay although a snapshot stands for them, for voters that are only a little behind.
const ENTRIES_KEPT: u64 = 1_000;
/// Most entries in one request; their bytes are limited as well.
const ENTRIES_PER_CALL_MAX: u64 = 512;

/// What every life of a node has in common.
pub(super) struct Setting<C> {
    pub(super) node: NodeId,
    pub(super) cluster: GroupId,
    pub(super) timings: Timings,
    /// Most voters while this node leads.
    pub(super) voters_max: usize,
    pub(super) caller: Arc<C>,
    pub(super) table: Arc<Mutex<Table>>,
    pub(super) applied: mpsc::Sender<AppliedEntry>,
    pub(super) candidates: watch::Receiver<Vec<Candidate>>,
    pub(super) writer: Writer,
    /// Where the log is.
    pub(super) path: PathBuf,
    /// Where a life tells that its log was put back, by its raft id.
    pub(super) reverted: watch::Sender<u64>,
}

/// A running Raft under one raft id.
pub(super) struct Life {
    pub(super) node: NodeId,
    pub(super) cluster: GroupId,
    pub(super) raft_id: u64,
    pub(super) generation: u64,
    pub(super) timings: Timings,
    pub(super) voters_max: usize,
    pub(super) raft: Raft<Types>,
    pub(super) machine: Machine,
    pub(super) peers: Arc<Peers>,
    pub(super) candidates: watch::Receiver<Vec<Candidate>>,
    pub(super) receiving: tokio::sync::Mutex<Receiving>,
    heard: Mutex<Option<Instant>>,
    /// The log was made by this process, so that nothing was ever promised under this raft id.
    pub(super) is_new: bool,
    has_reverted: AtomicBool,
    reverted: watch::Sender<u64>,
}

impl Life {
    /// Starts with what was found on disk.
    pub(super) async fn start<C: Caller>(
        setting: &Setting<C>,
        found: Found,
    ) -> Result<(Arc<Self>, Network<C>), ConsensusError> {
        let writer = &setting.writer;
        let peers = Arc::new(Peers::new(writer.clone(), &found));
        let network = Network {
            caller: Arc::clone(&setting.caller),
            peers: Arc::clone(&peers),
            cluster: setting.cluster,
            raft_id: found.raft_id,
            generation: found.generation,
            backoff: heartbeat(setting.timings),
        };
        let table = Arc::clone(&setting.table);
        let machine = Machine::load(table, setting.applied.clone(), writer.clone()).await;
        let machine = machine.map_err(|error| ConsensusError::Store(error.to_string()))?;
        let store = LogStore::new(writer.clone(), &found);
        let config = Arc::new(config(setting.timings));
        let raft = Raft::new(
            found.raft_id,
            config,
            network.clone(),
            store,
            machine.clone(),
        );
        let raft = raft.await;
        let raft = raft.map_err(|fatal| ConsensusError::Store(fatal.to_string()))?;
        machine.go_live();
        let life = Self {
            node: setting.node,
            cluster: setting.cluster,
            raft_id: found.raft_id,
            generation: found.generation,
            timings: setting.timings,
            voters_max: setting.voters_max,
            raft,
            machine,
            peers,
            candidates: setting.candidates.clone(),
            receiving: tokio::sync::Mutex::default(),
            heard: Mutex::default(),
            is_new: found.last.is_none() && found.vote.is_none(),
            has_reverted: AtomicBool::new(false),
            reverted: setting.reverted.clone(),
        };
        Ok((Arc::new(life), network))
    }

    /// Which node is behind a raft id of the membership.
    pub(super) fn node_of(&self, raft_id: u64) -> Option<NodeId> {
        let members = self.members();
        let peer = members.membership().get_node(&raft_id);
        peer.map(|peer| peer.node)
    }

    /// The membership that holds now.
    pub(super) fn members(&self) -> Arc<StoredMembers> {
        let metrics = self.raft.server_metrics();
        Arc::clone(&metrics.borrow().membership_config)
    }

    /// The latest vote.
    pub(super) fn current_ballot(&self) -> Ballot {
        self.raft.server_metrics().borrow().vote
    }

    /// How many voters answered lately, this node included.
    pub(super) fn quorum(&self) -> Quorum {
        let now = Instant::now();
        let within = election_max(self.timings);
        let members = self.members();
        let answers =
            |id: &u64| *id == self.raft_id || self.peers.answered_within(*id, now, within);
        let count =
            |ids: &mut dyn Iterator<Item = u64>| u32::try_from(ids.count()).unwrap_or(u32::MAX);
        Quorum {
            reachable: count(&mut members.voter_ids().filter(answers)),
            voters: count(&mut members.voter_ids()),
        }
    }

    /// Returns when the Raft cannot go on, as after an error of the disk.
    pub(super) async fn failed(&self) {
        let mut metrics = self.raft.metrics();
        let is_over = |metrics: &RaftMetrics<u64, RaftPeer>| metrics.running_state.is_err();
        // An error means that it has ended altogether.
        let _ended = metrics.wait_for(is_over).await;
    }

    /// A leader sent something.
    pub(super) fn on_heard(&self, now: Instant) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// When a leader last sent something.
    pub(super) fn heard(&self) -> Option<Instant> {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A leader knows a later state of this log.
    pub(super) fn on_reverted(&self, known: u64) {
        if !self.has_reverted.swap(true, Ordering::Relaxed) {
            let own = self.generation;
            tracing::warn!(
                own,
                known,
                "the log of locks was put back to an earlier state"
            );
            // Nobody listens any more: the node stops.
            let _stopping = self.reverted.send(self.raft_id);
        }
    }
}

/// From one heartbeat of the leader to the next.
pub(super) fn heartbeat(timings: Timings) -> Duration {
    timings.session() / 32
}

/// The longest time without a leader after which a voter wants to become one.
///
/// The library waits for it twice: while voters still trust the old leader, and then at random. A new
/// leader has to answer renewals before holders are asked to stop, after 5/8 of a session time, of which
/// up to 1/4 may have passed when the old one was lost.
pub(super) fn election_max(timings: Timings) -> Duration {
    timings.session() / 8
}

fn config(timings: Timings) -> Config {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Config {
        cluster_name: "locks".to_owned(),
        heartbeat_interval: millis(heartbeat(timings)),
        election_timeout_min: millis(timings.session() / 16),
        election_timeout_max: millis(election_max(timings)),
        install_snapshot_timeout: millis(timings.session()),
        max_payload_entries: ENTRIES_PER_CALL_MAX,
        replication_lag_threshold: ENTRIES_KEPT,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(SNAPSHOT_ENTRIES),
        snapshot_max_chunk_size: CHUNK_LEN as u64,
        max_in_snapshot_log_to_keep: ENTRIES_KEPT,
        ..Config::default()
    }
}

//! One node's part in the Raft of its group.

use std::sync::{Arc, Mutex};

use roda_proto::NodeId;
use roda_proto::token::{LockCommand, Table, Timings};
use roda_store::RaftLog;
use tokio::sync::{mpsc, watch};

use super::{AppliedEntry, Caller, Candidate, Consensus, ConsensusError, Role};

/// What a node needs to take part.
pub(crate) struct RaftOptions {
    /// This node.
    pub(crate) node: NodeId,
    /// How long things take.
    pub(crate) timings: Timings,
    /// Makes this node the first voter, if its log is new. Only right for the node that founded the
    /// group, and only with the one log whose id it noted in its main database *before*: another log
    /// (the first was lost) must never be the beginning of a second table.
    pub(crate) found: bool,
}

/// One node's part in the Raft of its group: a voter, or one that could become a voter.
#[derive(Clone)]
pub(crate) struct RaftNode {
    role: watch::Receiver<Role>,
    table: Arc<Mutex<Table>>,
}

impl RaftNode {
    /// Starts with what is in `log`. Applied entries go to `applied`, which has to be drained all the
    /// time: while it is full, nothing more is applied.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) async fn start<C: Caller>(
        _options: RaftOptions,
        _log: RaftLog,
        _caller: Arc<C>,
        _candidates: watch::Receiver<Vec<Candidate>>,
        _applied: mpsc::Sender<AppliedEntry>,
    ) -> Result<Self, ConsensusError> {
        todo!()
    }

    /// Answers a request that `from` sent; `None`: it deserves no answer. Cancel-safe.
    pub(crate) async fn handle_call(&self, _from: NodeId, _request: &[u8]) -> Option<Vec<u8>> {
        todo!()
    }

    /// The table as far as it is applied here. Locked for microseconds only, never across an await.
    pub(crate) fn table(&self) -> Arc<Mutex<Table>> {
        Arc::clone(&self.table)
    }

    /// Stops, and returns when all that was acknowledged is on disk and the log is closed.
    pub(crate) async fn shutdown(&self) {
        todo!()
    }
}

impl Consensus for RaftNode {
    async fn propose(&self, _id: u64, _commands: Vec<LockCommand>) -> Result<u64, ConsensusError> {
        todo!()
    }

    async fn confirm(&self) -> Result<(), ConsensusError> {
        todo!()
    }

    fn role(&self) -> watch::Receiver<Role> {
        self.role.clone()
    }
}

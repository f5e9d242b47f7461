//! The voters: one log of lock commands that a majority agrees on, durable at each.

use std::future::Future;

use roda_proto::NodeId;
use roda_proto::token::{Applied, LockCommand, Quorum};
use thiserror::Error;
use tokio::sync::watch;

/// What the locks need of a replicated log. One of many could be behind it; here it is Raft.
pub(crate) trait Consensus: Send + Sync + 'static {
    /// Writes one entry. When this returns `Ok`, it is durable at a majority and applied here.
    ///
    /// Cancel-safe: dropped, the entry may or may not be written.
    fn propose(
        &self,
        commands: Vec<LockCommand>,
    ) -> impl Future<Output = Result<Applied, ConsensusError>> + Send;

    /// Asks a majority whether this node still leads.
    fn confirm(&self) -> impl Future<Output = Result<(), ConsensusError>> + Send;

    /// Who leads and who votes, now and as it changes.
    fn role(&self) -> watch::Receiver<Role>;
}

/// Who leads and who votes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Role {
    /// Grows with every change of the leader.
    pub(crate) term: u64,
    /// Who leads.
    pub(crate) leader: Option<NodeId>,
    /// This node leads and has applied all that earlier leaders wrote.
    pub(crate) is_leading: bool,
    /// Who votes.
    pub(crate) voters: Vec<NodeId>,
}

/// Why nothing was agreed.
#[derive(Clone, Debug, Error)]
pub(crate) enum ConsensusError {
    /// Another one leads, or nobody.
    #[error("this node does not lead")]
    NotLeader(Option<NodeId>),
    /// Too few voters answer.
    #[error("{} of {} voters answer, {} needed", .0.reachable, .0.voters, .0.needed())]
    NoQuorum(Quorum),
    /// The disk.
    #[error("{0}")]
    Store(String),
    /// The node stops.
    #[error("stopped")]
    Stopped,
}

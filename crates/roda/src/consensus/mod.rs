//! The voters: one log of lock commands that a majority agrees on, durable at each.
//!
//! [`RaftNode`] is the one implementation of [`Consensus`]: the table is the state machine of a Raft
//! whose voters are 1, 3 or 5 of the steadiest members, chosen by the leader. Nodes that do not vote
//! keep an identity, so that they can become voters, and know who leads.

mod caller;
mod incoming;
mod life;
mod log_store;
mod machine;
mod network;
mod node;
mod peers;
mod recent;
mod role;
mod scout;
#[cfg(test)]
mod tests;
mod types;
mod voters;
mod wire;
mod writer;

use std::future::Future;

use roda_proto::NodeId;
use roda_proto::token::{Applied, LockCommand, Quorum};
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;

pub(crate) use caller::{CALL_LEN_MAX, CallError, Caller};
pub(crate) use node::{RaftNode, RaftOptions, fresh_raft_id};

/// What the locks need of a replicated log. One of many could be behind it; here it is Raft.
pub(crate) trait Consensus: Send + Sync + 'static {
    /// Writes one entry. When this returns `Ok`, with the entry's index, it is durable at a majority
    /// and applied here; what it did comes through the channel of [`AppliedEntry`], under the same id.
    ///
    /// Cancel-safe: dropped, the entry may or may not be written. After an error as well.
    fn propose(
        &self,
        id: u64,
        commands: Vec<LockCommand>,
    ) -> impl Future<Output = Result<u64, ConsensusError>> + Send;

    /// Asks a majority, after the call, whether this node still leads; alone, it is the majority. All
    /// that was committed before the call is applied when this returns `Ok`.
    ///
    /// Cancel-safe.
    fn confirm(&self) -> impl Future<Output = Result<(), ConsensusError>> + Send;

    /// Who leads and who votes, now and as it changes.
    fn role(&self) -> watch::Receiver<Role>;
}

/// An entry that was applied to the table. They come in the order of the log; an index may be missing
/// (the entry was no command, or came within a snapshot).
#[derive(Debug)]
pub(crate) struct AppliedEntry {
    /// Its place in the log.
    pub(crate) index: u64,
    /// The id that [`Consensus::propose`] was called with, if it was proposed here since the start.
    pub(crate) id: Option<u64>,
    /// What it did.
    pub(crate) applied: Applied,
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

/// A node as a possible voter, this one included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Which.
    pub(crate) node: NodeId,
    /// Whether it can be reached.
    pub(crate) presence: Online,
    /// Whether it belongs to the group (still). A node that is about to leave says so of itself first,
    /// to itself only, and leaves when it is not among the voters any more.
    pub(crate) is_member: bool,
}

/// Whether a node can be reached, and since when that is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Online {
    /// It is there.
    Since(Instant),
    /// It is not there.
    NotSince(Instant),
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
    /// More than one entry can hold; nothing was written.
    #[error("an entry has at most {max} bytes, this one has {len}")]
    TooLong {
        /// Bytes of the encoded commands.
        len: usize,
        /// Most bytes of an entry.
        max: usize,
    },
    /// The disk.
    #[error("{0}")]
    Store(String),
    /// The node stops.
    #[error("stopped")]
    Stopped,
}

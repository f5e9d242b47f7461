//! What an entry did, for those who have to be told.

use alloc::vec::Vec;

use crate::id::NodeId;
use crate::token::{Fence, LockName, LockOutcome, Notice, RequestId, SessionCause, SessionId};

/// What one call of [`Table::apply`](super::Table::apply) did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// One for each command, in order.
    pub outcomes: Vec<LockOutcome>,
    /// What sessions have to be told, and where they are. At most one for each session.
    pub notices: Vec<(NodeId, Notice)>,
    /// What happened, in order, for people and for the laboratory.
    pub changes: Vec<Change>,
}

/// Something that happened to a lock or a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A session began.
    Opened {
        /// Whose.
        session: SessionId,
        /// Of which node.
        node: NodeId,
    },
    /// A session ended, and with it all that it held and waited for.
    Ended {
        /// Whose.
        session: SessionId,
        /// Of which node.
        node: NodeId,
        /// Why.
        cause: SessionCause,
    },
    /// A request waits.
    Queued {
        /// Whose.
        session: SessionId,
        /// Which request.
        request: RequestId,
        /// For which locks.
        locks: Vec<LockName>,
    },
    /// A waiting request was withdrawn, or a chosen one gave up before it entered.
    Cancelled {
        /// Whose.
        session: SessionId,
        /// Which request.
        request: RequestId,
    },
    /// A request was chosen. With an empty `after` it may enter, otherwise once those were left.
    Granted {
        /// Whose.
        session: SessionId,
        /// Which request.
        request: RequestId,
        /// For which locks.
        locks: Vec<LockName>,
        /// Which grant, by its first fence.
        fence: Fence,
        /// What must be left before, by first fences.
        after: Vec<Fence>,
    },
    /// A chosen one may enter: all that it had to wait for is gone.
    Promoted {
        /// Whose.
        session: SessionId,
        /// Which grant, by its first fence.
        fence: Fence,
    },
    /// A grant was left.
    Released {
        /// Whose.
        session: SessionId,
        /// Which grant, by its first fence.
        fence: Fence,
    },
    /// An operator wants a grant to be left.
    Revoked {
        /// Whose.
        session: SessionId,
        /// Which grant, by its first fence.
        fence: Fence,
        /// Who wanted it.
        by: NodeId,
    },
}

//! The replicated lock table.

use alloc::vec::Vec;
use core::time::Duration;

use minicbor::{Decode, Encode};

use super::{
    Fence, LockCommand, LockName, LockOutcome, LockStatus, Notice, RequestId, SessionCause,
    SessionId, SessionView,
};
use crate::id::NodeId;

/// Sessions, grants and queues: what voters agree on.
///
/// Reads no clock and draws no random number: the same commands give the same table everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Table {}

/// What one call of [`Table::apply`] did.
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
    Opened { session: SessionId, node: NodeId },
    /// A session ended, and with it all that it held and waited for.
    Ended {
        session: SessionId,
        node: NodeId,
        cause: SessionCause,
    },
    /// A request waits.
    Queued {
        session: SessionId,
        request: RequestId,
        locks: Vec<LockName>,
    },
    /// A waiting request was withdrawn, or a chosen one gave up before it entered.
    Cancelled {
        session: SessionId,
        request: RequestId,
    },
    /// A request was chosen. With an empty `after` it may enter, otherwise once those were left.
    Granted {
        session: SessionId,
        request: RequestId,
        locks: Vec<LockName>,
        fence: Fence,
        after: Vec<Fence>,
    },
    /// A chosen one may enter: all that it had to wait for is gone.
    Promoted { session: SessionId, fence: Fence },
    /// A grant was left.
    Released { session: SessionId, fence: Fence },
    /// An operator wants a grant to be left.
    Revoked {
        session: SessionId,
        fence: Fence,
        by: NodeId,
    },
}

impl Table {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies one entry of the replicated log: all its commands, in order.
    pub fn apply(&mut self, _commands: &[LockCommand]) -> Applied {
        todo!()
    }

    /// All sessions, their nodes and session times.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, NodeId, Duration)> + '_ {
        core::iter::empty()
    }

    /// Whose session it is; `None` if there is none (any more).
    #[must_use]
    pub fn node_of(&self, _session: SessionId) -> Option<NodeId> {
        todo!()
    }

    /// All that concerns a session; `None` if there is none (any more).
    #[must_use]
    pub fn view(&self, _session: SessionId) -> Option<SessionView> {
        todo!()
    }

    /// Locks that are held or waited for: all, or those in `names`.
    #[must_use]
    pub fn status(&self, _names: &[LockName]) -> Vec<LockStatus> {
        todo!()
    }
}

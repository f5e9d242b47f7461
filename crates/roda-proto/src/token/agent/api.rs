//! What clients of a node ask of it and hear from it.

use alloc::vec::Vec;

use super::super::{
    Fence, Frontier, LockMessage, LockName, LockRefusal, Permits, Priority, Quorum, RequestId,
    SessionId,
};
use crate::id::NodeId;

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acquire {
    /// All of them at once.
    pub locks: Vec<LockName>,
    /// With how many others.
    pub permits: Permits,
    /// How urgent.
    pub priority: Priority,
}

/// The answer to [`Agent::acquire`](super::Agent::acquire).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// The client is inside: the token was here, idle.
    Inside {
        /// Names the hold.
        request: RequestId,
        /// Its fence.
        fence: Fence,
        /// What the holder should have seen.
        frontier: Frontier,
    },
    /// An event will tell.
    Waiting(RequestId),
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// The leading voter, this node perhaps; whoever is asked tells if it is another.
    Leader,
    /// This node.
    Node(NodeId),
}

/// What an agent wants of the world, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentOutput {
    /// May be lost; the agent asks again.
    Send {
        /// To whom.
        to: Recipient,
        /// What.
        message: LockMessage,
    },
    /// For the clients.
    Event(AgentEvent),
}

/// Something a client should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AgentEvent {
    /// The request is inside.
    Entered {
        /// Which.
        request: RequestId,
        /// Its fence.
        fence: Fence,
        /// What the holder should have seen.
        frontier: Frontier,
    },
    /// The request will not be inside; it is forgotten.
    Refused {
        /// Which.
        request: RequestId,
        /// Why.
        refusal: LockRefusal,
    },
    /// How safe the hold is has changed.
    Hold {
        /// Which.
        request: RequestId,
        /// How it is now.
        state: HoldState,
    },
    /// Too few voters answer; what waits goes on waiting. `None`: they do again.
    Quorum(Option<Quorum>),
    /// A session began or ended.
    Session(Option<SessionId>),
}

/// How safe a hold is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldState {
    /// The session is valid and being renewed.
    Safe,
    /// Renewals are not answered.
    AtRisk,
    /// Whatever runs under the lock should end now.
    Stop(LostReason),
    /// Whatever runs under the lock must be killed now; after this the lock is not the holder's any more.
    Kill(LostReason),
}

/// Why a hold ends before its holder wants it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostReason {
    /// The voters could not be reached for too long.
    NotRenewed,
    /// The leader has ended the session.
    SessionEnded,
    /// An operator released the lock by force.
    Revoked,
    /// The node stops.
    Stopped,
}

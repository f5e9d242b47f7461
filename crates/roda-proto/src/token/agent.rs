//! A node's side: one session, and the locks that local clients enter and leave.

use alloc::vec::Vec;

use super::{
    Fence, Frontier, LockMessage, LockName, LockRefusal, Permits, Priority, Quorum, RequestId,
    SessionId, Timings,
};
use crate::id::{AuthorId, NodeId, Seq};
use crate::time::Timestamp;

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

/// The answer to [`Agent::acquire`].
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

/// One node's locks. Every method takes the time of a clock that counts suspended time (`CLOCK_BOOTTIME`).
pub struct Agent {}

impl Agent {
    /// An agent without a session. `boot` is drawn at random.
    #[must_use]
    pub fn new(_node: NodeId, _boot: u64, _timings: Timings) -> Self {
        todo!()
    }

    /// Wants locks for a client.
    ///
    /// # Errors
    /// Nothing was asked for: [`LockRefusal::BadRequest`] or [`LockRefusal::Full`].
    pub fn acquire(&mut self, _now: Timestamp, _wish: Acquire) -> Result<Acquired, LockRefusal> {
        todo!()
    }

    /// The client that was inside has left, and nothing of it runs any more. `wrote` is the last entry
    /// of this node's author, if it wrote any since it entered.
    pub fn release(
        &mut self,
        _now: Timestamp,
        _request: RequestId,
        _wrote: Option<(AuthorId, Seq)>,
    ) {
        todo!()
    }

    /// The client does not want to wait any more. If it is inside already (an event is under way), that
    /// counts as left.
    pub fn cancel(&mut self, _now: Timestamp, _request: RequestId) {
        todo!()
    }

    /// Takes a message of another node, or of this node's own registrar.
    pub fn handle_message(&mut self, _now: Timestamp, _from: NodeId, _message: LockMessage) {
        todo!()
    }

    /// Who leads now, if somebody is known; messages on their way to an earlier one may be lost.
    pub fn handle_leader(&mut self, _now: Timestamp, _leader: Option<NodeId>) {
        todo!()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, _now: Timestamp) {
        todo!()
    }

    /// The node stops: nothing is to be entered any more, and the session closes once all is left.
    pub fn close(&mut self, _now: Timestamp) {
        todo!()
    }

    /// When to call [`Self::handle_timeout`].
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        todo!()
    }

    /// The next output; `None`: drained.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<AgentOutput> {
        todo!()
    }

    /// Until when the session is valid; `None` without one.
    #[must_use]
    pub fn valid_until(&self) -> Option<Timestamp> {
        todo!()
    }
}

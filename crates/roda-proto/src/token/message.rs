//! What nodes tell each other about locks. Each travels on a stream whose ends have proved their keys.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use minicbor::{Decode, Encode};

use super::{
    Fence, Frontier, LockCommand, LockName, LockRefusal, Permits, Priority, RequestId, SessionId,
};
use crate::id::NodeId;

/// A message between two nodes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum LockMessage {
    /// Node to leader: open a session for this boot.
    #[n(0)]
    Open {
        /// The node's boot.
        #[n(0)]
        boot: u64,
        /// The node's clock, to be given back.
        #[n(1)]
        sent_micros: u64,
        /// The node's session time.
        #[n(2)]
        session_millis: u32,
    },
    /// Leader to node: the session is open.
    #[n(1)]
    Opened {
        /// The boot that asked.
        #[n(0)]
        boot: u64,
        /// What the node said.
        #[n(1)]
        sent_micros: u64,
        /// The session.
        #[n(2)]
        session: SessionId,
    },
    /// Node to leader: I live.
    #[n(2)]
    Renew {
        /// Which session.
        #[n(0)]
        session: SessionId,
        /// The node's clock, to be given back.
        #[n(1)]
        sent_micros: u64,
        /// The last version of the session's view that the node has.
        #[n(2)]
        version: u64,
    },
    /// Leader to node, after a quorum has confirmed that it leads.
    #[n(3)]
    Renewed {
        /// Which session.
        #[n(0)]
        session: SessionId,
        /// What the node said.
        #[n(1)]
        sent_micros: u64,
        /// All that concerns the session, if the node's version is not the latest.
        #[n(2)]
        view: Option<SessionView>,
    },
    /// Leader to node: there is no such session (any more). Everything in it is lost.
    #[n(4)]
    Ended {
        /// Which session.
        #[n(0)]
        session: SessionId,
    },
    /// Node to leader: please write these; the session must be the node's own.
    #[n(5)]
    Propose {
        /// In order.
        #[n(0)]
        commands: Vec<LockCommand>,
    },
    /// Leader to node: this request will not be queued.
    #[n(6)]
    Refused {
        /// Whose.
        #[n(0)]
        session: SessionId,
        /// Which.
        #[n(1)]
        request: RequestId,
        /// Why.
        #[n(2)]
        refusal: LockRefusal,
    },
    /// Leader to node: something was decided for the session.
    #[n(7)]
    Notice(#[n(0)] Notice),
    /// From one holder to the next: you are in.
    #[n(8)]
    Token(#[n(0)] Token),
    /// To whoever took this node for the leader.
    #[n(9)]
    NotLeader {
        /// Who leads, if known.
        #[n(0)]
        leader: Option<NodeId>,
        /// Who votes.
        #[n(1)]
        voters: Vec<NodeId>,
    },
    /// This node leads, or tried to, but too few voters answer.
    #[n(10)]
    NoQuorum(#[n(0)] Quorum),
    /// Leader to node: the table does not have these requests (any more), as the node wanted.
    #[n(11)]
    Withdrawn {
        /// Whose.
        #[n(0)]
        session: SessionId,
        /// Which.
        #[n(1)]
        requests: Vec<RequestId>,
    },
    /// Leader to node: somebody has asked for what this grant has; it is about to be decided. Until then
    /// no further client should enter under it. Only a hint.
    #[n(12)]
    Asked {
        /// Whose.
        #[n(0)]
        session: SessionId,
        /// Which grant.
        #[n(1)]
        fence: Fence,
    },
}

/// How many voters there are and answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Quorum {
    /// That can be reached.
    #[n(0)]
    pub reachable: u32,
    /// In all.
    #[n(1)]
    pub voters: u32,
}

impl Quorum {
    /// How many are needed to decide anything.
    #[must_use]
    pub const fn needed(&self) -> u32 {
        self.voters / 2 + 1
    }
}

/// The token: the sender has left the lock for good.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Token {
    /// The grant that was left, by its first fence.
    #[n(0)]
    pub from: Fence,
    /// The receiver's grant, by its first fence.
    #[n(1)]
    pub to: Fence,
    /// The receiver's session.
    #[n(2)]
    pub session: SessionId,
    /// What the receiver should have seen.
    #[n(3)]
    pub frontier: Frontier,
}

/// A change of what concerns a session.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Notice {
    /// Which session.
    #[n(0)]
    pub session: SessionId,
    /// Its view's version after this change; the one before is one less.
    #[n(1)]
    pub version: u64,
    /// Grants that are new or changed.
    #[n(2)]
    pub grants: Vec<GrantView>,
    /// Grants that are no more, by their first fence.
    #[n(3)]
    pub gone: Vec<Fence>,
    /// Requests that wait since then: the table has them, there is no need to ask again.
    #[n(4)]
    pub queued: Vec<RequestId>,
    /// Requests that waited and do not any more, because they were withdrawn.
    #[n(5)]
    pub dropped: Vec<RequestId>,
}

/// All that concerns a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct SessionView {
    /// Its version.
    #[n(0)]
    pub version: u64,
    /// All grants.
    #[n(1)]
    pub grants: Vec<GrantView>,
    /// Requests that wait.
    #[n(2)]
    pub waiting: Vec<RequestId>,
}

/// A grant as its session sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct GrantView {
    /// For which request.
    #[n(0)]
    pub request: RequestId,
    /// Its first fence, which names it.
    #[n(1)]
    pub fence: Fence,
    /// Its last fence.
    #[n(2)]
    pub last_fence: Fence,
    /// The grants that must be left before this one may be entered; empty: enter.
    ///
    /// Each set that was ever told is enough by itself: once all in it have sent their token, enter. But
    /// that a grant is missing in a later set does not say that it was left: it may have been given up,
    /// and then those before it have taken its place.
    #[n(3)]
    pub after: BTreeSet<Fence>,
    /// Who gets the token when this one is left.
    #[n(4)]
    pub heirs: Vec<Heir>,
    /// It must not be kept idle: it has heirs, or it is exclusive and others wait for one of its locks.
    #[n(5)]
    pub is_wanted: bool,
    /// An operator wants it to be left.
    #[n(6)]
    pub is_revoked: bool,
    /// What its holder should have seen, as far as the table knew when it last told of this grant.
    /// That this has grown is not told by itself: all that a grant has to wait for brings it along.
    #[n(7)]
    pub frontier: Frontier,
    /// How many requests of a session for its lock are enough to keep the token going: the session may ask
    /// for so many before its clients do. 0: no use in that. As of the last time that this grant was told of.
    #[n(8)]
    #[cbor(default)]
    pub share: u8,
}

/// A grant that waits for another one to be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Heir {
    /// Its first fence.
    #[n(0)]
    pub fence: Fence,
    /// Where.
    #[n(1)]
    pub node: NodeId,
    /// Its session.
    #[n(2)]
    pub session: SessionId,
}

/// A lock as `roda locks` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LockStatus {
    /// Name.
    #[n(0)]
    pub lock: LockName,
    /// Grants in the order of their fences: those that are inside or idle, then those chosen to follow.
    #[n(1)]
    pub holders: Vec<HolderStatus>,
    /// Waiters in the order in which they would be served now.
    #[n(2)]
    pub waiters: Vec<WaiterStatus>,
}

/// A grant as `roda locks` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct HolderStatus {
    /// Where.
    #[n(0)]
    pub node: NodeId,
    /// Its session.
    #[n(1)]
    pub session: SessionId,
    /// Its request.
    #[n(2)]
    pub request: RequestId,
    /// First fence.
    #[n(3)]
    pub fence: Fence,
    /// With how many others.
    #[n(4)]
    pub permits: Permits,
    /// Has the lock now, as far as the table knows; otherwise it is chosen to follow.
    #[n(5)]
    pub is_live: bool,
    /// An operator wants it to be left.
    #[n(6)]
    pub is_revoked: bool,
}

/// A waiter as `roda locks` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct WaiterStatus {
    /// Where.
    #[n(0)]
    pub node: NodeId,
    /// Its session.
    #[n(1)]
    pub session: SessionId,
    /// Its request.
    #[n(2)]
    pub request: RequestId,
    /// As it asked.
    #[n(3)]
    pub priority: Priority,
    /// As it counts now.
    #[n(4)]
    pub effective: Priority,
    /// With how many others.
    #[n(5)]
    pub permits: Permits,
    /// At most so many grants of the lock come before it from now on: those that are chosen already
    /// and not live, all waiters of the lock that came earlier, and one for each grant that
    /// it still has to see, at most, until it counts as of the highest priority.
    #[n(6)]
    pub bound: u64,
}

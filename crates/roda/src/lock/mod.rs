//! Locks: taking turns within the group.

use std::time::Duration;

use roda_proto::token::{Fence, HoldState, LockName, LockStatus, Permits, Priority, Quorum};
use roda_proto::{NodeId, Topic};
use tokio::sync::watch;

use crate::error::Result;
use crate::node::Node;

impl Node {
    /// A lock by name. Nothing happens before one of the `acquire` methods.
    #[must_use]
    pub fn lock(&self, name: LockName) -> LockRequest {
        self.locks(vec![name])
    }

    /// Several locks, to be had all at once. Requests that overlap never block each other for good.
    #[must_use]
    pub fn locks(&self, names: Vec<LockName>) -> LockRequest {
        LockRequest {
            node: self.clone(),
            names,
            priority: Priority::default(),
            permits: Permits::EXCLUSIVE,
            fresh: Vec::new(),
        }
    }

    /// Holders and waiters of all locks, or of those in `names`, as the leading voter knows them.
    ///
    /// # Errors
    /// [`Error::NoQuorum`](crate::Error::NoQuorum) if no leader can be reached.
    pub async fn lock_report(&self, _names: &[LockName]) -> Result<LockReport> {
        todo!()
    }

    /// Has whoever holds the lock stopped, and returns when it is free: what runs under it is killed by
    /// its own node, or the session of a lost node ends. Two are never inside, not even so.
    ///
    /// # Errors
    /// [`Error::NotHeld`](crate::Error::NotHeld), or too few voters answer.
    pub async fn force_release(&self, _name: &LockName) -> Result<()> {
        todo!()
    }
}

/// A wish for one or more locks.
#[derive(Clone)]
pub struct LockRequest {
    node: Node,
    names: Vec<LockName>,
    priority: Priority,
    permits: Permits,
    fresh: Vec<Topic>,
}

impl LockRequest {
    /// How urgent: 0 (least, the default) to 9.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// With how many others at most, this one included, the lock is shared.
    #[must_use]
    pub fn permits(mut self, permits: Permits) -> Self {
        self.permits = permits;
        self
    }

    /// Only inside once this node has all that earlier holders wrote to the topic under the lock.
    #[must_use]
    pub fn fresh(mut self, topic: Topic) -> Self {
        self.fresh.push(topic);
        self
    }

    /// Waits for the lock.
    ///
    /// Cancel-safe: dropped, the request is withdrawn, also if it was granted in that moment.
    ///
    /// # Errors
    /// [`Error::LockRefused`](crate::Error::LockRefused) or [`Error::Stopped`](crate::Error::Stopped).
    /// While too few voters answer, it waits.
    pub async fn acquire(self) -> Result<Guard> {
        let _ = (
            self.node,
            self.names,
            self.priority,
            self.permits,
            self.fresh,
        );
        todo!()
    }

    /// Waits no longer than `time`; zero: only if it can be had at once.
    ///
    /// # Errors
    /// [`Error::LockBusy`](crate::Error::LockBusy) if others had it all the time, and
    /// [`Error::NoQuorum`](crate::Error::NoQuorum) if too few voters answered.
    pub async fn acquire_within(self, _time: Duration) -> Result<Guard> {
        todo!()
    }

    /// As [`Self::acquire`], and tells how the waiting goes.
    ///
    /// # Errors
    /// As [`Self::acquire`].
    pub async fn acquire_watched(self, _progress: impl FnMut(Waiting)) -> Result<Guard> {
        todo!()
    }
}

/// How it goes with a request that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// In the queue, or on its way there.
    Queued,
    /// Too few voters answer.
    NoQuorum(Quorum),
    /// It has the lock; the node catches up with what earlier holders wrote.
    CatchingUp,
}

/// A lock that is held. Dropped, it is released.
pub struct Guard {
    fence: Fence,
    state: watch::Receiver<HoldState>,
}

impl Guard {
    /// The number of this hold: larger than that of every earlier one in the group.
    #[must_use]
    pub fn fence(&self) -> Fence {
        self.fence
    }

    /// The locks.
    #[must_use]
    pub fn names(&self) -> &[LockName] {
        todo!()
    }

    /// How long the lock is this node's for certain, if nothing more is heard from the voters.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        todo!()
    }

    /// How safe the hold is, now and as it changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<HoldState> {
        self.state.clone()
    }

    /// Returns when the holder should stop: the lock is about to be lost. Cancel-safe.
    pub async fn lost(&self) {
        let mut state = self.state.clone();
        let over = |state: &HoldState| matches!(state, HoldState::Stop(_) | HoldState::Kill(_));
        // An error means that the node has stopped.
        let _stopped = state.wait_for(over).await;
    }

    /// Releases the lock; the same as dropping.
    pub fn release(self) {}
}

/// What `roda locks` shows.
#[derive(Clone, Debug)]
pub struct LockReport {
    /// The voter that leads and told this.
    pub leader: NodeId,
    /// Who votes.
    pub voters: Vec<NodeId>,
    /// Which of them answer.
    pub quorum: Quorum,
    /// The locks.
    pub locks: Vec<LockInfo>,
}

/// One lock of the report.
#[derive(Clone, Debug)]
pub struct LockInfo {
    /// Holders and waiters.
    pub status: LockStatus,
    /// Since when each holder has it, and each waiter waits, in the order of `status`; as the leader
    /// has seen it, so no longer than it leads.
    pub holding: Vec<Duration>,
    /// See `holding`.
    pub waiting: Vec<Duration>,
}

//! A lock that is held.

use std::time::Duration;

use roda_proto::token::{Fence, Frontier, HoldState, LockName, RequestId};
use roda_proto::{AuthorId, Seq};
use tokio::sync::watch;

use super::clients::Entered;
use super::service::now;
use crate::error::{Error, Result};
use crate::node::Node;

/// A lock that is held. Dropped, it is released.
///
/// It can be lost before that: the voters may be out of reach for too long, or an operator may want it
/// back. [`Guard::lost`] tells in time; whoever goes on nevertheless runs beside the next holder.
pub struct Guard {
    node: Node,
    names: Vec<LockName>,
    request: RequestId,
    fence: Fence,
    frontier: Frontier,
    state: watch::Receiver<HoldState>,
    /// Where this node's log stood when the hold began.
    before: (AuthorId, Seq),
}

impl Guard {
    pub(super) fn new(
        node: Node,
        names: Vec<LockName>,
        request: RequestId,
        entered: Entered,
    ) -> Self {
        let before = node.head();
        Self {
            node,
            names,
            request,
            fence: entered.fence,
            frontier: entered.frontier,
            state: entered.state,
            before,
        }
    }

    /// The number of this hold: larger than that of every earlier one in the group.
    #[must_use]
    pub const fn fence(&self) -> Fence {
        self.fence
    }

    /// The locks.
    #[must_use]
    pub fn names(&self) -> &[LockName] {
        &self.names
    }

    /// What earlier holders wrote to the log under the lock: the last entry of each.
    #[must_use]
    pub const fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// How long the lock is this node's for certain, if nothing more is heard from the voters.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        let until = self.node.shared.locks.locks().valid_until();
        until.map_or(Duration::ZERO, |until| until.since(now()))
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

    /// Until this node has all that earlier holders wrote under the lock.
    pub(super) async fn catch_up(&self) -> Result<()> {
        tokio::select! {
            reached = self.node.reached(self.frontier.clone()) => reached,
            () = self.lost() => Err(Error::LockLost),
        }
    }

    /// Releases the lock; the same as dropping.
    pub fn release(self) {}
}

impl Drop for Guard {
    fn drop(&mut self) {
        let head = self.node.head();
        let wrote = (head != self.before).then_some(head);
        self.node.shared.locks.locks().release(self.request, wrote);
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard")
            .field("fence", &self.fence)
            .field("state", &*self.state.borrow())
            .finish_non_exhaustive()
    }
}

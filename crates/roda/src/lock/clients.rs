//! Local clients: who waits, who is inside, and how each is told.

use std::collections::BTreeMap;

use roda_proto::token::{
    Acquire, Fence, Frontier, HoldState, LockName, LockRefusal, Permits, Quorum, RequestId,
};
use tokio::sync::{oneshot, watch};

use super::Waiting;

/// What a client that is inside learns first.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) fence: Fence,
    /// What earlier holders wrote under the lock.
    pub(super) frontier: Frontier,
    pub(super) state: watch::Receiver<HoldState>,
}

/// What a client that waits is given.
pub(super) struct Ticket {
    pub(super) entered: oneshot::Receiver<Result<Entered, LockRefusal>>,
    pub(super) progress: watch::Receiver<Waiting>,
}

/// All clients of a node.
pub(super) struct Clients {
    waiting: BTreeMap<RequestId, Waiter>,
    /// How it goes with whoever waits: the same with all.
    progress: watch::Sender<Waiting>,
    holding: BTreeMap<RequestId, Holder>,
}

struct Waiter {
    wish: Acquire,
    entered: oneshot::Sender<Result<Entered, LockRefusal>>,
}

struct Holder {
    wish: Acquire,
    fence: Fence,
    frontier: Frontier,
    state: watch::Sender<HoldState>,
}

impl Clients {
    pub(super) fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            holding: BTreeMap::new(),
            progress: watch::Sender::new(Waiting::Queued),
        }
    }

    pub(super) fn wait(&mut self, request: RequestId, wish: Acquire) -> Ticket {
        let (entered, answered) = oneshot::channel();
        self.waiting.insert(request, Waiter { wish, entered });
        Ticket {
            entered: answered,
            progress: self.progress.subscribe(),
        }
    }

    /// A client that did not have to wait.
    pub(super) fn hold(
        &mut self,
        request: RequestId,
        wish: Acquire,
        fence: Fence,
        frontier: Frontier,
    ) -> Entered {
        let (state, seen) = watch::channel(HoldState::Safe);
        let holder = Holder {
            wish,
            fence,
            frontier: frontier.clone(),
            state,
        };
        self.holding.insert(request, holder);
        Entered {
            fence,
            frontier,
            state: seen,
        }
    }

    pub(super) fn enter(&mut self, request: RequestId, fence: Fence, frontier: Frontier) {
        let Some(waiter) = self.waiting.remove(&request) else {
            return;
        };
        let entered = self.hold(request, waiter.wish, fence, frontier);
        // One that gave up in this moment withdraws the request itself.
        let _gone = waiter.entered.send(Ok(entered));
    }

    pub(super) fn refuse(&mut self, request: RequestId, refusal: LockRefusal) {
        if let Some(waiter) = self.waiting.remove(&request) {
            // It may have given up.
            let _gone = waiter.entered.send(Err(refusal));
        }
    }

    pub(super) fn set_state(&self, request: RequestId, state: HoldState) {
        if let Some(holder) = self.holding.get(&request) {
            holder.state.send_replace(state);
        }
    }

    pub(super) fn set_quorum(&self, quorum: Option<Quorum>) {
        let progress = quorum.map_or(Waiting::Queued, Waiting::NoQuorum);
        self.progress.send_if_modified(|known| {
            let is_new = *known != progress;
            *known = progress;
            is_new
        });
    }

    pub(super) fn forget(&mut self, request: RequestId) {
        self.waiting.remove(&request);
        self.holding.remove(&request);
    }

    /// What was written under the lock before the hold with this fence began; `None` if there is no such
    /// hold, or the lock is shared: then fences do not tell who came later.
    pub(super) fn frontier(&self, name: &LockName, fence: Fence) -> Option<Frontier> {
        let is_it = |holder: &&Holder| {
            let wish = &holder.wish;
            holder.fence == fence && wish.permits == Permits::EXCLUSIVE && wish.locks.contains(name)
        };
        self.holding
            .values()
            .find(is_it)
            .map(|holder| holder.frontier.clone())
    }
}

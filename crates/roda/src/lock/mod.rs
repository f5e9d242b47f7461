//! Locks: taking turns within the group.

mod ask;
mod clients;
mod guard;
mod leader;
mod report;
mod run;
mod service;

use std::time::Duration;

use roda_proto::NodeId;
use roda_proto::token::{
    Acquire, Fence, Frontier, LockName, LockStatus, Permits, Priority, Quorum, RequestId,
};
use tokio::time::timeout;

use self::clients::Ticket;
use self::service::Asked;
use crate::error::{Error, Result};
use crate::node::Node;

pub use self::guard::Guard;
pub(crate) use self::run::{LockParts, LockService, Switchboard};

/// "At once" takes a moment: a token that lies idle at another node has to be fetched.
const AT_ONCE: Duration = Duration::from_millis(500);

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
            is_fresh: false,
        }
    }

    /// Holders and waiters of all locks, or of those in `names`, as the leading voter knows them.
    ///
    /// # Errors
    /// [`Error::NoQuorum`] if no leader can be reached, [`Error::NotMember`].
    pub async fn lock_report(&self, names: &[LockName]) -> Result<LockReport> {
        self.check_member()?;
        self.shared.locks.switchboard.report(names).await
    }

    /// Has whoever holds the lock stopped, and returns when it is free: what runs under it is killed by
    /// its own node, or the session of a lost node ends. Two are never inside, not even so.
    ///
    /// # Errors
    /// [`Error::NotHeld`], or too few voters answer.
    pub async fn force_release(&self, name: &LockName) -> Result<()> {
        self.shared.locks.switchboard.force(name).await
    }

    /// What earlier holders wrote under a lock that this node holds with this fence; `None` if it does
    /// not, or not any more.
    #[must_use]
    pub fn held_frontier(&self, name: &LockName, fence: Fence) -> Option<Frontier> {
        let locks = self.shared.locks.locks();
        locks.held_frontier(name, fence)
    }
}

/// A wish for one or more locks.
#[derive(Clone)]
pub struct LockRequest {
    node: Node,
    names: Vec<LockName>,
    priority: Priority,
    permits: Permits,
    is_fresh: bool,
}

impl LockRequest {
    /// How urgent: 0 (least, the default) to 9.
    #[must_use]
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// With how many others at most, this one included, the lock is shared.
    #[must_use]
    pub const fn permits(mut self, permits: Permits) -> Self {
        self.permits = permits;
        self
    }

    /// Together with all others that share.
    #[must_use]
    pub const fn shared(self) -> Self {
        self.permits(Permits::SHARED)
    }

    /// Only inside once this node has all that earlier holders wrote to the log under the lock.
    #[must_use]
    pub const fn fresh(mut self) -> Self {
        self.is_fresh = true;
        self
    }

    /// Waits for the lock.
    ///
    /// Cancel-safe: dropped, the request is withdrawn, also if it was granted in that moment.
    ///
    /// # Errors
    /// [`Error::LockRefused`], [`Error::NotMember`] or [`Error::Stopped`]. While too few voters answer, it waits.
    pub async fn acquire(self) -> Result<Guard> {
        self.acquire_watched(|_progress| {}).await
    }

    /// Waits no longer than `time`; zero: only if it can be had at once.
    ///
    /// Cancel-safe, as [`Self::acquire`] is.
    ///
    /// # Errors
    /// [`Error::LockBusy`] if others had it all the time, and [`Error::NoQuorum`] if too few voters
    /// answered.
    pub async fn acquire_within(self, time: Duration) -> Result<Guard> {
        let node = self.node.clone();
        let time = if time.is_zero() { AT_ONCE } else { time };
        match timeout(time, self.acquire()).await {
            Ok(done) => done,
            Err(_elapsed) => Err(node.why_busy()),
        }
    }

    /// As [`Self::acquire`], and tells how the waiting goes.
    ///
    /// # Errors
    /// As [`Self::acquire`].
    pub async fn acquire_watched(self, mut progress: impl FnMut(Waiting)) -> Result<Guard> {
        let Self {
            node,
            names,
            priority,
            permits,
            is_fresh,
        } = self;
        let wish = Acquire {
            locks: names.clone(),
            permits,
            priority,
        };
        node.check_member()?;
        // Who takes its lock again and again never waits, and would keep a thread for itself.
        tokio::task::consume_budget().await;
        let asked = node.shared.locks.locks().acquire(wish);
        let guard = match asked.map_err(Error::LockRefused)? {
            Asked::Inside(request, entered) => Guard::new(node, names, request, entered),
            Asked::Waiting(request, ticket) => {
                let pending = Pending {
                    node: &node,
                    request: Some(request),
                };
                let entered = tokio::select! {
                    entered = wait(ticket, &mut progress) => entered?,
                    () = node.expelled() => return Err(Error::NotMember),
                };
                pending.done();
                Guard::new(node, names, request, entered)
            }
        };
        if is_fresh {
            progress(Waiting::CatchingUp);
            guard.catch_up().await?;
        }
        Ok(guard)
    }
}

impl Node {
    /// Somebody else votes about the locks of a group that this node does not belong to any more.
    fn check_member(&self) -> Result<()> {
        match self.shared.view.borrow().is_expelled {
            true => Err(Error::NotMember),
            false => Ok(()),
        }
    }

    /// Until this node was removed, or has left.
    async fn expelled(&self) {
        let mut view = self.shared.view.clone();
        if view.wait_for(|view| view.is_expelled).await.is_err() {
            // The node stops; whoever waits is told that.
            std::future::pending::<()>().await;
        }
    }

    /// Why a lock was not obtained in time.
    #[must_use]
    pub fn why_busy(&self) -> Error {
        match self.shared.locks.switchboard.missing_quorum() {
            Some(quorum) => Error::NoQuorum(quorum),
            None => Error::LockBusy,
        }
    }
}

async fn wait(ticket: Ticket, progress: &mut impl FnMut(Waiting)) -> Result<clients::Entered> {
    let Ticket {
        mut entered,
        progress: mut changes,
    } = ticket;
    progress(*changes.borrow_and_update());
    loop {
        tokio::select! {
            biased;
            answer = &mut entered => {
                let answer = answer.map_err(|_stopped| Error::Stopped)?;
                return answer.map_err(Error::LockRefused);
            }
            Ok(()) = changes.changed() => progress(*changes.borrow_and_update()),
        }
    }
}

/// Withdraws a request that is dropped while it waits.
struct Pending<'a> {
    node: &'a Node,
    request: Option<RequestId>,
}

impl Pending<'_> {
    fn done(mut self) {
        self.request = None;
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(request) = self.request {
            self.node.shared.locks.locks().cancel(request);
        }
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

//! The replicated lock table.

mod change;
mod contenders;
mod effects;
mod grant;
mod image;
mod lock;
mod queue;
mod seen;
mod session;
#[cfg(test)]
mod tests;
mod views;
mod waiting;

use alloc::collections::BTreeMap;

use minicbor::{Decode, Encode};

use self::effects::Effects;
use self::grant::Grant;
use self::lock::Lock;
use self::queue::{Arrival, Waiter};
use self::session::Session;
use self::waiting::Wish;
use super::{
    FENCE_START_MAX, Fence, LockCommand, LockName, LockOutcome, LockRefusal, SessionCause,
    SessionId,
};
use crate::id::NodeId;

pub use self::change::{Applied, Change};
pub use self::image::Inconsistent;

/// Sessions, grants and queues: what voters agree on.
///
/// Reads no clock and draws no random number: the same commands give the same table everywhere.
/// A table that was written and read back is equal to the first; what is no sound table is not read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Encode)]
pub struct Table {
    #[n(0)]
    counters: Counters,
    #[n(1)]
    sessions: BTreeMap<SessionId, Session>,
    /// Those that are held, waited for, or remembered for their frontier.
    #[n(2)]
    locks: BTreeMap<LockName, Lock>,
    #[n(3)]
    waiters: BTreeMap<Arrival, Waiter>,
    /// By their first fence.
    #[n(4)]
    grants: BTreeMap<Fence, Grant>,
    #[cbor(skip)]
    boots: BTreeMap<(NodeId, u64), SessionId>,
    /// Locks that only their frontier keeps, in the order in which they were left.
    #[cbor(skip)]
    idle: BTreeMap<u64, LockName>,
}

/// The last number given of each kind. None is given twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
struct Counters {
    #[n(0)]
    fence: u64,
    #[n(1)]
    session: u64,
    #[n(2)]
    arrival: u64,
    #[n(3)]
    idle: u64,
}

impl Table {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies one entry of the replicated log: all its commands, in order.
    pub fn apply(&mut self, commands: &[LockCommand]) -> Applied {
        let mut fx = Effects::default();
        for command in commands {
            let outcome = self.apply_one(command, &mut fx);
            fx.outcomes.push(outcome);
        }
        fx.finish(self)
    }

    fn apply_one(&mut self, command: &LockCommand, fx: &mut Effects) -> LockOutcome {
        match *command {
            LockCommand::Start { fence } => self.start(fence),
            LockCommand::Open {
                node,
                boot,
                session_millis,
            } => self.open(node, boot, session_millis, fx),
            LockCommand::Acquire {
                session,
                request,
                ref locks,
                permits,
                priority,
                is_ahead,
            } => {
                let wish = Wish {
                    session,
                    request,
                    locks,
                    permits,
                    priority,
                    is_ahead,
                };
                self.acquire(&wish, fx)
            }
            LockCommand::Cancel { session, request } => self.cancel(session, request, fx),
            LockCommand::Release {
                session,
                fence,
                ref frontier,
                held_millis,
            } => self.release(session, fence, (frontier, held_millis), fx),
            LockCommand::Close { session } => self.end(session, SessionCause::Closed, fx),
            LockCommand::Expire { session } => self.end(session, SessionCause::Expired, fx),
            LockCommand::Force { ref lock, by, upto } => self.force(lock, by, upto, fx),
        }
    }

    fn start(&mut self, fence: Fence) -> LockOutcome {
        if fence > FENCE_START_MAX {
            return LockOutcome::Refused(LockRefusal::BadRequest);
        }
        self.counters.fence = self.counters.fence.max(fence.0.saturating_sub(1));
        LockOutcome::Done
    }
}

//! T7: nobody is overtaken more often than the bound that it was shown when it queued.

use std::collections::BTreeMap;

use roda_proto::token::{Change, LockName, LockStatus, RequestId, SessionId};

use crate::invariants::{Check, Violation};

type Waiter = (SessionId, RequestId);

/// Grants of a lock that came first, and how many may.
#[derive(Clone, Copy, Debug)]
struct Overtaken {
    times: u64,
    bound: u64,
}

/// All who wait.
#[derive(Default)]
pub struct Overtaking {
    waiters: BTreeMap<Waiter, BTreeMap<LockName, Overtaken>>,
}

impl Overtaking {
    /// The table has changed.
    ///
    /// # Errors
    /// Somebody was overtaken too often.
    pub fn on_changes(&mut self, changes: &[Change], status: &[LockStatus]) -> Check {
        for change in changes {
            match change {
                Change::Granted {
                    session,
                    request,
                    locks,
                    ..
                } => self.on_grant((*session, *request), locks)?,
                Change::Cancelled { session, request } => {
                    self.waiters.remove(&(*session, *request));
                }
                Change::Ended { session, .. } => {
                    self.waiters.retain(|(of, _), _| of != session);
                }
                _ => {}
            }
        }
        for lock in status {
            for waiter in &lock.waiters {
                let key = (waiter.session, waiter.request);
                let locks = self.waiters.entry(key).or_default();
                let bound = waiter.bound;
                locks
                    .entry(lock.lock.clone())
                    .or_insert(Overtaken { times: 0, bound });
            }
        }
        Ok(())
    }

    fn on_grant(&mut self, granted: Waiter, locks: &[LockName]) -> Check {
        self.waiters.remove(&granted);
        for (waiter, wanted) in &mut self.waiters {
            for lock in locks {
                let Some(overtaken) = wanted.get_mut(lock) else {
                    continue;
                };
                overtaken.times += 1;
                if overtaken.times > overtaken.bound {
                    let detail = format!("{waiter:?} at {lock}: {overtaken:?}");
                    return Err(Violation::global("T7", detail));
                }
            }
        }
        Ok(())
    }
}

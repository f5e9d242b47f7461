//! What an entry has done so far, and the notices that follow from it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::session::Place;
use super::{Applied, Change, Table};
use crate::token::{Fence, LockName, LockOutcome, Notice, RequestId, SessionId};

/// Collected while an entry is applied.
#[derive(Default)]
pub(super) struct Effects {
    pub(super) outcomes: Vec<LockOutcome>,
    pub(super) changes: Vec<Change>,
    touched: BTreeMap<SessionId, Touched>,
    /// Locks whose queue has changed, and whether somebody had waited before.
    queues: BTreeMap<LockName, bool>,
}

#[derive(Default)]
struct Touched {
    grants: BTreeSet<Fence>,
    gone: Vec<Fence>,
    queued: BTreeSet<RequestId>,
    dropped: Vec<RequestId>,
}

impl Effects {
    /// The view of a grant is another one now.
    pub(super) fn touch(&mut self, session: SessionId, fence: Fence) {
        self.session(session).grants.insert(fence);
    }

    /// A grant is no more.
    pub(super) fn gone(&mut self, session: SessionId, fence: Fence) {
        self.session(session).gone.push(fence);
    }

    /// A request waits.
    pub(super) fn queued(&mut self, session: SessionId, request: RequestId) {
        self.session(session).queued.insert(request);
    }

    /// A request that waited is no more.
    pub(super) fn dropped(&mut self, session: SessionId, request: RequestId) {
        self.session(session).dropped.push(request);
    }

    /// The queue of a lock is about to change.
    pub(super) fn queue(&mut self, lock: &LockName, is_waited_for: bool) {
        if !self.queues.contains_key(lock) {
            self.queues.insert(lock.clone(), is_waited_for);
        }
    }

    /// Turns what was collected into notices, one for each session.
    pub(super) fn finish(mut self, table: &mut Table) -> Applied {
        self.touch_wanted(table);
        let mut notices = Vec::with_capacity(self.touched.len());
        for (id, touched) in self.touched {
            if let Some(session) = table.sessions.get_mut(&id) {
                session.version += 1;
            }
            let Some(session) = table.sessions.get(&id) else {
                continue;
            };
            let waits = |request: &RequestId| {
                let place = session.requests.get(request);
                place.is_some_and(|place| matches!(place, Place::Waiting(_)))
            };
            let views = touched.grants.iter();
            let notice = Notice {
                session: id,
                version: session.version,
                grants: views.filter_map(|&fence| table.grant_view(fence)).collect(),
                gone: touched.gone,
                queued: touched.queued.into_iter().filter(waits).collect(),
                dropped: touched.dropped,
            };
            notices.push((session.node, notice));
        }
        Applied {
            outcomes: self.outcomes,
            notices,
            changes: self.changes,
        }
    }

    /// Whoever waits for a lock makes its exclusive grants wanted, unless an heir does so already.
    /// Only what holds for the whole entry counts: most waiters are chosen in the same step.
    fn touch_wanted(&mut self, table: &Table) {
        for (name, was_waited_for) in core::mem::take(&mut self.queues) {
            let Some(lock) = table.locks.get(&name) else {
                continue;
            };
            if lock.queue.is_empty() != was_waited_for {
                continue;
            }
            for fence in &lock.outstanding.exclusive {
                if let Some(grant) = table.grants.get(fence)
                    && grant.heirs.is_empty()
                {
                    self.touch(grant.session, *fence);
                }
            }
        }
    }

    fn session(&mut self, session: SessionId) -> &mut Touched {
        self.touched.entry(session).or_default()
    }
}

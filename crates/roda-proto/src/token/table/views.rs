//! What the table shows: to sessions, and to people.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use super::Table;
use super::lock::Lock;
use super::queue::{Arrival, Turn, grants_to_top};
use super::session::Place;
use crate::id::NodeId;
use crate::token::{
    Fence, Frontier, GrantView, Heir, HolderStatus, LockName, LockStatus, Permits, RequestId,
    SessionId, SessionView, WaiterStatus,
};

impl Table {
    /// All sessions, their nodes and session times.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, NodeId, Duration)> + '_ {
        self.sessions.iter().map(|(&id, session)| {
            let time = Duration::from_millis(session.millis.into());
            (id, session.node, time)
        })
    }

    /// Whose session it is; `None` if there is none (any more).
    #[must_use]
    pub fn node_of(&self, session: SessionId) -> Option<NodeId> {
        self.sessions.get(&session).map(|session| session.node)
    }

    /// The latest grant of a lock, live or chosen to follow; `None` if there is none, or others wait.
    #[must_use]
    pub fn last_grant(&self, lock: &LockName) -> Option<Heir> {
        let lock = self.locks.get(lock).filter(|lock| lock.queue.is_empty())?;
        let fence = *lock.outstanding.grants.last()?;
        let session = self.grants.get(&fence)?.session;
        let node = self.node_of(session)?;
        Some(Heir {
            fence,
            node,
            session,
        })
    }

    /// The version of a session's view, without the view; `None` if there is no such session (any more).
    #[must_use]
    pub fn version_of(&self, session: SessionId) -> Option<u64> {
        self.sessions.get(&session).map(|session| session.version)
    }

    /// Whether the request waits or is granted: to ask for it again would change nothing.
    #[must_use]
    pub fn has_request(&self, session: SessionId, request: RequestId) -> bool {
        let session = self.sessions.get(&session);
        session.is_some_and(|session| session.requests.contains_key(&request))
    }

    /// All that concerns a session; `None` if there is none (any more).
    #[must_use]
    pub fn view(&self, id: SessionId) -> Option<SessionView> {
        let session = self.sessions.get(&id)?;
        let mut view = SessionView {
            version: session.version,
            grants: Vec::new(),
            waiting: Vec::new(),
        };
        for (&request, &place) in &session.requests {
            match place {
                Place::Waiting(_) => view.waiting.push(request),
                Place::Granted(fence) => view.grants.extend(self.grant_view(fence)),
            }
        }
        Some(view)
    }

    /// Locks that are held or waited for: all if `names` is empty, otherwise those in it.
    #[must_use]
    pub fn status(&self, names: &[LockName]) -> Vec<LockStatus> {
        if names.is_empty() {
            let names = self.locks.keys();
            names.filter_map(|name| self.lock_status(name)).collect()
        } else {
            let names = names.iter();
            names.filter_map(|name| self.lock_status(name)).collect()
        }
    }

    pub(super) fn grant_view(&self, fence: Fence) -> Option<GrantView> {
        let grant = self.grants.get(&fence)?;
        let heirs = grant.heirs.iter().filter_map(|&heir| self.heir(heir));
        let locks = grant.locks.iter().filter_map(|name| self.locks.get(name));
        let mut frontier = Frontier::default();
        let mut is_waited_for = false;
        let mut share = 0;
        for lock in locks {
            frontier.merge(&lock.frontier);
            is_waited_for |= !lock.queue.is_empty();
            share = lock.share();
        }
        // Grants that are shared are never kept idle, and there can be very many of them: none of
        // them is told when somebody begins to wait.
        let is_exclusive = grant.permits == Permits::EXCLUSIVE;
        Some(GrantView {
            request: grant.request,
            fence,
            last_fence: grant.last,
            after: grant.after.clone(),
            heirs: heirs.collect(),
            is_wanted: !grant.heirs.is_empty() || (is_exclusive && is_waited_for),
            is_revoked: grant.is_revoked,
            frontier,
            share: if is_exclusive && grant.locks.len() == 1 {
                share
            } else {
                0
            },
        })
    }

    fn lock_status(&self, name: &LockName) -> Option<LockStatus> {
        let lock = self.locks.get(name)?;
        if lock.is_idle() {
            return None;
        }
        let holders = lock.outstanding.grants.iter();
        Some(LockStatus {
            lock: name.clone(),
            holders: holders
                .filter_map(|&fence| self.holder_status(fence))
                .collect(),
            waiters: self.waiters_status(lock),
        })
    }

    fn heir(&self, fence: Fence) -> Option<Heir> {
        let session = self.grants.get(&fence)?.session;
        Some(Heir {
            fence,
            node: self.node_of(session)?,
            session,
        })
    }

    fn holder_status(&self, fence: Fence) -> Option<HolderStatus> {
        let grant = self.grants.get(&fence)?;
        Some(HolderStatus {
            node: self.node_of(grant.session)?,
            session: grant.session,
            request: grant.request,
            fence,
            permits: grant.permits,
            is_live: grant.is_live(),
            is_revoked: grant.is_revoked,
        })
    }

    fn waiters_status(&self, lock: &Lock) -> Vec<WaiterStatus> {
        let turns = lock.queue.turns(lock.granted);
        let mut arrivals: Vec<Arrival> = turns.iter().map(|turn| turn.arrival).collect();
        arrivals.sort_unstable();
        let earlier: BTreeMap<Arrival, u64> = arrivals.into_iter().zip(0..).collect();
        turns
            .into_iter()
            .filter_map(|turn| self.waiter_status(lock, turn, earlier.get(&turn.arrival).copied()?))
            .collect()
    }

    /// Grants of a session behind which what it asked ahead can still be passed.
    fn not_passed(&self, lock: &Lock, session: SessionId) -> u64 {
        let grants = lock.outstanding.grants.iter();
        let grants = grants.filter_map(|fence| self.grants.get(fence));
        let not_passed = grants.filter(|grant| grant.session == session && grant.can_be_passed());
        u64::try_from(not_passed.count()).unwrap_or(u64::MAX)
    }

    /// How often a waiter can be overtaken: whoever came later is chosen before it only while
    /// it is not at the top, and every grant of the lock brings it nearer to that. At the top, only those
    /// that came earlier are before it, each of them once.
    ///
    /// What was asked ahead besides lets one other pass behind each grant of its own session: those that
    /// were not passed yet, and those of all who are before it.
    fn waiter_status(&self, lock: &Lock, turn: Turn, earlier: u64) -> Option<WaiterStatus> {
        let waiter = self.waiters.get(&turn.arrival)?;
        let seen = waiter.age.seen(lock.granted);
        let later = grants_to_top(waiter.priority).saturating_sub(seen);
        let chosen = u64::try_from(lock.outstanding.frozen).unwrap_or(u64::MAX);
        let before = later.saturating_add(earlier);
        let passing = if waiter.is_ahead {
            before.saturating_add(self.not_passed(lock, waiter.session))
        } else {
            0
        };
        Some(WaiterStatus {
            node: self.node_of(waiter.session)?,
            session: waiter.session,
            request: waiter.request,
            priority: waiter.priority,
            effective: turn.effective(),
            permits: waiter.permits,
            bound: before.saturating_add(chosen).saturating_add(passing),
        })
    }
}

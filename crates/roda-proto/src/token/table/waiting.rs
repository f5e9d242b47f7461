//! Requests on their way into the queues and out of them.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::effects::Effects;
use super::lock::Lock;
use super::queue::{Age, Arrival, Turn, Waiter, effective};
use super::session::Place;
use super::{Change, Table};
use crate::token::{
    LOCKS_MAX, LOCKS_PER_REQUEST_MAX, LockName, LockOutcome, LockRefusal, Permits, Priority,
    REQUESTS_MAX, REQUESTS_PER_SESSION_MAX, RequestId, SessionId, WAITERS_PER_LOCK_MAX,
};

/// What an `Acquire` says.
pub(super) struct Wish<'a> {
    pub(super) session: SessionId,
    pub(super) request: RequestId,
    pub(super) locks: &'a [LockName],
    pub(super) permits: Permits,
    pub(super) priority: Priority,
    pub(super) is_ahead: bool,
}

impl Table {
    pub(super) fn acquire(&mut self, wish: &Wish<'_>, fx: &mut Effects) -> LockOutcome {
        let Some(session) = self.sessions.get_mut(&wish.session) else {
            return LockOutcome::Refused(LockRefusal::NoSession);
        };
        if session.requests.contains_key(&wish.request) {
            return LockOutcome::Done;
        }
        if session.seen.contains(wish.request) {
            return LockOutcome::Refused(LockRefusal::Over);
        }
        // Refused, it is over as well: its client has been told, so it must not succeed later.
        session.seen.insert(wish.request);
        let may_be_ahead = wish.locks.len() == 1 && wish.permits == Permits::EXCLUSIVE;
        if !names_each_once(wish.locks) || wish.is_ahead && !may_be_ahead {
            return LockOutcome::Refused(LockRefusal::BadRequest);
        }
        if session.requests.len() >= REQUESTS_PER_SESSION_MAX
            || self.waiters.len() + self.grants.len() >= REQUESTS_MAX
            || self.has_full_queue(wish.locks)
            || !self.make_room(wish.locks)
        {
            return LockOutcome::Refused(LockRefusal::Full);
        }
        self.enqueue(wish, fx);
        self.settle(wish.locks.iter().cloned().collect(), fx);
        LockOutcome::Done
    }

    pub(super) fn cancel(
        &mut self,
        id: SessionId,
        request: RequestId,
        fx: &mut Effects,
    ) -> LockOutcome {
        let Some(session) = self.sessions.get_mut(&id) else {
            return LockOutcome::Refused(LockRefusal::NoSession);
        };
        // An `Acquire` that comes behind its own `Cancel` would leave a ghost in the queue.
        session.seen.insert(request);
        let Some(&place) = session.requests.get(&request) else {
            return LockOutcome::Done;
        };
        let change = Change::Cancelled {
            session: id,
            request,
        };
        fx.changes.push(change);
        let mut touched = BTreeSet::new();
        match place {
            Place::Waiting(arrival) => {
                let waiter = self.dequeue(arrival, fx);
                touched.extend(waiter.into_iter().flat_map(|waiter| waiter.locks));
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.requests.remove(&request);
                }
                fx.dropped(id, request);
            }
            Place::Granted(fence) => self.withdraw(&[fence], &mut touched, fx),
        }
        self.settle(touched, fx);
        LockOutcome::Done
    }

    /// Takes a waiter out of all its queues.
    pub(super) fn dequeue(&mut self, arrival: Arrival, fx: &mut Effects) -> Option<Waiter> {
        let waiter = self.waiters.remove(&arrival)?;
        for name in &waiter.locks {
            let Some(lock) = self.locks.get_mut(name) else {
                continue;
            };
            fx.queue(name, true);
            lock.contenders.remove(waiter.session);
            match waiter.age {
                Age::One { .. } => lock.queue.remove_single(waiter.priority, arrival),
                Age::Several { .. } => lock.queue.remove_several(waiter.turn(arrival, lock)),
            }
        }
        Some(waiter)
    }

    /// A lock has granted once more: those that wait for others as well have to be told.
    ///
    /// Each is touched by no more than `AGING * 9` grants; then it is at the top and stays there.
    pub(super) fn age(&mut self, name: &LockName) {
        let rising = self.locks.get(name).map(|lock| lock.queue.rising());
        for arrival in rising.unwrap_or_default() {
            let Some(waiter) = self.waiters.get_mut(&arrival) else {
                continue;
            };
            let Age::Several { seen } = &mut waiter.age else {
                continue;
            };
            let before = Turn::new(effective(waiter.priority, *seen), arrival);
            *seen += 1;
            let now = Turn::new(effective(waiter.priority, *seen), arrival);
            if before == now {
                continue;
            }
            for name in &waiter.locks {
                if let Some(lock) = self.locks.get_mut(name) {
                    lock.queue.remove_several(before);
                    lock.queue.insert_several(now);
                }
            }
        }
    }

    fn enqueue(&mut self, wish: &Wish<'_>, fx: &mut Effects) {
        self.counters.arrival += 1;
        let arrival = Arrival(self.counters.arrival);
        let mut locks = Vec::with_capacity(wish.locks.len());
        let mut since = 0;
        for name in wish.locks {
            // The table's own copy of the name, if it has one, so that each name is kept once.
            let known = self
                .locks
                .get_key_value(name)
                .map(|(known, _)| known.clone());
            let name = known.unwrap_or_else(|| name.clone());
            let lock = self.locks.entry(name.clone()).or_default();
            if let Some(idle_since) = lock.idle_since.take() {
                self.idle.remove(&idle_since);
            }
            fx.queue(&name, !lock.queue.is_empty());
            since = lock.granted;
            if wish.locks.len() == 1 {
                lock.queue.push_single(wish.priority, arrival, since);
            } else {
                lock.queue.insert_several(Turn::new(wish.priority, arrival));
            }
            lock.contenders.add(wish.session);
            locks.push(name);
        }
        fx.changes.push(Change::Queued {
            session: wish.session,
            request: wish.request,
            locks: locks.clone(),
        });
        fx.queued(wish.session, wish.request);
        let age = if locks.len() == 1 {
            Age::One { since }
        } else {
            Age::Several { seen: 0 }
        };
        let waiter = Waiter {
            session: wish.session,
            request: wish.request,
            locks,
            permits: wish.permits,
            priority: wish.priority,
            age,
            is_ahead: wish.is_ahead,
        };
        self.waiters.insert(arrival, waiter);
        if let Some(session) = self.sessions.get_mut(&wish.session) {
            let place = Place::Waiting(arrival);
            session.requests.insert(wish.request, place);
        }
    }

    fn has_full_queue(&self, names: &[LockName]) -> bool {
        let mut locks = names.iter().filter_map(|name| self.locks.get(name));
        locks.any(|lock| lock.queue.len() >= WAITERS_PER_LOCK_MAX)
    }

    /// Forgets the locks that were left longest ago, if there is no room for new ones otherwise.
    fn make_room(&mut self, names: &[LockName]) -> bool {
        let new = names.iter().filter(|&name| !self.locks.contains_key(name));
        let surplus = (self.locks.len() + new.count()).saturating_sub(LOCKS_MAX);
        if surplus == 0 {
            return true;
        }
        let idle = self.idle.iter().filter(|(_, name)| !names.contains(name));
        let oldest: Vec<u64> = idle.map(|(&since, _)| since).take(surplus).collect();
        if oldest.len() < surplus {
            return false;
        }
        for since in oldest {
            if let Some(name) = self.idle.remove(&since) {
                self.locks.remove(&name);
            }
        }
        true
    }
}

impl Waiter {
    /// Its place in the order, as one of its locks counts.
    pub(super) fn turn(&self, arrival: Arrival, lock: &Lock) -> Turn {
        let seen = self.age.seen(lock.granted);
        Turn::new(effective(self.priority, seen), arrival)
    }
}

fn names_each_once(locks: &[LockName]) -> bool {
    (1..=LOCKS_PER_REQUEST_MAX).contains(&locks.len())
        && locks.iter().collect::<BTreeSet<_>>().len() == locks.len()
}

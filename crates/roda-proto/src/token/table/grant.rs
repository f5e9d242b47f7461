//! Grants: who is chosen, and what follows when one is left or given up.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use minicbor::{Decode, Encode};

use super::effects::Effects;
use super::lock::Lock;
use super::queue::Arrival;
use super::session::Place;
use super::{Change, Table};
use crate::id::NodeId;
use crate::token::{
    FENCE_BLOCK, Fence, Frontier, LockName, LockOutcome, LockRefusal, Permits, RequestId, SessionId,
};

/// A request that was chosen. Nobody overtakes it any more.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub(super) struct Grant {
    #[n(0)]
    pub(super) session: SessionId,
    #[n(1)]
    pub(super) request: RequestId,
    #[n(2)]
    pub(super) locks: Vec<LockName>,
    #[n(3)]
    pub(super) permits: Permits,
    #[n(4)]
    pub(super) last: Fence,
    /// What must be left before it may be entered; empty: it is live.
    ///
    /// Invariant: whatever it cannot be inside with and was chosen before it is in here, or is in what
    /// must be left before one that is in here, and so on.
    #[n(5)]
    pub(super) after: BTreeSet<Fence>,
    #[n(6)]
    pub(super) is_revoked: bool,
    /// Somebody was chosen behind it before what its session had asked ahead.
    #[n(7)]
    #[cbor(default)]
    pub(super) is_passed: bool,
    /// The grants that have this one in `after`.
    #[cbor(skip)]
    pub(super) heirs: BTreeSet<Fence>,
}

impl Grant {
    pub(super) fn is_live(&self) -> bool {
        self.after.is_empty()
    }

    /// Whether somebody may be chosen behind it before what its session asked ahead. That must not change
    /// who is next on any other lock.
    pub(super) fn can_be_passed(&self) -> bool {
        !self.is_passed && self.locks.len() == 1
    }
}

/// How many fences a grant gets.
pub(super) fn fences(locks: usize, permits: Permits) -> u64 {
    if locks == 1 && permits == Permits::EXCLUSIVE {
        FENCE_BLOCK
    } else {
        1
    }
}

impl Table {
    /// The session has entered a grant and left it; so all that it had to wait for was left before.
    pub(super) fn release(
        &mut self,
        session: SessionId,
        fence: Fence,
        (frontier, held_millis): (&Frontier, u64),
        fx: &mut Effects,
    ) -> LockOutcome {
        if !self.sessions.contains_key(&session) {
            return LockOutcome::Refused(LockRefusal::NoSession);
        }
        let Some(grant) = self.grants.get(&fence) else {
            return LockOutcome::Done;
        };
        if grant.session != session {
            return LockOutcome::Refused(LockRefusal::NotAllowed);
        }
        for name in &grant.locks {
            if let Some(lock) = self.locks.get_mut(name) {
                lock.learn(held_millis);
            }
        }
        let left = self.left_before(fence);
        let mut touched = BTreeSet::new();
        let mut heirs = BTreeSet::new();
        for &fence in &left {
            let Some(grant) = self.detach(fence, fx) else {
                continue;
            };
            fx.changes.push(Change::Released {
                session: grant.session,
                fence,
            });
            heirs.extend(grant.heirs.difference(&left));
            // Also where only the earlier grant was: its own release, with what was written there,
            // comes too late to count.
            for name in &grant.locks {
                if let Some(lock) = self.locks.get_mut(name) {
                    lock.frontier.merge(frontier);
                }
            }
            touched.extend(grant.locks);
        }
        for heir in heirs {
            let keep = |after: &mut BTreeSet<Fence>| after.retain(|fence| !left.contains(fence));
            self.take_out(heir, keep, &mut touched, fx);
            self.tell_promotion(heir, fx);
        }
        self.settle(touched, fx);
        LockOutcome::Done
    }

    /// Takes grants away that are not entered any more: whoever came behind one of them now waits for
    /// what that one had to wait for, and keeps its place.
    ///
    /// A sharing grant may come to wait for another sharing one in this way. It has to: exclusive grants
    /// behind it count on it to be left after whatever was before it.
    pub(super) fn withdraw(
        &mut self,
        fences: &[Fence],
        touched: &mut BTreeSet<LockName>,
        fx: &mut Effects,
    ) {
        let mut heirs = BTreeSet::new();
        for &fence in fences {
            let Some(grant) = self.detach(fence, fx) else {
                continue;
            };
            for &before in &grant.after {
                if let Some(predecessor) = self.grants.get_mut(&before) {
                    predecessor.heirs.remove(&fence);
                    predecessor.heirs.extend(&grant.heirs);
                    fx.touch(predecessor.session, before);
                }
            }
            for &heir in &grant.heirs {
                let replace = |after: &mut BTreeSet<Fence>| {
                    after.remove(&fence);
                    after.extend(&grant.after);
                };
                self.take_out(heir, replace, touched, fx);
            }
            heirs.extend(grant.heirs);
            touched.extend(grant.locks);
        }
        for heir in heirs {
            self.tell_promotion(heir, fx);
        }
    }

    /// Asks whoever has the lock to leave it.
    pub(super) fn force(
        &mut self,
        name: &LockName,
        by: NodeId,
        upto: Fence,
        fx: &mut Effects,
    ) -> LockOutcome {
        let outstanding = self.locks.get(name).map(|lock| &lock.outstanding);
        let fences = outstanding.into_iter().flat_map(|all| all.grants.iter());
        let is_live =
            |fence: &Fence| *fence <= upto && self.grants.get(fence).is_some_and(Grant::is_live);
        let live: Vec<Fence> = fences.copied().filter(is_live).collect();
        if live.is_empty() {
            return LockOutcome::Refused(LockRefusal::NotHeld);
        }
        for fence in live {
            let Some(grant) = self.grants.get_mut(&fence) else {
                continue;
            };
            if !grant.is_revoked {
                grant.is_revoked = true;
                let session = grant.session;
                fx.touch(session, fence);
                fx.changes.push(Change::Revoked { session, fence, by });
            }
        }
        LockOutcome::Done
    }

    /// Chooses whoever can be chosen after these locks have changed, and forgets locks without use.
    pub(super) fn settle(&mut self, mut changed: BTreeSet<LockName>, fx: &mut Effects) {
        while let Some(name) = changed.pop_first() {
            while let Some((arrival, after)) = self.choose(&name) {
                changed.extend(self.grant(arrival, after, fx));
            }
            let Some(lock) = self.locks.get_mut(&name) else {
                continue;
            };
            if !lock.is_idle() {
                continue;
            }
            if lock.frontier.0.is_empty() {
                self.locks.remove(&name);
            } else if lock.idle_since.is_none() {
                self.counters.idle += 1;
                lock.idle_since = Some(self.counters.idle);
                self.idle.insert(self.counters.idle, name);
            }
        }
    }

    /// The next waiter of a lock, if it is next on all its locks and has a place on each.
    pub(super) fn choose(&self, name: &LockName) -> Option<(Arrival, BTreeSet<Fence>)> {
        let first = self.next_of(self.locks.get(name)?)?;
        let waiter = self.waiters.get(&first)?;
        let mut after = BTreeSet::new();
        let mut has_room_ahead = true;
        for name in &waiter.locks {
            let lock = self.locks.get(name)?;
            if self.next_of(lock)? != first {
                return None;
            }
            has_room_ahead &= lock.has_room_ahead();
            lock.outstanding.behind(waiter.permits)?.extend(&mut after);
        }
        (after.is_empty() || has_room_ahead).then_some((first, after))
    }

    /// Who is to be chosen next for a lock: the first in its queue.
    ///
    /// What a session asked ahead does not follow a grant of its own, for its client could not be back in
    /// time. Whoever is behind it comes before it then, once for each such grant; but no client's own request
    /// of that session is passed: should one be there, nobody is chosen until the grant is left.
    fn next_of(&self, lock: &Lock) -> Option<Arrival> {
        let first = lock.queue.first(lock.granted)?;
        let last = lock.outstanding.grants.last();
        let last = last.and_then(|fence| self.grants.get(fence));
        let Some(last) = last.filter(|last| last.can_be_passed()) else {
            return Some(first.arrival);
        };
        let of_last = |arrival: Arrival| {
            let waiter = self.waiters.get(&arrival);
            waiter.filter(|waiter| waiter.session == last.session)
        };
        let is_ahead = |arrival: Arrival| of_last(arrival).is_some_and(|waiter| waiter.is_ahead);
        if !is_ahead(first.arrival) {
            return Some(first.arrival);
        }
        let is_meant = |arrival| !is_ahead(arrival);
        let next = lock.queue.first_that(lock.granted, is_meant)?;
        of_last(next.arrival).is_none().then_some(next.arrival)
    }

    /// Remembers on which of its locks a waiter that is chosen passes others.
    fn note_passing(&mut self, arrival: Arrival, locks: &[LockName]) {
        for name in locks {
            let Some(lock) = self.locks.get(name) else {
                continue;
            };
            let first = lock.queue.first(lock.granted);
            let last = lock.outstanding.grants.last();
            if first.is_some_and(|first| first.arrival != arrival)
                && let Some(last) = last.and_then(|fence| self.grants.get_mut(fence))
            {
                last.is_passed = true;
            }
        }
    }

    /// Grants a waiter all its locks; returns them.
    fn grant(
        &mut self,
        arrival: Arrival,
        after: BTreeSet<Fence>,
        fx: &mut Effects,
    ) -> Vec<LockName> {
        let locks = self
            .waiters
            .get(&arrival)
            .map(|waiter| waiter.locks.clone());
        self.note_passing(arrival, &locks.unwrap_or_default());
        let Some(waiter) = self.dequeue(arrival, fx) else {
            return Vec::new();
        };
        let fence = Fence(self.counters.fence + 1);
        self.counters.fence += fences(waiter.locks.len(), waiter.permits);
        for name in &waiter.locks {
            if let Some(lock) = self.locks.get_mut(name) {
                lock.granted += 1;
                lock.contenders.add(waiter.session);
                let outstanding = &mut lock.outstanding;
                outstanding.insert(fence, waiter.permits, after.is_empty());
            }
            self.age(name);
        }
        for before in &after {
            if let Some(predecessor) = self.grants.get_mut(before) {
                predecessor.heirs.insert(fence);
                fx.touch(predecessor.session, *before);
            }
        }
        if let Some(session) = self.sessions.get_mut(&waiter.session) {
            let place = Place::Granted(fence);
            session.requests.insert(waiter.request, place);
        }
        fx.touch(waiter.session, fence);
        fx.changes.push(Change::Granted {
            session: waiter.session,
            request: waiter.request,
            locks: waiter.locks.clone(),
            fence,
            after: after.iter().copied().collect(),
        });
        let grant = Grant {
            session: waiter.session,
            request: waiter.request,
            locks: waiter.locks.clone(),
            permits: waiter.permits,
            last: Fence(self.counters.fence),
            after,
            is_revoked: false,
            is_passed: false,
            heirs: BTreeSet::new(),
        };
        self.grants.insert(fence, grant);
        waiter.locks
    }

    /// A grant that was left, and all that must have been left before it could be entered.
    fn left_before(&self, fence: Fence) -> BTreeSet<Fence> {
        let mut left = BTreeSet::new();
        let mut open = Vec::from([fence]);
        while let Some(fence) = open.pop() {
            if left.insert(fence)
                && let Some(grant) = self.grants.get(&fence)
            {
                open.extend(&grant.after);
            }
        }
        left
    }

    /// Takes a grant from its locks and its session; other grants may still point at it.
    fn detach(&mut self, fence: Fence, fx: &mut Effects) -> Option<Grant> {
        let grant = self.grants.remove(&fence)?;
        for name in &grant.locks {
            if let Some(lock) = self.locks.get_mut(name) {
                let outstanding = &mut lock.outstanding;
                outstanding.remove(fence, grant.permits, grant.is_live());
                lock.contenders.remove(grant.session);
            }
        }
        if let Some(session) = self.sessions.get_mut(&grant.session) {
            session.requests.remove(&grant.request);
            fx.gone(grant.session, fence);
        }
        Some(grant)
    }

    /// Takes grants that are no more out of what a chosen one has to wait for.
    /// Where it becomes live by that, there is room for another successor.
    fn take_out(
        &mut self,
        heir: Fence,
        from: impl FnOnce(&mut BTreeSet<Fence>),
        touched: &mut BTreeSet<LockName>,
        fx: &mut Effects,
    ) {
        let Some(grant) = self.grants.get_mut(&heir) else {
            return;
        };
        from(&mut grant.after);
        fx.touch(grant.session, heir);
        if grant.is_live() {
            for name in &grant.locks {
                if let Some(lock) = self.locks.get_mut(name) {
                    lock.outstanding.frozen -= 1;
                }
            }
            touched.extend(grant.locks.iter().cloned());
        }
    }

    /// Says that a grant is live, if it is; it was not before.
    fn tell_promotion(&self, heir: Fence, fx: &mut Effects) {
        if let Some(grant) = self.grants.get(&heir)
            && grant.is_live()
        {
            fx.changes.push(Change::Promoted {
                session: grant.session,
                fence: heir,
            });
        }
    }
}

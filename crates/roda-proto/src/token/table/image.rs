//! Reading a table back. Only what cannot be derived is written; the rest is built anew and compared.

use alloc::collections::{BTreeMap, BTreeSet};

use minicbor::Decode;
use thiserror::Error;

use super::grant::{Grant, fences};
use super::lock::Lock;
use super::queue::{Age, Arrival, Waiter, grants_to_top};
use super::session::{Place, Session};
use super::{Counters, Table};
use crate::token::{
    FENCE_BLOCK, FENCE_START_MAX, Fence, GRANTS_PER_LOCK_MAX, LOCKS_MAX, LOCKS_PER_REQUEST_MAX,
    LockName, Permits, REQUESTS_MAX, REQUESTS_PER_SESSION_MAX, RequestId, SESSION_MILLIS_MAX,
    SESSION_MILLIS_MIN, SESSIONS_MAX, SUCCESSORS_MAX, SessionId, WAITERS_PER_LOCK_MAX,
};

/// Why something is no lock table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Inconsistent {
    /// A number is beyond what can be counted, or beyond its counter.
    #[error("a counter of the lock table is out of range")]
    Counter,
    /// More of something than there may be.
    #[error("the lock table is over a limit")]
    Limit,
    /// A session that is not as sessions are, or that does not exist.
    #[error("a session of the lock table is damaged or missing")]
    Session,
    /// A lock that is not as locks are, or that does not exist.
    #[error("a lock of the lock table is damaged or missing")]
    Lock,
    /// A waiter that is not as waiters are.
    #[error("a waiter of the lock table is damaged")]
    Waiter,
    /// A grant that is not as grants are.
    #[error("a grant of the lock table is damaged")]
    Grant,
    /// More are inside a lock than their permits allow.
    #[error("the lock table has too many inside one lock")]
    Crowded,
    /// An index does not say what it is made from.
    #[error("an index of the lock table is wrong")]
    Index,
}

/// What is written of a table.
#[derive(Decode)]
struct Image {
    #[n(0)]
    counters: Counters,
    #[n(1)]
    sessions: BTreeMap<SessionId, Session>,
    #[n(2)]
    locks: BTreeMap<LockName, Lock>,
    #[n(3)]
    waiters: BTreeMap<Arrival, Waiter>,
    #[n(4)]
    grants: BTreeMap<Fence, Grant>,
}

impl<'b, C> Decode<'b, C> for Table {
    fn decode(
        decoder: &mut minicbor::Decoder<'b>,
        context: &mut C,
    ) -> Result<Self, minicbor::decode::Error> {
        let image = Image::decode(decoder, context)?;
        Self::build(image).map_err(|_why| minicbor::decode::Error::message("not a lock table"))
    }
}

impl Table {
    /// Whether all that must hold within a table does: sessions of waiters and grants live, limits are
    /// kept, nobody is inside who must not be, and every index is what it is made from. Slow.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), Inconsistent> {
        let mut image = Image {
            counters: self.counters,
            sessions: self.sessions.clone(),
            locks: self.locks.clone(),
            waiters: self.waiters.clone(),
            grants: self.grants.clone(),
        };
        for session in image.sessions.values_mut() {
            session.requests = BTreeMap::new();
        }
        for lock in image.locks.values_mut() {
            (lock.queue, lock.outstanding, lock.contenders) = Default::default();
        }
        for grant in image.grants.values_mut() {
            grant.heirs = BTreeSet::new();
        }
        if Self::build(image)? == *self {
            Ok(())
        } else {
            Err(Inconsistent::Index)
        }
    }

    fn build(image: Image) -> Result<Self, Inconsistent> {
        let mut table = Self {
            counters: image.counters,
            ..Self::default()
        };
        table.counters.check()?;
        if image.waiters.len() + image.grants.len() > REQUESTS_MAX
            || image.sessions.len() > SESSIONS_MAX
            || image.locks.len() > LOCKS_MAX
        {
            return Err(Inconsistent::Limit);
        }
        for (id, session) in image.sessions {
            table.build_session(id, session)?;
        }
        table.locks = image.locks;
        for (arrival, waiter) in image.waiters {
            table.build_waiter(arrival, waiter)?;
        }
        let mut free = Fence(1);
        for (fence, grant) in image.grants {
            if fence < free {
                return Err(Inconsistent::Grant);
            }
            free = Fence(grant.last.0.saturating_add(1));
            table.build_grant(fence, grant)?;
        }
        table.build_locks()?;
        Ok(table)
    }

    fn build_session(&mut self, id: SessionId, session: Session) -> Result<(), Inconsistent> {
        let millis = SESSION_MILLIS_MIN..=SESSION_MILLIS_MAX;
        if id.0 > self.counters.session || session.version > COUNTER_MAX {
            return Err(Inconsistent::Counter);
        }
        let boot = (session.node, session.boot);
        if !millis.contains(&session.millis)
            || !session.seen.is_sound()
            || self.boots.insert(boot, id).is_some()
        {
            return Err(Inconsistent::Session);
        }
        self.sessions.insert(id, session);
        Ok(())
    }

    fn build_waiter(&mut self, arrival: Arrival, mut waiter: Waiter) -> Result<(), Inconsistent> {
        if arrival.0 > self.counters.arrival {
            return Err(Inconsistent::Counter);
        }
        let place = Place::Waiting(arrival);
        self.build_request(waiter.session, waiter.request, place)?;
        self.build_names(&mut waiter.locks)?;
        let is_alone = waiter.locks.len() == 1;
        if waiter.is_ahead && !(is_alone && waiter.permits == Permits::EXCLUSIVE) {
            return Err(Inconsistent::Waiter);
        }
        for name in &waiter.locks {
            let lock = self.locks.get_mut(name).ok_or(Inconsistent::Lock)?;
            match waiter.age {
                Age::One { since } if is_alone && since <= lock.granted => {
                    lock.queue.push_single(waiter.priority, arrival, since);
                }
                Age::Several { seen } if !is_alone && seen <= grants_to_top(waiter.priority) => {
                    let turn = waiter.turn(arrival, lock);
                    lock.queue.insert_several(turn);
                }
                Age::One { .. } | Age::Several { .. } => return Err(Inconsistent::Waiter),
            }
            lock.contenders.add(waiter.session);
        }
        self.waiters.insert(arrival, waiter);
        Ok(())
    }

    fn build_grant(&mut self, fence: Fence, mut grant: Grant) -> Result<(), Inconsistent> {
        if grant.last.0 > self.counters.fence {
            return Err(Inconsistent::Counter);
        }
        let place = Place::Granted(fence);
        self.build_request(grant.session, grant.request, place)?;
        self.build_names(&mut grant.locks)?;
        let block = fences(grant.locks.len(), grant.permits);
        let is_semaphore = grant.permits != Permits::EXCLUSIVE && grant.permits != Permits::SHARED;
        if fence.0.checked_add(block - 1) != Some(grant.last.0)
            || (is_semaphore && !grant.is_live())
        {
            return Err(Inconsistent::Grant);
        }
        for before in &grant.after {
            // Only those with smaller fences are there yet: so nothing waits for itself.
            let predecessor = self.grants.get_mut(before).ok_or(Inconsistent::Grant)?;
            predecessor.heirs.insert(fence);
        }
        for name in &grant.locks {
            let lock = self.locks.get_mut(name).ok_or(Inconsistent::Lock)?;
            let outstanding = &mut lock.outstanding;
            outstanding.insert(fence, grant.permits, grant.is_live());
            lock.contenders.add(grant.session);
        }
        self.grants.insert(fence, grant);
        Ok(())
    }

    fn build_request(
        &mut self,
        id: SessionId,
        request: RequestId,
        place: Place,
    ) -> Result<(), Inconsistent> {
        let session = self.sessions.get_mut(&id);
        let session = session.ok_or(Inconsistent::Session)?;
        if !session.seen.contains(request) || session.requests.insert(request, place).is_some() {
            return Err(Inconsistent::Session);
        }
        if session.requests.len() > REQUESTS_PER_SESSION_MAX {
            return Err(Inconsistent::Limit);
        }
        Ok(())
    }

    /// Names of locks that exist, each once; replaced by the table's own copies.
    fn build_names(&self, names: &mut [LockName]) -> Result<(), Inconsistent> {
        let known: BTreeSet<&LockName> = names.iter().collect();
        if !(1..=LOCKS_PER_REQUEST_MAX).contains(&names.len()) || known.len() != names.len() {
            return Err(Inconsistent::Limit);
        }
        for name in names {
            let known = self.locks.get_key_value(name).ok_or(Inconsistent::Lock)?;
            *name = known.0.clone();
        }
        Ok(())
    }

    fn build_locks(&mut self) -> Result<(), Inconsistent> {
        for (name, lock) in &self.locks {
            if lock.queue.len() > WAITERS_PER_LOCK_MAX
                || lock.outstanding.grants.len() > GRANTS_PER_LOCK_MAX
            {
                return Err(Inconsistent::Limit);
            }
            let is_deep = usize::from(lock.depth) > SUCCESSORS_MAX || lock.depth == 0;
            let is_remembered = lock.is_idle() && !lock.frontier.0.is_empty();
            if is_deep
                || lock.granted > COUNTER_MAX
                || !lock.frontier.is_canonical()
                || !lock.queue.is_sound()
                || lock.is_idle() != lock.idle_since.is_some()
                || lock.is_idle() != is_remembered
            {
                return Err(Inconsistent::Lock);
            }
            if let Some(since) = lock.idle_since
                && (since > self.counters.idle || self.idle.insert(since, name.clone()).is_some())
            {
                return Err(Inconsistent::Counter);
            }
            self.check_inside(lock)?;
        }
        Ok(())
    }

    /// Whether all that are inside a lock may be inside together.
    fn check_inside(&self, lock: &Lock) -> Result<(), Inconsistent> {
        let grants = lock.outstanding.grants.iter();
        let live = grants.filter_map(|fence| self.grants.get(fence).filter(|g| g.is_live()));
        let (mut count, mut most) = (0_u32, Permits::SHARED);
        for grant in live {
            count += 1;
            most = most.min(grant.permits);
        }
        if count > most.value() {
            return Err(Inconsistent::Crowded);
        }
        Ok(())
    }
}

impl Counters {
    fn check(self) -> Result<(), Inconsistent> {
        // Far from the end, so that nothing that is counted up can run over.
        let are_small = [self.session, self.arrival, self.idle]
            .iter()
            .all(|&counter| counter <= COUNTER_MAX);
        if are_small && self.fence <= FENCE_MAX {
            Ok(())
        } else {
            Err(Inconsistent::Counter)
        }
    }
}

const COUNTER_MAX: u64 = 1 << 62;
/// Leaves every start room for more grants than can ever be made.
const FENCE_MAX: u64 = FENCE_START_MAX.0 + (COUNTER_MAX / FENCE_BLOCK) * FENCE_BLOCK;

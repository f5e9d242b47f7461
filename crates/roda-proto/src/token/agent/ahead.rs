//! Asking ahead: for the next turns before a client wants them.
//!
//! A request must be agreed on before it can follow another, and that takes many times as long as the way
//! of a token. If all who want a lock ask again only after they have left, the token soon has nobody to go
//! to. So where clients come back again and again for a lock that other nodes want too, the node keeps
//! some *turns* in the table's queue that are no client's yet. The next client that wants the same *adopts*
//! the oldest, whether it waits or is chosen already; from then on it is that client's request like any
//! other, and another turn is asked for in its place.
//!
//! How many turns, follows from what the table says about the lock ([`GrantView::share`]): with short holds,
//! and shared among all nodes that want it, as many as there are places for successors. One is added after
//! every few returns, and one less is kept after each that nobody adopted in time: its lock is entered and left
//! at once. All rules for entering hold for it, nobody waits for a client that may never come, and the token
//! is not kept longer than a message takes.
//!
//! What clients have left alone for a moment is taken back, so that the queue shows nobody who does not wait.
//!
//! [`GrantView::share`]: super::super::GrantView::share

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::super::{Priority, SUCCESSORS_MAX};
use super::holds::earlier;
use super::{Acquire, Agent, Fence, LockName, Permits, Request, RequestId};
use crate::time::Timestamp;

/// Most locks for which a node remembers how its clients come back.
pub(super) const WATCHED_MAX: usize = 64;

/// Whoever wants the same lock so soon after it was left has come back.
pub(super) const COMES_BACK: Duration = Duration::from_millis(2);

/// What nobody has touched for so long is taken back: several times what an entry takes on a slow disk.
pub(super) const LEFT_ALONE: Duration = Duration::from_millis(100);

/// After so many returns one more turn is asked ahead.
pub(super) const RETURNS_PER_TURN: u8 = 4;

/// Beyond so many requests of its clients a node asks nothing ahead: it has turns enough.
pub(super) const REQUESTS_MAX: usize = 64;

/// Most turns asked for at once: one for that which was adopted, and one more.
const AT_ONCE: usize = 2;

/// How clients come back, by lock.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    locks: BTreeMap<LockName, Watch>,
    /// When the first turns could have been left alone for long enough.
    check: Option<Timestamp>,
}

/// Of one lock, and requests for this lock alone.
#[derive(Debug)]
struct Watch {
    /// What is asked ahead has this priority.
    priority: Priority,
    /// As the table said last: how many requests of this node are enough, its clients' too.
    share: usize,
    /// How many turns may be asked ahead now.
    allowed: usize,
    /// How many times in a row clients have come back since that grew.
    returns: u8,
    /// When it was left last, if nobody has asked since.
    left: Option<Timestamp>,
    /// When a client last asked for it or left it.
    touched: Timestamp,
    /// Requests that are no client's yet, the oldest first. Invariant: each is `Waiting` or `Chosen`.
    turns: VecDeque<RequestId>,
}

impl Ahead {
    /// The table says how many requests for a lock are enough.
    fn note_share(&mut self, lock: &LockName, priority: Priority, share: u8, now: Timestamp) {
        let share = usize::from(share).min(SUCCESSORS_MAX);
        if let Some(watch) = self.locks.get_mut(lock) {
            watch.share = share;
            watch.allowed = watch.allowed.min(share.saturating_sub(1));
            return;
        }
        if share == 0 || !self.make_room() {
            return;
        }
        let watch = Watch {
            priority,
            share,
            allowed: 0,
            returns: 0,
            left: None,
            touched: now,
            turns: VecDeque::new(),
        };
        self.locks.insert(lock.clone(), watch);
    }

    /// A client has left a lock.
    fn note_left(&mut self, lock: &LockName, now: Timestamp) {
        if let Some(watch) = self.locks.get_mut(lock) {
            watch.left = Some(now);
            watch.touched = now;
        }
    }

    /// A client asks for a lock.
    pub(super) fn note_asked(&mut self, lock: &LockName, priority: Priority, now: Timestamp) {
        let Some(watch) = self.locks.get_mut(lock) else {
            return;
        };
        watch.touched = now;
        if watch.priority != priority {
            watch.forget();
            if watch.turns.is_empty() {
                watch.priority = priority;
            }
            return;
        }
        let Some(left) = watch.left.take() else {
            return;
        };
        if now.since(left) > COMES_BACK {
            watch.forget();
            return;
        }
        watch.returns += 1;
        if watch.returns == RETURNS_PER_TURN {
            watch.returns = 0;
            watch.allowed = (watch.allowed + 1).min(watch.share.saturating_sub(1));
        }
    }

    /// The oldest turn for a lock and priority.
    fn pop(&mut self, lock: &LockName, priority: Priority) -> Option<RequestId> {
        let watch = self.locks.get_mut(lock)?;
        if watch.priority == priority {
            watch.turns.pop_front()
        } else {
            None
        }
    }

    /// The turn is none any more. `None`: it was none. Otherwise whether the lock was left alone.
    fn remove(&mut self, lock: &LockName, turn: RequestId, now: Timestamp) -> Option<bool> {
        let watch = self.locks.get_mut(lock)?;
        let at = watch.turns.iter().position(|one| *one == turn)?;
        watch.turns.remove(at);
        watch.allowed = watch.allowed.saturating_sub(1);
        watch.returns = 0;
        Some(watch.left.is_some_and(|left| now.since(left) > COMES_BACK))
    }

    /// Takes out all turns for a lock.
    fn take(&mut self, lock: &LockName) -> VecDeque<RequestId> {
        let Some(watch) = self.locks.get_mut(lock) else {
            return VecDeque::new();
        };
        watch.forget();
        core::mem::take(&mut watch.turns)
    }

    /// Makes room for one more lock, if need be: that which nobody has touched for longest is forgotten.
    fn make_room(&mut self) -> bool {
        if self.locks.len() < WATCHED_MAX {
            return true;
        }
        let free = self
            .locks
            .iter()
            .filter(|(_, watch)| watch.turns.is_empty());
        let oldest = free.min_by_key(|(_, watch)| watch.touched);
        let oldest = oldest.map(|(lock, _)| lock.clone());
        oldest.is_some_and(|lock| self.locks.remove(&lock).is_some())
    }

    /// When to look whether turns were left alone.
    pub(super) const fn next_deadline(&self) -> Option<Timestamp> {
        self.check
    }

    /// How many locks are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.locks.len()
    }

    /// Requests that are no client's yet.
    #[cfg(test)]
    pub(super) fn turns(&self) -> Vec<RequestId> {
        let turns = self.locks.values().flat_map(|watch| &watch.turns);
        turns.copied().collect()
    }
}

impl Watch {
    /// Clients must come back anew before anything is asked ahead.
    const fn forget(&mut self) {
        self.returns = 0;
        self.allowed = 0;
    }
}

impl Agent {
    /// The table has told of a grant.
    pub(super) fn watch_share(&mut self, fence: Fence, share: u8) {
        if let Some(grant) = self.grants.get(&fence)
            && grant.is_for_one()
        {
            let (lock, priority) = (&grant.wish.locks[0], grant.wish.priority);
            self.ahead.note_share(lock, priority, share, self.now);
        }
    }

    /// A client is about to leave a grant.
    pub(super) fn watch_leaving(&mut self, fence: Fence) {
        if let Some(grant) = self.grants.get(&fence)
            && grant.is_for_one()
        {
            self.ahead.note_left(&grant.wish.locks[0], self.now);
        }
    }

    /// A client wants what it cannot enter at once: gives it the oldest turn that was asked ahead, if there
    /// is one.
    pub(super) fn adopt(&mut self, lock: &LockName, priority: Priority) -> Option<RequestId> {
        let turn = self.ahead.pop(lock, priority)?;
        self.ask_ahead(lock, priority);
        if let Some(Request::Chosen(fence)) = self.requests.get(&turn) {
            self.try_enter(*fence);
        }
        Some(turn)
    }

    /// Asks for turns in the name of no client, if that is of use.
    pub(super) fn ask_ahead(&mut self, lock: &LockName, priority: Priority) {
        if !self.may_enter() || self.requests.len() > REQUESTS_MAX {
            return;
        }
        let Some(watch) = self.ahead.locks.get(lock) else {
            return;
        };
        if watch.priority != priority || watch.allowed == 0 {
            return;
        }
        let enough = watch.share.min(1 + watch.allowed);
        let missing = enough.saturating_sub(self.waiting_for(lock));
        for _turn in 0..missing.min(AT_ONCE) {
            let wish = Acquire {
                locks: vec![lock.clone()],
                permits: Permits::EXCLUSIVE,
                priority,
            };
            let turn = self.ask_for(wish, true);
            if let Some(watch) = self.ahead.locks.get_mut(lock) {
                watch.turns.push_back(turn);
                let check = Some(watch.touched + LEFT_ALONE);
                self.ahead.check = earlier(self.ahead.check, check);
            }
        }
    }

    /// How many requests for this lock alone are not inside.
    fn waiting_for(&self, lock: &LockName) -> usize {
        let is_for_it = |wish: &Acquire| wish.locks.len() == 1 && wish.locks[0] == *lock;
        let is_waiting = |request: &&Request| match request {
            Request::Waiting { wish, .. } => is_for_it(wish),
            Request::Chosen(fence) => {
                let grant = self.grants.get(fence);
                grant.is_some_and(|grant| is_for_it(&grant.wish))
            }
            Request::Inside(_) | Request::Lost(_) => false,
        };
        self.requests.values().filter(is_waiting).count()
    }

    /// A grant was entered. If its request is no client's, that is over, and the lock must be left at once.
    pub(super) fn end_turn(&mut self, lock: &LockName, request: RequestId) -> bool {
        let Some(is_left_alone) = self.ahead.remove(lock, request, self.now) else {
            return false;
        };
        self.requests.remove(&request);
        if is_left_alone {
            self.take_back_turns(lock);
        }
        true
    }

    /// A request came to nothing. Says whether it was no client's; it is forgotten then.
    pub(super) fn drop_turn(&mut self, request: RequestId) -> bool {
        let turns = self.ahead.locks.iter();
        let mut of = turns.filter(|(_, watch)| watch.turns.contains(&request));
        let Some(lock) = of.next().map(|(lock, _)| lock.clone()) else {
            return false;
        };
        self.ahead.remove(&lock, request, self.now);
        self.requests.remove(&request);
        true
    }

    fn take_back_turns(&mut self, lock: &LockName) {
        for turn in self.ahead.take(lock) {
            self.drop_waiting(turn);
        }
    }

    /// Takes back turns that clients have left alone.
    pub(super) fn check_ahead(&mut self) {
        if self.ahead.check.is_none_or(|at| at > self.now) {
            return;
        }
        self.ahead.check = None;
        let mut left_alone = Vec::new();
        for (lock, watch) in &self.ahead.locks {
            if watch.turns.is_empty() {
                continue;
            }
            let due = watch.touched + LEFT_ALONE;
            if due <= self.now {
                left_alone.push(lock.clone());
            } else {
                self.ahead.check = earlier(self.ahead.check, Some(due));
            }
        }
        for lock in left_alone {
            self.take_back_turns(&lock);
        }
    }

    /// Takes back all turns, and forgets how clients came back: the session ends, or the node stops.
    pub(super) fn end_ahead(&mut self) {
        let ahead = core::mem::take(&mut self.ahead);
        for turn in ahead.locks.into_values().flat_map(|watch| watch.turns) {
            self.drop_waiting(turn);
        }
    }
}

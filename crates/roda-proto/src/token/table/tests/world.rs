//! Honest nodes around a table: they enter as early as they may, leave, and tell so late.

use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

use super::kit::*;
use crate::token::table::grant::Grant;
use crate::token::{
    Applied, Change, Fence, LockCommand, LockName, LockOutcome, Permits, RequestId, SessionId,
};

/// A step of the world; numbers pick one of what there is.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Open {
        node: u8,
        boot: u64,
    },
    Acquire {
        session: usize,
        locks: u8,
        permits: u32,
        priority: u8,
        /// If it is for one lock and one alone.
        is_ahead: bool,
    },
    Enter {
        grant: usize,
    },
    Leave {
        grant: usize,
    },
    /// A release that was made arrives.
    Release {
        grant: usize,
        held_millis: u64,
    },
    Cancel {
        request: usize,
    },
    End {
        session: usize,
        close: bool,
    },
    Force {
        lock: u8,
    },
    Replay {
        command: usize,
    },
}

/// What really happens, as opposed to what the table knows.
#[derive(Default)]
pub(super) struct World {
    pub(super) kit: Kit,
    chosen: BTreeMap<Fence, Chosen>,
    /// Grants that were entered and left: whoever comes behind them has their token.
    left: BTreeSet<Fence>,
    history: Vec<LockCommand>,
    requests: u64,
    last_fence: Fence,
    granted: BTreeMap<LockName, u64>,
    /// So many grants the lock may have made when the waiter is chosen.
    limits: BTreeMap<(SessionId, RequestId, LockName), u64>,
}

struct Chosen {
    session: SessionId,
    request: RequestId,
    locks: Vec<LockName>,
    permits: Permits,
    /// Every `after` that was ever told.
    versions: Vec<BTreeSet<Fence>>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    NotEntered,
    Inside,
    Left,
}

const LOCKS: [&str; 4] = ["a", "b", "c", "d"];

impl World {
    pub(super) fn step(&mut self, step: &Step) {
        match *step {
            Step::Open { node: number, boot } => {
                self.run(LockCommand::Open {
                    node: node(number),
                    boot,
                    session_millis: 1,
                });
            }
            Step::Acquire {
                session,
                locks,
                permits: number,
                priority,
                is_ahead,
            } => {
                if let Some(session) = pick(&self.sessions(), session) {
                    self.requests += 1;
                    let locks = subset(locks);
                    let permits = permits(number);
                    let request = self.requests;
                    let is_for_one = permits == Permits::EXCLUSIVE && !locks.contains(',');
                    let acquire = acquire_as(session.0, request, &locks, permits, priority);
                    self.run(if is_ahead && is_for_one {
                        ahead(acquire)
                    } else {
                        acquire
                    });
                }
            }
            Step::Enter { grant } => self.enter(grant),
            Step::Leave { grant } => {
                if let Some(fence) = pick(&self.in_state(State::Inside), grant) {
                    self.left.insert(fence);
                    self.chosen.get_mut(&fence).unwrap().state = State::Left;
                }
            }
            Step::Release { grant, held_millis } => {
                if let Some(fence) = pick(&self.in_state(State::Left), grant) {
                    let session = self.chosen[&fence].session;
                    self.run(release(session.0, fence, held_millis));
                }
            }
            Step::Cancel { request } => self.cancel(request),
            Step::End { session, close } => {
                if let Some(session) = pick(&self.sessions(), session) {
                    self.end(session, close);
                }
            }
            Step::Force { lock } => {
                let [lock] = names(LOCKS[usize::from(lock) % 4]).try_into().unwrap();
                self.run(LockCommand::Force {
                    lock,
                    by: node(1),
                    upto: Fence(u64::MAX),
                });
            }
            Step::Replay { command } => self.replay(command),
        }
        self.assert_nobody_is_crowded();
    }

    /// All that is inside leaves, until nothing is left; then nobody may be waiting.
    pub(super) fn drain(&mut self, pick_last: bool) {
        loop {
            let mut enterable = self.enterable();
            if pick_last {
                enterable.reverse();
            }
            if let Some(&fence) = enterable.first() {
                self.chosen.get_mut(&fence).unwrap().state = State::Inside;
                self.assert_nobody_is_crowded();
            }
            let inside = self.in_state(State::Inside);
            for fence in inside {
                self.left.insert(fence);
                self.chosen.get_mut(&fence).unwrap().state = State::Left;
            }
            let Some(fence) = pick(&self.in_state(State::Left), usize::from(pick_last)) else {
                break;
            };
            let session = self.chosen[&fence].session;
            self.run(release(session.0, fence, SHORT));
        }
        assert!(self.kit.table.waiters.is_empty(), "a waiter was forgotten");
        assert!(self.kit.table.grants.is_empty(), "a grant was forgotten");
        assert_eq!(self.kit.table.status(&[]), []);
    }

    pub(super) fn run(&mut self, command: LockCommand) -> LockOutcome {
        let mut applied = self.kit.apply(core::slice::from_ref(&command));
        self.kit.check();
        let mut again = self.kit.table.clone();
        let repeated = again.apply(core::slice::from_ref(&command));
        assert!(again == self.kit.table, "{command:?} is not idempotent");
        assert!(repeated.notices.is_empty() && repeated.changes.is_empty());
        self.history.push(command);
        self.observe(&applied);
        self.observe_bounds(&applied);
        applied.outcomes.remove(0)
    }

    pub(super) fn history(&self) -> &[LockCommand] {
        &self.history
    }

    fn enter(&mut self, grant: usize) {
        if let Some(fence) = pick(&self.enterable(), grant) {
            self.chosen.get_mut(&fence).unwrap().state = State::Inside;
        }
    }

    fn cancel(&mut self, request: usize) {
        let waiters = self.kit.table.waiters.values();
        let waiting = waiters.map(|waiter| (waiter.session, waiter.request));
        let not_entered = self
            .chosen
            .values()
            .filter(|c| c.state == State::NotEntered);
        let not_entered = not_entered.map(|chosen| (chosen.session, chosen.request));
        let all: Vec<_> = waiting.chain(not_entered).collect();
        if let Some((session, request)) = pick(&all, request) {
            self.run(cancel(session.0, request.0));
        }
    }

    /// The lease was over before: nothing of the session is inside any more.
    fn end(&mut self, session: SessionId, close: bool) {
        self.chosen.retain(|_, chosen| chosen.session != session);
        self.run(if close {
            LockCommand::Close { session }
        } else {
            LockCommand::Expire { session }
        });
    }

    fn replay(&mut self, command: usize) {
        let Some(command) = pick(&self.history, command) else {
            return;
        };
        let before = self.kit.table.clone();
        let may_act = matches!(
            command,
            LockCommand::Open { .. } | LockCommand::Force { .. }
        );
        self.run(command);
        assert!(
            may_act || before == self.kit.table,
            "a replay did something"
        );
    }

    fn observe(&mut self, applied: &Applied) {
        for change in &applied.changes {
            match change {
                Change::Granted { fence, .. } => {
                    assert!(*fence > self.last_fence, "a fence was used before");
                    let Some(grant) = self.kit.table.grants.get(fence) else {
                        panic!("granted and taken away by one command");
                    };
                    self.last_fence = grant.last;
                    self.chosen.insert(*fence, Chosen::new(grant));
                }
                Change::Released { fence, .. } => {
                    let chosen = self.chosen.remove(fence).unwrap();
                    assert_eq!(chosen.state, State::Left, "released, but nobody had left");
                }
                Change::Cancelled { session, request } => {
                    self.chosen
                        .retain(|_, c| (c.session, c.request) != (*session, *request));
                }
                Change::Opened { .. }
                | Change::Ended { .. }
                | Change::Queued { .. }
                | Change::Promoted { .. }
                | Change::Revoked { .. } => {}
            }
        }
        for view in applied
            .notices
            .iter()
            .flat_map(|(_, notice)| &notice.grants)
        {
            let chosen = self.chosen.get_mut(&view.fence).unwrap();
            chosen.versions.push(view.after.clone());
        }
    }

    fn observe_bounds(&mut self, applied: &Applied) {
        for change in &applied.changes {
            let Change::Granted {
                session,
                request,
                locks,
                ..
            } = change
            else {
                continue;
            };
            for lock in locks {
                let granted = self.granted.entry(lock.clone()).or_default();
                let key = (*session, *request, lock.clone());
                if let Some(limit) = self.limits.remove(&key) {
                    assert!(*granted <= limit, "overtaken more often than promised");
                }
                *granted += 1;
            }
        }
        for status in self.kit.table.status(&[]) {
            let granted = self.granted.get(&status.lock).copied().unwrap_or(0);
            let chosen = status.holders.iter().filter(|holder| !holder.is_live);
            let chosen = u64::try_from(chosen.count()).unwrap();
            for waiter in status.waiters {
                let limit = granted + waiter.bound - chosen;
                let key = (waiter.session, waiter.request, status.lock.clone());
                let known = self.limits.entry(key).or_insert(limit);
                assert!(limit <= *known, "a bound has grown");
                *known = limit;
            }
        }
    }

    fn assert_nobody_is_crowded(&self) {
        let mut inside: BTreeMap<&LockName, Vec<Permits>> = BTreeMap::new();
        for chosen in self.chosen.values() {
            if chosen.state == State::Inside {
                for lock in &chosen.locks {
                    inside.entry(lock).or_default().push(chosen.permits);
                }
            }
        }
        for permits in inside.values() {
            let count = u32::try_from(permits.len()).unwrap();
            assert!(
                permits.iter().all(|p| count <= p.value()),
                "too many inside"
            );
        }
    }

    fn sessions(&self) -> Vec<SessionId> {
        self.kit.table.sessions().map(|(id, _, _)| id).collect()
    }

    fn in_state(&self, state: State) -> Vec<Fence> {
        let chosen = self.chosen.iter();
        let chosen = chosen.filter(|(_, chosen)| chosen.state == state);
        chosen.map(|(&fence, _)| fence).collect()
    }

    /// An agent may rely on any `after` that was ever committed, once it has the token of all in it.
    fn enterable(&self) -> Vec<Fence> {
        let not_entered = self.in_state(State::NotEntered).into_iter();
        let may_enter = |fence: &Fence| {
            let mut versions = self.chosen[fence].versions.iter();
            versions.any(|after| after.is_subset(&self.left))
        };
        not_entered.filter(may_enter).collect()
    }
}

impl Chosen {
    fn new(grant: &Grant) -> Self {
        Self {
            session: grant.session,
            request: grant.request,
            locks: grant.locks.clone(),
            permits: grant.permits,
            versions: Vec::new(),
            state: State::NotEntered,
        }
    }
}

fn pick<T: Clone>(all: &[T], number: usize) -> Option<T> {
    all.get(number.checked_rem(all.len())?).cloned()
}

pub(super) fn subset(mask: u8) -> std::string::String {
    let some = LOCKS.iter().enumerate();
    let some = some.filter(|(bit, _)| mask & (1 << bit) != 0);
    let some: Vec<&str> = some.map(|(_, &name)| name).collect();
    some.join(",")
}

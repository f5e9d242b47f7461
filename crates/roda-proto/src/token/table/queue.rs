//! Who waits for a lock, and whose turn it is.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::cmp::Reverse;

use minicbor::{Decode, Encode};

use crate::token::{AGING, LockName, Permits, Priority, RequestId, SessionId};

/// Number of a waiter: whoever came later has a larger one, whatever the lock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Encode, Decode)]
#[cbor(transparent)]
pub(super) struct Arrival(#[n(0)] pub(super) u64);

/// A request that waits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub(super) struct Waiter {
    #[n(0)]
    pub(super) session: SessionId,
    #[n(1)]
    pub(super) request: RequestId,
    #[n(2)]
    pub(super) locks: Vec<LockName>,
    #[n(3)]
    pub(super) permits: Permits,
    #[n(4)]
    pub(super) priority: Priority,
    #[n(5)]
    pub(super) age: Age,
    /// It is asked for before a client wants it.
    #[n(6)]
    #[cbor(default)]
    pub(super) is_ahead: bool,
}

/// How many grants of its locks a waiter has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub(super) enum Age {
    /// Waits for one lock: what the lock had granted when it came.
    #[n(0)]
    One {
        #[n(0)]
        since: u64,
    },
    /// Waits for several: the grants of all of them since it came, as far as they matter.
    #[n(1)]
    Several {
        #[n(0)]
        seen: u64,
    },
}

impl Age {
    /// Grants seen, when its lock, the only one if it is `One`, has granted `granted` times.
    pub(super) const fn seen(self, granted: u64) -> u64 {
        match self {
            Self::One { since } => granted.saturating_sub(since),
            Self::Several { seen } => seen,
        }
    }
}

/// After so many grants every waiter is of the highest priority.
pub(super) fn grants_to_top(priority: Priority) -> u64 {
    AGING * u64::from(Priority::MAX.value() - priority.value())
}

/// The priority of a waiter that has seen so many grants.
pub(super) fn effective(priority: Priority, seen: u64) -> Priority {
    let raised = u64::from(priority.value()).saturating_add(seen / AGING);
    u8::try_from(raised)
        .ok()
        .and_then(Priority::new)
        .unwrap_or(Priority::MAX)
}

/// A place in the order of all waiters; the smallest is first.
///
/// It is the same on every lock of a waiter. So some waiter is first on all of its locks whenever
/// somebody waits, and requests for several locks never block each other for good.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Turn {
    effective: Reverse<Priority>,
    pub(super) arrival: Arrival,
}

impl Turn {
    pub(super) const fn new(effective: Priority, arrival: Arrival) -> Self {
        Self {
            effective: Reverse(effective),
            arrival,
        }
    }

    pub(super) const fn effective(self) -> Priority {
        self.effective.0
    }
}

/// The waiters of one lock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Queue {
    /// Those that wait for this lock only, by priority, in the order of arrival. Whoever came earlier
    /// has seen at least as many grants: so the head of each line is its best, and no waiter has to
    /// be touched for growing older.
    lines: BTreeMap<Priority, VecDeque<Single>>,
    /// Those that wait for others too, which age by the grants of those as well.
    several: BTreeSet<Turn>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Single {
    arrival: Arrival,
    since: u64,
}

impl Queue {
    /// Adds a waiter for this lock only; nobody in the queue came later.
    pub(super) fn push_single(&mut self, priority: Priority, arrival: Arrival, since: u64) {
        let line = self.lines.entry(priority).or_default();
        line.push_back(Single { arrival, since });
    }

    /// Takes it out again.
    pub(super) fn remove_single(&mut self, priority: Priority, arrival: Arrival) {
        let Some(line) = self.lines.get_mut(&priority) else {
            return;
        };
        if let Ok(at) = line.binary_search_by_key(&arrival, |single| single.arrival) {
            line.remove(at);
        }
        if line.is_empty() {
            self.lines.remove(&priority);
        }
    }

    /// Adds a waiter for several locks.
    pub(super) fn insert_several(&mut self, turn: Turn) {
        self.several.insert(turn);
    }

    /// Takes it out again.
    pub(super) fn remove_several(&mut self, turn: Turn) {
        self.several.remove(&turn);
    }

    /// Waiters for several locks that can still rise.
    pub(super) fn rising(&self) -> Vec<Arrival> {
        let top = Turn::new(Priority::MAX, Arrival(u64::MAX));
        let rising = self.several.range(top..);
        rising.map(|turn| turn.arrival).collect()
    }

    /// Whose turn it is, when the lock has granted `granted` times.
    pub(super) fn first(&self, granted: u64) -> Option<Turn> {
        self.first_that(granted, |_| true)
    }

    /// As [`Self::first`], of those for which `is_meant` holds.
    pub(super) fn first_that(
        &self,
        granted: u64,
        is_meant: impl Fn(Arrival) -> bool,
    ) -> Option<Turn> {
        let heads = self.lines.iter().filter_map(|(&priority, line)| {
            let head = line.iter().find(|single| is_meant(single.arrival))?;
            Some(head.turn(priority, granted))
        });
        let several = self.several.iter().find(|turn| is_meant(turn.arrival));
        heads.chain(several.copied()).min()
    }

    /// All waiters, in order.
    pub(super) fn turns(&self, granted: u64) -> Vec<Turn> {
        let singles = self.lines.iter().flat_map(|(&priority, line)| {
            line.iter()
                .map(move |single| single.turn(priority, granted))
        });
        let mut turns: Vec<Turn> = singles.chain(self.several.iter().copied()).collect();
        turns.sort_unstable();
        turns
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.lines.values().map(VecDeque::len).sum::<usize>() + self.several.len()
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.several.is_empty()
    }

    /// Whether in every line whoever came earlier has seen as much as those behind.
    pub(super) fn is_sound(&self) -> bool {
        self.lines.values().all(|line| {
            let earlier = line.iter().zip(line.iter().skip(1));
            earlier
                .into_iter()
                .all(|(a, b)| a.arrival < b.arrival && a.since <= b.since)
        })
    }
}

impl Single {
    fn turn(self, priority: Priority, granted: u64) -> Turn {
        let seen = granted.saturating_sub(self.since);
        Turn::new(effective(priority, seen), self.arrival)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn priority(value: u8) -> Priority {
        Priority::new(value).unwrap()
    }

    #[test]
    fn a_waiter_rises_by_one_with_every_fourth_grant_and_stays_at_nine() {
        assert_eq!(effective(priority(0), AGING - 1), priority(0));
        assert_eq!(effective(priority(0), AGING), priority(1));
        assert_eq!(
            effective(priority(7), grants_to_top(priority(7)) - 1),
            priority(8)
        );
        assert_eq!(
            effective(priority(7), grants_to_top(priority(7))),
            Priority::MAX
        );
        assert_eq!(effective(priority(9), u64::MAX), Priority::MAX);
    }

    #[test]
    fn of_equals_whoever_came_first_is_first() {
        let mut queue = Queue::default();
        queue.push_single(priority(3), Arrival(1), 0);
        queue.insert_several(Turn::new(priority(3), Arrival(2)));
        queue.push_single(priority(4), Arrival(3), 4);
        let order = |granted| -> Vec<u64> {
            let turns = queue.turns(granted).into_iter();
            turns.map(|turn| turn.arrival.0).collect()
        };
        assert_eq!(order(0), [3, 1, 2]);
        assert_eq!(order(4), [1, 3, 2]);
        assert_eq!(queue.first(4).unwrap().arrival, Arrival(1));
    }

    #[test]
    fn only_those_below_the_top_can_rise() {
        let mut queue = Queue::default();
        queue.insert_several(Turn::new(priority(9), Arrival(1)));
        queue.insert_several(Turn::new(priority(8), Arrival(2)));
        queue.insert_several(Turn::new(priority(0), Arrival(3)));
        assert_eq!(queue.rising(), [Arrival(2), Arrival(3)]);
    }
}

//! Which request numbers a session has used up.

use alloc::collections::BTreeMap;

use minicbor::{Decode, Encode};

use crate::token::{REQUEST_GAPS_MAX, RequestId};

/// Request numbers as ranges, so that it stays small while numbers come more or less in order.
///
/// A command that comes again long after its request is over must not queue a second time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(transparent)]
pub(super) struct Seen(
    /// First number to last number. Invariant: ranges neither overlap nor touch.
    #[n(0)]
    BTreeMap<u64, u64>,
);

impl Seen {
    /// Adds a number.
    pub(super) fn insert(&mut self, request: RequestId) {
        let number = request.0;
        if self.contains(request) {
            return;
        }
        let below = self.0.range(..number).next_back().map(|(&a, &b)| (a, b));
        let first = match below {
            Some((first, last)) if last + 1 == number => first,
            Some(_) | None => number,
        };
        let above = number.checked_add(1);
        let last = above.and_then(|next| self.0.remove(&next));
        self.0.insert(first, last.unwrap_or(number));
        if self.0.len() > REQUEST_GAPS_MAX {
            self.close_lowest_gap();
        }
    }

    /// Whether the number was added.
    pub(super) fn contains(&self, request: RequestId) -> bool {
        let below = self.0.range(..=request.0).next_back();
        below.is_some_and(|(_, &last)| request.0 <= last)
    }

    /// Whether the ranges are as this type leaves them.
    pub(super) fn is_sound(&self) -> bool {
        let mut free = Some(0);
        self.0.len() <= REQUEST_GAPS_MAX
            && self.0.iter().all(|(&first, &last)| {
                let is_apart = free.is_some_and(|free| first >= free) && first <= last;
                free = last.checked_add(2);
                is_apart
            })
    }

    /// Whoever leaves so many numbers out has lost track of the lowest.
    fn close_lowest_gap(&mut self) {
        let Some((first, _)) = self.0.pop_first() else {
            return;
        };
        if let Some((_, last)) = self.0.pop_first() {
            self.0.insert(first, last);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn seen(numbers: &[u64]) -> Seen {
        let mut seen = Seen::default();
        for &number in numbers {
            seen.insert(RequestId(number));
            assert!(seen.is_sound());
        }
        seen
    }

    #[test]
    fn neighbours_become_one_range() {
        assert_eq!(seen(&[1, 3, 2, 5]).0, BTreeMap::from([(1, 3), (5, 5)]));
        assert_eq!(seen(&[2, 1, 0]).0, BTreeMap::from([(0, 2)]));
        let ends = seen(&[u64::MAX, 0, u64::MAX - 1, u64::MAX]);
        assert_eq!(ends.0, BTreeMap::from([(0, 0), (u64::MAX - 1, u64::MAX)]));
    }

    #[test]
    fn with_too_many_gaps_the_lowest_counts_as_used() {
        let even: Vec<u64> = (0..=u64::try_from(REQUEST_GAPS_MAX).unwrap())
            .map(|n| n * 2)
            .collect();
        let seen = seen(&even);
        assert!(seen.contains(RequestId(1)));
        assert!(!seen.contains(RequestId(3)));
        assert_eq!(seen.0.len(), REQUEST_GAPS_MAX);
    }
}

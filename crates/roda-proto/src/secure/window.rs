//! The replay window: which of a sender's datagram numbers were seen.

/// Numbers that the window covers; older ones count as seen.
pub const WINDOW: u64 = 4096;
const WORDS: usize = 64;

/// Remembers the newest [`WINDOW`] numbers of one sender.
///
/// Invariant: it never moves back, so a number accepted once is refused for ever (RFC 4303, §3.4.3).
#[derive(Clone)]
pub struct ReplayWindow {
    /// One above the greatest number seen.
    end: u64,
    seen: [u64; WORDS],
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self {
            end: 0,
            seen: [0; WORDS],
        }
    }
}

impl ReplayWindow {
    /// Whether `number` was neither seen nor fell out of the window.
    #[must_use]
    pub fn is_new(&self, number: u64) -> bool {
        if number >= self.end {
            return true;
        }
        self.end - number <= WINDOW && self.seen[Self::word(number)] & Self::bit(number) == 0
    }

    /// Remembers `number`, for which [`Self::is_new`] said yes and whose datagram proved authentic.
    pub fn mark(&mut self, number: u64) {
        if number >= self.end {
            let gap = number - self.end;
            if gap >= WINDOW {
                self.seen = [0; WORDS];
            } else {
                for skipped in self.end..number {
                    self.seen[Self::word(skipped)] &= !Self::bit(skipped);
                }
            }
            self.end = number.saturating_add(1);
        }
        self.seen[Self::word(number)] |= Self::bit(number);
    }

    fn word(number: u64) -> usize {
        usize::try_from((number % WINDOW) / 64).expect("below WORDS")
    }

    const fn bit(number: u64) -> u64 {
        1 << (number % 64)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_agrees_with_a_set_of_all_numbers(numbers in prop::collection::vec(0_u64..12_000, 1..2_000)) {
            let mut window = ReplayWindow::default();
            let mut seen = BTreeSet::new();
            for number in numbers {
                let newest = seen.last().copied();
                let too_old = newest.is_some_and(|newest: u64| newest + 1 > number + WINDOW);
                prop_assert_eq!(window.is_new(number), !too_old && !seen.contains(&number));
                if window.is_new(number) {
                    window.mark(number);
                    seen.insert(number);
                }
            }
        }
    }
}

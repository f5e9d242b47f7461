//! A count per second.

use crate::time::Timestamp;

/// So many per second, whatever comes.
pub(super) struct Budget {
    per_second: u32,
    second: u64,
    used: u32,
}

impl Budget {
    pub(super) const fn new(per_second: u32) -> Self {
        Self {
            per_second,
            second: 0,
            used: 0,
        }
    }

    /// Takes one, if this second has one left.
    pub(super) const fn take(&mut self, now: Timestamp) -> bool {
        let second = now.as_micros() / 1_000_000;
        if second != self.second {
            (self.second, self.used) = (second, 0);
        }
        let is_left = self.used < self.per_second;
        self.used += is_left as u32;
        is_left
    }
}

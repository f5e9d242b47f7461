//! Enough randomness for attackers and accidents; the same for the same seed.

/// A generator of numbers that look random.
pub(crate) struct Random(u64);

impl Random {
    /// One that begins with this seed.
    pub(crate) const fn new(seed: u64) -> Self {
        // From 0 it would never get away.
        Self(if seed == 0 { u64::MAX } else { seed })
    }

    /// The next number.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A byte.
    pub(crate) const fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    /// A number below the limit, which is not 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).expect("lengths fit in 64 bits");
        usize::try_from(self.next() % limit).expect("smaller than a length")
    }

    /// One of these, of which there is at least one.
    pub(crate) fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }
}

//! What chance decides about one power cut.

use crate::hosts::random::Random;

/// Which of a file's unsynced changes reach the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// All: the power fails when everything is written by chance, or it is the process that dies.
    Everything,
    /// None.
    Nothing,
    /// The first ones, and parts of the next.
    Prefix,
    /// Each or not.
    Some,
    /// Each sector of each or not.
    Sectors,
}

/// The decisions; the same seed makes the same.
pub(crate) struct Draw(Random);

impl Draw {
    /// Decisions that follow from a seed.
    pub(crate) fn new(seed: u64) -> Self {
        // Neighbouring seeds would begin alike.
        let mut random = Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for _ in 0..4 {
            random.next();
        }
        Self(random)
    }

    /// A number below the limit, which is not 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0.below(limit)
    }

    /// True once in so many times.
    pub(crate) fn chance(&mut self, of: usize) -> bool {
        // The low bits of this generator are its worst.
        let high = self.0.next() >> 33;
        usize::try_from(high).is_ok_and(|high| high.is_multiple_of(of))
    }

    /// How a file is hit.
    pub(crate) fn style(&mut self) -> Style {
        *self.0.pick(&[
            Style::Everything,
            Style::Nothing,
            Style::Prefix,
            Style::Prefix,
            Style::Some,
            Style::Sectors,
        ])
    }
}

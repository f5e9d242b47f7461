//! A node's clock that counts suspended time.

use roda_proto::Timestamp;

const MILLION: u64 = 1_000_000;

/// Runs at its own rate and never stops, whatever happens to the node's processes.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Timestamp,
    /// Microseconds of this clock in a million of the world's.
    rate: u64,
    started: Timestamp,
}

impl Clock {
    /// A clock that shows `origin` when the machine starts, at `world` time.
    #[must_use]
    pub fn new(rate_ppm: i64, world: Timestamp, origin: Timestamp) -> Self {
        Self {
            origin,
            rate: MILLION.saturating_add_signed(rate_ppm),
            started: world,
        }
    }

    /// What it shows.
    #[must_use]
    pub fn now(&self, world: Timestamp) -> Timestamp {
        let passed = world.as_micros().saturating_sub(self.started.as_micros());
        Timestamp::from_micros(self.origin.as_micros() + passed * self.rate / MILLION)
    }

    /// The first moment at which it shows `local` or more.
    #[must_use]
    pub fn to_world(&self, local: Timestamp) -> Timestamp {
        let shown = local.as_micros().saturating_sub(self.origin.as_micros());
        let passed = (shown * MILLION).div_ceil(self.rate);
        Timestamp::from_micros(self.started.as_micros() + passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_reached_too_early() {
        for rate_ppm in [-100_000, -1, 0, 77, 100_000] {
            let start = Timestamp::from_micros(500);
            let clock = Clock::new(rate_ppm, start, Timestamp::from_micros(9_999));
            for local in [9_999, 10_000, 12_345, 1_000_000_007].map(Timestamp::from_micros) {
                let world = clock.to_world(local);
                assert!(clock.now(world) >= local);
                let before = Timestamp::from_micros(world.as_micros().saturating_sub(1));
                assert!(world == start || clock.now(before) < local);
            }
        }
    }
}

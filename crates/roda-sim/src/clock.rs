//! A node's clocks: a monotonic one with a new origin at each start, and a wall clock that is
//! wrong, drifts and jumps.

use std::time::Duration;

use roda_proto::{Now, Timestamp, WallTime};

/// Wall-clock time at the start of every simulation: 2026-01-01.
pub const WALL_START: WallTime = WallTime(1_767_225_600_000);
/// A year, for clocks that are wrong by one.
pub const YEAR_MS: i64 = 365 * 24 * 3600 * 1000;

/// One node's clocks.
#[derive(Clone, Debug, Default)]
pub struct NodeClock {
    /// Milliseconds by which the wall clock is ahead.
    pub offset_ms: i64,
    /// Microseconds per second by which the wall clock is too fast.
    pub drift_ppm: i64,
    started: Timestamp,
    origin: Timestamp,
}

impl NodeClock {
    /// A new start at `world` time: the monotonic clock begins at `origin`, as after a reboot.
    pub const fn restart(&mut self, world: Timestamp, origin: Timestamp) {
        self.started = world;
        self.origin = origin;
    }

    /// What the node's clocks show.
    #[must_use]
    pub fn now(&self, world: Timestamp) -> Now {
        let true_ms = i64::try_from(WALL_START.0 + world.as_micros() / 1000).unwrap_or(i64::MAX);
        let micros = i64::try_from(world.as_micros()).unwrap_or(i64::MAX);
        let drift_ms = micros / 1_000_000 * self.drift_ppm / 1000;
        let wall_ms = true_ms + self.offset_ms + drift_ms;
        Now {
            mono: self.origin + world.since(self.started),
            wall: WallTime(u64::try_from(wall_ms).unwrap_or(0)),
        }
    }

    /// When the world reaches a moment of this node's monotonic clock.
    #[must_use]
    pub fn to_world(&self, mono: Timestamp) -> Timestamp {
        self.started + mono.since(self.origin)
    }

    /// Moves the wall clock.
    pub const fn jump(&mut self, by_ms: i64) {
        self.offset_ms += by_ms;
    }
}

/// The wall clock of a node whose clock is right.
#[must_use]
pub fn true_wall(world: Timestamp, later: Duration) -> WallTime {
    WallTime(WALL_START.0 + (world + later).as_micros() / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_come_back_to_world_time() {
        let mut clock = NodeClock::default();
        clock.restart(Timestamp::from_micros(500), Timestamp::from_micros(77));
        let now = clock.now(Timestamp::from_micros(800));
        assert_eq!(now.mono, Timestamp::from_micros(377));
        assert_eq!(clock.to_world(now.mono), Timestamp::from_micros(800));
    }

    #[test]
    fn the_wall_clock_drifts_and_jumps_without_the_monotonic_one() {
        let mut clock = NodeClock {
            drift_ppm: 1000,
            ..NodeClock::default()
        };
        let world = Timestamp::from_micros(10_000_000);
        clock.jump(-3);
        assert_eq!(clock.now(world).wall.0, WALL_START.0 + 10_000 - 3 + 10);
        assert_eq!(clock.now(world).mono, world);
    }
}

//! The clocks of the machine, read nowhere else.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use roda_proto::{Now, Timestamp, WallTime};

#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub(crate) fn now_instant() -> Instant {
    Instant::now()
}

/// Both clocks; the monotonic one counts from the driver's start.
#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub(crate) fn now_since(started: Instant) -> Now {
    let mono = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let wall = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Now {
        mono: Timestamp::from_micros(mono),
        wall: WallTime(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)),
    }
}

/// The wall clock alone.
pub(crate) fn wall() -> WallTime {
    now_since(now_instant()).wall
}

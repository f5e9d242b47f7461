//! Time as the driver hands it in; the engine never reads a clock.

use core::fmt;
use core::ops::Add;
use core::time::Duration;

use minicbor::{Decode, Encode};

/// A moment on the driver's monotonic clock, in microseconds since an origin of the driver's choice.
///
/// Comparable only within one engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment `micros` microseconds after the origin.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the origin.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Time passed since `earlier`; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX)),
        )
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.0 / 1_000_000, self.0 % 1_000_000);
        write!(
            f,
            "{}:{:02}:{:02}.{:06}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            micros
        )
    }
}

/// Wall-clock time in milliseconds since 1970. May jump; feeds the hybrid logical clock only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug, Encode, Decode)]
#[cbor(transparent)]
pub struct WallTime(#[n(0)] pub u64);

/// One moment as the driver saw it. `mono` orders timers; `wall` feeds the hybrid logical clock only.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Monotonic clock.
    pub mono: Timestamp,
    /// Wall clock.
    pub wall: WallTime,
}

/// Hybrid logical clock: 48 bits of milliseconds since 1970, 16 bits of counter.
///
/// Kulkarni et al., "Logical Physical Clocks", 2014. Orders entries; never decides acceptance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Hlc(#[n(0)] pub u64);

impl Hlc {
    /// Before everything.
    pub const ZERO: Self = Self(0);

    /// The first value of a millisecond.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        // 48 bits of milliseconds last until the year 10889; later clocks are clamped to that.
        let limit = (1 << 48) - 1;
        Self((if millis < limit { millis } else { limit }) << 16)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0 >> 16
    }

    /// The next value.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Debug for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.millis(), self.0 & 0xffff)
    }
}

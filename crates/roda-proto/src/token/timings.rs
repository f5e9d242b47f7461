//! How long things take in the token protocol. All follow from one time.

use core::time::Duration;

/// The session time and what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    session: Duration,
}

impl Timings {
    /// Machines on cables: a lost machine costs 3 s.
    pub const WIRED: Self = Self::new(Duration::from_secs(2));
    /// Safe on most networks: a lost machine costs 6 s.
    pub const DEFAULT: Self = Self::new(Duration::from_secs(4));
    /// Radio: a lost machine costs 15 s.
    pub const WIFI: Self = Self::new(Duration::from_secs(10));

    /// All from the session time.
    #[must_use]
    pub const fn new(session: Duration) -> Self {
        Self { session }
    }

    /// A session is valid for its node for so long after it *began* to renew.
    #[must_use]
    pub const fn session(&self) -> Duration {
        self.session
    }

    /// From one renewal to the next.
    #[must_use]
    pub fn renewal(&self) -> Duration {
        self.session / 4
    }

    /// The leader ends a session so long after it last heard of it: half a session time more than the
    /// node itself would, for clocks that do not run alike and for the time to stop what runs.
    #[must_use]
    pub fn expiry(&self) -> Duration {
        self.session * 3 / 2
    }

    /// Not renewed for so long, a hold is at risk.
    #[must_use]
    pub fn at_risk(&self) -> Duration {
        self.session / 2
    }

    /// Not renewed for so long, the holder is asked to stop.
    #[must_use]
    pub fn stop(&self) -> Duration {
        self.session * 5 / 8
    }

    /// Not renewed for so long, the holder is killed.
    #[must_use]
    pub fn kill(&self) -> Duration {
        self.session * 7 / 8
    }

    /// An idle token that nobody asks for is given back after so long.
    #[must_use]
    pub const fn idle_token(&self) -> Duration {
        self.session
    }

    /// A session without requests and tokens is closed after so long.
    #[must_use]
    pub fn idle_session(&self) -> Duration {
        self.session * 15
    }

    /// An unanswered message to the leader is sent again after so long: often enough that a short
    /// interruption ends before a holder at risk is asked to stop.
    #[must_use]
    pub fn retry(&self) -> Duration {
        self.session / 16
    }
}

impl Default for Timings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

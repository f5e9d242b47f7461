//! A clock that also counts the time for which the machine is suspended.
//!
//! Leases are measured by it: a laptop that sleeps with a lock must know on waking that its time is over.
//! The monotonic clock stops meanwhile.

use std::time::Duration;

use roda_proto::Timestamp;

/// The moment, counted from the machine's start.
pub(crate) fn now() -> Timestamp {
    #[cfg(target_os = "linux")]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = rustix::time::ClockId::Monotonic;
    let now = rustix::time::clock_gettime(clock);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    Timestamp::from_micros(seconds * 1_000_000 + nanos / 1000)
}

/// Sleeps until a moment of [`now`], and wakes at once when the machine does, if that is later.
pub(crate) struct Alarm {
    #[cfg(target_os = "linux")]
    timer: tokio::io::unix::AsyncFd<rustix::fd::OwnedFd>,
}

/// Without a timer that counts suspended time, the clock is looked at this often.
#[cfg(not(target_os = "linux"))]
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

impl Alarm {
    /// One that is not set.
    ///
    /// # Errors
    /// Too many open files.
    #[cfg(target_os = "linux")]
    pub(crate) fn new() -> std::io::Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Boottime, flags)?;
        #[expect(
            deprecated,
            reason = "the other constructor is unsafe for types that do not own their descriptor; this one does"
        )]
        let timer = tokio::io::unix::AsyncFd::new(timer)?;
        Ok(Self { timer })
    }

    /// One that is not set.
    ///
    /// # Errors
    /// None here.
    #[cfg(not(target_os = "linux"))]
    pub(crate) const fn new() -> std::io::Result<Self> {
        Ok(Self {})
    }

    /// Returns at `at`, or never for `None`.
    ///
    /// Cancel-safe.
    #[cfg(target_os = "linux")]
    pub(crate) async fn wait(&self, at: Option<Timestamp>) {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        let Some(at) = at else {
            return std::future::pending().await;
        };
        // Zero would disarm it.
        let at = Duration::from_micros(at.as_micros().max(1));
        let value = Timespec {
            tv_sec: i64::try_from(at.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(at.subsec_nanos()),
        };
        let interval = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let spec = Itimerspec {
            it_interval: interval,
            it_value: value,
        };
        if timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::ABSTIME, &spec).is_err() {
            return std::future::pending().await;
        }
        let mut expirations = [0; 8];
        loop {
            let Ok(mut ready) = self.timer.readable().await else {
                return std::future::pending().await;
            };
            // Setting the timer again takes a stale expiration away; then there is nothing to read.
            if rustix::io::read(self.timer.get_ref(), &mut expirations).is_ok() {
                return;
            }
            ready.clear_ready();
        }
    }

    /// Returns at `at`, or never for `None`.
    ///
    /// Cancel-safe.
    #[cfg(not(target_os = "linux"))]
    pub(crate) async fn wait(&self, at: Option<Timestamp>) {
        let Some(at) = at else {
            return std::future::pending().await;
        };
        loop {
            let left = at.since(now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(LOOK_INTERVAL)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_alarm_rings_at_its_time_and_can_be_set_again() {
        let alarm = Alarm::new().unwrap();
        let at = now() + Duration::from_millis(20);
        alarm.wait(Some(at)).await;
        assert!(now() >= at);
        // In the past: at once.
        alarm.wait(Some(at)).await;
        let later = Some(now() + Duration::from_secs(60));
        let early = tokio::time::timeout(Duration::from_millis(20), alarm.wait(later)).await;
        assert!(early.is_err());
        alarm.wait(Some(now())).await;
    }
}

//! The clock by which locks are held: it goes on while the machine is suspended.
//!
//! A laptop that sleeps with a lock must know on waking that its time is over; the monotonic clock
//! stops meanwhile. Whoever keeps a time of a [`Guard`](crate::Guard) should keep it by this clock.

use std::io;
use std::time::Duration;

/// The moment, counted from the machine's start.
#[must_use]
pub fn now() -> Duration {
    #[cfg(target_os = "linux")]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = rustix::time::ClockId::Monotonic;
    let now = rustix::time::clock_gettime(clock);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

/// Waits for a moment of [`now`], and rings at once on waking if the machine slept past it.
pub struct Alarm {
    #[cfg(target_os = "linux")]
    timer: tokio::io::unix::AsyncFd<rustix::fd::OwnedFd>,
}

/// Without a timer that counts suspended time, the clock is looked at this often.
#[cfg(not(target_os = "linux"))]
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

#[cfg(target_os = "linux")]
impl Alarm {
    /// One that is not set.
    ///
    /// # Errors
    /// Too many open files.
    pub fn new() -> io::Result<Self> {
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

    /// Returns at `at`, at once if that has passed, or never for `None`.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// The system's.
    pub async fn wait(&self, at: Option<Duration>) -> io::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        let Some(at) = at else {
            return std::future::pending().await;
        };
        // Zero would unset it.
        let at = at.max(Duration::from_nanos(1));
        let spec = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: Timespec {
                tv_sec: at.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: at.subsec_nanos().into(),
            },
        };
        timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::ABSTIME, &spec)?;
        loop {
            let mut ready = self.timer.readable().await?;
            let mut expirations = [0; 8];
            // Setting the timer takes an earlier expiration away; then there is nothing to read.
            let read =
                ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut expirations)?));
            match read {
                Ok(read) => return read.map(|_len| ()),
                Err(_would_block) => {}
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Alarm {
    /// One that is not set.
    ///
    /// # Errors
    /// None here.
    pub const fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Returns at `at`, at once if that has passed, or never for `None`.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// None here.
    pub async fn wait(&self, at: Option<Duration>) -> io::Result<()> {
        let Some(at) = at else {
            return std::future::pending().await;
        };
        while let Some(left) = at.checked_sub(now()).filter(|left| !left.is_zero()) {
            tokio::time::sleep(left.min(LOOK_INTERVAL)).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_alarm_rings_at_its_time_and_can_be_set_again() {
        let alarm = Alarm::new().unwrap();
        let at = now() + Duration::from_millis(20);
        alarm.wait(Some(at)).await.unwrap();
        assert!(now() >= at);
        // In the past: at once.
        alarm.wait(Some(at)).await.unwrap();
        let later = Some(now() + Duration::from_secs(60));
        let early = tokio::time::timeout(Duration::from_millis(20), alarm.wait(later)).await;
        assert!(early.is_err());
        alarm.wait(Some(now())).await.unwrap();
    }

    #[tokio::test]
    async fn an_alarm_rings_at_its_moment_and_at_once_if_that_has_passed() {
        let alarm = Alarm::new().unwrap();
        alarm.wait(Some(Duration::from_secs(1))).await.unwrap();
        let moment = now() + Duration::from_millis(20);
        alarm.wait(Some(moment)).await.unwrap();
        assert!(now() >= moment);
    }

    #[tokio::test]
    async fn an_alarm_that_is_set_anew_forgets_the_moment_before() {
        let alarm = Alarm::new().unwrap();
        let soon = tokio::time::timeout(Duration::ZERO, alarm.wait(Some(now() + SOON)));
        assert!(soon.await.is_err());
        let later = now() + 3 * SOON;
        alarm.wait(Some(later)).await.unwrap();
        assert!(now() >= later);
        let silent = tokio::time::timeout(2 * SOON, alarm.wait(None)).await;
        assert!(silent.is_err());
    }

    const SOON: Duration = Duration::from_millis(10);
}

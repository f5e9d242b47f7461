//! The clock that goes on while the machine sleeps.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use crate::descriptor::watched;

/// Now, since the machine started.
///
/// Tokio's clock stands still while a laptop sleeps; the group does not wait for it.
pub(crate) fn now() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

/// Rings at a moment of this clock.
pub(crate) struct Alarm {
    timer: AsyncFd<OwnedFd>,
}

impl Alarm {
    /// One that is not set.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Boottime, flags)?;
        Ok(Self {
            timer: watched(timer)?,
        })
    }

    /// Sets or unsets it; what it was set to before is forgotten.
    pub(crate) fn set(&self, at: Option<Duration>) -> io::Result<()> {
        // Zero would unset it; a moment that has passed rings at once.
        let at = at.map_or(Duration::ZERO, |at| at.max(Duration::from_nanos(1)));
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let value = Itimerspec {
            it_interval: zero,
            it_value: Timespec {
                tv_sec: at.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: at.subsec_nanos().into(),
            },
        };
        timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::ABSTIME, &value)?;
        Ok(())
    }

    /// Waits until it rings. Cancel-safe.
    pub(crate) async fn rung(&self) -> io::Result<()> {
        loop {
            let mut ready = self.timer.readable().await?;
            let mut count = [0; 8];
            let read = ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut count)?));
            match read {
                Ok(Ok(_count)) => return Ok(()),
                Ok(Err(error)) => return Err(error),
                Err(_would_block) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_alarm_rings_at_its_moment_and_at_once_if_that_has_passed() {
        let alarm = Alarm::new().unwrap();
        alarm.set(Some(Duration::from_secs(1))).unwrap();
        alarm.rung().await.unwrap();
        let moment = now() + Duration::from_millis(20);
        alarm.set(Some(moment)).unwrap();
        alarm.rung().await.unwrap();
        assert!(now() >= moment);
    }

    #[tokio::test]
    async fn an_alarm_that_is_set_anew_forgets_the_moment_before() {
        let alarm = Alarm::new().unwrap();
        alarm.set(Some(now())).unwrap();
        let later = now() + Duration::from_millis(30);
        alarm.set(Some(later)).unwrap();
        alarm.rung().await.unwrap();
        assert!(now() >= later);
        alarm.set(None).unwrap();
        let silent = tokio::time::timeout(Duration::from_millis(20), alarm.rung()).await;
        assert!(silent.is_err());
    }
}

//! How long the wrapper may let its command run without hearing more from the node.

use std::time::Duration;

use roda::{Timings, boottime};

use crate::api::lock_types::LeaseReply;

/// The time that is left, by the clock that counts suspended time too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    timings: Timings,
    until: Duration,
}

impl Lease {
    /// As the node said it just now, or a while ago if this process was stopped meanwhile.
    pub(super) fn new(timings: Timings, reply: LeaseReply) -> Self {
        Self::at(boottime::now(), timings, reply)
    }

    fn at(now: Duration, timings: Timings, reply: LeaseReply) -> Self {
        // The moment is right however late it is read; the duration is right even if the node sees
        // another clock, as in a time namespace. Whichever is earlier is safe.
        let until = Duration::from_millis(reply.until_ms)
            .min(now + Duration::from_millis(reply.remaining_ms));
        Self { timings, until }
    }

    /// The same with what the node says now.
    pub(super) fn renewed(self, reply: LeaseReply) -> Self {
        Self::new(self.timings, reply)
    }

    /// When the command is asked to stop.
    pub(super) fn stop_at(self) -> Duration {
        self.before_end(self.timings.stop())
    }

    /// When the command is killed.
    pub(super) fn kill_at(self) -> Duration {
        self.before_end(self.timings.kill())
    }

    fn before_end(self, since_renewal: Duration) -> Duration {
        let rest = self.timings.session().saturating_sub(since_renewal);
        self.until.saturating_sub(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn lease(remaining_ms: u64, until_ms: u64) -> Lease {
        let reply = LeaseReply {
            remaining_ms,
            until_ms,
        };
        Lease::at(NOW, Timings::DEFAULT, reply)
    }

    #[test]
    fn the_command_is_stopped_and_killed_before_the_lease_ends() {
        let lease = lease(4000, 104_000);
        assert_eq!(lease.stop_at(), Duration::from_millis(102_500));
        assert_eq!(lease.kill_at(), Duration::from_millis(103_500));
    }

    #[test]
    fn a_message_that_is_read_late_promises_no_more_than_it_did() {
        // Written 3 s ago, when 4 s remained.
        assert_eq!(
            lease(4000, 101_000).kill_at(),
            Duration::from_millis(100_500)
        );
        // Another time namespace.
        assert_eq!(
            lease(4000, 900_000).kill_at(),
            Duration::from_millis(103_500)
        );
    }

    #[test]
    fn a_lease_that_is_over_is_over_at_once() {
        assert!(lease(0, 0).kill_at() < NOW);
    }
}

//! A job while its command runs, and how it ended.

use std::time::Duration;

use rustix::process::{Pid, Signal, WaitStatus, kill_process_group};
use tokio::time::{Instant, timeout};

use super::backoff::backoff;
use super::leftovers::{Roots, clear};
use super::start::Started;
use crate::api::blob::Blob;
use crate::api::job_types::Attempt;
use crate::api::work_types::{ClaimedReply, EndedAttempt, OutcomeRequest};

/// Why a command is ended before it ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It takes too long.
    Timeout,
    /// Somebody wants its job cancelled.
    Cancel,
    /// The worker ends at once.
    Return,
}

/// A job whose command runs.
pub(super) struct Job {
    id: String,
    attempt: Attempt,
    tries: u32,
    started: Started,
    began: Instant,
    /// When to ask it to end.
    ask_at: Option<Instant>,
    /// When to end it by force.
    kill_at: Option<Instant>,
    why: Option<Why>,
}

impl Job {
    /// Its command has just been started.
    pub(super) fn new(claimed: &ClaimedReply, started: Started, most: Option<Duration>) -> Self {
        let began = Instant::now();
        Self {
            id: claimed.id.clone(),
            attempt: claimed.attempt,
            tries: claimed.tries,
            started,
            began,
            ask_at: most.map(|most| began + most.min(FOREVER)),
            kill_at: None,
            why: None,
        }
    }

    /// Its id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Asks it to end; what is more pressing replaces an earlier reason.
    pub(super) fn stop(&mut self, why: Why) {
        if self.why != Some(Why::Cancel) {
            self.why = Some(why);
        }
        if self.kill_at.is_none() {
            self.kill_at = Some(Instant::now() + GRACE);
            self.signal(Signal::TERM);
            // Who has been stopped would not hear it before it goes on.
            self.signal(Signal::CONT);
        }
        self.ask_at = None;
    }

    /// Ends it by force.
    pub(super) fn kill(&mut self) {
        self.kill_at = Some(Instant::now() + GRACE);
        self.signal(Signal::KILL);
    }

    /// Does what is due.
    pub(super) fn on_time(&mut self, now: Instant) {
        if self.ask_at.is_some_and(|at| now >= at) {
            self.stop(Why::Timeout);
        }
        if self.kill_at.is_some_and(|at| now >= at) {
            self.kill();
        }
    }

    /// When something is due.
    pub(super) fn next_moment(&self) -> Option<Instant> {
        [self.ask_at, self.kill_at].into_iter().flatten().min()
    }

    fn signal(&self, signal: Signal) {
        // Its first process has not been waited for yet, so the number still means this group.
        if let Some(group) = Pid::from_raw(self.started.root.pid) {
            // Whoever has ended needs no signal.
            let _ = kill_process_group(group, signal);
        }
    }

    /// Its first process has ended: ends the others, and says how it went.
    pub(super) async fn finish(mut self, status: WaitStatus, roots: Roots) -> EndedAttempt {
        let millis = self.began.elapsed().as_millis();
        clear(self.started.root, &self.started.marker, &roots).await;
        // Its pipes end with its last process, unless that is one that could not be found.
        let copied = async { while self.started.copiers.join_next().await.is_some() {} };
        drop(timeout(COPY_MAX, copied).await);
        EndedAttempt {
            outcome: outcome(code(status), self.why, self.tries),
            millis: u64::try_from(millis).unwrap_or(u64::MAX),
            output: Blob::from(self.started.tail.take()),
            id: self.id,
            attempt: self.attempt,
        }
    }
}

/// The exit code, or 128 + n after signal n.
fn code(status: WaitStatus) -> i32 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 1,
    }
}

/// What an exit code means, given why the command was asked to end.
pub(super) fn outcome(code: i32, why: Option<Why>, tries: u32) -> OutcomeRequest {
    match (code, why) {
        // What has been done has been done.
        (0, _) => OutcomeRequest::Done,
        (_, Some(Why::Cancel)) => OutcomeRequest::Cancelled,
        (AGAIN, _) => OutcomeRequest::Again,
        (_, Some(Why::Return)) => OutcomeRequest::Returned,
        (code, Some(Why::Timeout) | None) => OutcomeRequest::Failed {
            code,
            retry_in_ms: u64::try_from(backoff(tries).as_millis()).unwrap_or(u64::MAX),
        },
    }
}

/// “My progress is saved, run me again.”
const AGAIN: i32 = 85;
/// How long a command that is asked to end has for it.
const GRACE: Duration = Duration::from_secs(5);
/// How long the last of its output is waited for.
const COPY_MAX: Duration = Duration::from_secs(1);
/// A year: Tokio's clock does not reach to the end of time.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_counts_and_then_the_reason_of_the_end() {
        let all = [
            None,
            Some(Why::Timeout),
            Some(Why::Cancel),
            Some(Why::Return),
        ];
        for why in all {
            assert_eq!(outcome(0, why, 0), OutcomeRequest::Done);
        }
        assert_eq!(outcome(85, None, 0), OutcomeRequest::Again);
        assert_eq!(outcome(85, Some(Why::Return), 0), OutcomeRequest::Again);
        assert_eq!(outcome(85, Some(Why::Cancel), 0), OutcomeRequest::Cancelled);
        assert_eq!(
            outcome(143, Some(Why::Cancel), 0),
            OutcomeRequest::Cancelled
        );
        assert_eq!(outcome(143, Some(Why::Return), 0), OutcomeRequest::Returned);
        for why in [None, Some(Why::Timeout)] {
            let OutcomeRequest::Failed { code, retry_in_ms } = outcome(143, why, 2) else {
                panic!("it failed");
            };
            assert_eq!(code, 143);
            assert!((3200..=4800).contains(&retry_in_ms), "{retry_in_ms}");
        }
    }
}

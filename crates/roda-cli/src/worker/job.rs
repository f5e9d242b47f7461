//! A job while its command runs, and how it ended.

use std::time::Duration;

use rustix::process::{Pid, Signal, WaitStatus, kill_process_group};
use tokio::time::{Instant, timeout};

use super::backoff::backoff;
use super::leftovers::{Roots, clear};
use super::start::Started;
use crate::api::blob::Blob;
use crate::api::job_types::{Attempt, OnCrashReply};
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
    on_crash: OnCrashReply,
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
            on_crash: claimed.on_crash,
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

    /// Does what is due. Whether its time is over now.
    pub(super) fn on_time(&mut self, now: Instant) -> bool {
        let is_over = self.ask_at.is_some_and(|at| now >= at);
        if is_over {
            self.stop(Why::Timeout);
        }
        if self.kill_at.is_some_and(|at| now >= at) {
            self.kill();
        }
        is_over
    }

    /// Adds a line to what is kept of its output.
    pub(super) fn note(&self, line: &str) {
        self.started.tail.push(format!("roda: {line}\n").as_bytes());
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
            outcome: outcome(end(status), self.why, self.tries, self.on_crash),
            millis: u64::try_from(millis).unwrap_or(u64::MAX),
            output: Blob::from(self.started.tail.take()),
            id: self.id,
            attempt: self.attempt,
        }
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By itself, with this exit code.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

fn end(status: WaitStatus) -> End {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => End::Exited(code),
        (None, Some(signal)) => End::Killed(signal),
        (None, None) => End::Exited(1),
    }
}

/// What the end of a command means, given why it was asked to end and what a crash means for its job.
pub(super) fn outcome(
    end: End,
    why: Option<Why>,
    tries: u32,
    on_crash: OnCrashReply,
) -> OutcomeRequest {
    let code = match end {
        End::Exited(code) => code,
        End::Killed(signal) => 128 + signal,
    };
    let is_held = on_crash == OnCrashReply::Hold;
    match (code, why) {
        // What has been done has been done.
        (0, _) => OutcomeRequest::Done,
        (_, Some(Why::Cancel)) => OutcomeRequest::Cancelled,
        (AGAIN, _) => OutcomeRequest::Again,
        // Nobody knows how far it came, and an operator is to look at that.
        (_, Some(Why::Return)) if is_held => OutcomeRequest::CutOff { code: None },
        (code, None) if is_held && matches!(end, End::Killed(_)) => {
            OutcomeRequest::CutOff { code: Some(code) }
        }
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

    const RESUME: OnCrashReply = OnCrashReply::Resume;
    const EXITED: [End; 3] = [End::Exited(3), End::Killed(9), End::Killed(15)];

    #[test]
    fn the_exit_code_counts_and_then_the_reason_of_the_end() {
        let all = [
            None,
            Some(Why::Timeout),
            Some(Why::Cancel),
            Some(Why::Return),
        ];
        let meant = |end, why| outcome(end, why, 0, RESUME);
        for why in all {
            assert_eq!(meant(End::Exited(0), why), OutcomeRequest::Done);
        }
        let again = End::Exited(85);
        assert_eq!(meant(again, None), OutcomeRequest::Again);
        assert_eq!(meant(again, Some(Why::Return)), OutcomeRequest::Again);
        assert_eq!(meant(again, Some(Why::Cancel)), OutcomeRequest::Cancelled);
        for end in EXITED {
            assert_eq!(meant(end, Some(Why::Cancel)), OutcomeRequest::Cancelled);
            assert_eq!(meant(end, Some(Why::Return)), OutcomeRequest::Returned);
        }
        for why in [None, Some(Why::Timeout)] {
            let end = outcome(End::Killed(15), why, 2, RESUME);
            let OutcomeRequest::Failed { code, retry_in_ms } = end else {
                panic!("it failed");
            };
            assert_eq!(code, 143);
            assert!((3200..=4800).contains(&retry_in_ms), "{retry_in_ms}");
        }
    }

    #[test]
    fn a_job_that_is_to_be_held_is_cut_off_by_a_strange_signal_and_by_being_given_back() {
        let meant = |end, why| outcome(end, why, 0, OnCrashReply::Hold);
        let cut_off = |code| OutcomeRequest::CutOff { code };
        assert_eq!(meant(End::Killed(9), None), cut_off(Some(137)));
        for end in EXITED {
            assert_eq!(meant(end, Some(Why::Return)), cut_off(None));
            assert_eq!(meant(end, Some(Why::Cancel)), OutcomeRequest::Cancelled);
            let failed = meant(end, Some(Why::Timeout));
            assert!(matches!(failed, OutcomeRequest::Failed { .. }));
        }
        let failed = meant(End::Exited(137), None);
        assert!(matches!(failed, OutcomeRequest::Failed { code: 137, .. }));
        let done = meant(End::Exited(0), Some(Why::Return));
        assert_eq!(done, OutcomeRequest::Done);
        let again = meant(End::Exited(85), Some(Why::Return));
        assert_eq!(again, OutcomeRequest::Again);
    }
}

//! What the routes of jobs need from the library: each function is one call of it.
//!
//! Ids come as they were typed, checked for their form only: 4 to 32 hexadecimal digits, `-`, a number.
//! One that fits no job is `unknown-job`, one that fits several `ambiguous-job`, each with the value `job`.

#![expect(
    unused_variables,
    clippy::unused_async,
    reason = "the library has no jobs yet"
)]

use roda::{Fence, Topic};
use tokio::sync::watch;

use super::job_types::{
    Attempt, CheckpointReply, JobDetailReply, JobReply, JobStateReply, JobsReply, OnCrashReply,
    PushedReply, QueueReply,
};
use super::server::Shared;
use super::work_types::{ClaimedReply, EndedAttempt, KnownAttempt};
use crate::error::{Failure, Result};

/// A job to add; its lengths are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Push {
    /// What it is about.
    pub(crate) payload: Vec<u8>,
    /// Once only.
    pub(crate) key: Option<String>,
    /// Not before this wall time, in milliseconds; 0: at once.
    pub(crate) not_before: u64,
    /// 0 to 9.
    pub(crate) priority: u8,
    /// 0: without end.
    pub(crate) tries_max: u16,
    /// One after the other.
    pub(crate) order_key: Option<String>,
    /// What a crash means.
    pub(crate) on_crash: OnCrashReply,
}

/// Which jobs to list.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "the library has no jobs yet")]
pub(crate) struct JobFilter {
    /// Of this queue only.
    pub(crate) queue: Option<Topic>,
    /// In this state only.
    pub(crate) state: Option<JobStateReply>,
    /// At most so many.
    pub(crate) limit: usize,
    /// `JobsReply::next` of the page before.
    pub(crate) after: Option<String>,
}

/// A checkpoint to save; its length is checked.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "the library has no jobs yet")]
pub(crate) struct Checkpoint {
    /// From what the job can go on.
    pub(crate) state: Vec<u8>,
    /// So much is done.
    pub(crate) done: Option<u64>,
    /// Of so much.
    pub(crate) total: Option<u64>,
}

/// A worker of this node, whose lock `roda/worker/WORKER` the node held with this fence a moment ago.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "the library has no jobs yet")]
pub(crate) struct WorkerHold {
    /// 32 hexadecimal digits.
    pub(crate) worker: String,
    /// Of its lock.
    pub(crate) fence: Fence,
    /// Whose jobs it runs.
    pub(crate) queue: Topic,
}

/// What there is for a worker at this moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offer {
    /// Its own from now on.
    pub(crate) jobs: Vec<ClaimedReply>,
    /// Jobs of `known`, not marked as cancelling, that somebody wants cancelled.
    pub(crate) cancel: Vec<String>,
    /// Nothing of the queue waits, not for later either, and nothing runs anywhere.
    pub(crate) is_idle: bool,
    /// When the next job that waits for its time is due, in milliseconds of wall time.
    pub(crate) next_due: Option<u64>,
}

/// Changes whenever a job of any queue may have changed; also when a queue is paused or resumed.
pub(crate) fn changes(shared: &Shared) -> watch::Receiver<u64> {
    watch::Sender::new(0).subscribe()
}

/// Adds jobs, all or none; returns when they are durable here. The same key with another payload or
/// other options is `job-key-conflict`, with the values `key` and `job`.
pub(crate) async fn push(
    shared: &Shared,
    queue: &Topic,
    jobs: Vec<Push>,
) -> Result<Vec<PushedReply>> {
    Err(Failure::new("not-built"))
}

/// A page of jobs, the newest first.
pub(crate) async fn jobs(shared: &Shared, filter: JobFilter) -> Result<JobsReply> {
    Err(Failure::new("not-built"))
}

/// All about a job.
pub(crate) async fn job(shared: &Shared, id: &str) -> Result<JobDetailReply> {
    Err(Failure::new("not-built"))
}

/// How a job is, without its payload and attempts: cheap enough to ask at every change.
pub(crate) async fn job_state(shared: &Shared, id: &str) -> Result<JobReply> {
    Err(Failure::new("not-built"))
}

/// Cancels a job. One that has ended is `job-ended`, with the values `job` and `state`.
pub(crate) async fn cancel(shared: &Shared, id: &str) -> Result<JobReply> {
    Err(Failure::new("not-built"))
}

/// Has a job that is dead, cancelled or held tried again. Any other is `job-not-ended`, with the values
/// `job` and `state`.
pub(crate) async fn retry(shared: &Shared, id: &str) -> Result<JobReply> {
    Err(Failure::new("not-built"))
}

/// Saves progress; returns when it is durable here. An attempt that is not the one that runs by a worker of
/// this node is `job-attempt-over`, with the values `job` and `attempt`.
pub(crate) async fn save_checkpoint(
    shared: &Shared,
    id: &str,
    attempt: Attempt,
    checkpoint: Checkpoint,
) -> Result<()> {
    Err(Failure::new("not-built"))
}

/// The job's full id, and its newest checkpoint that is whole.
pub(crate) async fn load_checkpoint(
    shared: &Shared,
    id: &str,
) -> Result<(String, Option<CheckpointReply>)> {
    Err(Failure::new("not-built"))
}

/// All queues, by name.
pub(crate) async fn queues(shared: &Shared) -> Result<Vec<QueueReply>> {
    Err(Failure::new("not-built"))
}

/// A queue; one that never had a job is `unknown-queue`, with the value `queue`.
pub(crate) async fn queue(shared: &Shared, queue: &Topic) -> Result<QueueReply> {
    Err(Failure::new("not-built"))
}

/// Pauses or resumes a queue.
pub(crate) async fn pause(shared: &Shared, queue: &Topic, paused: bool) -> Result<()> {
    Err(Failure::new("not-built"))
}

/// Cancels all jobs of a queue that wait now; how many.
pub(crate) async fn purge(shared: &Shared, queue: &Topic) -> Result<u64> {
    Err(Failure::new("not-built"))
}

/// Claims up to `free` jobs that are ready, without waiting for more to come.
///
/// A job that this worker has by the log but that is not in `known` is given once more: an earlier answer
/// got lost on its way to the worker. Never called twice at once for one worker, and never cancelled in
/// the middle.
pub(crate) async fn claim(
    shared: &Shared,
    hold: &WorkerHold,
    free: usize,
    known: &[KnownAttempt],
) -> Result<Offer> {
    Err(Failure::new("not-built"))
}

/// Records how attempts ended; returns when that is durable here. An end that is recorded already, or of an
/// attempt that is over, is skipped.
pub(crate) async fn end(shared: &Shared, hold: &WorkerHold, ends: Vec<EndedAttempt>) -> Result<()> {
    Err(Failure::new("not-built"))
}

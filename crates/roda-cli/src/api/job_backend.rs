//! What the routes of jobs need from the library: each function is one call of it.
//!
//! Ids come as they were typed, checked for their form only: 4 to 32 hexadecimal digits, `-`, a number.
//! One that fits no job is `unknown-job`, one that fits several `ambiguous-job`, each with the value `job`.

use jiff::Timestamp;
use roda::job::{
    self, CronExpr, EndedAttempt as LibraryEnd, JobId, JobKey, JobRow, JobState, NewJob, OnCrash,
    Outcome, PushOptions, Queue, StateKind,
};
use roda::{CopyCount, Fence, Priority, Topic, WallTime};
use tokio::sync::watch;

use super::job_replies::{
    Names, attempt_id, attempt_of, attempt_reply, job_reply, kind_of, on_crash_reply, queue_reply,
    saved_reply, state_reply,
};
use super::job_types::{
    Attempt, CheckpointReply, JobDetailReply, JobReply, JobStateReply, JobsReply, LoadReply,
    OnCrashReply, PushedReply, QueueReply,
};
use super::server::Shared;
use super::work_types::{ClaimedReply, EndedAttempt, KnownAttempt, OutcomeRequest};
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
    /// Again and again.
    pub(crate) cron: Option<CronExpr>,
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
    /// No jobs of the queue are started.
    pub(crate) is_paused: bool,
    /// When the next job that waits for its time is due, in milliseconds of wall time.
    pub(crate) next_due: Option<u64>,
}

/// Changes whenever a job of any queue may have changed; also when a queue is paused or resumed.
pub(crate) fn changes(shared: &Shared) -> watch::Receiver<u64> {
    shared.node.job_changes()
}

/// Adds jobs, all or none; returns when they are durable here. The same key with another payload or
/// other options is `job-key-conflict`, with the values `key` and `job`.
pub(crate) async fn push(
    shared: &Shared,
    queue: &Topic,
    jobs: Vec<Push>,
) -> Result<Vec<PushedReply>> {
    let jobs = jobs.into_iter().map(new_job).collect::<Result<_>>()?;
    let pushed = handle(shared, queue)?.push_all(jobs).await?;
    let reply = |pushed: job::Pushed| PushedReply {
        id: pushed.id.to_string(),
        queue: queue.as_str().to_owned(),
        new: pushed.is_new,
    };
    Ok(pushed.into_iter().map(reply).collect())
}

fn new_job(push: Push) -> Result<NewJob> {
    let key = |key: Option<String>| key.map(|key| JobKey::new(&key)).transpose();
    let bad = |error: job::JobKeyError| Failure::new("other").with("reason", error.to_string());
    let priority = Priority::new(push.priority);
    let priority = priority.ok_or_else(|| Failure::new("other").with("reason", "priority"))?;
    Ok(NewJob {
        payload: push.payload,
        options: PushOptions {
            key: key(push.key).map_err(bad)?,
            not_before: WallTime(push.not_before),
            priority,
            tries_max: push.tries_max,
            order_key: key(push.order_key).map_err(bad)?,
            on_crash: match push.on_crash {
                OnCrashReply::Retry => OnCrash::Retry,
                OnCrashReply::Resume => OnCrash::Resume,
                OnCrashReply::Hold => OnCrash::Hold,
            },
            cron: push.cron,
        },
    })
}

/// A page of jobs, the newest first.
pub(crate) async fn jobs(shared: &Shared, filter: JobFilter) -> Result<JobsReply> {
    let after = match filter.after {
        Some(after) => Some(found(shared, &after).await?),
        None => None,
    };
    let rows = shared.node.jobs(job::JobFilter {
        queue: filter.queue,
        state: filter.state.map(kind_of),
        after,
        limit: filter.limit,
    });
    let rows = rows.await?;
    let next = rows.last().filter(|_| rows.len() >= filter.limit);
    let next = next.map(|last| last.id.to_string());
    let names = Names::of(shared, &rows).await?;
    Ok(JobsReply {
        jobs: rows.iter().map(|row| job_reply(row, &names)).collect(),
        next,
    })
}

/// All about a job.
pub(crate) async fn job(shared: &Shared, id: &str) -> Result<JobDetailReply> {
    let id = found(shared, id).await?;
    let (info, payload) = shared.node.job_details(id).await?;
    let names = Names::of(shared, std::slice::from_ref(&info.row)).await?;
    let tried = info
        .attempts
        .iter()
        .map(|tried| attempt_reply(tried, &names));
    Ok(JobDetailReply {
        job: job_reply(&info.row, &names),
        payload: payload.payload.into(),
        tried: tried.collect(),
        checkpoints: info.checkpoints.iter().map(saved_reply).collect(),
    })
}

/// How a job is, without its payload and attempts: cheap enough to ask at every change.
pub(crate) async fn job_state(shared: &Shared, id: &str) -> Result<JobReply> {
    let id = found(shared, id).await?;
    state_of(shared, id).await
}

async fn state_of(shared: &Shared, id: JobId) -> Result<JobReply> {
    let row = shared.node.job(id).await?;
    let names = Names::of(shared, std::slice::from_ref(&row)).await?;
    Ok(job_reply(&row, &names))
}

/// The job's full id, and how many members durably have it, now and whenever that changes.
pub(crate) async fn copies(
    shared: &Shared,
    id: &str,
) -> Result<(String, watch::Receiver<CopyCount>)> {
    let id = found(shared, id).await?;
    let watched = shared.node.copies(id.author, id.seq).await?;
    Ok((id.to_string(), watched))
}

/// Cancels a job. One that has ended is `job-ended`, with the values `job` and `state`; a duplicate is
/// `job-is-duplicate`, with the values `job` and `counts`.
pub(crate) async fn cancel(shared: &Shared, id: &str) -> Result<JobReply> {
    let id = found(shared, id).await?;
    let before = shared.node.cancel_job(id).await?;
    match before.state {
        JobState::Waiting { .. } | JobState::Running(_) | JobState::Held => {
            state_of(shared, id).await
        }
        JobState::Done | JobState::Dead { .. } | JobState::Cancelled | JobState::Duplicate(_) => {
            Err(unfit("job-ended", id, &before))
        }
    }
}

/// Has a job that is dead, cancelled or held tried again. Any other is `job-not-ended`, with the values
/// `job` and `state`.
pub(crate) async fn retry(shared: &Shared, id: &str) -> Result<JobReply> {
    let id = found(shared, id).await?;
    let before = shared.node.retry_job(id).await?;
    match before.state {
        JobState::Dead { .. } | JobState::Cancelled | JobState::Held => state_of(shared, id).await,
        JobState::Waiting { .. }
        | JobState::Running(_)
        | JobState::Done
        | JobState::Duplicate(_) => Err(unfit("job-not-ended", id, &before)),
    }
}

fn unfit(code: &str, id: JobId, row: &JobRow) -> Failure {
    if let JobState::Duplicate(counts) = row.state {
        return Failure::new("job-is-duplicate")
            .with("job", id.to_string())
            .with("counts", counts.to_string());
    }
    Failure::new(code)
        .with("job", id.to_string())
        .with("state", state_reply(&row.state).as_str())
}

/// Saves progress; returns when it is durable here. An attempt that is not the one that runs by a worker of
/// this node is `job-attempt-over`, with the values `job` and `attempt`.
pub(crate) async fn save_checkpoint(
    shared: &Shared,
    id: &str,
    attempt: Attempt,
    checkpoint: Checkpoint,
) -> Result<()> {
    let id = found(shared, id).await?;
    let Checkpoint { state, done, total } = checkpoint;
    let progress = job::Progress { state, done, total };
    let saving = shared
        .node
        .save_checkpoint(id, attempt_id(attempt), progress);
    Ok(saving.await?)
}

/// From where a job can go on.
pub(crate) struct Loaded {
    /// The job's full id.
    id: String,
    /// Its newest checkpoint that is whole and to be had.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// So many newer ones are not.
    pub(crate) skipped: usize,
}

/// Looks for the newest checkpoint that is whole and to be had.
pub(crate) async fn load_checkpoint(shared: &Shared, id: &str) -> Result<Loaded> {
    let id = found(shared, id).await?;
    let loaded = shared.node.load_checkpoint(id).await?;
    let checkpoint = |job::Progress { state, done, total }| Checkpoint { state, done, total };
    Ok(Loaded {
        id: id.to_string(),
        checkpoint: loaded.progress.map(checkpoint),
        skipped: loaded.skipped,
    })
}

impl From<Loaded> for LoadReply {
    fn from(loaded: Loaded) -> Self {
        let checkpoint = loaded.checkpoint.map(|saved| CheckpointReply {
            state: saved.state.into(),
            done: saved.done,
            total: saved.total,
            newest: loaded.skipped == 0,
        });
        Self {
            id: loaded.id,
            checkpoint,
            skipped: loaded.skipped,
        }
    }
}

/// All queues, by name.
pub(crate) async fn queues(shared: &Shared) -> Result<Vec<QueueReply>> {
    let queues = shared.node.queues().await?;
    Ok(queues.iter().map(queue_reply).collect())
}

/// A queue; one that never had a job is `unknown-queue`, with the value `queue`.
pub(crate) async fn queue(shared: &Shared, queue: &Topic) -> Result<QueueReply> {
    let stats = handle(shared, queue)?.stats().await?;
    let stats = stats.ok_or_else(|| unknown_queue(queue))?;
    Ok(queue_reply(&stats))
}

/// Pauses or resumes a queue.
pub(crate) async fn pause(shared: &Shared, queue: &Topic, paused: bool) -> Result<()> {
    Ok(handle(shared, queue)?.set_paused(paused).await?)
}

/// Cancels all jobs of a queue that wait now; how many.
pub(crate) async fn purge(shared: &Shared, queue: &Topic) -> Result<u64> {
    let handle = handle(shared, queue)?;
    let before = handle.stats().await?;
    let before = before.ok_or_else(|| unknown_queue(queue))?;
    handle.purge().await?;
    let after = handle.stats().await?.unwrap_or_else(|| before.clone());
    let cancelled = |stats: &job::QueueStats| stats.count(StateKind::Cancelled);
    Ok(cancelled(&after).saturating_sub(cancelled(&before)))
}

pub(super) fn unknown_queue(queue: &Topic) -> Failure {
    Failure::new("unknown-queue").with("queue", queue.as_str())
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
    let attempts = known
        .iter()
        .map(|known| Ok((parsed(&known.id)?, attempt_id(known.attempt))))
        .collect::<Result<Vec<_>>>()?;
    let queue = handle(shared, &hold.queue)?;
    let offer = queue.claim(worker_hold(hold)?, free, &attempts).await?;
    let claimed = |job: job::ClaimedJob| ClaimedReply {
        id: job.id.to_string(),
        attempt: attempt_of(job.attempt),
        tries: job.tries,
        on_crash: on_crash_reply(job.options.on_crash),
        key: job.options.key.map(|key| key.as_str().to_owned()),
        payload: job.payload.into(),
    };
    let cancel = offer.cancel.iter().map(ToString::to_string);
    let is_news = |id: &String| {
        let mut known = known.iter();
        known.any(|known| known.id == *id && !known.cancelling)
    };
    Ok(Offer {
        jobs: offer.jobs.into_iter().map(claimed).collect(),
        cancel: cancel.filter(is_news).collect(),
        is_idle: offer.is_idle,
        is_paused: offer.is_paused,
        next_due: offer.next_due.map(|due| due.0),
    })
}

/// Records how attempts ended; returns when that is durable here. An end that is recorded already, or of an
/// attempt that is over, is skipped.
pub(crate) async fn end(shared: &Shared, hold: &WorkerHold, ends: Vec<EndedAttempt>) -> Result<()> {
    let ended = ends.into_iter().map(library_end).collect::<Result<_>>()?;
    let queue = handle(shared, &hold.queue)?;
    Ok(queue.end(worker_hold(hold)?, ended).await?)
}

fn library_end(end: EndedAttempt) -> Result<LibraryEnd> {
    let outcome = match end.outcome {
        OutcomeRequest::Done => Outcome::Done,
        OutcomeRequest::Failed { code, retry_in_ms } => {
            let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0);
            Outcome::Failed {
                code,
                retry_at: WallTime(now.saturating_add(retry_in_ms)),
            }
        }
        OutcomeRequest::Again => Outcome::Again,
        OutcomeRequest::Returned => Outcome::Returned,
        OutcomeRequest::Cancelled => Outcome::Cancelled,
        OutcomeRequest::CutOff { code } => Outcome::CutOff { code },
    };
    Ok(LibraryEnd {
        id: parsed(&end.id)?,
        attempt: attempt_id(end.attempt),
        outcome,
        millis: end.millis,
        output: end.output.into_bytes().unwrap_or_default(),
    })
}

pub(super) fn handle(shared: &Shared, queue: &Topic) -> Result<Queue> {
    Ok(shared.node.queue(queue.clone())?)
}

fn worker_hold(hold: &WorkerHold) -> Result<job::WorkerHold> {
    let worker = hold.worker.parse();
    let worker = worker
        .map_err(|_no_worker| Failure::new("request-worker").with("worker", &*hold.worker))?;
    Ok(job::WorkerHold {
        worker,
        fence: hold.fence,
    })
}

fn parsed(id: &str) -> Result<JobId> {
    id.parse()
        .map_err(|_no_id| Failure::new("job-id").with("job", id))
}

/// The job that is meant.
async fn found(shared: &Shared, id: &str) -> Result<JobId> {
    let prefix = id.to_ascii_lowercase().parse();
    let prefix = prefix.map_err(|_no_id| Failure::new("job-id").with("job", id))?;
    shared
        .node
        .find_job(&prefix)
        .await
        .map_err(|error| match error {
            roda::Error::NoSuchJob => Failure::new("unknown-job").with("job", id),
            roda::Error::AmbiguousJob(_) => Failure::new("ambiguous-job").with("job", id),
            other => other.into(),
        })
}

//! Jobs: work that is shared out, survives crashes, and is completed once.

mod calendar;
mod claim;
mod copies;
mod effects;
pub(crate) mod past;
mod progress;
mod push;
mod report;
mod serving;
mod undertaker;
mod worker;

use std::sync::Arc;

use roda_proto::Command;
use roda_proto::job::JobEntry;
use tokio::sync::{Semaphore, watch};

use crate::error::{Error, Result};
use crate::link::Links;
use crate::node::Node;
use crate::types::Receipt;

pub use self::calendar::{CronError, CronField, next_time, parse_cron};
pub use self::claim::{ClaimedJob, EndedAttempt, Offer, WorkerHold};
use self::copies::Copier;
pub use self::effects::{Effects, EffectsError};
use self::progress::BLOBS_SAVED_MAX;
pub use self::progress::{LoadedProgress, Progress};
pub use self::push::{NewJob, Pushed};
pub use self::report::JobFilter;
pub(crate) use self::serving::{Served, Serving};
use self::undertaker::Undertaker;
pub use self::worker::{JobResult, RunningJob, WorkerOptions};
pub use roda_proto::job::{
    Attempt, AttemptEnd, AttemptId, BLOB_LEN_MAX, CronExpr, CronExprError, EntryError, Job, JobId,
    JobKey, JobKeyError, JobPrefix, JobState, OUTPUT_LEN_MAX, OnCrash, Outcome, PAYLOAD_LEN_MAX,
    PRIORITY_DEFAULT, PushOptions, QUEUE_LEN_MAX, QueueName, Recurrence, RoundEnd, Running,
    STATE_LEN_MAX, SavedAt, StateKind, TRIES_MAX_DEFAULT, WorkerId, worker_lock,
};
pub use roda_store::{
    AttemptInfo, BLOBS_LEN_MAX, CheckpointInfo, JobInfo, JobRow, LoadedPayload, QueueStats,
    Retention,
};

/// What a running node keeps for its jobs.
pub(crate) struct Jobs {
    /// Changes with every job entry that is durable here.
    pub(crate) changes: watch::Receiver<u64>,
    /// Pushes with an idempotency key go one after the other: each looks for the key first.
    keyed: tokio::sync::Mutex<()>,
    undertaker: Undertaker,
    copier: Copier,
    /// Places for large checkpoints that are being saved.
    saving: Semaphore,
    pub(crate) serving: Arc<Serving>,
    links: Links,
}

impl Jobs {
    pub(crate) fn new(
        changes: watch::Receiver<u64>,
        serving: Arc<Serving>,
        links: Links,
    ) -> Arc<Self> {
        Arc::new(Self {
            changes,
            keyed: tokio::sync::Mutex::default(),
            undertaker: Undertaker::default(),
            copier: Copier::default(),
            saving: Semaphore::new(BLOBS_SAVED_MAX),
            serving,
            links,
        })
    }
}

/// A handle on a queue. Cheap to clone.
#[derive(Clone)]
pub struct Queue {
    pub(crate) node: Node,
    pub(crate) name: QueueName,
}

impl Node {
    /// A queue by name; it comes into being with its first job.
    ///
    /// # Errors
    /// [`Error::QueueName`] if the name has more than [`QUEUE_LEN_MAX`] bytes.
    pub fn queue(&self, name: QueueName) -> Result<Queue> {
        if name.as_str().len() > QUEUE_LEN_MAX {
            return Err(Error::QueueName(name));
        }
        Ok(Queue {
            node: self.clone(),
            name,
        })
    }

    /// Changes whenever a job of any queue may have changed here, or a queue was paused or resumed.
    #[must_use]
    pub fn job_changes(&self) -> watch::Receiver<u64> {
        self.shared.jobs.changes.clone()
    }

    pub(crate) async fn append_jobs(&self, queue: &QueueName, entry: JobEntry) -> Result<Receipt> {
        let bodies = entry.into_bodies().map_err(Error::JobEntry)?;
        self.append_job_bodies(queue, bodies).await
    }

    pub(crate) async fn append_job_bodies(
        &self,
        queue: &QueueName,
        bodies: Vec<Vec<u8>>,
    ) -> Result<Receipt> {
        let topic = queue.clone();
        self.command(Command::AppendJobs { topic, bodies }).await
    }

    fn job_state(&self) -> &Arc<Jobs> {
        &self.shared.jobs
    }
}

/// What an attempt is told when it does not run any more.
pub(crate) fn over(job: JobId, attempt: AttemptId) -> Error {
    Error::AttemptOver { job, attempt }
}

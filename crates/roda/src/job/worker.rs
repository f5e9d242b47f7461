//! A worker within a program.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use roda_proto::WallTime;
use roda_proto::job::{AttemptId, JobId, OUTPUT_LEN_MAX, Outcome, WorkerId, worker_lock};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::{ClaimedJob, EndedAttempt, LoadedProgress, Offer, Progress, Queue, WorkerHold};
use crate::driver::wall;
use crate::error::{Error, Result};
use crate::node::Node;
use crate::random;

/// Longest time without a look at the queue.
const LOOK_MAX: Duration = Duration::from_secs(5);
/// First pause after a failed try; each further one doubles it.
const BACKOFF: Duration = Duration::from_secs(1);
/// Longest pause between two tries.
const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// How a worker works.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// How many jobs it runs at once.
    pub jobs_at_once: usize,
    /// It ends when nothing of the queue waits or runs any more.
    pub until_idle: bool,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            jobs_at_once: 1,
            until_idle: false,
        }
    }
}

/// How a job's function ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobResult {
    /// It is done for good.
    Done,
    /// It has saved its progress and wants to be run again.
    Again,
    /// It failed: it is tried again later, at last it is dead. The text is kept.
    Failed(String),
}

/// A job as its function sees it. Cheap to clone.
#[derive(Clone)]
pub struct RunningJob {
    node: Node,
    job: Arc<ClaimedJob>,
    loaded: Arc<LoadedProgress>,
}

impl RunningJob {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.job.id
    }

    /// Which attempt at it.
    #[must_use]
    pub fn attempt(&self) -> AttemptId {
        self.job.attempt
    }

    /// What to do.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.job.payload
    }

    /// The state that an earlier attempt saved last, if one did, and if it is to be had: see
    /// [`Self::skipped`].
    #[must_use]
    pub fn state(&self) -> Option<&[u8]> {
        let saved = self.loaded.progress.as_ref();
        saved.map(|progress| progress.state.as_slice())
    }

    /// How many checkpoints newer than [`Self::state`] there are that are damaged, or whose only copy is on
    /// a machine that does not answer.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.loaded.skipped
    }

    /// Saves progress; returns when it survives power loss here. The next attempt begins with it.
    ///
    /// # Errors
    /// [`Error::AttemptOver`]; [`Error::JobEntry`] if the state is too long; [`Error::BlobsFull`].
    pub async fn checkpoint(&self, state: Vec<u8>) -> Result<()> {
        self.save(Progress {
            state,
            ..Progress::default()
        })
        .await
    }

    /// As [`Self::checkpoint`], and says how much is done of how much.
    ///
    /// # Errors
    /// As [`Self::checkpoint`].
    pub async fn progress(&self, state: Vec<u8>, done: u64, total: u64) -> Result<()> {
        self.save(Progress {
            state,
            done: Some(done),
            total: Some(total),
        })
        .await
    }

    async fn save(&self, progress: Progress) -> Result<()> {
        let (job, attempt) = (self.job.id, self.job.attempt);
        self.node.save_checkpoint(job, attempt, progress).await
    }
}

impl Queue {
    /// Runs jobs until `until` is ready, or until nothing is left to do if the options say so. Jobs that run
    /// then are finished first.
    ///
    /// Each job runs at most once at a time within the group, and is completed once. Its function may be
    /// run several times: after a crash, and if the worker's lock is lost, which aborts it.
    ///
    /// Dropped, running functions are aborted, and their jobs are free for others when the worker's lock
    /// ends.
    ///
    /// # Errors
    /// [`Error::LockLost`]: the voters were out of reach for too long. All functions were aborted.
    pub async fn work<F, R>(
        &self,
        options: WorkerOptions,
        until: impl Future<Output = ()>,
        run: F,
    ) -> Result<()>
    where
        F: Fn(RunningJob) -> R,
        R: Future<Output = JobResult> + Send + 'static,
    {
        let worker = WorkerId(random::bytes()?);
        let guard = self.node.lock(worker_lock(&worker)).acquire().await?;
        let hold = WorkerHold {
            worker,
            fence: guard.fence(),
        };
        let mut shift = Shift {
            queue: self.clone(),
            hold,
            options,
            tasks: JoinSet::new(),
            running: HashMap::new(),
            loading: JoinSet::new(),
            being_loaded: Vec::new(),
            ended: Vec::new(),
        };
        let worked = tokio::select! {
            worked = shift.run(until, run) => worked,
            () = guard.lost() => Err(Error::LockLost),
        };
        shift.tasks.shutdown().await;
        let buried = self.node.bury_worker(hold).await;
        drop(guard);
        worked.and(buried)
    }
}

/// A worker at work. Dropped in the middle of it, it leaves its jobs to the undertakers.
struct Shift {
    queue: Queue,
    hold: WorkerHold,
    options: WorkerOptions,
    tasks: JoinSet<JobResult>,
    running: HashMap<Id, Running>,
    /// Claimed jobs whose checkpoints take a look at other members.
    loading: JoinSet<Result<(ClaimedJob, LoadedProgress)>>,
    // Invariant: names exactly the jobs of `loading`.
    being_loaded: Vec<(JobId, AttemptId)>,
    /// Attempts that ended and are not recorded yet.
    ended: Vec<EndedAttempt>,
}

struct Running {
    job: Arc<ClaimedJob>,
    started: Instant,
    task: AbortHandle,
    is_cancelled: bool,
}

impl Drop for Shift {
    fn drop(&mut self) {
        self.queue.node.abandon_worker(self.hold.worker);
    }
}

impl Shift {
    async fn run<F, R>(&mut self, until: impl Future<Output = ()>, run: F) -> Result<()>
    where
        F: Fn(RunningJob) -> R,
        R: Future<Output = JobResult> + Send + 'static,
    {
        let mut changes = self.queue.node.job_changes();
        tokio::pin!(until);
        let mut is_ending = false;
        loop {
            changes.mark_unchanged();
            let free = if is_ending {
                0
            } else {
                let taken = self.running.len() + self.loading.len();
                self.options.jobs_at_once.saturating_sub(taken)
            };
            let offer = self.record_and_claim(free).await?;
            self.cancel(&offer.cancel);
            for mut job in offer.jobs {
                match job.progress.take() {
                    Some(progress) => self.start(job, progress, &run),
                    None => self.load(job),
                }
            }
            let is_over = is_ending || self.options.until_idle && offer.is_idle;
            if is_over && self.running.is_empty() && self.loading.is_empty() {
                return Ok(());
            }
            tokio::select! {
                () = &mut until, if !is_ending => is_ending = true,
                Some(ended) = self.tasks.join_next_with_id() => self.settle(ended),
                Some(loaded) = self.loading.join_next() => {
                    let loaded = loaded.map_err(|error| Error::Store(error.to_string()))?;
                    let (job, progress) = loaded?;
                    self.being_loaded.retain(|one| *one != (job.id, job.attempt));
                    self.start(job, progress, &run);
                }
                _changed = changes.changed() => {}
                () = tokio::time::sleep(next_look(offer.next_due)) => {}
            }
        }
    }

    fn load(&mut self, job: ClaimedJob) {
        self.being_loaded.push((job.id, job.attempt));
        let node = self.queue.node.clone();
        self.loading.spawn(async move {
            let progress = node.load_checkpoint(job.id).await?;
            Ok((job, progress))
        });
    }

    fn start<F, R>(&mut self, job: ClaimedJob, progress: LoadedProgress, run: &F)
    where
        F: Fn(RunningJob) -> R,
        R: Future<Output = JobResult> + Send + 'static,
    {
        let job = Arc::new(job);
        let task = self.tasks.spawn(run(RunningJob {
            node: self.queue.node.clone(),
            job: Arc::clone(&job),
            loaded: Arc::new(progress),
        }));
        let running = Running {
            job,
            started: Instant::now(),
            task: task.clone(),
            is_cancelled: false,
        };
        self.running.insert(task.id(), running);
    }

    fn cancel(&mut self, jobs: &[JobId]) {
        for running in self.running.values_mut() {
            if jobs.contains(&running.job.id) {
                running.is_cancelled = true;
                running.task.abort();
            }
        }
    }

    /// Takes in one end, and all others that are there already.
    fn settle(&mut self, first: Joined) {
        let mut next = Some(first);
        while let Some(joined) = next {
            let (id, result) = match joined {
                Ok((id, result)) => (id, Ok(result)),
                Err(error) => (error.id(), Err(error)),
            };
            if let Some(running) = self.running.remove(&id) {
                self.ended.push(attempt_ended(&running, result));
            }
            next = self.tasks.try_join_next_with_id();
        }
    }

    /// Records the ends that were taken in, and meanwhile claims what comes next.
    async fn record_and_claim(&mut self, free: usize) -> Result<Offer> {
        let ended = std::mem::take(&mut self.ended);
        let known = self.running.values();
        let known = known.map(|one| (one.job.id, one.job.attempt));
        let known = known.chain(self.being_loaded.iter().copied());
        // By the log, those run until their end is recorded.
        let known = known.chain(ended.iter().map(|one| (one.id, one.attempt)));
        let known: Vec<_> = known.collect();
        if ended.is_empty() {
            return self.queue.claim(self.hold, free, &known).await;
        }
        let (recorded, offer) = tokio::join!(
            self.queue.end(self.hold, ended),
            self.queue.claim(self.hold, free, &known)
        );
        recorded.and(offer)
    }
}

type Joined = std::result::Result<(Id, JobResult), JoinError>;

fn attempt_ended(
    running: &Running,
    result: std::result::Result<JobResult, JoinError>,
) -> EndedAttempt {
    let (outcome, output) = match result {
        Ok(JobResult::Done) => (Outcome::Done, String::new()),
        Ok(JobResult::Again) => (Outcome::Again, String::new()),
        Ok(JobResult::Failed(text)) => (failed(running), text),
        Err(_aborted) if running.is_cancelled => (Outcome::Cancelled, String::new()),
        Err(error) => (failed(running), error.to_string()),
    };
    EndedAttempt {
        id: running.job.id,
        attempt: running.job.attempt,
        outcome,
        millis: u64::try_from(running.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        output: tail(output.into_bytes()),
    }
}

fn failed(running: &Running) -> Outcome {
    let pause = BACKOFF.saturating_mul(2_u32.saturating_pow(running.job.tries));
    let pause = u64::try_from(pause.min(BACKOFF_MAX).as_millis()).unwrap_or(u64::MAX);
    Outcome::Failed {
        code: 1,
        retry_at: WallTime(wall().0.saturating_add(jittered(pause))),
    }
}

/// Up to a fifth more or less, so that what failed together is not tried again together.
fn jittered(millis: u64) -> u64 {
    let drawn = random::bytes::<1>().map_or(0, |[byte]| u64::from(byte));
    millis * 4 / 5 + millis * 2 * drawn / (5 * 255)
}

/// The end of it, as much as is kept.
fn tail(mut output: Vec<u8>) -> Vec<u8> {
    let beyond = output.len().saturating_sub(OUTPUT_LEN_MAX);
    output.drain(..beyond);
    output
}

fn next_look(due: Option<WallTime>) -> Duration {
    let until_due = due.map(|due| Duration::from_millis(due.0.saturating_sub(wall().0)));
    until_due.map_or(LOOK_MAX, |until_due| until_due.min(LOOK_MAX))
}

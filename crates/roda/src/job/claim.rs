//! A worker's side: claiming jobs, saving their progress, telling how they ended.

use std::collections::{BTreeMap, HashMap, HashSet};

use roda_proto::WallTime;
use roda_proto::job::{
    AttemptId, Claimed, End, JobEntry, JobId, JobState, Outcome, PushOptions, Running, StateKind,
    WorkerId, claim_lock, worker_lock,
};
use roda_proto::token::Fence;
use roda_store::{JobRow, LoadedPayload, LoadedState, QueueStats, Reader, StoreError};

use super::calendar::next_round;
use super::{LoadedProgress, Progress, Queue};
use crate::driver::wall;
use crate::error::{Error, Result};
use crate::node::Node;

/// Most jobs that are claimed at once.
const CLAIM_MAX: usize = 256;

/// A worker, whose lock ([`worker_lock`]) this node holds with this fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerHold {
    /// Which.
    pub worker: WorkerId,
    /// Of its lock.
    pub fence: Fence,
}

/// A job that a worker has to run now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedJob {
    /// Its name.
    pub id: JobId,
    /// Which attempt at it.
    pub attempt: AttemptId,
    /// What to do.
    pub payload: Vec<u8>,
    /// How it was pushed.
    pub options: PushOptions,
    /// Tries that failed since the last progress.
    pub tries: u32,
    /// From where to go on; `None`: that is not here, or damaged, and [`Node::load_checkpoint`] looks for
    /// it elsewhere.
    pub progress: Option<LoadedProgress>,
}

/// What there is for a worker at this moment.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// Its own from now on.
    pub jobs: Vec<ClaimedJob>,
    /// Jobs of its own that somebody wants cancelled.
    pub cancel: Vec<JobId>,
    /// Nothing of the queue waits, not for later either, and nothing runs anywhere.
    pub is_idle: bool,
    /// No jobs of the queue are started, on any member.
    pub is_paused: bool,
    /// When the next job that waits for its time is due.
    pub next_due: Option<WallTime>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedAttempt {
    /// Of which job.
    pub id: JobId,
    /// Which attempt at it.
    pub attempt: AttemptId,
    /// How.
    pub outcome: Outcome,
    /// How long it ran, in milliseconds.
    pub millis: u64,
    /// The end of its output.
    pub output: Vec<u8>,
}

impl Queue {
    /// Claims up to `free` jobs that are ready, without waiting for more to come; returns when that is
    /// durable here. `known` are the attempts that the worker runs: one that is its own by the log and not
    /// among them is given again, as an earlier answer was lost on its way.
    ///
    /// Not to be called twice at once for one worker, and not to be dropped halfway: what was claimed then
    /// comes with the next call.
    ///
    /// # Errors
    /// [`Error::LockLost`] if the worker's lock is not held any more; [`Error::NoQuorum`] and the like.
    pub async fn claim(
        &self,
        hold: WorkerHold,
        free: usize,
        known: &[(JobId, AttemptId)],
    ) -> Result<Offer> {
        self.node.check_worker(hold)?;
        self.node.watch_workers(hold.worker);
        self.node.keep_copies(&self.name);
        let look = self.look(hold.worker, free.min(CLAIM_MAX)).await?;
        let mut offer = Offer {
            is_paused: look.stats.as_ref().is_some_and(|stats| stats.paused),
            // What is claimed now was waiting.
            is_idle: look.stats.is_none_or(|stats| {
                stats.count(StateKind::Waiting) + stats.count(StateKind::Running) == 0
            }),
            next_due: look.next_due,
            ..Offer::default()
        };
        let known: HashSet<_> = known.iter().copied().collect();
        let mut lost = Vec::new();
        for (row, running) in look.running {
            let attempt = (row.id, running.attempt);
            if !known.contains(&attempt) {
                lost.push(attempt);
            } else if running.cancel_wanted {
                offer.cancel.push(row.id);
            }
        }
        let room = free.min(CLAIM_MAX).saturating_sub(lost.len());
        offer.jobs = self.node.claimed_jobs(lost).await?;
        let shards = within(look.shards, room);
        if !shards.is_empty() {
            offer.jobs.extend(self.claim_shards(hold, shards).await?);
        }
        Ok(offer)
    }

    /// All that there is to know before anything is claimed, without a lock: most of the time nothing is
    /// ready.
    async fn look(&self, worker: WorkerId, room: usize) -> Result<Look> {
        let queue = self.name.clone();
        self.node
            .read(move |reader| {
                let now = wall();
                let shards = match room {
                    0 => Vec::new(),
                    _ => reader.shards_ready(&queue, now, room)?,
                };
                Ok(Look {
                    running: running(reader.running_of(&worker)?),
                    shards,
                    stats: reader.queue(&queue)?,
                    next_due: reader.next_due(&queue, now)?,
                })
            })
            .await
    }

    /// Claims from several shards at once, in one write.
    async fn claim_shards(
        &self,
        hold: WorkerHold,
        shards: Vec<(u8, usize)>,
    ) -> Result<Vec<ClaimedJob>> {
        // In the same order everywhere, so that two workers never wait for each other.
        let mut guards = BTreeMap::new();
        for (shard, _) in &shards {
            let lock = claim_lock(&self.name, *shard)
                .ok_or_else(|| Error::QueueName(self.name.clone()))?;
            guards.insert(*shard, self.node.lock(lock).fresh().acquire().await?);
        }
        let mut claims: BTreeMap<u8, Vec<Claimed>> = BTreeMap::new();
        let mut jobs = Vec::new();
        for mut ready in self.ready(shards).await? {
            let Some(guard) = guards.get(&ready.shard) else {
                continue;
            };
            ready.job.attempt = AttemptId {
                fence: guard.fence(),
                number: ready.claimed.number,
            };
            claims.entry(ready.shard).or_default().push(ready.claimed);
            jobs.push(ready.job);
        }
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        // All locks live and die with the node's session; only force takes one away alone.
        self.node.check_worker(hold)?;
        let mut bodies = Vec::new();
        for (shard, jobs) in claims {
            let entry = JobEntry::Claim {
                worker: hold.worker,
                fence: guards[&shard].fence(),
                shard,
                jobs,
            };
            bodies.extend(entry.into_bodies().map_err(Error::JobEntry)?);
        }
        self.node.append_job_bodies(&self.name, bodies).await?;
        drop(guards);
        self.node.check_worker(hold)?;
        Ok(jobs)
    }

    async fn ready(&self, shards: Vec<(u8, usize)>) -> Result<Vec<Ready>> {
        let queue = self.name.clone();
        self.node
            .read(move |reader| {
                let ready = reader.jobs_to_claim(&queue, &shards, wall())?;
                let ready = ready
                    .into_iter()
                    .map(|(row, pushed)| Ready::new(reader, row, pushed));
                ready.collect()
            })
            .await
    }

    /// Records how attempts of a worker ended; returns when that is durable here. Of one that is over
    /// already nothing is recorded.
    ///
    /// # Errors
    /// [`Error::LockLost`] if the worker's lock is not held any more: the attempts do not count then.
    pub async fn end(&self, hold: WorkerHold, ended: Vec<EndedAttempt>) -> Result<()> {
        self.node.check_worker(hold)?;
        let running = self.node.running_of(hold.worker).await?;
        let running: HashMap<_, _> = running
            .into_iter()
            .map(|(row, one)| ((row.id, one.attempt), row))
            .collect();
        let counted = |end: EndedAttempt| {
            let row = running.get(&(end.id, end.attempt))?;
            Some(End {
                job: end.id,
                attempt: end.attempt,
                outcome: end.outcome,
                millis: end.millis,
                output: end.output,
                next: next_round(&row.job),
            })
        };
        let ends: Vec<End> = ended.into_iter().filter_map(counted).collect();
        if ends.is_empty() {
            return Ok(());
        }
        let entry = JobEntry::End {
            worker: hold.worker,
            ends,
        };
        self.node.append_jobs(&self.name, entry).await?;
        Ok(())
    }
}

impl Node {
    /// Whether the worker's lock is this node's now.
    fn check_worker(&self, hold: WorkerHold) -> Result<()> {
        let lock = worker_lock(&hold.worker);
        match self.held_frontier(&lock, hold.fence) {
            Some(_) => Ok(()),
            None => Err(Error::LockLost),
        }
    }

    async fn running_of(&self, worker: WorkerId) -> Result<Vec<(JobRow, Running)>> {
        let rows = self.read(move |reader| reader.running_of(&worker)).await?;
        Ok(running(rows))
    }

    async fn claimed_jobs(&self, claimed: Vec<(JobId, AttemptId)>) -> Result<Vec<ClaimedJob>> {
        if claimed.is_empty() {
            return Ok(Vec::new());
        }
        self.read(move |reader| {
            let mut jobs = Vec::with_capacity(claimed.len());
            for (id, attempt) in claimed {
                jobs.extend(claimed_job(reader, id, attempt)?);
            }
            Ok(jobs)
        })
        .await
    }
}

/// What a worker finds when it looks for work.
struct Look {
    /// What it runs, by what is stored.
    running: Vec<(JobRow, Running)>,
    /// From which shards to take how many, so that the most urgent jobs of the queue are taken.
    shards: Vec<(u8, usize)>,
    stats: Option<QueueStats>,
    next_due: Option<WallTime>,
}

/// A job that is about to be claimed.
struct Ready {
    shard: u8,
    claimed: Claimed,
    /// With all but the attempt.
    job: ClaimedJob,
}

impl Ready {
    /// A claim changes nothing of what a worker has to know of the job.
    fn new(
        reader: &Reader,
        row: JobRow,
        pushed: LoadedPayload,
    ) -> std::result::Result<Self, StoreError> {
        let claimed = row.job.next_claim(row.id);
        let attempt = AttemptId {
            fence: Fence(0),
            number: claimed.number,
        };
        Ok(Self {
            shard: row.shard,
            claimed,
            job: job_of(reader, &row, attempt, pushed)?,
        })
    }
}

fn running(rows: Vec<JobRow>) -> Vec<(JobRow, Running)> {
    let running = rows.into_iter().filter_map(|row| match row.state {
        JobState::Running(running) => Some((row, running)),
        _ => None,
    });
    running.collect()
}

/// No more than `room` jobs of all shards together.
fn within(shards: Vec<(u8, usize)>, room: usize) -> Vec<(u8, usize)> {
    let mut left = room;
    let taken = shards.into_iter().map(|(shard, count)| {
        let count = count.min(left);
        left -= count;
        (shard, count)
    });
    taken.filter(|(_, count)| *count > 0).collect()
}

fn claimed_job(
    reader: &Reader,
    id: JobId,
    attempt: AttemptId,
) -> std::result::Result<Option<ClaimedJob>, StoreError> {
    let (Some(pushed), Some(row)) = (reader.job_payload(id)?, reader.job_row(id)?) else {
        return Ok(None);
    };
    job_of(reader, &row, attempt, pushed).map(Some)
}

fn job_of(
    reader: &Reader,
    row: &JobRow,
    attempt: AttemptId,
    LoadedPayload { payload, options }: LoadedPayload,
) -> std::result::Result<ClaimedJob, StoreError> {
    Ok(ClaimedJob {
        id: row.id,
        attempt,
        payload,
        options,
        tries: row.job.tries(),
        progress: progress(reader, row)?,
    })
}

/// From where a job goes on, if its newest checkpoint stands whole in its entry.
fn progress(
    reader: &Reader,
    row: &JobRow,
) -> std::result::Result<Option<LoadedProgress>, StoreError> {
    let Some(newest) = row.job.checkpoints().first() else {
        return Ok(Some(LoadedProgress::default()));
    };
    if newest.blob.is_some() {
        return Ok(None);
    }
    let loaded = reader.job_checkpoints(row.id)?.into_iter().next();
    Ok(loaded.and_then(|newest| match newest.state {
        LoadedState::Whole(state) => Some(LoadedProgress {
            progress: Some(Progress {
                state,
                done: newest.saved.done,
                total: newest.saved.total,
            }),
            skipped: 0,
        }),
        LoadedState::Damaged | LoadedState::Blob(_) => None,
    }))
}

//! A worker's side: claiming jobs, saving their progress, telling how they ended.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use roda_proto::WallTime;
use roda_proto::job::{
    AttemptId, Claimed, End, JobEntry, JobId, JobState, Outcome, PushOptions, Running, SHARDS,
    StateKind, WorkerId, claim_lock, worker_lock,
};
use roda_proto::token::Fence;
use roda_store::{JobRow, LoadedPayload, LoadedState, Reader, StoreError};

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
        let mut offer = Offer::default();
        let mut claimed = Vec::new();
        let room = free.min(CLAIM_MAX);
        for (row, running) in self.node.running_of(hold.worker).await? {
            let attempt = (row.id, running.attempt);
            if !known.contains(&attempt) {
                claimed.push(attempt);
            } else if running.cancel_wanted {
                offer.cancel.push(row.id);
            }
        }
        let room = room.saturating_sub(claimed.len());
        for (shard, count) in self.best_shards(room).await? {
            claimed.extend(self.claim_shard(hold, shard, count).await?);
        }
        offer.jobs = self.node.claimed_jobs(claimed).await?;
        let queue = self.name.clone();
        let (stats, next_due) = self
            .node
            .read(move |reader| Ok((reader.queue(&queue)?, reader.next_due(&queue, wall())?)))
            .await?;
        offer.is_paused = stats.as_ref().is_some_and(|stats| stats.paused);
        offer.is_idle = stats.is_none_or(|stats| {
            stats.count(StateKind::Waiting) + stats.count(StateKind::Running) == 0
        });
        offer.next_due = next_due;
        Ok(offer)
    }

    /// From which shards to take how many, so that the most urgent jobs of the queue are taken. Looked at
    /// without a lock: most of the time there is nothing.
    async fn best_shards(&self, room: usize) -> Result<BTreeMap<u8, usize>> {
        if room == 0 {
            return Ok(BTreeMap::new());
        }
        let queue = self.name.clone();
        let mut ready = self
            .node
            .read(move |reader| {
                let mut ready = Vec::new();
                for shard in 0..SHARDS {
                    let rows = reader.jobs_ready(&queue, shard, wall(), room)?;
                    ready.extend(rows.iter().map(|row| (row.priority, row.pushed, row.shard)));
                }
                Ok(ready)
            })
            .await?;
        ready.sort_by_key(|&(priority, pushed, _)| (Reverse(priority), pushed));
        let mut shards = BTreeMap::new();
        for (_, _, shard) in ready.into_iter().take(room) {
            *shards.entry(shard).or_default() += 1;
        }
        Ok(shards)
    }

    async fn claim_shard(
        &self,
        hold: WorkerHold,
        shard: u8,
        room: usize,
    ) -> Result<Vec<(JobId, AttemptId)>> {
        let lock =
            claim_lock(&self.name, shard).ok_or_else(|| Error::QueueName(self.name.clone()))?;
        let guard = self.node.lock(lock).fresh().acquire().await?;
        let ready = self.ready(shard, room).await?;
        let claims = ready.iter().map(|row| row.job.next_claim(row.id));
        let jobs: Vec<Claimed> = claims.collect();
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        // Both locks live and die with the node's session; only force takes one away alone.
        self.node.check_worker(hold)?;
        let fence = guard.fence();
        let claimed = jobs.iter().map(|claimed| {
            let number = claimed.number;
            (claimed.job, AttemptId { fence, number })
        });
        let claimed: Vec<_> = claimed.collect();
        let entry = JobEntry::Claim {
            worker: hold.worker,
            fence,
            shard,
            jobs,
        };
        self.node.append_jobs(&self.name, entry).await?;
        drop(guard);
        self.node.check_worker(hold)?;
        Ok(claimed)
    }

    async fn ready(&self, shard: u8, limit: usize) -> Result<Vec<JobRow>> {
        let queue = self.name.clone();
        self.node
            .read(move |reader| reader.jobs_ready(&queue, shard, wall(), limit))
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
        let counted = |end: EndedAttempt| {
            let mut running = running.iter();
            let is_meant =
                |(row, one): &&(JobRow, Running)| (row.id, one.attempt) == (end.id, end.attempt);
            let (row, _) = running.find(is_meant)?;
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
        let running = rows.into_iter().filter_map(|row| match row.state {
            JobState::Running(running) => Some((row, running)),
            _ => None,
        });
        Ok(running.collect())
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

fn claimed_job(
    reader: &Reader,
    id: JobId,
    attempt: AttemptId,
) -> std::result::Result<Option<ClaimedJob>, StoreError> {
    let (Some(pushed), Some(row)) = (reader.job_payload(id)?, reader.job_row(id)?) else {
        return Ok(None);
    };
    let LoadedPayload { payload, options } = pushed;
    Ok(Some(ClaimedJob {
        id,
        attempt,
        payload,
        options,
        tries: row.job.tries(),
        progress: progress(reader, &row)?,
    }))
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

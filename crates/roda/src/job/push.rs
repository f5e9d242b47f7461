//! Adding jobs.

use std::collections::BTreeMap;

use roda_proto::job::{JobEntry, JobId, JobKey, PushOptions, QueueName, push_hash};
use roda_proto::{Hash, WallTime};

use super::{CronError, Queue, next_time, parse_cron};
use crate::driver::wall;
use crate::error::{Error, Result};
use crate::types::Receipt;

/// A job to be added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewJob {
    /// What to do, at most [`roda_proto::job::PAYLOAD_LEN_MAX`] bytes.
    pub payload: Vec<u8>,
    /// How.
    pub options: PushOptions,
}

/// A job that was added, or was there before with the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Its name.
    pub id: JobId,
    /// It was not there before.
    pub is_new: bool,
}

impl Queue {
    /// Adds a job; returns when it survives power loss here. A job whose key is known, with the same
    /// payload and options, is not added again. A recurring one is first run when its expression says so, or at
    /// `not_before` if that is given.
    ///
    /// Keys are compared with what this node knows. Of pushes with one key on members that cannot hear
    /// each other, all are stored and one is run.
    ///
    /// Cancel-safe in this sense: dropped, the job may or may not be added.
    ///
    /// # Errors
    /// [`Error::JobKeyConflict`], [`Error::JobEntry`], [`Error::Cron`], [`Error::DiskFull`] and the like.
    pub async fn push(&self, job: NewJob) -> Result<Pushed> {
        let pushed = self.push_all(vec![job]).await?;
        pushed.first().copied().ok_or(Error::Stopped)
    }

    /// Adds several, in order; returns when all survive power loss here.
    ///
    /// Dropped, any number of them, from the first on, may be added.
    ///
    /// # Errors
    /// As [`Self::push`]; nothing is added then.
    pub async fn push_all(&self, jobs: Vec<NewJob>) -> Result<Vec<Pushed>> {
        let has_key = jobs.iter().any(|job| job.options.key.is_some());
        // Held until the jobs are stored: whoever pushes the same key next has to find them.
        let _keyed = if has_key {
            Some(self.node.job_state().keyed.lock().await)
        } else {
            None
        };
        let mut plan = Plan::default();
        for job in jobs {
            plan.add(self, job).await?;
        }
        let Plan {
            bodies, outcomes, ..
        } = plan;
        let ids = self.append(bodies).await?;
        let pushed = outcomes.into_iter().map(|outcome| match outcome {
            Planned::New(at) => Pushed {
                id: ids[at],
                is_new: true,
            },
            Planned::Twin(at) => Pushed {
                id: ids[at],
                is_new: false,
            },
            Planned::Known(id) => Pushed { id, is_new: false },
        });
        Ok(pushed.collect())
    }

    async fn append(&self, bodies: Vec<Vec<u8>>) -> Result<Vec<JobId>> {
        let count = bodies.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        let receipt = self.node.append_job_bodies(&self.name, bodies).await?;
        let Receipt {
            author,
            first,
            last,
            ..
        } = receipt;
        let id = |seq| JobId { author, seq };
        if usize::try_from(last.0 - first.0 + 1) == Ok(count) {
            return Ok((first.0..=last.0)
                .map(|seq| id(roda_proto::Seq(seq)))
                .collect());
        }
        // Entries of others came in between.
        let ids = self
            .node
            .read(move |reader| reader.pushed_between(author, first, last));
        ids.await
    }

    /// The job that has the key here, and the hash of what was pushed.
    async fn with_key(&self, key: &JobKey) -> Result<Option<(JobId, Hash)>> {
        let (queue, key): (QueueName, JobKey) = (self.name.clone(), key.clone());
        self.node
            .read(move |reader| reader.push_by_key(&queue, &key))
            .await
    }
}

/// What becomes of each job.
enum Planned {
    /// The nth that is stored.
    New(usize),
    /// The same as the nth that is stored.
    Twin(usize),
    /// It was there before.
    Known(JobId),
}

#[derive(Default)]
struct Plan {
    bodies: Vec<Vec<u8>>,
    outcomes: Vec<Planned>,
    keys: BTreeMap<JobKey, (usize, Hash)>,
}

impl Plan {
    async fn add(&mut self, queue: &Queue, job: NewJob) -> Result<()> {
        let NewJob {
            payload,
            mut options,
        } = job;
        if let Some(cron) = &options.cron {
            let cron = parse_cron(cron.as_str()).map_err(Error::Cron)?;
            if options.not_before == WallTime(0) {
                options.not_before =
                    next_time(&cron, wall()).ok_or(Error::Cron(CronError::Never))?;
            }
            options.cron = Some(cron);
        }
        let at = self.bodies.len();
        if let Some(key) = options.key.clone() {
            let hash = push_hash(&payload, &options);
            let twin = self.keys.get(&key).copied();
            let known = queue.with_key(&key).await?;
            let found = twin
                .map(|(at, hash)| (Planned::Twin(at), hash))
                .or_else(|| known.map(|(id, hash)| (Planned::Known(id), hash)));
            if let Some((outcome, pushed)) = found {
                if pushed != hash {
                    return Err(Error::JobKeyConflict {
                        key,
                        job: known.map(|(id, _)| id),
                    });
                }
                self.outcomes.push(outcome);
                return Ok(());
            }
            self.keys.insert(key, (at, hash));
        }
        let entry = JobEntry::Push { payload, options };
        let bodies = entry.into_bodies().map_err(Error::JobEntry)?;
        self.bodies.extend(bodies);
        self.outcomes.push(Planned::New(at));
        Ok(())
    }
}

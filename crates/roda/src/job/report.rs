//! Looking at jobs, and what people say about them.

use std::collections::{BTreeMap, BTreeSet};

use roda_proto::job::{JobEntry, JobId, JobPrefix, JobState, QueueName, StateKind};
use roda_proto::{AuthorId, NodeId};
use roda_store::{JobInfo, JobRow, LoadedPayload, QueueStats, Resolved};

use super::Queue;
use crate::error::{Error, Result};
use crate::node::Node;

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Only of this queue.
    pub queue: Option<QueueName>,
    /// Only in this state.
    pub state: Option<StateKind>,
    /// Only those behind this one in the list.
    pub after: Option<JobId>,
    /// At most so many.
    pub limit: usize,
}

impl Node {
    /// All queues, by name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn queues(&self) -> Result<Vec<QueueStats>> {
        self.read(|reader| reader.queues()).await
    }

    /// Jobs, those that came here last first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn jobs(&self, filter: JobFilter) -> Result<Vec<JobRow>> {
        self.read(move |reader| {
            let after = match filter.after {
                Some(id) => reader.job_row(id)?.map(|row| row.cursor()),
                None => None,
            };
            reader.jobs(&roda_store::JobsQuery {
                queue: filter.queue.as_ref(),
                state: filter.state,
                after,
                limit: filter.limit,
            })
        })
        .await
    }

    /// The job that is meant.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`] and [`Error::AmbiguousJob`].
    pub async fn find_job(&self, prefix: &JobPrefix) -> Result<JobId> {
        let wanted = prefix.clone();
        match self.read(move |reader| reader.resolve_job(&wanted)).await? {
            Resolved::None => Err(Error::NoSuchJob),
            Resolved::One(id) => Ok(id),
            Resolved::Several(jobs) => Err(Error::AmbiguousJob(jobs)),
        }
    }

    /// How a job is.
    ///
    /// # Errors
    /// [`Error::UnknownJob`].
    pub async fn job(&self, id: JobId) -> Result<JobRow> {
        let found = self.read(move |reader| reader.job_row(id)).await?;
        found.ok_or(Error::UnknownJob(id))
    }

    /// All about a job: how it is, its attempts, and what it is to do.
    ///
    /// # Errors
    /// [`Error::UnknownJob`].
    pub async fn job_details(&self, id: JobId) -> Result<(JobInfo, LoadedPayload)> {
        let found = self
            .read(move |reader| Ok((reader.job(id)?, reader.job_payload(id)?)))
            .await?;
        match found {
            (Some(info), Some(payload)) => Ok((info, payload)),
            _ => Err(Error::UnknownJob(id)),
        }
    }

    /// The nodes behind authors, as far as they are known here.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn nodes_of(
        &self,
        authors: BTreeSet<AuthorId>,
    ) -> Result<BTreeMap<AuthorId, NodeId>> {
        self.read(move |reader| {
            let mut nodes = BTreeMap::new();
            for author in authors {
                if let Some(node) = reader.node_of(author)? {
                    nodes.insert(author, node);
                }
            }
            Ok(nodes)
        })
        .await
    }

    /// Says that a job is not wanted any more; one that runs is stopped by its worker. Returns how the job
    /// was before: of one that had ended nothing is said.
    ///
    /// # Errors
    /// [`Error::UnknownJob`], and as for every write.
    pub async fn cancel_job(&self, id: JobId) -> Result<JobRow> {
        let row = self.job(id).await?;
        if matches!(
            row.state,
            JobState::Waiting { .. } | JobState::Running(_) | JobState::Held
        ) {
            let jobs = vec![(id, row.job.generation())];
            self.append_jobs(&row.queue, JobEntry::Cancel { jobs })
                .await?;
        }
        Ok(row)
    }

    /// Has a job that is dead, cancelled or held tried anew. Returns how the job was before: of any other
    /// nothing is said.
    ///
    /// # Errors
    /// [`Error::UnknownJob`], and as for every write.
    pub async fn retry_job(&self, id: JobId) -> Result<JobRow> {
        let row = self.job(id).await?;
        if matches!(
            row.state,
            JobState::Dead { .. } | JobState::Cancelled | JobState::Held
        ) {
            let jobs = vec![(id, row.job.generation())];
            self.append_jobs(&row.queue, JobEntry::Retry { jobs })
                .await?;
        }
        Ok(row)
    }
}

impl Queue {
    /// How many of its jobs are in which state; `None` if it never had one.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn stats(&self) -> Result<Option<QueueStats>> {
        let queue = self.name.clone();
        self.node.read(move |reader| reader.queue(&queue)).await
    }

    /// Lets nothing of it be claimed any more, or lets it again.
    ///
    /// # Errors
    /// As for every write.
    pub async fn set_paused(&self, paused: bool) -> Result<()> {
        let entry = JobEntry::Pause { paused };
        self.node.append_jobs(&self.name, entry).await.map(|_| ())
    }

    /// Cancels all of its jobs that wait now.
    ///
    /// # Errors
    /// As for every write.
    pub async fn purge(&self) -> Result<()> {
        let entry = JobEntry::Purge;
        self.node.append_jobs(&self.name, entry).await.map(|_| ())
    }
}

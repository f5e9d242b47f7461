//! Saving how far a job has come, and finding from where it can go on.

use std::sync::Arc;
use std::time::Duration;

use roda_proto::Hash;
use roda_proto::job::{AttemptId, Checkpoint, JobEntry, JobId, JobState, QueueName};
use roda_store::{BlobOrigin, BlobPut, LoadedCheckpoint, LoadedState, WantedBlob};
use tokio::time::{sleep, timeout};

use super::over;
use crate::driver::wall;
use crate::error::{Error, Result};
use crate::node::Node;

/// Most large checkpoints that are saved at once: each is in memory as a whole.
pub(super) const BLOBS_SAVED_MAX: usize = 4;
/// How long a save waits until the job's checkpoint before it has been sent to whoever is fetching it.
const COPY_TIME_MAX: Duration = Duration::from_secs(3);
/// How long a large checkpoint is looked for at others before an older one is taken.
const LOAD_TIME_MAX: Duration = Duration::from_secs(5);
/// Between two rounds of asking all.
const LOAD_PAUSE: Duration = Duration::from_millis(100);

/// How far a job has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What it needs to go on, at most [`BLOB_LEN_MAX`](roda_proto::job::BLOB_LEN_MAX) bytes.
    pub state: Vec<u8>,
    /// How much is done, in units of the job.
    pub done: Option<u64>,
    /// How much there is to do.
    pub total: Option<u64>,
}

/// From where a job can go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadedProgress {
    /// What was saved; `None`: nothing was, or nothing of it is to be had, so it begins at zero.
    pub progress: Option<Progress>,
    /// So many newer checkpoints are damaged or not to be had.
    pub skipped: usize,
}

impl Node {
    /// Saves how far a job has come; returns when that is durable here.
    ///
    /// Others get what is larger than an entry on their own; if they are getting the job's checkpoint
    /// before this one, that is waited for, for a few seconds at most.
    ///
    /// # Errors
    /// [`Error::AttemptOver`] if this attempt is not the one that runs, on this node; [`Error::JobEntry`]
    /// if the state is too long; [`Error::BlobsFull`].
    pub async fn save_checkpoint(
        &self,
        job: JobId,
        attempt: AttemptId,
        progress: Progress,
    ) -> Result<()> {
        let found = self.read(move |reader| reader.job_row(job)).await?;
        let row = found.ok_or(Error::UnknownJob(job))?;
        let JobState::Running(running) = row.state else {
            return Err(over(job, attempt));
        };
        if running.attempt != attempt || running.claim.author != self.head().0 {
            return Err(over(job, attempt));
        }
        let Progress { state, done, total } = progress;
        let checkpoint = Checkpoint::new(&state, done, total);
        let (hash, is_blob) = (checkpoint.hash, checkpoint.blob().is_some());
        let entry = JobEntry::Save {
            job,
            attempt,
            checkpoint,
        };
        entry.check().map_err(Error::JobEntry)?;
        if !is_blob {
            self.append_jobs(&row.queue, entry).await?;
            return Ok(());
        }
        let before = row.job.checkpoints().iter().map(|saved| saved.hash);
        let before: Vec<Hash> = before.collect();
        self.save_blob(&row.queue, entry, (hash, state), &before)
            .await
    }

    async fn save_blob(
        &self,
        queue: &QueueName,
        entry: JobEntry,
        (hash, state): (Hash, Vec<u8>),
        before: &[Hash],
    ) -> Result<()> {
        let jobs = self.job_state();
        let place = jobs.saving.acquire().await;
        let _place = place.map_err(|_closed| Error::Stopped)?;
        // A job that saves faster than others can fetch would never have a checkpoint elsewhere.
        let sent = jobs.serving.until_sent(before);
        if timeout(COPY_TIME_MAX, sent).await.is_err() {
            tracing::debug!("a checkpoint is saved while the one before it is still being sent");
        }
        let state = Arc::new(state);
        self.put_own(&state).await?;
        self.append_jobs(queue, entry).await?;
        // Another job with the same state may have let go of it before this one's entry named it.
        if !self.read(move |reader| reader.has_blob(&hash)).await? {
            self.put_own(&state).await?;
        }
        Ok(())
    }

    async fn put_own(&self, state: &Arc<Vec<u8>>) -> Result<()> {
        match self.put_blob(Arc::clone(state), BlobOrigin::Own).await? {
            BlobPut::Stored => Ok(()),
            BlobPut::NoRoom | BlobPut::NotNamed => Err(Error::BlobsFull),
        }
    }

    pub(super) async fn put_blob(&self, blob: Arc<Vec<u8>>, origin: BlobOrigin) -> Result<BlobPut> {
        self.store(move |store| store.put_blob(&blob, origin, wall()))
            .await
    }

    /// The newest checkpoint of a job that is whole and to be had: a large one that is not here is fetched
    /// from other members, for a few seconds at most.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn load_checkpoint(&self, id: JobId) -> Result<LoadedProgress> {
        let checkpoints = self.read(move |reader| reader.job_checkpoints(id)).await?;
        let mut skipped = 0;
        for LoadedCheckpoint { saved, state } in checkpoints {
            let state = match state {
                LoadedState::Whole(state) => Some(state),
                LoadedState::Damaged => None,
                LoadedState::Blob(len) => {
                    let wanted = WantedBlob {
                        job: id,
                        hash: saved.hash,
                        len,
                        saved_by: saved.place.author,
                        is_newest: skipped == 0,
                    };
                    self.blob(wanted).await?
                }
            };
            if let Some(state) = state {
                let (done, total) = (saved.done, saved.total);
                return Ok(LoadedProgress {
                    progress: Some(Progress { state, done, total }),
                    skipped,
                });
            }
            skipped += 1;
            let entry = saved.place.seq;
            tracing::warn!(job = %id, %entry, "a checkpoint is damaged or not to be had; an older one is tried");
        }
        if skipped > 0 {
            tracing::warn!(job = %id, skipped, "no checkpoint is to be had: the job begins at zero");
        }
        Ok(LoadedProgress {
            progress: None,
            skipped,
        })
    }

    /// A blob from here or, for a few seconds, from others.
    async fn blob(&self, wanted: WantedBlob) -> Result<Option<Vec<u8>>> {
        let hash = wanted.hash;
        let here = self.read(move |reader| reader.blob(&hash)).await?;
        if here.is_some() {
            return Ok(here);
        }
        // Who has it may only be about to be heard, or to be restarted.
        let fetching = async {
            loop {
                if let Some(blob) = self.fetch_blob(&wanted).await {
                    return blob;
                }
                sleep(LOAD_PAUSE).await;
            }
        };
        let Ok(blob) = timeout(LOAD_TIME_MAX, fetching).await else {
            return Ok(None);
        };
        // Whether there is room for it makes no difference to this attempt.
        let blob = Arc::new(blob);
        if let Err(error) = self.put_blob(Arc::clone(&blob), BlobOrigin::Copy).await {
            tracing::warn!(%error, "a fetched checkpoint could not be stored");
        }
        Ok(Some(Arc::unwrap_or_clone(blob)))
    }
}

//! Takes jobs that have been over for long out of the index, a few at a time.

use std::time::Duration;

use roda_store::{Retention, RetireCursor, Retired, Store, StoreError};
use tokio::sync::{mpsc, oneshot, watch};

use super::Queue;
use crate::driver::{Request, wall};
use crate::error::Result;

/// Pause after the start, and between two walks through all jobs.
const PAUSES: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));
/// Pause between two steps of a walk, so that those who push need not wait for it.
const STEP_PAUSE: Duration = Duration::from_millis(100);

/// Looks after old jobs as long as the node runs. Nothing is lost when it is dropped.
pub(crate) async fn run(requests: mpsc::WeakSender<Request>, mut stopped: watch::Receiver<bool>) {
    let mut pause = PAUSES.0;
    loop {
        let until_stopped = stopped.wait_for(|stopped| *stopped);
        if tokio::time::timeout(pause, until_stopped).await.is_ok() {
            return;
        }
        pause = PAUSES.1;
        if walk(&requests).await.is_none() {
            return;
        }
    }
}

impl Queue {
    /// For how long this node lists jobs of the queue once they are over; `None` if there is no such queue.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn retention(&self) -> Result<Option<Retention>> {
        let queue = self.name.clone();
        self.node.read(move |reader| reader.retention(&queue)).await
    }

    /// Lists them for so long from the next look at old jobs on, on this node; `false` if there is no such
    /// queue. Jobs that are listed no more are counted, shown, and known by their key as before.
    ///
    /// # Errors
    /// As for every write.
    pub async fn set_retention(&self, retention: Retention) -> Result<bool> {
        let queue = self.name.clone();
        let set = move |store: &mut Store| store.set_retention(&queue, retention);
        self.node.store(set).await
    }
}

/// Once through all jobs; `None` if the node has stopped.
async fn walk(requests: &mpsc::WeakSender<Request>) -> Option<()> {
    let (mut jobs, mut from) = (0, None);
    loop {
        match step(requests, from).await? {
            Ok(retired) => {
                jobs += retired.jobs;
                from = retired.next;
            }
            Err(error) => {
                tracing::warn!(%error, "old jobs stay in the index for now");
                return Some(());
            }
        }
        if from.is_none() {
            break;
        }
        tokio::time::sleep(STEP_PAUSE).await;
    }
    if jobs > 0 {
        tracing::debug!(jobs, "jobs that are over for long left the index");
    }
    Some(())
}

async fn step(
    requests: &mpsc::WeakSender<Request>,
    from: Option<RetireCursor>,
) -> Option<std::result::Result<Retired, StoreError>> {
    let (found, finding) = oneshot::channel();
    let (answer, answered) = oneshot::channel();
    let job = move |store: &mut Store| {
        let retired = store.retire_jobs(wall(), from)?;
        // Whoever asked may be gone.
        let _gone = found.send(retired);
        Ok(())
    };
    let request = Request::Store(Box::new(job), answer);
    requests.upgrade()?.send(request).await.ok()?;
    match answered.await.ok()? {
        Ok(()) => finding.await.ok().map(Ok),
        Err(error) => Some(Err(error)),
    }
}

//! Takes jobs that have been over for long out of the index, a few at a time.

use std::time::Duration;

use roda_store::{Retired, StoreError};
use tokio::sync::{mpsc, oneshot, watch};

use crate::driver::{Request, wall};

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
    from: Option<roda_store::RetireCursor>,
) -> Option<Result<Retired, StoreError>> {
    let (found, finding) = oneshot::channel();
    let (answer, answered) = oneshot::channel();
    let job = move |store: &mut roda_store::Store| {
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

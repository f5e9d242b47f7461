//! Says of dead workers that they are dead, so that their jobs can go on elsewhere.
//!
//! A worker lives as long as it holds its lock. Whoever else gets that lock knows that nothing the worker
//! ran is alive: its node has killed it, or its node's session is over, and it was killed before that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roda_proto::job::{JobEntry, JobState, Lost, QueueName, WorkerId, worker_lock};
use roda_proto::token::Fence;
use roda_store::LiveWorker;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::WorkerHold;
use super::calendar::next_round;
use crate::error::Result;
use crate::node::Node;

/// Most foreign workers whose end is waited for at once; others come when one of these is gone.
const WATCHED_MAX: usize = 256;
/// A node whose own workers have not asked for jobs for so long leaves the dead to others.
pub(super) const INTEREST: Duration = Duration::from_secs(30);
/// Pause after an error, and longest time without a look.
const PAUSE: Duration = Duration::from_secs(1);

/// What a node knows about the workers it watches, and its own.
#[derive(Default)]
pub(crate) struct Undertaker {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Until then dead workers are looked for. `None`: nobody looks.
    interested_until: Option<Instant>,
    /// Workers of this node: it tells of their end itself.
    own: BTreeSet<WorkerId>,
}

impl Undertaker {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    /// A worker of this node asks for jobs: for a while dead workers of others are looked for.
    pub(super) fn watch_workers(&self, own: WorkerId) {
        let mut state = self.job_state().undertaker.state();
        state.own.insert(own);
        let until = Instant::now() + INTEREST;
        if state.interested_until.replace(until).is_none() {
            tokio::spawn(watch(self.clone()));
        }
    }

    /// Nothing of this node's worker runs any more, and its lock is still held with this fence: what it had
    /// not finished is free again. To be called before the lock is let go.
    ///
    /// # Errors
    /// As for every write. Whoever gets the lock next does the same.
    pub async fn bury_worker(&self, hold: WorkerHold) -> Result<()> {
        let buried = self.bury(hold.worker, hold.fence).await;
        self.job_state().undertaker.state().own.remove(&hold.worker);
        buried
    }

    /// A worker of this node was dropped before it could be buried; whoever gets its lock does that, and
    /// this node may be the one.
    pub(super) fn abandon_worker(&self, worker: WorkerId) {
        self.job_state().undertaker.state().own.remove(&worker);
    }

    async fn bury(&self, worker: WorkerId, fence: Fence) -> Result<()> {
        for (queue, lost) in self.lost(worker).await? {
            let jobs = lost.len();
            tracing::info!(%worker, %queue, jobs, "a worker is gone; its jobs are free");
            let entry = JobEntry::Lose {
                worker,
                fence,
                lost,
            };
            self.append_jobs(&queue, entry).await?;
        }
        Ok(())
    }

    /// What a worker has not finished, by queue.
    async fn lost(&self, worker: WorkerId) -> Result<BTreeMap<QueueName, Vec<Lost>>> {
        self.read(move |reader| {
            let mut lost: BTreeMap<QueueName, Vec<Lost>> = BTreeMap::new();
            for row in reader.running_of(&worker)? {
                let JobState::Running(running) = row.state else {
                    continue;
                };
                // Read after the row, so that it covers all that the row is made of.
                let last = reader.head_of(running.claim.author)?;
                lost.entry(row.queue).or_default().push(Lost {
                    job: row.id,
                    attempt: running.attempt,
                    last,
                    next: next_round(&row.job),
                });
            }
            Ok(lost)
        })
        .await
    }

    /// Waits until a worker of another node is dead, and says so.
    async fn outlive(&self, worker: WorkerId) -> Result<()> {
        let lock = self.lock(worker_lock(&worker)).fresh();
        let guard = lock.acquire().await?;
        self.bury(worker, guard.fence()).await
    }
}

/// Looks for workers with running jobs after every change, and waits for the end of each.
async fn watch(node: Node) {
    let watched = Arc::new(Mutex::new(BTreeSet::new()));
    let mut waits = JoinSet::new();
    let mut changes = node.job_changes();
    loop {
        changes.mark_unchanged();
        if let Ok(workers) = node.read(|reader| reader.live_workers()).await {
            for LiveWorker { worker, .. } in workers {
                let is_own = node.job_state().undertaker.state().own.contains(&worker);
                let mut known = watched.lock().unwrap_or_else(PoisonError::into_inner);
                if is_own || known.len() >= WATCHED_MAX || !known.insert(worker) {
                    continue;
                }
                drop(known);
                waits.spawn(wait(node.clone(), worker, Arc::clone(&watched)));
            }
        }
        while waits.try_join_next().is_some() {}
        tokio::select! {
            _stopped = node.stopped() => break,
            // Many changes come together.
            changed = timeout(PAUSE, changes.changed()) => {
                if matches!(changed, Ok(Err(_))) {
                    break;
                }
                tokio::time::sleep(PAUSE / 20).await;
            }
        }
        let mut state = node.job_state().undertaker.state();
        if state
            .interested_until
            .is_none_or(|until| until <= Instant::now())
        {
            state.interested_until = None;
            break;
        }
    }
}

async fn wait(node: Node, worker: WorkerId, watched: Arc<Mutex<BTreeSet<WorkerId>>>) {
    if let Err(error) = node.outlive(worker).await {
        tracing::debug!(%worker, %error, "cannot tell whether a worker is dead");
        sleep_until(Instant::now() + PAUSE).await;
    }
    // Should more of its jobs turn up, it is waited for again.
    let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
    watched.remove(&worker);
}

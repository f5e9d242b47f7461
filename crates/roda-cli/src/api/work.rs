//! The routes of workers: what there is to do, and how it ended.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path as UrlPath, State};
use jiff::Timestamp;
use roda::{Fence, LockName};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::handlers::{Reply, Shareable, parsed};
use super::job_backend::{self as backend, Offer, WorkerHold};
use super::job_checks::{job_id, queue_name};
use super::lines::at;
use super::server::Shared;
use super::work_types::{EndsRequest, PollReply, PollRequest};
use crate::error::{Failure, Result as CommandResult};

/// Where a worker asks. A later question makes the node answer an earlier one.
#[derive(Default)]
pub(crate) struct Desks {
    desks: Mutex<BTreeMap<String, Weak<Desk>>>,
}

struct Desk {
    /// How many have asked.
    asked: watch::Sender<u64>,
    /// Whoever claims: never two at once.
    turn: tokio::sync::Mutex<()>,
}

impl Desks {
    fn find(&self, worker: &str) -> Arc<Desk> {
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(desk) = desks.get(worker).and_then(Weak::upgrade) {
            return desk;
        }
        desks.retain(|_worker, desk| desk.strong_count() > 0);
        let desk = Arc::new(Desk {
            asked: watch::Sender::new(0),
            turn: tokio::sync::Mutex::default(),
        });
        desks.insert(worker.to_owned(), Arc::downgrade(&desk));
        desk
    }
}

/// The lock under which a worker runs.
///
/// # Errors
/// The worker's name is none.
pub(crate) fn worker_lock(worker: &str) -> CommandResult<LockName> {
    let is_name = worker.len() == 32
        && worker
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_name {
        return Err(Failure::new("request-worker").with("worker", worker));
    }
    Ok(LockName::new(&format!("roda/worker/{worker}"))?)
}

/// The worker, if it still has its lock.
fn hold(shared: &Shared, worker: &str, fence: u64, queue: &str) -> CommandResult<WorkerHold> {
    let queue = queue_name(queue)?;
    let lock = worker_lock(worker)?;
    let hold = WorkerHold {
        worker: worker.to_owned(),
        fence: Fence(fence),
        queue,
    };
    match shared.node.held_frontier(&lock, Fence(fence)) {
        Some(_frontier) => Ok(hold),
        None => Err(Failure::new("fence-not-held")
            .with("lock", lock.as_str())
            .with("fence", fence)),
    }
}

pub(super) async fn poll(
    State(shared): Shareable,
    UrlPath(worker): UrlPath<String>,
    body: Result<Json<PollRequest>, JsonRejection>,
) -> Reply<PollReply> {
    let wish = parsed(body)?;
    for known in &wish.known {
        job_id(&known.id)?;
    }
    // A task of its own: a claim must come to its end, whether or not the worker still listens.
    let polled = tokio::spawn(answer(shared, worker, wish)).await;
    let reply = polled
        .map_err(|error| Failure::new("other").with("reason", error.to_string()))
        .and_then(|reply| reply)?;
    Ok(Json(reply))
}

async fn answer(
    shared: Arc<Shared>,
    worker: String,
    wish: PollRequest,
) -> CommandResult<PollReply> {
    let deadline = Instant::now() + Duration::from_millis(wish.wait_ms).min(WAIT_MAX);
    let desk = shared.desks.find(&worker);
    desk.asked.send_modify(|count| *count += 1);
    let mut asked = desk.asked.subscribe();
    let _turn = desk.turn.lock().await;
    let mut changes = backend::changes(&shared);
    loop {
        let hold = hold(&shared, &worker, wish.fence, &wish.queue)?;
        let offer = backend::claim(&shared, &hold, wish.free, &wish.known).await?;
        let is_superseded = asked.has_changed().unwrap_or(true);
        if is_worth_telling(&offer, &wish) || is_superseded || Instant::now() >= deadline {
            return Ok(PollReply {
                jobs: offer.jobs,
                cancel: offer.cancel,
                idle: offer.is_idle,
                paused: offer.is_paused,
            });
        }
        // A worker without a free slot waits for wishes to cancel only.
        let due = offer.next_due.filter(|_due| wish.free > 0).map(moment);
        tokio::select! {
            changed = changes.changed() => if changed.is_err() {
                at(Some(deadline.min(Instant::now() + CHANGES_LOST))).await;
            },
            _ = asked.changed() => return Ok(PollReply::default()),
            () = at(due) => {}
            () = at(Some(deadline)) => {}
            // The worker hears of it by its lock as well.
            _ = shared.node.stopped() => return Err(Failure::new("stopped")),
        }
    }
}

const fn is_worth_telling(offer: &Offer, wish: &PollRequest) -> bool {
    let is_news = offer.is_idle || (offer.is_paused && !wish.paused);
    !offer.jobs.is_empty() || !offer.cancel.is_empty() || (wish.until_idle && is_news)
}

/// A wall time by the clock that waits; never sooner than a moment from now, lest a clock that was set
/// makes a loop of it.
fn moment(wall_ms: u64) -> Instant {
    let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0);
    let wait = Duration::from_millis(wall_ms.saturating_sub(now));
    Instant::now() + wait.clamp(DUE_STEP, WAIT_MAX)
}

pub(super) async fn ends(
    State(shared): Shareable,
    UrlPath(worker): UrlPath<String>,
    body: Result<Json<EndsRequest>, JsonRejection>,
) -> Reply<Value> {
    let wish = parsed(body)?;
    for end in &wish.ends {
        job_id(&end.id)?;
    }
    let hold = hold(&shared, &worker, wish.fence, &wish.queue)?;
    backend::end(&shared, &hold, wish.ends).await?;
    Ok(Json(json!({})))
}

/// Longest wait for one answer.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Between two looks at a job that is due.
const DUE_STEP: Duration = Duration::from_millis(10);
/// Between two looks if nobody tells of changes any more.
const CHANGES_LOST: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_named_by_32_digits() {
        let name = "0a".repeat(16);
        let lock = worker_lock(&name).unwrap();
        assert_eq!(lock.as_str(), format!("roda/worker/{name}"));
        for bad in ["", "0a", &"0A".repeat(16), &"x".repeat(32)] {
            assert_eq!(worker_lock(bad).unwrap_err().code, "request-worker");
        }
    }

    #[test]
    fn a_desk_lasts_as_long_as_somebody_asks() {
        let desks = Desks::default();
        let first = desks.find("a");
        assert!(Arc::ptr_eq(&first, &desks.find("a")));
        drop(first);
        let _other = desks.find("b");
        assert_eq!(desks.desks.lock().unwrap().len(), 1);
    }
}

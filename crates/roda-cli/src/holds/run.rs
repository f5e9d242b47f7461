//! What a hold does from its wish to its end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use roda::boottime;
use roda::job::WorkerHold;
use roda::{Guard, HoldState, LockRequest, LostReason, Timings, Waiting};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::{Hold, Holds};
use crate::api::lock_types::{HoldEvent, LeaseReply, ReleasedReply, StateReply};
use crate::api::server::Shared;
use crate::error::Failure;

/// Where the events of a hold go; closed by the client's end of the connection.
type Events = mpsc::Sender<Result<Bytes, Infallible>>;

/// What a client wants.
pub(crate) struct Wish {
    /// The locks.
    pub(crate) request: LockRequest,
    /// How long at most.
    pub(crate) wait: Option<Duration>,
}

/// Gets the locks, keeps them for the client and lets them go.
pub(crate) async fn run(shared: Arc<Shared>, hold: Arc<Hold>, wish: Wish, events: Events) {
    let session = shared.timings.session();
    send(
        &events,
        &HoldEvent::Hold {
            hold: hold.id.clone(),
            session_ms: millis(session),
        },
    );
    let mut closing = shared.holds.closing.subscribe();
    let acquired = tokio::select! {
        acquired = acquire(wish, &events) => acquired,
        // Dropping the request withdraws it.
        () = events.closed() => Err(roda::Error::Stopped),
        _ = closing.wait_for(|closing| *closing) => Err(roda::Error::Stopped),
    };
    match acquired {
        Ok(guard) => inside(&shared, &hold, guard, &events).await,
        Err(error) => {
            hold.clear().await;
            send(
                &events,
                &HoldEvent::Failed {
                    error: failure(error, &hold),
                },
            );
        }
    }
    hold.done.send_if_modified(|done| {
        done.get_or_insert_default();
        true
    });
    shared.holds.end(&hold);
}

async fn acquire(wish: Wish, events: &Events) -> roda::Result<Guard> {
    let Wish { request, wait } = wish;
    if wait == Some(Duration::ZERO) {
        return request.acquire_within(Duration::ZERO).await;
    }
    let mut latest = Waiting::Queued;
    let acquiring = request.acquire_watched(|waiting| {
        latest = waiting;
        send(events, &event(waiting));
    });
    let Some(wait) = wait else {
        return acquiring.await;
    };
    let acquired = timeout(wait, acquiring).await;
    acquired.unwrap_or_else(|_elapsed| {
        Err(match latest {
            Waiting::NoQuorum(quorum) => roda::Error::NoQuorum(quorum),
            Waiting::Queued | Waiting::CatchingUp => roda::Error::LockBusy,
        })
    })
}

fn event(waiting: Waiting) -> HoldEvent {
    match waiting {
        Waiting::Queued => HoldEvent::Queued,
        Waiting::NoQuorum(quorum) => quorum.into(),
        Waiting::CatchingUp => HoldEvent::CatchingUp,
    }
}

fn failure(error: roda::Error, hold: &Hold) -> Failure {
    let names: Vec<&str> = hold.locks.iter().map(roda::LockName::as_str).collect();
    let is_busy = matches!(error, roda::Error::LockBusy);
    let failure = Failure::from(error);
    if is_busy {
        failure.with("locks", names.join(","))
    } else {
        failure
    }
}

/// From the grant until nothing runs under it and the lock is free.
async fn inside(shared: &Shared, hold: &Hold, guard: Guard, events: &Events) {
    let (holds, timings) = (&shared.holds, shared.timings);
    let lease = lease(&guard);
    send(
        events,
        &HoldEvent::Granted {
            fence: guard.fence().0,
            lease,
        },
    );
    let lost = keep(holds, hold, &guard, timings, events).await;
    let reply = ReleasedReply {
        lost: lost.map(Into::into),
    };
    hold.clear().await;
    bury_worker(shared, &guard).await;
    drop(guard);
    hold.done.send_replace(Some(reply));
    send(events, &HoldEvent::Released(reply));
    let mut closing = holds.closing.subscribe();
    // Until the client has gone it may ask how its hold ended.
    tokio::select! {
        () = events.closed() => {}
        _ = closing.wait_for(|closing| *closing) => {}
        () = tokio::time::sleep(timings.session()) => {}
    }
}

/// If it was a worker's, the jobs that it left are free now: nothing of them runs any more.
async fn bury_worker(shared: &Shared, guard: &Guard) {
    let workers = guard.names().iter().filter_map(|name| {
        let worker = name.as_str().strip_prefix(WORKER_LOCKS)?;
        worker.parse().ok()
    });
    for worker in workers {
        let fence = guard.fence();
        let hold = WorkerHold { worker, fence };
        let burying = timeout(BURIED_WITHIN, shared.node.bury_worker(hold)).await;
        if let Ok(Err(error)) = burying {
            // Whoever waits for the lock does it then.
            tracing::warn!(%worker, %error, "a worker's jobs could not be set free");
        }
    }
}

/// Tells the client how safe its hold is, until it ends; why it was lost, if it was.
async fn keep(
    holds: &Holds,
    hold: &Hold,
    guard: &Guard,
    timings: Timings,
    events: &Events,
) -> Option<LostReason> {
    let mut states = guard.state();
    let mut closing = holds.closing.subscribe();
    let mut tick = interval(timings.renewal() / 2);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ended = hold.child_ended();
    tokio::pin!(ended);
    let mut state = *states.borrow_and_update();
    // A node that stops asks first and kills when this moment has come.
    let mut stop_at: Option<Instant> = None;
    loop {
        let lost = match state {
            HoldState::Safe | HoldState::AtRisk => None,
            HoldState::Stop(reason) => Some(reason),
            HoldState::Kill(reason) => {
                send_state(events, state, guard);
                return Some(reason);
            }
        };
        tokio::select! {
            biased;
            changed = next_state(&mut states) => {
                if stop_at.is_none() || matches!(changed, HoldState::Kill(_)) {
                    state = changed;
                    send_state(events, state, guard);
                }
            }
            () = events.closed() => return lost,
            () = hold.leave.notified() => return lost,
            () = &mut ended => return lost,
            _ = closing.wait_for(|closing| *closing), if stop_at.is_none() => {
                stop_at = Some(Instant::now() + timings.renewal());
                state = HoldState::Stop(LostReason::Stopped);
                send_state(events, state, guard);
            }
            () = at(stop_at) => return Some(LostReason::Stopped),
            // Also repairs whatever a client that was stopped did not take.
            _ = tick.tick() => send_state(events, state, guard),
        }
    }
}

async fn next_state(states: &mut watch::Receiver<HoldState>) -> HoldState {
    match states.changed().await {
        Ok(()) => *states.borrow_and_update(),
        // Nobody renews it any more.
        Err(_stopped) => HoldState::Kill(LostReason::Stopped),
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

fn send_state(events: &Events, state: HoldState, guard: &Guard) {
    let (state, reason) = StateReply::of(state);
    send(
        events,
        &HoldEvent::State {
            state,
            reason,
            lease: lease(guard),
        },
    );
}

fn lease(guard: &Guard) -> LeaseReply {
    // The clock first: what passes in between makes the promise shorter, never longer.
    let now = boottime::now();
    let remaining = guard.remaining();
    LeaseReply {
        remaining_ms: millis(remaining),
        until_ms: millis(now + remaining),
    }
}

fn send(events: &Events, event: &HoldEvent) {
    let mut line = serde_json::to_vec(event).expect("an event is plain data");
    line.push(b'\n');
    // A client that does not read gets the state again at the next tick.
    drop(events.try_send(Ok(line.into())));
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// How the names of the locks of workers begin.
const WORKER_LOCKS: &str = "roda/worker/";
/// A disk that hangs must not keep the lock.
const BURIED_WITHIN: Duration = Duration::from_secs(1);

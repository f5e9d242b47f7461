//! `roda __work`: claims jobs of a queue, runs a command for each, and tells the node how they ended.
//!
//! It runs under the lock `roda/worker/ID` inside the wrapper of `roda work`, which ends it and everything
//! it started before the lock can go to anyone else.

mod asking;
mod backoff;
mod job;
mod leftovers;
mod link;
mod lost;
mod output;
mod run;
mod start;
mod tell;

use std::ffi::OsString;
use std::time::Duration;

use roda::Topic;

use self::run::Worker;
use crate::api::job_checks::queue_name;
use crate::api::work::worker_lock;
use crate::cli::WorkerArgs;
use crate::commands::App;
use crate::error::{Exit, Failure, Result};

/// What a worker does.
struct Plan {
    /// Its name.
    worker: String,
    /// Of its lock.
    fence: u64,
    /// Whose jobs it runs.
    queue: Topic,
    /// How many at once.
    slots: usize,
    /// How long each may take.
    timeout: Option<Duration>,
    /// End when the queue has nothing left to do.
    is_until_idle: bool,
    /// What it runs.
    command: Vec<OsString>,
}

/// Works until it is told to end.
///
/// # Errors
/// It does not run under its lock, or the node does not let it work.
pub(crate) async fn run(app: &App, args: WorkerArgs) -> Result<Exit> {
    let plan = plan(args)?;
    Worker::new(app, plan)?.until_end().await
}

fn plan(args: WorkerArgs) -> Result<Plan> {
    let outside = || Failure::new("usage-unknown-command").with("command", "__work");
    let lock = std::env::var("RODA_LOCK").map_err(|_none| outside())?;
    let worker = lock.strip_prefix("roda/worker/").ok_or_else(outside)?;
    worker_lock(worker)?;
    let fence = std::env::var("RODA_FENCE").ok();
    let fence = fence.and_then(|fence| fence.parse().ok());
    Ok(Plan {
        worker: worker.to_owned(),
        fence: fence.ok_or_else(outside)?,
        queue: queue_name(&args.queue)?,
        slots: args.jobs.into(),
        timeout: args.timeout_ms.map(Duration::from_millis),
        is_until_idle: args.idle_exit,
        command: args.command,
    })
}

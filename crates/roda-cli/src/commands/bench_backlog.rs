//! `roda bench jobs --backlog N`: whether a queue with very many jobs is as fast as one with few.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use roda::job::{JobFilter, JobResult, Queue, QueueName, WorkerOptions};
use roda::{Node, Options};
use serde::Serialize;
use tokio::sync::Notify;

use super::App;
use super::bench_jobs::{JOBS_AT_ONCE, PUSHED_AT_ONCE, job, queue, rate};
use crate::cli::BenchJobsArgs;
use crate::error::{Failure, Result};
use crate::output::Colour;

const QUEUE: &str = "backlog";
/// A queue of ordinary length, to compare with.
const SHORT: u32 = 1_000;
/// Jobs that one producer pushes one by one.
const PUSHED: u32 = 2_000;
/// Jobs that are finished.
const FINISHED: u32 = 10_000;
/// As many are listed, and so often that one slow moment does not decide.
const LISTED: usize = 50;
const LISTINGS: u32 = 2_000;

/// What a queue of some length costs.
#[derive(Clone, Debug, Serialize)]
struct BacklogMeasurement {
    /// Jobs that waited in the queue.
    waiting: u32,
    /// Jobs pushed by one who waits for each, a second.
    push_per_s: f64,
    /// Jobs that do nothing, claimed and finished by one worker, a second.
    work_per_s: f64,
    /// Listings of the first jobs, a second.
    list_per_s: f64,
    /// Memory of this process, the node with it, in MB of 10^6 bytes.
    resident_mb: f64,
}

pub(super) async fn measure(
    app: &App,
    args: &BenchJobsArgs,
    backlog: u32,
    directory: &Path,
) -> Result<()> {
    let options = Options {
        interfaces: vec![args.runs.iface.clone()],
        ..Options::default()
    };
    let node = Node::create(&directory.join("node"), "bench", options).await?;
    let queue = queue(&node, QUEUE)?;
    let mut filled = 0;
    let mut rows = Vec::new();
    for length in [SHORT, backlog.max(SHORT)] {
        // What is finished below is there in addition, so that the queue never runs dry.
        while filled < length + FINISHED {
            let count = PUSHED_AT_ONCE.min(length + FINISHED - filled);
            queue.push_all((0..count).map(|_| job()).collect()).await?;
            filled += count;
        }
        rows.push(measure_one(&node, length).await?);
        filled -= FINISHED;
        filled += PUSHED;
    }
    node.shutdown().await?;
    print(app, &rows)
}

async fn measure_one(node: &Node, waiting: u32) -> Result<BacklogMeasurement> {
    let queue = queue(node, QUEUE)?;
    let name = QueueName::new(QUEUE).ok();
    let start = Instant::now();
    for _ in 0..PUSHED {
        queue.push(job()).await?;
    }
    let push_per_s = rate(PUSHED.into(), start.elapsed());
    let start = Instant::now();
    for _ in 0..LISTINGS {
        let filter = JobFilter {
            queue: name.clone(),
            limit: LISTED,
            ..JobFilter::default()
        };
        node.jobs(filter).await?;
    }
    let list_per_s = rate(LISTINGS.into(), start.elapsed());
    let work_per_s = finish(&queue).await?;
    Ok(BacklogMeasurement {
        waiting,
        push_per_s,
        work_per_s,
        list_per_s,
        resident_mb: resident_mb()?,
    })
}

/// Finishes some of the jobs that wait; how many a second.
async fn finish(queue: &Queue) -> Result<f64> {
    let options = WorkerOptions {
        jobs_at_once: JOBS_AT_ONCE,
        until_idle: false,
    };
    let (finished, enough) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
    let start = Instant::now();
    let until = enough.notified();
    let run = |_job| {
        if finished.fetch_add(1, Ordering::Relaxed) + 1 == FINISHED {
            enough.notify_one();
        }
        async { JobResult::Done }
    };
    queue.work(options, until, run).await?;
    let count = finished.load(Ordering::Relaxed);
    Ok(rate(count.into(), start.elapsed()))
}

/// See proc_pid_status(5).
fn resident_mb() -> Result<f64> {
    let path = Path::new("/proc/self/status");
    let status = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.trim().parse::<u32>().ok());
    Ok(f64::from(kib.unwrap_or_default()) * 1_024.0 / 1_000_000.0)
}

fn print(app: &App, rows: &[BacklogMeasurement]) -> Result<()> {
    if app.ui.json {
        return rows.iter().try_for_each(|row| app.ui.object(row));
    }
    let columns = [
        "bench-waiting",
        "bench-push",
        "bench-work",
        "bench-list",
        "bench-resident",
    ];
    let columns = columns.map(|key| app.ui.text(key, &[]));
    let head = super::bench_jobs::row(&columns);
    app.ui.line(&app.ui.paint(Colour::Bold, &head))?;
    for row in rows {
        let numbers = [
            f64::from(row.waiting),
            row.push_per_s,
            row.work_per_s,
            row.list_per_s,
            row.resident_mb,
        ];
        let numbers = numbers.map(|number| format!("{number:.0}"));
        app.ui.line(&super::bench_jobs::row(&numbers))?;
    }
    Ok(())
}

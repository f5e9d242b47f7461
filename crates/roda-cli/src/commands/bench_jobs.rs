//! `roda bench jobs`: how many jobs one node takes and finishes, beside how often its disk can be waited for and
//! what a bare table in SQLite takes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use roda::job::{JobResult, NewJob, Queue, QueueName, WorkerOptions};
use roda::{Node, Options};
use serde::Serialize;
use tokio::task::JoinSet;

use super::{App, bench_backlog};
use crate::bench::bare::BareQueue;
use crate::bench::lock::baseline::disk_syncs_per_s;
use crate::bench::report::middle;
use crate::cli::BenchJobsArgs;
use crate::daemon::ended_by_signal;
use crate::error::{Failure, Result};
use crate::net;
use crate::output::Colour;
use crate::scratch::Scratch;

/// One run, or the median of several, number by number. All per second.
#[derive(Clone, Debug, Serialize)]
struct JobsMeasurement {
    /// Appending to a file and waiting for the disk, alone.
    fdatasync_per_s: f64,
    /// Jobs pushed by one who waits for each.
    push_per_s: f64,
    /// Jobs pushed by many at once, each of whom waits for its own.
    push_many_per_s: f64,
    /// Rows that one who waits for each puts into a bare table.
    sqlite_push_per_s: f64,
    /// The same by many at once.
    sqlite_push_many_per_s: f64,
    /// Jobs that do nothing, claimed and finished by one worker.
    work_per_s: f64,
}

pub(super) async fn run(app: &App, args: &BenchJobsArgs) -> Result<()> {
    // A wrong interface should not wait for the node to find it.
    net::find_interface(&args.runs.iface)?;
    let scratch = Scratch::new("bench")?;
    let measured = async {
        match args.backlog {
            Some(backlog) => bench_backlog::measure(app, args, backlog, scratch.path()).await,
            None => measure_all(app, args, scratch.path()).await,
        }
    };
    tokio::select! {
        result = measured => result,
        failure = ended_by_signal() => Err(failure),
    }
}

async fn measure_all(app: &App, args: &BenchJobsArgs, directory: &Path) -> Result<()> {
    let mut runs = Vec::new();
    for run in 0..args.runs.count {
        let directory = directory.join(run.to_string());
        std::fs::create_dir(&directory).map_err(|error| Failure::file(&directory, &error))?;
        runs.push(measure(args, &directory).await?);
        drop(std::fs::remove_dir_all(&directory));
    }
    let middle = |value| middle(&runs, value);
    let median = JobsMeasurement {
        fdatasync_per_s: middle(|run| run.fdatasync_per_s),
        push_per_s: middle(|run| run.push_per_s),
        push_many_per_s: middle(|run| run.push_many_per_s),
        sqlite_push_per_s: middle(|run| run.sqlite_push_per_s),
        sqlite_push_many_per_s: middle(|run| run.sqlite_push_many_per_s),
        work_per_s: middle(|run| run.work_per_s),
    };
    print(app, &median)
}

async fn measure(args: &BenchJobsArgs, directory: &Path) -> Result<JobsMeasurement> {
    let fdatasync_per_s = disk_syncs_per_s(directory)?;
    let options = Options {
        interfaces: vec![args.runs.iface.clone()],
        ..Options::default()
    };
    let node = Node::create(&directory.join("node"), "bench", options).await?;
    let (bare, writer) = BareQueue::create(&directory.join("bare.db"))?;
    let time = Duration::from_secs(args.seconds.into());
    // By turns, so that both see the same disk.
    let sqlite_push_per_s = push(&bare, 1, time).await?;
    let push_per_s = push(&queue(&node, "one")?, 1, time).await?;
    let sqlite_push_many_per_s = push(&bare, PRODUCERS, time).await?;
    let push_many_per_s = push(&queue(&node, "many")?, PRODUCERS, time).await?;
    drop(bare);
    writer.end().await?;
    let work_per_s = work(&queue(&node, "work")?, args.jobs).await?;
    node.shutdown().await?;
    Ok(JobsMeasurement {
        fdatasync_per_s,
        push_per_s,
        push_many_per_s,
        sqlite_push_per_s,
        sqlite_push_many_per_s,
        work_per_s,
    })
}

/// What producers push to.
trait Target: Clone + Send + Sync + 'static {
    /// Returns when it is durable.
    fn push_one(&self) -> impl Future<Output = Result<()>> + Send;
}

impl Target for Queue {
    async fn push_one(&self) -> Result<()> {
        self.push(job()).await?;
        Ok(())
    }
}

impl Target for BareQueue {
    async fn push_one(&self) -> Result<()> {
        self.push(job().payload).await
    }
}

/// How many jobs so many producers push, each waiting for one before the next.
async fn push(target: &impl Target, producers: u16, time: Duration) -> Result<f64> {
    let (is_over, pushed) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for _ in 0..producers {
        let (target, is_over, pushed) = (target.clone(), Arc::clone(&is_over), Arc::clone(&pushed));
        tasks.spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                target.push_one().await?;
                pushed.fetch_add(1, Ordering::Relaxed);
            }
            Result::Ok(())
        });
    }
    tokio::time::sleep(time).await;
    let rate = rate(pushed.load(Ordering::Relaxed), start.elapsed());
    is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| Failure::new("other").with("reason", error.to_string()))??;
    }
    Ok(rate)
}

/// How fast one worker claims and finishes jobs that do nothing.
async fn work(queue: &Queue, jobs: u32) -> Result<f64> {
    let mut left = jobs;
    while left > 0 {
        let count = left.min(PUSHED_AT_ONCE);
        queue.push_all((0..count).map(|_| job()).collect()).await?;
        left -= count;
    }
    let start = Instant::now();
    let options = WorkerOptions {
        jobs_at_once: JOBS_AT_ONCE,
        until_idle: true,
    };
    let forever = std::future::pending();
    queue
        .work(options, forever, |_job| async { JobResult::Done })
        .await?;
    Ok(rate(jobs.into(), start.elapsed()))
}

pub(super) fn queue(node: &Node, name: &str) -> Result<Queue> {
    let name = QueueName::new(name).expect("a plain word is the name of a queue");
    Ok(node.queue(name)?)
}

pub(super) fn job() -> NewJob {
    NewJob {
        payload: vec![b'x'; PAYLOAD_LEN],
        ..NewJob::default()
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a benchmark stay far below 2^53"
)]
pub(super) fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

fn print(app: &App, median: &JobsMeasurement) -> Result<()> {
    if app.ui.json {
        return app.ui.object(median);
    }
    let columns = [
        "bench-fdatasync",
        "bench-push",
        "bench-push-many",
        "bench-sqlite",
        "bench-sqlite-many",
        "bench-work",
    ];
    let columns = columns.map(|key| app.ui.text(key, &[]));
    app.ui.line(&app.ui.paint(Colour::Bold, &row(&columns)))?;
    let numbers = [
        median.fdatasync_per_s,
        median.push_per_s,
        median.push_many_per_s,
        median.sqlite_push_per_s,
        median.sqlite_push_many_per_s,
        median.work_per_s,
    ];
    app.ui
        .line(&row(&numbers.map(|number| format!("{number:.0}"))))
}

pub(super) fn row(columns: &[String]) -> String {
    let columns = columns.iter().map(|column| format!("{column:>16}"));
    columns.collect::<Vec<_>>().join(" ")
}

/// As many push at once.
const PRODUCERS: u16 = 64;
/// A worker of jobs that do nothing runs so many at once.
pub(super) const JOBS_AT_ONCE: usize = 256;
pub(super) const PUSHED_AT_ONCE: u32 = 1000;
const PAYLOAD_LEN: usize = 100;

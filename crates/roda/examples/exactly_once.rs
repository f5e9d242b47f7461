//! Books every job into an account once, although workers are stopped at random moments and jobs run
//! again: `cargo run --release --package roda --example exactly_once`.
//!
//! The account is in a database of the program's own. First each job's booking and the note that it is
//! done are one transaction, by `job.effects`; then, to see the difference, there is no note.

use std::collections::hash_map::RandomState;
use std::error::Error;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use roda::job::{
    Effects, EffectsError, JobResult, NewJob, PushOptions, Queue, RunningJob, WorkerOptions,
};
use roda::rusqlite::{self, Connection, Transaction};
use roda::{Node, Options};
use tokio::sync::Notify;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How a job's booking is made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// In one transaction with the note.
    Once,
    /// As if a job ran only once.
    Naive,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Of the account.
    pub(crate) balance: u64,
    /// How often the function of a job was started.
    pub(crate) runs: u64,
    /// How often it booked nothing, as an earlier run had.
    pub(crate) skipped: u64,
    /// Workers that were stopped without a warning.
    pub(crate) stopped: u64,
}

#[derive(Default)]
struct Counts {
    runs: AtomicU64,
    skipped: AtomicU64,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "what it prints is what it is for")]
async fn main() -> Result<()> {
    for way in [Way::Once, Way::Naive] {
        let place = tempfile::tempdir()?;
        let Outcome {
            balance,
            runs,
            skipped,
            stopped,
        } = book_all(place.path(), 1000, way).await?;
        println!("{way:?}: {stopped} workers stopped, {runs} runs of 1000 jobs");
        println!("  {skipped} found their booking made; the balance is {balance}");
    }
    Ok(())
}

/// Books `jobs` jobs of one unit each, in a group of one node that is made for it.
pub(crate) async fn book_all(place: &Path, jobs: usize, way: Way) -> Result<Outcome> {
    let options = Options {
        interfaces: vec!["lo".to_owned()],
        ..Options::default()
    };
    let node = Node::create(&place.join("node"), "bank", options).await?;
    let queue = node.queue("bookings".parse()?)?;
    // A stopped worker is a failed try; here there are many.
    let options = PushOptions {
        tries_max: 0,
        ..PushOptions::default()
    };
    let payload = b"1".to_vec();
    queue
        .push_all(vec![NewJob { payload, options }; jobs])
        .await?;

    let account = Connection::open(place.join("account.db"))?;
    account.execute_batch("CREATE TABLE account (balance); INSERT INTO account VALUES (0)")?;
    let account = Arc::new(Mutex::new(account));
    let counts = Arc::new(Counts::default());
    let mut stopped = 0;
    while !work_for_a_while(&queue, &account, &counts, way).await? {
        stopped += 1;
    }
    node.shutdown().await?;
    let select = "SELECT balance FROM account";
    let account = account.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Outcome {
        balance: account.query_row(select, [], |row| row.get(0))?,
        runs: counts.runs.load(Ordering::Relaxed),
        skipped: counts.skipped.load(Ordering::Relaxed),
        stopped,
    })
}

/// A worker that is stopped after some bookings, right after one; says whether it finished all jobs before.
async fn work_for_a_while(
    queue: &Queue,
    account: &Arc<Mutex<Connection>>,
    counts: &Arc<Counts>,
    way: Way,
) -> Result<bool> {
    let options = WorkerOptions {
        jobs_at_once: 8,
        until_idle: true,
    };
    let last = Arc::new((AtomicI64::new(random_below(80)), Notify::new()));
    let ending = Arc::clone(&last);
    let (account, counts) = (Arc::clone(account), Arc::clone(counts));
    let run = move |job: RunningJob| {
        let (account, counts, last) =
            (Arc::clone(&account), Arc::clone(&counts), Arc::clone(&last));
        async move {
            counts.runs.fetch_add(1, Ordering::Relaxed);
            match book(&job, &account, way) {
                Ok(Effects::Made(())) => {}
                Ok(Effects::MadeBefore) => {
                    counts.skipped.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => return JobResult::Failed(error.to_string()),
            }
            let (left, stop) = &*last;
            if left.fetch_sub(1, Ordering::Relaxed) == 0 {
                stop.notify_one();
                std::future::pending::<()>().await;
            }
            JobResult::Done
        }
    };
    let queue = queue.clone();
    let working = async move { queue.work(options, std::future::pending(), run).await };
    let mut working = tokio::spawn(working);
    let (_, stop) = &*ending;
    tokio::select! {
        ended = &mut working => Ok(ended?.map(|()| true)?),
        () = stop.notified() => {
            // Its task ends here, with up to eight jobs that are booked and not done.
            working.abort();
            let _aborted = working.await;
            Ok(false)
        }
    }
}

fn book(
    job: &RunningJob,
    account: &Mutex<Connection>,
    way: Way,
) -> std::result::Result<Effects<()>, EffectsError> {
    let mut account = account.lock().unwrap_or_else(PoisonError::into_inner);
    match way {
        Way::Once => job.effects(&mut account, |transaction| Ok(add(transaction)?)),
        Way::Naive => {
            let transaction = account.transaction()?;
            add(&transaction)?;
            transaction.commit()?;
            Ok(Effects::Made(()))
        }
    }
}

fn add(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute("UPDATE account SET balance = balance + 1", [])?;
    Ok(())
}

fn random_below(end: u32) -> i64 {
    let drawn = RandomState::new().build_hasher().finish();
    i64::try_from(drawn % u64::from(end)).unwrap_or_default()
}

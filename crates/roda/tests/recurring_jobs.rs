//! Jobs of real nodes on this machine's loopback interface.

#![expect(clippy::unwrap_used, reason = "a failed step ends the test")]

use std::path::Path;
use std::time::Duration;

use roda::job::{
    JobFilter, JobId, JobResult, JobRow, JobState, NewJob, PushOptions, Queue, Retention, RoundEnd,
    StateKind, WorkerHold, WorkerId, WorkerOptions, parse_cron, worker_lock,
};
use roda::{Copies, Error, Node, Options, WallTime};
use tokio::time::{Instant, timeout};

const PATIENCE: Duration = Duration::from_secs(20);

fn options(nick: &str) -> Options {
    Options {
        nick: Some(nick.to_owned()),
        interfaces: vec!["lo".to_owned()],
        ..Options::default()
    }
}

async fn joined(first: &Node, home: &Path, nick: &str) -> Node {
    let token = first.invite(1, Duration::from_secs(60)).await.unwrap();
    Node::join(home, &token, PATIENCE, options(nick))
        .await
        .unwrap()
}

fn queue(node: &Node) -> Queue {
    node.queue("mail".parse().unwrap()).unwrap()
}

/// Each minute; due already.
fn each_minute(tries_max: u16) -> NewJob {
    NewJob {
        payload: b"report".to_vec(),
        options: PushOptions {
            cron: Some(parse_cron("* * * * *").unwrap()),
            not_before: WallTime(1),
            tries_max,
            ..PushOptions::default()
        },
    }
}

/// Checks that the job waits for the next minute, and says how its last round ended.
fn after_round(row: &JobRow, rounds: u32) -> RoundEnd {
    let JobState::Waiting { not_before } = row.state else {
        panic!("{:?}", row.state);
    };
    assert_eq!(not_before.0 % 60_000, 0);
    assert!(not_before.0 > row.pushed.millis(), "a time to come");
    let recurrence = row.job.recurrence().unwrap();
    assert_eq!(recurrence.rounds, rounds);
    let last = recurrence.last.unwrap();
    assert!(not_before.0 <= last.hlc.millis() + 60_000, "the next one");
    last
}

async fn until_round(node: &Node, job: JobId, rounds: u32) -> JobRow {
    let mut changes = node.job_changes();
    let waiting = async {
        loop {
            changes.mark_unchanged();
            let row = node.job(job).await.unwrap();
            if row.job.recurrence().unwrap().rounds >= rounds {
                return row;
            }
            changes.changed().await.unwrap();
        }
    };
    timeout(PATIENCE, waiting).await.expect("the round ends")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_known_to_have_reached_others_soon_and_only_if_they_are_there() {
    let homes = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let first = Node::create(homes[0].path(), "circle", options("ana"))
        .await
        .unwrap();
    let second = joined(&first, homes[1].path(), "bia").await;
    let third = joined(&first, homes[2].path(), "caio").await;
    let queue = queue(&first);
    let mut slowest = [Duration::ZERO; 3];
    for round in 0..30_u32 {
        let job = NewJob {
            payload: round.to_be_bytes().to_vec(),
            ..NewJob::default()
        };
        let pushed = queue.push(job).await.unwrap();
        let start = Instant::now();
        let wishes = [Copies::AtLeast(2), Copies::Majority, Copies::AtLeast(3)];
        for (at, copies) in wishes.into_iter().enumerate() {
            let reached = first.replicated(pushed.id.author, pushed.id.seq, copies);
            let count = timeout(PATIENCE, reached).await.expect("it arrives");
            assert!(count.unwrap().have >= copies.of(3));
            slowest[at] = slowest[at].max(start.elapsed());
        }
    }
    println!("slowest of 30 to 2, to a majority, to 3: {slowest:?}");
    // An entry that another node wrote is counted as well.
    let job = NewJob::default();
    let pushed = self::queue(&second).push(job).await.unwrap();
    let reached = first.replicated(pushed.id.author, pushed.id.seq, Copies::AtLeast(3));
    timeout(PATIENCE, reached).await.unwrap().unwrap();

    third.shutdown().await.unwrap();
    let pushed = queue.push(NewJob::default()).await.unwrap();
    let reached = first.replicated(pushed.id.author, pushed.id.seq, Copies::Majority);
    timeout(PATIENCE, reached).await.unwrap().unwrap();
    let watched = first.copies(pushed.id.author, pushed.id.seq).await.unwrap();
    let all = first.replicated(pushed.id.author, pushed.id.seq, Copies::AtLeast(3));
    assert!(timeout(Duration::from_secs(1), all).await.is_err());
    assert_eq!((watched.borrow().have, watched.borrow().members), (2, 3));
    second.shutdown().await.unwrap();
    first.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recurring_job_waits_for_its_next_time_after_a_round_that_was_done_or_dead() {
    let home = tempfile::tempdir().unwrap();
    let node = Node::create(home.path(), "circle", options("ana"))
        .await
        .unwrap();
    let queue = queue(&node);
    for (result, is_dead) in [
        (JobResult::Done, false),
        (JobResult::Failed("no paper".to_owned()), true),
    ] {
        let job = queue.push(each_minute(1)).await.unwrap().id;
        let ended = async {
            until_round(&node, job, 1).await;
        };
        let run = |_job| {
            let result = result.clone();
            async move { result }
        };
        let working = queue.work(WorkerOptions::default(), ended, run);
        timeout(PATIENCE, working).await.unwrap().unwrap();
        let row = node.job(job).await.unwrap();
        assert_eq!(after_round(&row, 1).is_dead, is_dead);
        assert_eq!(row.job.tries(), 0, "the next round has all its tries");
        node.cancel_job(job).await.unwrap();
        assert_eq!(node.job(job).await.unwrap().state, JobState::Cancelled);
    }
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_dies_with_its_worker_is_followed_by_the_next() {
    let home = tempfile::tempdir().unwrap();
    let node = Node::create(home.path(), "circle", options("ana"))
        .await
        .unwrap();
    let queue = queue(&node);
    let job = queue.push(each_minute(1)).await.unwrap().id;
    let worker = WorkerId([7; 16]);
    let guard = node.lock(worker_lock(&worker)).acquire().await.unwrap();
    let hold = WorkerHold {
        worker,
        fence: guard.fence(),
    };
    let offer = queue.claim(hold, 1, &[]).await.unwrap();
    assert_eq!(offer.jobs.len(), 1);
    node.bury_worker(hold).await.unwrap();
    let row = node.job(job).await.unwrap();
    let last = after_round(&row, 1);
    assert_eq!((last.is_dead, last.code), (true, None));
    assert!(queue.claim(hold, 1, &[]).await.unwrap().jobs.is_empty());
    drop(guard);
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recurring_job_is_pushed_for_its_next_time_and_only_once_with_its_key() {
    let home = tempfile::tempdir().unwrap();
    let node = Node::create(home.path(), "circle", options("ana"))
        .await
        .unwrap();
    let queue = queue(&node);
    let nightly = |cron: &str| NewJob {
        payload: b"report".to_vec(),
        options: PushOptions {
            cron: Some(cron.parse().unwrap()),
            key: Some("nightly".parse().unwrap()),
            ..PushOptions::default()
        },
    };
    let first = queue.push(nightly("@daily")).await.unwrap();
    let again = queue.push(nightly("0 0 * * *")).await.unwrap();
    assert_eq!((first.id, again.is_new), (again.id, false));
    let JobState::Waiting { not_before } = node.job(first.id).await.unwrap().state else {
        panic!("it waits");
    };
    assert_eq!(not_before.0 % (24 * 60 * 60 * 1000), 0, "midnight in UTC");
    let other = queue.push(nightly("1 0 * * *")).await;
    assert!(matches!(other, Err(Error::JobKeyConflict { .. })));
    let never = queue.push(nightly("0 0 30 2 *")).await;
    assert!(matches!(never, Err(Error::Cron(_))), "{never:?}");
    node.shutdown().await.unwrap();
}

/// Lets so much time pass for whatever waits, but not on the clock that jobs are dated by.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Adds a job and cancels it.
async fn cancelled(queue: &Queue, node: &Node) -> JobId {
    let job = queue.push(NewJob::default()).await.unwrap().id;
    node.cancel_job(job).await.unwrap();
    job
}

async fn until_listed(node: &Node, expected: &[JobId]) {
    let waiting = async {
        loop {
            let filter = JobFilter {
                limit: 10,
                ..JobFilter::default()
            };
            let rows = node.jobs(filter).await.unwrap();
            let listed: Vec<JobId> = rows.iter().map(|row| row.id).collect();
            if listed == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("those are listed");
}

#[tokio::test]
async fn a_node_looks_a_minute_after_its_start_and_each_hour_which_jobs_are_past() {
    let home = tempfile::tempdir().unwrap();
    let node = Node::create(home.path(), "circle", options("ana"))
        .await
        .unwrap();
    let queue = queue(&node);
    let first = cancelled(&queue, &node).await;
    let at_once = Retention {
        over: Duration::ZERO,
        dead: Duration::ZERO,
    };
    assert!(queue.set_retention(at_once).await.unwrap());
    until_listed(&node, &[first]).await;
    pass(Duration::from_secs(60)).await;
    until_listed(&node, &[]).await;
    let second = cancelled(&queue, &node).await;
    pass(Duration::from_secs(3500)).await;
    until_listed(&node, &[second]).await;
    pass(Duration::from_secs(100)).await;
    until_listed(&node, &[]).await;
    for job in [first, second] {
        assert_eq!(node.job(job).await.unwrap().state, JobState::Cancelled);
    }
    let stats = queue.stats().await.unwrap().unwrap();
    assert_eq!(stats.count(StateKind::Cancelled), 2);
    assert_eq!(node.verify().await.unwrap().faults, [""; 0]);
    node.shutdown().await.unwrap();
}

//! Large checkpoints on real nodes.

#![expect(clippy::unwrap_used, reason = "a failed step ends the test")]

use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use roda::job::{BLOB_LEN_MAX, JobId, JobResult, NewJob, Queue, WorkerOptions};
use roda::{Error, Node, Options};
use tokio::sync::mpsc;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

fn options(nick: &str) -> Options {
    Options {
        nick: Some(nick.to_owned()),
        interfaces: vec!["lo".to_owned()],
        ..Options::default()
    }
}

fn queue(node: &Node) -> Queue {
    node.queue("film".parse().unwrap()).unwrap()
}

/// Bytes that nobody would guess.
fn state(seed: u8, len: usize) -> Vec<u8> {
    let mut byte = seed;
    let next = || {
        byte = byte.wrapping_mul(37).wrapping_add(101);
        byte
    };
    std::iter::repeat_with(next).take(len).collect()
}

async fn push(node: &Node) -> JobId {
    queue(node).push(NewJob::default()).await.unwrap().id
}

/// Whether each of the job's checkpoints is on the node.
async fn here(node: &Node, job: JobId) -> Vec<bool> {
    match node.job_details(job).await {
        Ok((info, _)) => info.checkpoints.iter().map(|one| one.is_here).collect(),
        Err(_not_yet) => Vec::new(),
    }
}

async fn until_here(node: &Node, job: JobId, expected: &[bool]) {
    let mut changes = node.job_changes();
    let waiting = async {
        while here(node, job).await != expected {
            // A copy that arrives is no change of the job.
            let _changed = timeout(Duration::from_millis(20), changes.changed()).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("the copies");
}

async fn pair(a: &Path, b: &Path) -> (Node, Node) {
    let first = Node::create(a, "circle", options("ana")).await.unwrap();
    let token = first.invite(5, Duration::from_secs(60)).await.unwrap();
    let second = Node::join(b, &token, PATIENCE, options("bia"));
    (first, second.await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_checkpoint_is_gone_on_from_and_a_larger_one_refused() {
    let home = tempfile::tempdir().unwrap();
    let node = Node::create(home.path(), "circle", options("ana"));
    let node = node.await.unwrap();
    let job = push(&node).await;
    let (told, mut heard) = mpsc::unbounded_channel();
    let run = |job: roda::job::RunningJob| {
        let told = told.clone();
        async move {
            let Some(found) = job.state().map(<[u8]>::to_vec) else {
                let largest = state(7, BLOB_LEN_MAX);
                job.progress(largest, 1, 2).await.unwrap();
                let larger = job.checkpoint(vec![0; BLOB_LEN_MAX + 1]).await;
                assert!(matches!(larger, Err(Error::JobEntry(_))), "{larger:?}");
                return JobResult::Again;
            };
            told.send((found, job.skipped())).unwrap();
            JobResult::Done
        }
    };
    let options = WorkerOptions {
        until_idle: true,
        ..WorkerOptions::default()
    };
    let film = queue(&node);
    let worked = film.work(options, pending(), run);
    timeout(PATIENCE, worked).await.unwrap().unwrap();
    let (found, skipped) = heard.recv().await.unwrap();
    assert!(found == state(7, BLOB_LEN_MAX));
    assert_eq!(skipped, 0);
    // Of a job that is done, nothing is kept.
    assert_eq!(here(&node, job).await, [false]);
    assert_eq!(node.verify().await.unwrap().faults, [""; 0]);
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_take_a_job_over_has_its_large_checkpoints_and_who_may_not_asks_for_them() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = pair(a.path(), b.path()).await;
    let job = push(&first).await;
    let (saved, mut heard) = mpsc::unbounded_channel();
    let (go_on, waiting) = mpsc::unbounded_channel::<()>();
    let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
    let run = move |job: roda::job::RunningJob| {
        let (saved, waiting) = (saved.clone(), Arc::clone(&waiting));
        async move {
            for step in 1..=3 {
                job.checkpoint(state(step, 300_000)).await.unwrap();
                saved.send(step).unwrap();
                waiting.lock().await.recv().await;
            }
            JobResult::Done
        }
    };
    let film = queue(&first);
    let working = tokio::spawn(async move {
        let options = WorkerOptions {
            until_idle: true,
            ..WorkerOptions::default()
        };
        film.work(options, pending(), run).await
    });
    timeout(PATIENCE, heard.recv()).await.unwrap();
    until_here(&second, job, &[false]).await;
    // Asked for, it comes, although there is no worker on this node.
    let loaded = second.load_checkpoint(job).await.unwrap();
    assert_eq!(loaded.skipped, 0);
    assert!(loaded.progress.unwrap().state == state(1, 300_000));
    assert_eq!(here(&second, job).await, [true]);

    let film = queue(&second);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let other = tokio::spawn(async move {
        let until = async { drop(stopped.await) };
        let idle = |_job| async { JobResult::Again };
        film.work(WorkerOptions::default(), until, idle).await
    });
    for _ in 0..2 {
        go_on.send(()).unwrap();
        timeout(PATIENCE, heard.recv()).await.unwrap();
        until_here(&second, job, &[true, true]).await;
    }
    go_on.send(()).unwrap();
    timeout(PATIENCE, working).await.unwrap().unwrap().unwrap();
    until_here(&second, job, &[false, false]).await;
    stop.send(()).unwrap();
    timeout(PATIENCE, other).await.unwrap().unwrap().unwrap();
    assert_eq!(second.verify().await.unwrap().faults, [""; 0]);
    first.shutdown().await.unwrap();
    second.shutdown().await.unwrap();
}

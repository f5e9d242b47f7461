//! Locks between nodes of one process, on the loopback interface.

#![expect(clippy::unwrap_used, reason = "a failed step ends the test")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use roda::{Error, LockName, Node, Options, Permits, Priority};
use tokio::time::{sleep, timeout};

const WAIT: Duration = Duration::from_secs(30);

fn options() -> Options {
    Options {
        interfaces: vec!["lo".into()],
        ..Options::default()
    }
}

fn name(text: &str) -> LockName {
    text.parse().unwrap()
}

async fn group(homes: &std::path::Path, count: usize) -> Vec<Node> {
    let first = Node::create(&homes.join("0"), "circle", options())
        .await
        .unwrap();
    let uses = u32::try_from(count).unwrap();
    let token = first.invite(uses, WAIT).await.unwrap();
    let mut nodes = vec![first];
    for number in 1..count {
        let home = homes.join(number.to_string());
        let node = Node::join(&home, &token, WAIT, options()).await.unwrap();
        nodes.push(node);
    }
    nodes
}

async fn stop(nodes: Vec<Node>) {
    for node in nodes {
        node.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_node_takes_its_locks_again_and_again() {
    let homes = tempfile::tempdir().unwrap();
    let nodes = group(homes.path(), 1).await;
    let mut last = 0;
    for _ in 0..100 {
        let guard = timeout(WAIT, nodes[0].lock(name("a")).acquire()).await;
        let guard = guard.unwrap().unwrap();
        assert!(guard.fence().0 > last);
        last = guard.fence().0;
    }
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contenders_on_three_nodes_are_never_inside_together_and_all_get_their_turn() {
    let homes = tempfile::tempdir().unwrap();
    let nodes = group(homes.path(), 3).await;
    let inside = Arc::new(AtomicBool::new(false));
    let last = Arc::new(AtomicU64::new(0));
    let mut contenders = Vec::new();
    for node in nodes.iter().chain(&nodes) {
        let (node, inside, last) = (node.clone(), Arc::clone(&inside), Arc::clone(&last));
        contenders.push(tokio::spawn(async move {
            for _ in 0..50 {
                let guard = node.lock(name("turn")).acquire().await.unwrap();
                assert!(!inside.swap(true, Ordering::SeqCst));
                let before = last.swap(guard.fence().0, Ordering::SeqCst);
                assert!(before < guard.fence().0);
                tokio::task::yield_now().await;
                inside.store(false, Ordering::SeqCst);
                drop(guard);
            }
        }));
    }
    for contender in contenders {
        timeout(WAIT, contender).await.unwrap().unwrap();
    }
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_lock_is_refused_in_time_and_a_dropped_wish_leaves_nothing_behind() {
    let homes = tempfile::tempdir().unwrap();
    let nodes = group(homes.path(), 2).await;
    let held = nodes[0].lock(name("a")).acquire().await.unwrap();
    let busy = nodes[1].lock(name("a")).acquire_within(Duration::ZERO);
    assert!(matches!(busy.await, Err(Error::LockBusy)));
    let waiting = nodes[1].lock(name("a")).priority(Priority::MAX).acquire();
    assert!(timeout(Duration::from_millis(300), waiting).await.is_err());
    sleep(Duration::from_millis(200)).await;
    let report = nodes[1].lock_report(&[name("a")]).await.unwrap();
    let status = &report.locks[0].status;
    assert_eq!(status.holders.len(), 1, "{status:?}");
    assert!(status.waiters.is_empty(), "{status:?}");
    drop(held);
    let next = timeout(WAIT, nodes[1].lock(name("a")).acquire()).await;
    next.unwrap().unwrap();
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_locks_are_had_at_once_whatever_their_order() {
    let homes = tempfile::tempdir().unwrap();
    let nodes = group(homes.path(), 2).await;
    let orders = [["a", "b", "c"], ["c", "b", "a"]];
    let mut tasks = Vec::new();
    for (node, order) in nodes.iter().zip(orders) {
        let node = node.clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..20 {
                let names = order.map(name).to_vec();
                let guard = node.locks(names).acquire().await.unwrap();
                tokio::task::yield_now().await;
                drop(guard);
            }
        }));
    }
    for task in tasks {
        timeout(WAIT, task).await.unwrap().unwrap();
    }
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_permits_let_two_in_and_readers_share() {
    let homes = tempfile::tempdir().unwrap();
    let nodes = group(homes.path(), 2).await;
    let two = Permits::new(2).unwrap();
    let one = nodes[0].lock(name("pool")).permits(two).acquire().await;
    let other = nodes[1].lock(name("pool")).permits(two).acquire();
    let other = timeout(WAIT, other).await.unwrap();
    let third = nodes[0].lock(name("pool")).permits(two);
    let third = third.acquire_within(Duration::ZERO).await;
    assert!(matches!(third, Err(Error::LockBusy)));
    drop((one, other));

    let mut readers = BTreeMap::new();
    for (number, node) in nodes.iter().enumerate() {
        let reader = timeout(WAIT, node.lock(name("book")).shared().acquire()).await;
        readers.insert(number, reader.unwrap().unwrap());
    }
    let writer = nodes[0].lock(name("book"));
    let writer = writer.acquire_within(Duration::ZERO).await;
    assert!(matches!(writer, Err(Error::LockBusy)));
    drop(readers);
    let writer = timeout(WAIT, nodes[1].lock(name("book")).acquire()).await;
    writer.unwrap().unwrap();
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn force_makes_the_holder_stop_before_the_next_one_gets_in() {
    let homes = tempfile::tempdir().unwrap();
    let nodes = group(homes.path(), 2).await;
    let held = nodes[0].lock(name("a")).acquire().await.unwrap();
    let forcing = nodes[1].clone();
    let forced = tokio::spawn(async move { forcing.force_release(&name("a")).await });
    timeout(WAIT, held.lost()).await.unwrap();
    assert!(!forced.is_finished());
    drop(held);
    timeout(WAIT, forced).await.unwrap().unwrap().unwrap();
    let again = nodes[1].force_release(&name("a")).await;
    assert!(matches!(again, Err(Error::NotHeld(_))));
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_holder_has_what_earlier_ones_wrote() {
    let homes = tempfile::tempdir().unwrap();
    let nodes = group(homes.path(), 2).await;
    for round in 0..10 {
        for node in &nodes {
            let guard = timeout(WAIT, node.lock(name("a")).fresh().acquire()).await;
            let _guard = guard.unwrap().unwrap();
            let topic = node.topic("log".parse().unwrap());
            let mut history = topic.history(roda::HistoryQuery::default()).await;
            let mut known = 0;
            if let Ok(history) = &mut history {
                loop {
                    let page = history.next_page().await.unwrap();
                    if page.is_empty() {
                        break;
                    }
                    known += page.len();
                }
            }
            let turn = 2 * round + usize::from(node.node_id() == nodes[1].node_id());
            assert_eq!(known, turn);
            topic.append(format!("turn {turn}")).await.unwrap();
        }
    }
    stop(nodes).await;
}

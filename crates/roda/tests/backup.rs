//! A node comes back from a backup, on real sockets, beside the others of its group.

#![expect(clippy::unwrap_used, reason = "a failed step ends the test")]

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use roda::{
    Backup, BackupInfo, BackupOptions, BackupStep, Error, GroupId, HistoryQuery, Node, Options,
    Restored, Topic, back_up_home,
};
use roda_store::RaftLog;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

fn options(nick: &str) -> Options {
    Options {
        nick: Some(nick.to_owned()),
        interfaces: vec!["lo".to_owned()],
        ..Options::default()
    }
}

fn topic() -> Topic {
    Topic::new("square").unwrap()
}

async fn pair(a: &Path, b: &Path) -> (Node, Node) {
    let first = Node::create(a, "circle", options("ana")).await.unwrap();
    let token = first.invite(5, Duration::from_secs(60)).await.unwrap();
    let joined = Node::join(b, &token, PATIENCE, options("bia")).await;
    (first, joined.unwrap())
}

fn go_on(_step: BackupStep) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn save(home: &Path, file: &Path) -> BackupInfo {
    back_up_home(home, file, &BackupOptions::default(), go_on).unwrap()
}

fn bring_back(file: &Path, home: &Path) -> Restored {
    Backup::open(file).unwrap().restore(home, go_on).unwrap()
}

async fn say(node: &Node, text: &str) {
    node.topic(topic()).append(text).await.unwrap();
}

/// All that is said, once there is so much of it.
async fn heard(node: &Node, count: usize) -> Vec<Vec<u8>> {
    let mut news = node.topic(topic()).subscribe();
    let waiting = async {
        loop {
            let mut all = Vec::new();
            if let Ok(mut history) = node.topic(topic()).history(HistoryQuery::default()).await {
                loop {
                    let page = history.next_page().await.unwrap();
                    if page.is_empty() {
                        break;
                    }
                    all.extend(page.into_iter().map(|message| message.body));
                }
            }
            if all.len() >= count {
                return all;
            }
            // What is heard between the look and the subscription is found by the next look.
            let _news = timeout(Duration::from_millis(200), news.next_batch()).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("messages arrive")
}

fn raft_id(home: &Path, group: GroupId) -> u64 {
    let log = RaftLog::open(&home.join("locks.db"), group, 1).unwrap();
    log.raft_id()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_node_gets_back_what_it_said_after_the_backup_and_votes_as_another() {
    let homes = tempfile::tempdir().unwrap();
    let [a, b, file] = ["a", "b", "b.backup"].map(|name| homes.path().join(name));
    let (first, second) = pair(&a, &b).await;
    say(&first, "one").await;
    say(&second, "two").await;
    heard(&second, 2).await;
    let info = save(&b, &file);
    assert_eq!((info.node, &*info.group_name), (second.node_id(), "circle"));
    say(&second, "three").await;
    heard(&first, 3).await;
    let old_author = second.status().await.unwrap().author;
    second.shutdown().await.unwrap();
    let old_voter = raft_id(&b, info.group);
    std::fs::remove_dir_all(&b).unwrap();

    let restored = bring_back(&file, &b);
    assert_eq!((&*restored.nick, restored.was_founder), ("bia", false));
    assert_eq!(restored.backup, info);
    assert!(!b.join("locks.db").exists());
    let second = Node::open(&b, options("bia")).await.unwrap();
    assert_eq!(second.node_id(), info.node);
    assert_ne!(second.status().await.unwrap().author, old_author);
    say(&second, "four").await;
    say(&first, "five").await;
    let all = [heard(&first, 5).await, heard(&second, 5).await];
    assert_eq!(all[0], all[1]);
    let said: BTreeSet<&[u8]> = all[0].iter().map(Vec::as_slice).collect();
    let expected: [&[u8]; 5] = [b"one", b"two", b"three", b"four", b"five"];
    assert_eq!(said, BTreeSet::from(expected));
    for node in [&first, &second] {
        assert_eq!(node.verify().await.unwrap().faults, [""; 0]);
        assert_eq!(node.status().await.unwrap().problems, [""; 0]);
    }
    second.shutdown().await.unwrap();
    assert_ne!(raft_id(&b, info.group), old_voter);
    first.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_node_does_not_start_beside_its_original_but_once_that_is_gone() {
    let homes = tempfile::tempdir().unwrap();
    let [a, b, c, file] = ["a", "b", "c", "b.backup"].map(|name| homes.path().join(name));
    let (first, second) = pair(&a, &b).await;
    say(&second, "one").await;
    save(&b, &file);
    bring_back(&file, &c);
    for time in ["first", "second"] {
        let refused = Node::open(&c, options("bia")).await;
        let is_refused = matches!(refused.err(), Some(Error::OriginalAlive(_)));
        assert!(is_refused, "the {time} time");
    }
    second.shutdown().await.unwrap();
    let restored = timeout(PATIENCE, async {
        loop {
            match Node::open(&c, options("bia")).await {
                Ok(node) => return node,
                Err(Error::OriginalAlive(_heard_lately)) => {}
                Err(other) => panic!("{other}"),
            }
        }
    });
    let restored = restored.await.unwrap();
    // From now on it is the node; whoever starts the original again is told on both.
    let second = Node::open(&b, options("bia")).await.unwrap();
    let told = async {
        for node in [&restored, &second] {
            let is_twin = |problem: &String| problem.contains("this node's identity");
            while !node.status().await.unwrap().problems.iter().any(is_twin) {
                tokio::task::yield_now().await;
            }
        }
    };
    timeout(PATIENCE, told).await.unwrap();
    for node in [first, second, restored] {
        node.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_node_of_a_group_comes_back_too_and_never_founds_its_voters_again() {
    let homes = tempfile::tempdir().unwrap();
    let [a, file] = ["a", "a.backup"].map(|name| homes.path().join(name));
    let node = Node::create(&a, "circle", options("ana")).await.unwrap();
    say(&node, "one").await;
    save(&a, &file);
    node.shutdown().await.unwrap();
    std::fs::remove_dir_all(&a).unwrap();
    assert!(bring_back(&file, &a).was_founder);
    let node = Node::open(&a, options("ana")).await.unwrap();
    say(&node, "two").await;
    assert_eq!(heard(&node, 2).await, [b"one", b"two"]);
    let asked = node.lock("a".parse().unwrap()).acquire();
    let asked = timeout(Duration::from_secs(3), asked).await;
    assert!(!matches!(asked, Ok(Ok(_))), "fences must never begin anew");
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_within_the_home_and_a_home_that_is_taken_are_refused() {
    let homes = tempfile::tempdir().unwrap();
    let [a, file] = ["a", "a.backup"].map(|name| homes.path().join(name));
    let node = Node::create(&a, "circle", options("ana")).await.unwrap();
    let force = BackupOptions {
        replace: true,
        ..BackupOptions::default()
    };
    let refused = back_up_home(&a, &a.join("roda.db"), &force, go_on);
    assert!(
        matches!(refused, Err(Error::BackupInHome(_))),
        "{refused:?}"
    );
    save(&a, &file);
    let again = back_up_home(&a, &file, &BackupOptions::default(), go_on);
    assert!(matches!(again, Err(Error::FileExists(_))), "{again:?}");
    let taken = Backup::open(&file).unwrap().restore(&a, go_on);
    assert!(matches!(taken, Err(Error::AlreadyInGroup(_))), "{taken:?}");
    node.shutdown().await.unwrap();
    let missing = Backup::open(&homes.path().join("none"));
    assert!(matches!(missing, Err(Error::File { .. })), "{missing:?}");
    let nowhere = back_up_home(&a, Path::new("/nowhere/b"), &force, go_on);
    assert!(matches!(nowhere, Err(Error::File { .. })), "{nowhere:?}");
}

//! Real nodes on this machine's loopback interface: real sockets, real SQLite.

#![expect(clippy::unwrap_used, reason = "a failed step ends the test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use roda::{
    AuthorId, Error, Fence, Frontier, HistoryQuery, LockName, Message, Node, Options, Presence,
    Seq, Topic,
};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

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
    let second = Node::join(b, &token, PATIENCE, options("bia"))
        .await
        .unwrap();
    (first, second)
}

async fn history(node: &Node) -> Vec<Message> {
    let mut all = Vec::new();
    if let Ok(mut history) = node.topic(topic()).history(HistoryQuery::default()).await {
        loop {
            let page = history.next_page().await.unwrap();
            if page.is_empty() {
                break;
            }
            all.extend(page);
        }
    }
    all
}

async fn until_entries(node: &Node, count: usize) -> Vec<Message> {
    let mut subscription = node.topic(topic()).subscribe();
    let waiting = async {
        loop {
            let all = history(node).await;
            if all.len() >= count {
                return all;
            }
            let _news = subscription.next_batch().await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("entries arrive")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_on_one_node_is_read_on_the_other() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = pair(a.path(), b.path()).await;
    let mut heard = second.topic(topic()).subscribe();
    first.topic(topic()).append("hello").await.unwrap();
    let message = timeout(PATIENCE, heard.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(message.body, b"hello");
    assert_eq!(message.node, first.node_id());
    second
        .topic(topic())
        .append_all(vec![b"one".to_vec(), b"two".to_vec()])
        .await
        .unwrap();
    assert_eq!(
        until_entries(&first, 3).await,
        until_entries(&second, 3).await
    );
    let both_are_here = async {
        loop {
            let members = first.members().await.unwrap();
            let nicks: Vec<_> = members.iter().map(|member| member.nick.as_str()).collect();
            if nicks == ["ana", "bia"] && members[1].presence == Presence::Online {
                break;
            }
        }
    };
    timeout(PATIENCE, both_are_here)
        .await
        .expect("the members see each other");
    first.shutdown().await.unwrap();
    second.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_catches_up() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = pair(a.path(), b.path()).await;
    second.shutdown().await.unwrap();
    for n in 0..50 {
        first
            .topic(topic())
            .append(format!("message {n}"))
            .await
            .unwrap();
    }
    let second = Node::open(b.path(), options("bia")).await.unwrap();
    assert_eq!(until_entries(&second, 50).await.len(), 50);
    first.shutdown().await.unwrap();
    second.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_holds_what_is_stable_and_survives_a_restart() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = pair(a.path(), b.path()).await;
    let (file_a, file_b) = (a.path().join("m.txt"), b.path().join("m.txt"));
    first.mirror(topic(), &file_a).await.unwrap();
    second.mirror(topic(), &file_b).await.unwrap();
    first
        .topic(topic())
        .append("a\tb\n\u{1b}[31m")
        .await
        .unwrap();
    second.topic(topic()).append("c").await.unwrap();
    until_lines(&file_a, 2).await;
    until_lines(&file_b, 2).await;
    let before = std::fs::read(&file_a).unwrap();
    assert_eq!(before, std::fs::read(&file_b).unwrap());
    assert!(
        String::from_utf8(before.clone())
            .unwrap()
            .contains("a\\tb\\n\\x1b[31m\n")
    );
    first.shutdown().await.unwrap();
    // A write that was cut by a crash.
    std::fs::write(&file_a, &before[..before.len() - 3]).unwrap();
    let first = Node::open(a.path(), options("ana")).await.unwrap();
    first.topic(topic()).append("d").await.unwrap();
    until_lines(&file_a, 3).await;
    until_lines(&file_b, 3).await;
    assert_eq!(
        std::fs::read(&file_a).unwrap(),
        std::fs::read(&file_b).unwrap()
    );
    let taken = b.path().join("taken.txt");
    std::fs::write(&taken, "mine").unwrap();
    assert!(matches!(
        second.mirror(topic(), &taken).await,
        Err(Error::NotAMirror(_))
    ));
    assert_eq!(std::fs::read(&taken).unwrap(), b"mine");
    first.shutdown().await.unwrap();
    second.shutdown().await.unwrap();
}

async fn until_lines(path: &Path, count: usize) {
    let waiting = async {
        while std::fs::read(path).map_or(0, |text| text.iter().filter(|b| **b == b'\n').count())
            < count
        {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("the mirror grows");
}

#[tokio::test]
async fn a_node_knows_the_name_of_its_group_as_soon_as_it_is_open() {
    let home = tempfile::tempdir().unwrap();
    let node = Node::create(home.path(), "tests", options("ana"));
    node.await.unwrap().shutdown().await.unwrap();
    let node = Node::open(home.path(), options("ana")).await.unwrap();
    assert_eq!(node.group_name(), "tests");
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_home_is_deleted_stops() {
    let home = tempfile::tempdir().unwrap();
    let node = Node::create(home.path(), "tests", options("ana"));
    let node = node.await.unwrap();
    node.topic(topic()).append("hello").await.unwrap();
    home.close().unwrap();
    let stopped = timeout(PATIENCE, node.stopped()).await;
    stopped.expect("it notices").unwrap();
    assert!(node.topic(topic()).append("lost").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_member_is_told_and_a_home_cannot_join_twice() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = pair(a.path(), b.path()).await;
    let token = first.invite(1, Duration::from_secs(60)).await.unwrap();
    let again = Node::join(b.path(), &token, PATIENCE, options("bia")).await;
    assert!(matches!(again, Err(Error::AlreadyInGroup(_))));
    let other = Node::open(a.path(), options("ana")).await;
    assert!(matches!(other, Err(Error::AlreadyRunning(_))));
    let printer = || "printer".parse().unwrap();
    let held = first.lock(printer()).acquire().await.unwrap();
    let bia = second.clone();
    let waits = tokio::spawn(async move { bia.lock(printer()).acquire().await.err() });
    assert_eq!(first.remove("bia").await.unwrap(), second.node_id());
    let waiting = async {
        while !matches!(
            second.topic(topic()).append("x").await,
            Err(Error::NotMember)
        ) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, waiting)
        .await
        .expect("the removed member is told");
    let waited = timeout(PATIENCE, waits).await;
    let waited = waited.expect("it waits no longer").unwrap();
    assert!(matches!(waited, Some(Error::NotMember)), "{waited:?}");
    let again = second.lock(printer()).acquire().await;
    assert!(matches!(again, Err(Error::NotMember)));
    let report = second.lock_report(&[]).await;
    assert!(matches!(report, Err(Error::NotMember)));
    drop(held);
    assert_eq!(first.members().await.unwrap().len(), 1);
    first.shutdown().await.unwrap();
    second.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_invite_admits_nobody_and_leaves_the_home_untouched() {
    let (a, b, c) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let first = Node::create(a.path(), "circle", options("ana"))
        .await
        .unwrap();
    let token = first.invite(1, Duration::from_secs(60)).await.unwrap();
    let second = Node::join(b.path(), &token, PATIENCE, options("bia"))
        .await
        .unwrap();
    let third = Node::join(c.path(), &token, PATIENCE, options("caio")).await;
    assert!(
        matches!(third, Err(Error::Refused(roda::Refusal::UsedUp))),
        "{:?}",
        third.err()
    );
    assert_eq!(roda::peek(c.path()).unwrap(), None);
    first.shutdown().await.unwrap();
    second.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_left_is_gone_for_the_others_and_its_home_is_free_again() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = pair(a.path(), b.path()).await;
    let mut heard = second.topic(topic()).subscribe();
    second.leave().await.unwrap();
    assert!(
        heard.next().await.is_none(),
        "a subscription ends with its node"
    );
    let alone = async {
        while first.members().await.unwrap().len() > 1 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, alone).await.expect("the leave is heard");
    let token = first.invite(1, Duration::from_secs(60)).await.unwrap();
    let again = Node::join(b.path(), &token, PATIENCE, options("bia"))
        .await
        .unwrap();
    assert_ne!(again.node_id(), second.node_id());
    first.shutdown().await.unwrap();
    again.shutdown().await.unwrap();
}

fn lock() -> LockName {
    LockName::new("db").unwrap()
}

async fn say_fenced(
    node: &Node,
    fence: u64,
    seen: &[(AuthorId, Seq)],
    text: &str,
) -> roda::Result<(AuthorId, Seq)> {
    let (seen, bodies) = (Frontier(seen.to_vec()), vec![text.into()]);
    let receipt = node
        .topic(topic())
        .append_fenced(lock(), Fence(fence), seen, bodies)
        .await?;
    Ok((receipt.author, receipt.last))
}

async fn until_reached(node: &Node, entry: (AuthorId, Seq)) {
    let reached = node.reached(Frontier(vec![entry]));
    timeout(PATIENCE, reached).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_the_lock_writes_no_more_and_what_nobody_saw_is_late_for_all() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = pair(a.path(), b.path()).await;
    let seen = say_fenced(&first, 1, &[], "seen").await.unwrap();
    assert_eq!(first.head(), seen);
    until_reached(&second, seen).await;
    let unseen = say_fenced(&first, 1, &[], "not seen").await.unwrap();
    assert_eq!(first.head(), unseen);
    let next = say_fenced(&second, 2, &[seen], "next").await.unwrap();
    until_reached(&first, next).await;
    let refused = say_fenced(&first, 1, &[], "too old").await;
    let (fence, newest) = (Fence(1), Fence(2));
    assert!(
        matches!(refused, Err(Error::OldFence { fence: f, newest: n }) if (f, n) == (fence, newest)),
        "{refused:?}"
    );
    until_reached(&second, first.head()).await;
    let all = history(&first).await;
    assert_eq!(all, history(&second).await);
    // Who did not see it may have written within the same millisecond: their order is by chance.
    let marks: BTreeSet<_> = all
        .iter()
        .map(|said| (said.body.as_slice(), said.fence.as_ref().unwrap().late))
        .collect();
    let expected = BTreeSet::from([
        (b"seen".as_slice(), false),
        (b"not seen", true),
        (b"next", false),
    ]);
    assert_eq!(marks, expected);
    first.shutdown().await.unwrap();
    let stopped = second.clone();
    let never =
        tokio::spawn(async move { stopped.reached(Frontier(vec![(seen.0, Seq(999))])).await });
    second.shutdown().await.unwrap();
    assert!(matches!(never.await.unwrap(), Err(Error::Stopped)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_machine_brings_back_after_the_lock_went_on_is_delivered_as_late() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = pair(a.path(), b.path()).await;
    second.shutdown().await.unwrap();
    say_fenced(&first, 1, &[], "nobody saw this").await.unwrap();
    first.shutdown().await.unwrap();
    let second = Node::open(b.path(), options("bia")).await.unwrap();
    let mut heard = second.topic(topic()).subscribe();
    say_fenced(&second, 2, &[], "next").await.unwrap();
    let own = heard.next().await.unwrap().unwrap();
    assert_eq!(
        (own.body.as_slice(), own.fence.unwrap().late),
        (b"next".as_slice(), false)
    );
    let first = Node::open(a.path(), options("ana")).await.unwrap();
    let message = timeout(PATIENCE, heard.next()).await.unwrap();
    let message = message.unwrap().unwrap();
    assert_eq!(message.body, b"nobody saw this");
    assert!(message.fence.unwrap().late);
    first.shutdown().await.unwrap();
    second.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_a_message_holds_with_its_fence() {
    let home = tempfile::tempdir().unwrap();
    let node = Node::create(home.path(), "circle", options("ana"))
        .await
        .unwrap();
    let longest = "x".repeat(roda::BODY_LEN_MAX);
    node.topic(topic()).append(longest.clone()).await.unwrap();
    let refused = say_fenced(&node, 1, &[], &longest).await;
    assert!(matches!(refused, Err(Error::TooLong(len)) if len > roda::BODY_LEN_MAX));
    let shorter = "x".repeat(roda::BODY_LEN_MAX - 100);
    say_fenced(&node, 1, &[], &shorter).await.unwrap();
    node.shutdown().await.unwrap();
}

//! What one says reaches the others: once, whole, and in spite of losses, splits and restarts.

use std::vec;
use std::vec::Vec;

use super::world::*;
use crate::engine::*;
use crate::job::JobEntry;
use crate::log::{BODY_LEN_MAX, EntryKind, Hold, Topic};
use crate::token::{Fence, Frontier, LockName};

#[test]
fn what_one_says_reaches_all_once() {
    let mut net = Net::group_of(4);
    for index in 0..4 {
        net.say(index, &std::format!("hello from {index}"));
    }
    net.run(100);
    for index in 0..4 {
        let mut texts = net.texts(index);
        texts.sort_unstable();
        assert_eq!(
            texts,
            [
                "hello from 0",
                "hello from 1",
                "hello from 2",
                "hello from 3"
            ],
            "host {index}"
        );
        assert_eq!(net.hosts[index].engine.members().len(), 4);
    }
}

fn hold(fence: u64) -> Hold {
    let lock = LockName::new("db").unwrap();
    Hold::new(lock, Fence(fence), Frontier::default())
}

fn say_fenced(net: &mut Net, index: usize, hold: &Hold, body: Vec<u8>) {
    let command = Command::AppendFenced {
        topic: Topic::new("t").unwrap(),
        hold: hold.clone(),
        bodies: vec![body],
    };
    let input = Input::Command(CommandId(50), command);
    net.input(index, input).unwrap();
}

#[test]
fn what_is_said_under_a_lock_reaches_the_others_with_its_hold() {
    let mut net = Net::group_of(2);
    say_fenced(&mut net, 0, &hold(7), b"x".to_vec());
    net.run(100);
    assert_eq!(net.texts(1), ["x"]);
    let stored = net.hosts[1].disk.batches.iter();
    let mut fenced = stored.flat_map(|batch| batch.entries()).filter(|entry| {
        entry.kind == EntryKind::Fenced && entry.said().unwrap().hold == Some(hold(7))
    });
    assert_eq!(fenced.by_ref().count(), 1);
}

#[test]
fn the_limit_of_a_body_holds_with_its_hold() {
    let mut net = Net::group_of(1);
    let overhead = hold(7).entry_body(&[0; 1000]).len() - 1000;
    say_fenced(&mut net, 0, &hold(7), vec![0; BODY_LEN_MAX - overhead]);
    assert!(net.hosts[0].failed.is_empty());
    say_fenced(&mut net, 0, &hold(7), vec![0; BODY_LEN_MAX - overhead + 1]);
    assert_eq!(net.hosts[0].failed, [CommandError::TooLong]);
}

fn say_of_jobs(net: &mut Net, index: usize, bodies: Vec<Vec<u8>>) {
    let topic = Topic::new("t").unwrap();
    let command = Command::AppendJobs { topic, bodies };
    let input = Input::Command(CommandId(51), command);
    net.input(index, input).unwrap();
}

#[test]
fn what_is_said_of_jobs_reaches_the_others_and_is_no_message() {
    let mut net = Net::group_of(2);
    let purge = JobEntry::Purge.encode();
    say_of_jobs(&mut net, 0, Vec::from([purge.clone(), purge]));
    net.run(100);
    assert!(net.texts(1).is_empty());
    let stored = net.hosts[1].disk.batches.iter();
    let entries = stored
        .filter(|batch| batch.has_jobs())
        .flat_map(|batch| batch.entries());
    let of_jobs = entries.filter(|entry| entry.kind == EntryKind::Job);
    let parsed: Vec<_> = of_jobs
        .map(|entry| (entry.topic, JobEntry::parse(entry.body)))
        .collect();
    assert_eq!(parsed.len(), 2);
    assert!(
        parsed
            .iter()
            .all(|found| *found == (Some("t"), Ok(JobEntry::Purge)))
    );
    say_of_jobs(&mut net, 0, Vec::from([std::vec![0; BODY_LEN_MAX + 1]]));
    assert_eq!(net.hosts[0].failed, [CommandError::TooLong]);
}

#[test]
fn an_entry_is_settled_once_it_is_durable_or_can_never_come() {
    let mut net = Net::group_of(3);
    net.is_cut = |from, to| from == 2 || to == 2;
    net.say(0, "a");
    net.run(1_000);
    let (author, seq) = net.hosts[0].engine.head();
    assert!(net.hosts[1].engine.is_settled(&author, seq));
    assert!(!net.hosts[1].engine.is_settled(&author, seq.next()));
    assert!(!net.hosts[2].engine.is_settled(&author, seq));
    // What somebody says who is removed before anyone has heard it never comes.
    net.say(2, "lost");
    let (lost, seq) = net.hosts[2].engine.head();
    let node = net.hosts[2].node();
    assert!(!net.hosts[1].engine.is_settled(&lost, seq));
    net.command(0, Command::Remove { node });
    net.run(1_000);
    assert!(net.hosts[1].engine.is_settled(&lost, seq));
}

#[test]
fn everything_said_becomes_stable_everywhere() {
    let mut net = Net::group_of(3);
    net.say(1, "a");
    net.run(1_000);
    let last = net.hosts[0]
        .disk
        .batches
        .iter()
        .map(|batch| batch.hlc_last)
        .max()
        .unwrap();
    for host in &net.hosts {
        assert!(host.stable >= last, "{:?} < {last:?}", host.stable);
    }
}

#[test]
fn a_message_lost_to_one_is_repaired() {
    let mut net = Net::group_of(3);
    net.is_cut = |from, to| from == 0 && to == 2;
    net.say(0, "lost");
    net.is_cut = |_, _| false;
    net.run(200);
    assert_eq!(net.texts(2), ["lost"]);
}

#[test]
fn the_last_message_of_a_dead_author_is_repaired_by_another() {
    let mut net = Net::group_of(3);
    net.is_cut = |from, to| (from, to) == (0, 2) || (from, to) == (2, 0);
    net.say(0, "last words");
    net.is_cut = |from, to| from == 0 || to == 0;
    net.run(5_000);
    assert_eq!(net.texts(2), ["last words"]);
}

#[test]
fn a_split_heals() {
    let mut net = Net::group_of(4);
    net.is_cut = |from, to| (from < 2) != (to < 2);
    net.say(0, "left");
    net.say(3, "right");
    net.run(10_000);
    net.is_cut = |_, _| false;
    net.run(5_000);
    for index in 0..4 {
        let mut texts = net.texts(index);
        texts.sort_unstable();
        assert_eq!(texts, ["left", "right"], "host {index}");
    }
}

#[test]
fn a_restarted_node_goes_on_with_its_log() {
    let mut net = Net::group_of(3);
    net.say(1, "one");
    net.restart(1);
    net.say(1, "two");
    net.run(1_000);
    assert_eq!(net.texts(0), ["one", "two"]);
    assert_eq!(net.texts(2), ["one", "two"]);
}

#[test]
fn datagrams_of_an_earlier_time_do_not_make_a_dead_peer_live() {
    let mut net = Net::group_of(2);
    let replayed = net.wire.clone();
    net.is_cut = |_, _| true;
    net.restart(0);
    net.run(20);
    for mut payload in replayed {
        let input = Input::Datagram {
            source: address(1),
            via: Via::Multicast,
            payload: &mut payload,
        };
        let _refused = net.input(0, input);
    }
    assert!(
        net.hosts[0]
            .engine
            .members()
            .iter()
            .all(|member| member.presence != Presence::Online)
    );
}

#[test]
fn the_same_inputs_give_the_same_outputs() {
    let run = || {
        let mut net = Net::group_of(3);
        net.is_cut = |from, to| (from + to) % 3 == 0;
        net.say(0, "a");
        net.run(500);
        net.wire
    };
    assert!(run() == run());
}

#[test]
fn without_multicast_between_two_they_talk_by_unicast() {
    let mut net = Net::group_of(2);
    let contacts = vec![address(0)];
    let snapshot = net.hosts[1].disk.snapshot(net.hosts[1].identity.clone());
    let config = Config {
        contacts,
        ..config()
    };
    net.hosts[1].engine = Engine::new(config, Seed([1; 32]), snapshot, net.now);
    net.run(100);
    assert!(
        net.hosts[1]
            .engine
            .members()
            .iter()
            .any(|member| member.presence == Presence::Online)
    );
}

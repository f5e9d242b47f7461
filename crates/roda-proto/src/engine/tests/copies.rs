//! Who has an entry.

use std::collections::BTreeMap;
use std::vec;

use super::world::Net;
use crate::engine::{Command, Input, Output};
use crate::id::{AuthorId, Seq};
use crate::log::Topic;

/// Host 0 waits for copies of its last entry.
fn want(net: &mut Net) -> (AuthorId, Seq) {
    let (author, seq) = net.hosts[0].engine.head();
    let wanted = BTreeMap::from([(author, seq)]);
    net.input(0, Input::WantCopies(wanted)).unwrap();
    (author, seq)
}

fn copies(net: &Net, (author, seq): (AuthorId, Seq)) -> usize {
    net.hosts[0].engine.holders(&author, seq).len()
}

/// How many milliseconds it takes until so many have it.
fn until(net: &mut Net, entry: (AuthorId, Seq), count: usize, millis_max: u64) -> u64 {
    for millis in 0..millis_max {
        if copies(net, entry) >= count {
            return millis;
        }
        net.run(1);
    }
    panic!("after {millis_max} ms {} have it", copies(net, entry));
}

#[test]
fn in_a_quiet_group_all_tell_with_their_next_beacon() {
    let mut net = Net::group_of(3);
    net.run(3_000);
    net.say(0, "wanted");
    let entry = want(&mut net);
    let millis = until(&mut net, entry, 3, 100);
    assert!(millis <= 30, "{millis} ms: nobody had to be asked");
}

#[test]
fn who_cannot_hear_is_not_counted_until_it_has_the_entry() {
    let mut net = Net::group_of(3);
    net.run(1_000);
    net.is_cut = |from, to| from == 2 || to == 2;
    net.say(0, "wanted");
    let entry = want(&mut net);
    until(&mut net, entry, 2, 100);
    net.run(10_000);
    assert_eq!(copies(&net, entry), 2);
    net.is_cut = |_, _| false;
    until(&mut net, entry, 3, 5_000);
}

#[test]
fn who_is_asked_tells_although_others_write_all_the_time() {
    let mut net = Net::group_of(3);
    net.run(3_000);
    // What 2 writes does not reach 0, so the digests of 0 and the others never agree.
    net.is_cut = |from, to| (from, to) == (2, 0);
    let mut slowest = 0;
    for round in 0..20 {
        let topic = Topic::new("t").unwrap();
        let bodies = vec![std::format!("noise {round}").into_bytes()];
        net.command(2, Command::Append { topic, bodies });
        net.say(0, "wanted");
        let entry = want(&mut net);
        slowest = until(&mut net, entry, 2, 1_000).max(slowest);
    }
    assert!(slowest <= 120, "{slowest} ms");
}

#[test]
fn a_member_is_counted_only_after_the_entry_is_durable_there() {
    let mut net = Net::group_of(2);
    net.run(1_000);
    net.is_cut = |from, to| (from, to) == (0, 1);
    net.say(0, "wanted");
    let entry = want(&mut net);
    net.run(100);
    assert_eq!(copies(&net, entry), 1);
    // It arrives, and its disk takes a while.
    net.is_cut = |_, _| false;
    net.hosts[1].is_disk_slow = true;
    net.run(2_000);
    assert_eq!(copies(&net, entry), 1);
    let writes = core::mem::take(&mut net.hosts[1].unwritten);
    assert!(!writes.is_empty(), "it has heard of the entry");
    net.hosts[1].is_disk_slow = false;
    for id in writes {
        net.input(1, Input::Persisted(id)).unwrap();
    }
    until(&mut net, entry, 2, 200);
}

#[test]
fn what_nobody_wants_any_more_is_not_asked_for() {
    let mut net = Net::group_of(2);
    net.say(0, "wanted");
    net.is_cut = |_, _| true;
    want(&mut net);
    net.input(0, Input::WantCopies(BTreeMap::new())).unwrap();
    net.run(100);
    let deadline = match net.hosts[0].engine.poll_output() {
        Output::Wait(deadline) => deadline.unwrap(),
        other => panic!("{other:?}"),
    };
    assert_ne!(deadline.reason, "copies");
}

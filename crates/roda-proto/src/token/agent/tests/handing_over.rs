use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use super::super::*;
use super::world::*;
use crate::id::{AuthorId, Seq};
use crate::token::{Frontier, Notice, Token};

/// Node 0 is inside, node 1 is its heir.
fn one_inside_one_heir() -> (World, RequestId, RequestId) {
    let mut world = World::new(3);
    let first = world.acquire(0, "a");
    world.settle();
    assert!(world.is_inside(0, first));
    let second = world.acquire(1, "a");
    world.settle();
    assert!(!world.is_inside(1, second));
    (world, first, second)
}

#[test]
fn a_contended_lock_goes_by_token_in_one_hop() {
    let (mut world, first, second) = one_inside_one_heir();
    world.commit = Duration::from_millis(500);
    world.release(0, first);
    world.run(HOP);
    assert!(world.is_inside(1, second));
    assert_eq!(world.tokens().len(), 1);
}

#[test]
fn a_lost_token_is_made_good_by_the_leader_with_the_same_fence() {
    let (mut world, first, second) = one_inside_one_heir();
    world.rule = Box::new(|mail| {
        if is_token(mail) {
            Fate::Drop
        } else {
            Fate::Deliver
        }
    });
    world.release(0, first);
    world.run(HOP);
    assert!(!world.is_inside(1, second));
    world.settle();
    assert!(world.is_inside(1, second));
    assert_eq!(world.tokens()[0].2.to, world.fence(1, second));
}

#[test]
fn a_token_that_comes_before_the_tables_word_waits_for_it() {
    let (mut world, first, second) = one_inside_one_heir();
    let third = world.acquire(2, "a");
    // Node 2 does not hear for a while that it is chosen.
    world.rule = Box::new(|mail| match &mail.message {
        LockMessage::Notice(_) if mail.to == 2 => Fate::Delay(Duration::from_millis(100)),
        _ => Fate::Deliver,
    });
    world.release(0, first);
    world.run(HOP * 30);
    world.release(1, second);
    world.run(HOP * 5);
    assert_eq!(world.tokens().iter().filter(|it| it.1 == 2).count(), 1);
    assert!(!world.is_inside(2, third));
    world.run(Duration::from_millis(150));
    assert!(world.is_inside(2, third));
}

#[test]
fn an_heir_that_is_chosen_late_gets_the_token_late() {
    let mut world = World::new(2);
    let first = world.acquire(0, "a");
    world.settle();
    // The notice that names the heir comes when the lock has been left: the release is lost.
    world.rule = Box::new(|mail| match &mail.message {
        LockMessage::Notice(_) if mail.to == 0 => Fate::Delay(HOP * 30),
        LockMessage::Propose { .. } if mail.from == 0 => Fate::Drop,
        _ => Fate::Deliver,
    });
    let second = world.acquire(1, "a");
    world.run(HOP * 10);
    world.release(0, first);
    world.run(HOP * 10);
    assert_eq!(world.tokens().len(), 0);
    world.run(HOP * 30);
    assert_eq!(world.tokens().len(), 1);
    assert!(world.is_inside(1, second));
}

#[test]
fn a_token_that_comes_again_after_its_grant_was_left_does_nothing() {
    let (mut world, first, second) = one_inside_one_heir();
    world.rule = Box::new(|mail| {
        if is_token(mail) {
            Fate::Twice(Duration::from_millis(300))
        } else {
            Fate::Deliver
        }
    });
    world.release(0, first);
    world.settle();
    world.release(1, second);
    let third = world.acquire(2, "a");
    world.settle();
    assert!(world.is_inside(2, third));
    world.run(Duration::from_millis(400));
    assert!(world.is_inside(2, third));
}

#[test]
fn release_and_acquire_between_two_polls_are_one_proposal() {
    let (mut world, first, second) = one_inside_one_heir();
    world.sent.clear();
    world.inside.clear();
    world.agents[0].release(world.now, first, None);
    let again = world.ask(0, wish(&["a"], Permits::EXCLUSIVE));
    let proposals: Vec<_> = world
        .sent
        .iter()
        .filter_map(|mail| match &mail.message {
            LockMessage::Propose { commands } => Some(commands.len()),
            _ => None,
        })
        .collect();
    assert_eq!(proposals, [2]);
    world.settle();
    assert!(world.is_inside(1, second));
    world.release(1, second);
    world.settle();
    assert!(world.is_inside(0, again));
}

#[test]
fn the_token_brings_what_was_written() {
    let (mut world, first, second) = one_inside_one_heir();
    let wrote = (AuthorId([7; 16]), Seq(42));
    world.commit = Duration::from_secs(1);
    world.inside.clear();
    world.agents[0].release(world.now, first, Some(wrote));
    world.drain_all();
    world.run(HOP);
    let frontier = Frontier([wrote].to_vec());
    assert_eq!(world.inside[&(1, second)].frontier, frontier);
    // By way of the table as well.
    world.commit = HOP;
    world.settle();
    world.release(1, second);
    world.run(world.timings.idle_token() + Duration::from_secs(1));
    let third = world.acquire(2, "a");
    world.settle();
    assert_eq!(world.inside[&(2, third)].frontier, frontier);
}

#[test]
fn clients_of_one_node_follow_each_other_without_a_message_between() {
    let mut world = World::new(1);
    let first = world.acquire(0, "a");
    world.settle();
    let second = world.acquire(0, "a");
    world.settle();
    assert!(!world.is_inside(0, second));
    world.commit = Duration::from_secs(1);
    world.release(0, first);
    assert!(world.is_inside(0, second));
    assert_eq!(world.tokens().len(), 0);
}

#[test]
fn a_new_leader_finishes_a_hand_over() {
    for keep in [false, true] {
        let (mut world, first, second) = one_inside_one_heir();
        world.rule = Box::new(|mail| {
            if is_token(mail) {
                Fate::Drop
            } else {
                Fate::Deliver
            }
        });
        world.release(0, first);
        world.run(HOP);
        world.change_leader(2, keep);
        world.settle();
        assert!(world.is_inside(1, second), "entry kept: {keep}");
    }
}

#[test]
fn a_restarted_node_does_not_enter_on_what_was_meant_for_its_earlier_life() {
    let (mut world, first, second) = one_inside_one_heir();
    // Everything to node 1 is late: it comes when the node has started anew.
    world.rule = Box::new(|mail| match mail.to {
        1 => Fate::Delay(Duration::from_millis(200)),
        _ => Fate::Deliver,
    });
    world.release(0, first);
    world.run(HOP * 10);
    world.restart(1);
    let again = world.acquire(1, "a");
    world.run(Duration::from_millis(300));
    assert!(!world.is_inside(1, second));
    assert!(!world.is_inside(1, again), "its earlier life may run still");
    world.run(world.timings.expiry() + Duration::from_secs(1));
    assert!(world.is_inside(1, again));
}

#[test]
fn a_token_of_somebody_who_was_not_before_it_opens_nothing() {
    let (mut world, _first, second) = one_inside_one_heir();
    let heir = world.agents[1].session.id().unwrap();
    let to = *world.agents[1].grants.keys().next().unwrap();
    for from in 0..2000 {
        let message = LockMessage::Token(Token {
            from: Fence(from),
            to,
            session: heir,
            frontier: Frontier::default(),
        });
        world.inject(Mail {
            from: 2,
            to: 1,
            to_leader: false,
            message,
        });
    }
    world.settle();
    assert!(!world.is_inside(1, second));
}

#[test]
fn a_missing_notice_is_made_good_by_the_whole_view() {
    let mut world = World::new(2);
    let mut is_first = true;
    world.rule = Box::new(move |mail| match &mail.message {
        LockMessage::Notice(_) if mail.to == 1 && is_first => {
            is_first = false;
            Fate::Drop
        }
        _ => Fate::Deliver,
    });
    let lost = world.acquire(1, "a");
    world.settle();
    assert!(!world.is_inside(1, lost));
    // The next notice shows that one is missing.
    let next = world.acquire(1, "b");
    world.settle();
    assert!(world.is_inside(1, lost) && world.is_inside(1, next));
    assert_eq!(world.queue_of("a"), (0, 1));
}

#[test]
fn an_old_notice_brings_nothing_back() {
    let (mut world, first, second) = one_inside_one_heir();
    let old: Vec<Mail> = world
        .sent
        .iter()
        .filter(|mail| matches!(mail.message, LockMessage::Notice(_)))
        .cloned()
        .collect();
    assert!(old.len() >= 3);
    world.release(0, first);
    world.settle();
    let again = world.acquire(0, "a");
    world.settle();
    world.sent.clear();
    for mail in old {
        world.inject(mail);
    }
    world.run(HOP * 10);
    assert!(world.is_inside(1, second) && !world.is_inside(0, again));
    assert!(world.sent.is_empty());
}

#[test]
fn a_grant_that_was_entered_is_never_cancelled() {
    let mut world = World::new(1);
    let first = world.acquire(0, "a");
    world.settle();
    world.release(0, first);
    world.sent.clear();
    // Somebody says that the request waits, whose grant is idle here and whose client is gone.
    let lease = *world.agents[0].session.lease().unwrap();
    let notice = Notice {
        session: lease.id,
        version: lease.version + 1,
        grants: Vec::new(),
        gone: Vec::new(),
        queued: [first].to_vec(),
        dropped: Vec::new(),
    };
    world.inject(Mail {
        from: 0,
        to: 0,
        to_leader: false,
        message: LockMessage::Notice(notice),
    });
    world.run(HOP * 3);
    assert!(world.sent.is_empty());
}

#[test]
fn a_grant_that_nobody_here_wants_is_cancelled() {
    let mut world = World::new(2);
    // The wish is withdrawn while its commands are on their way, and the withdrawal is lost.
    let mut is_first = true;
    world.rule = Box::new(move |mail| match &mail.message {
        LockMessage::Propose { commands } if matches!(commands[0], LockCommand::Cancel { .. }) => {
            if core::mem::take(&mut is_first) {
                Fate::Drop
            } else {
                Fate::Deliver
            }
        }
        _ => Fate::Deliver,
    });
    world.acquire(1, "b");
    world.settle();
    let request = world.acquire(1, "a");
    world.run(HOP);
    world.cancel(1, request);
    world.run(Duration::from_secs(2));
    assert_eq!(world.queue_of("a"), (0, 0));
}

use alloc::boxed::Box;
use core::time::Duration;

use super::super::*;
use super::world::*;
use crate::token::FENCE_BLOCK;

#[test]
fn a_free_lock_is_taken_again_without_a_message() {
    let mut world = World::new(2);
    let mut request = world.acquire(0, "a");
    world.settle();
    world.sent.clear();
    for _round in 0..100 {
        let before = world.fence(0, request);
        world.release(0, request);
        request = world.acquire(0, "a");
        assert_eq!(world.fence(0, request), Fence(before.0 + 1));
    }
    assert!(world.sent.is_empty());
}

#[test]
fn whoever_else_asks_recalls_an_idle_token() {
    let mut world = World::new(2);
    let first = world.acquire(0, "a");
    world.settle();
    world.release(0, first);
    let second = world.acquire(1, "a");
    world.settle();
    assert!(world.is_inside(1, second));
    assert_eq!(world.tokens().len(), 1);
}

#[test]
fn a_recall_waits_for_a_client_that_has_entered_meanwhile() {
    let mut world = World::new(2);
    let first = world.acquire(0, "a");
    world.settle();
    world.release(0, first);
    let second = world.acquire(1, "a");
    let again = world.acquire(0, "a");
    assert!(world.is_inside(0, again));
    world.settle();
    assert!(!world.is_inside(1, second));
    world.release(0, again);
    world.run(HOP);
    assert!(world.is_inside(1, second));
}

#[test]
fn an_exhausted_block_asks_for_the_next_one() {
    let mut world = World::new(1);
    let mut request = world.acquire(0, "a");
    world.settle();
    for _round in 1..FENCE_BLOCK {
        world.release(0, request);
        request = world.acquire(0, "a");
        assert!(world.is_inside(0, request));
    }
    world.release(0, request);
    request = world.acquire(0, "a");
    assert!(!world.is_inside(0, request));
    world.settle();
    assert!(world.is_inside(0, request));
}

#[test]
fn an_idle_token_is_given_back_after_its_time_and_not_before() {
    let mut world = World::new(1);
    let first = world.acquire(0, "a");
    world.settle();
    world.release(0, first);
    world.run(world.timings.idle_token() - Duration::from_micros(1));
    assert_eq!(world.queue_of("a"), (0, 1));
    world.run(Duration::from_micros(1));
    world.settle();
    assert_eq!(world.queue_of("a"), (0, 0));
}

#[test]
fn a_session_that_nothing_uses_is_closed_and_opened_again() {
    let mut world = World::new(1);
    let first = world.acquire(0, "a");
    world.settle();
    world.release(0, first);
    world.run(world.timings.idle_session() + Duration::from_secs(2));
    assert_eq!(world.table.sessions().count(), 0);
    assert_eq!(
        world.agents[0].next_deadline(),
        None,
        "an idle node is silent"
    );
    let second = world.acquire(0, "a");
    world.settle();
    assert!(world.is_inside(0, second));
}

#[test]
fn an_idle_token_is_not_entered_when_the_lease_is_nearly_over() {
    let mut world = World::new(1);
    let first = world.acquire(0, "a");
    world.settle();
    world.release(0, first);
    world.rule = Box::new(|_| Fate::Drop);
    world.run(world.timings.stop());
    let second = world.acquire(0, "a");
    assert!(!world.is_inside(0, second));
}

#[test]
fn an_idle_token_ends_with_its_session() {
    let mut world = World::new(2);
    world.change_leader(1, true);
    let first = world.acquire(0, "a");
    world.settle();
    world.release(0, first);
    // Node 0 hears nothing any more, is suspended, and wakes when another one is inside.
    world.rule = Box::new(|mail| {
        if mail.from == 0 || mail.to == 0 {
            Fate::Drop
        } else {
            Fate::Deliver
        }
    });
    let second = world.acquire(1, "a");
    world.run(world.timings.expiry() + Duration::from_secs(1));
    assert!(world.is_inside(1, second));
    let again = world.acquire(0, "a");
    assert!(!world.is_inside(0, again));
}

use alloc::boxed::Box;
use core::time::Duration;

use super::super::*;
use super::world::*;

#[test]
fn a_request_that_was_not_asked_yet_is_withdrawn_without_a_trace() {
    let mut world = World::new(1);
    let request = world.ask_quietly(0, wish(&["a"], Permits::EXCLUSIVE));
    world.cancel(0, request);
    world.settle();
    assert!(world.agents[0].errands.is_empty());
    assert_eq!(world.queue_of("a"), (0, 0));
}

#[test]
fn a_request_is_withdrawn_from_the_queue_at_any_moment() {
    // From before it reaches the table until it is chosen and told.
    for hops in 0..8 {
        let mut world = World::new(2);
        let held = world.acquire(0, "a");
        world.settle();
        let other = world.acquire(1, "b");
        world.settle();
        let request = world.acquire(1, "a");
        world.run(HOP * hops);
        world.cancel(1, request);
        world.settle();
        assert_eq!(world.queue_of("a"), (0, 1), "after {hops} hops");
        assert!(world.agents[1].errands.is_empty());
        let again = world.acquire(1, "a");
        world.release(0, held);
        world.settle();
        assert!(world.is_inside(1, again) && world.is_inside(1, other));
    }
}

#[test]
fn a_chosen_request_that_is_withdrawn_lets_the_next_one_wait_for_whoever_is_inside() {
    let mut world = World::new(3);
    let held = world.acquire(0, "a");
    world.settle();
    let chosen = world.acquire(1, "a");
    world.settle();
    let next = world.acquire(2, "a");
    world.settle();
    world.cancel(1, chosen);
    world.settle();
    assert!(!world.is_inside(2, next));
    world.release(0, held);
    world.settle();
    assert!(world.is_inside(2, next));
    assert_eq!(world.tokens().iter().filter(|it| it.1 == 2).count(), 1);
}

#[test]
fn a_token_for_a_withdrawn_request_goes_on_by_way_of_the_table() {
    let mut world = World::new(3);
    let held = world.acquire(0, "a");
    world.settle();
    let chosen = world.acquire(1, "a");
    world.settle();
    let next = world.acquire(2, "a");
    world.settle();
    world.cancel(1, chosen);
    world.release(0, held);
    world.settle();
    assert!(world.is_inside(2, next));
    assert!(
        world.tokens().iter().all(|it| it.0 != 1),
        "it was not inside"
    );
}

#[test]
fn cancelling_a_client_that_is_inside_is_leaving() {
    let mut world = World::new(2);
    let first = world.acquire(0, "a");
    world.settle();
    let second = world.acquire(1, "a");
    world.settle();
    world.cancel(0, first);
    world.settle();
    assert!(world.is_inside(1, second));
}

#[test]
fn commands_are_sent_again_until_they_have_taken_effect() {
    let mut world = World::new(2);
    let mut count = 0;
    world.rule = Box::new(move |mail| {
        count += 1;
        if mail.to_leader && count % 3 != 0 {
            Fate::Drop
        } else {
            Fate::Twice(HOP * 3)
        }
    });
    let first = world.acquire(0, "a");
    world.run(Duration::from_secs(6));
    assert!(world.is_inside(0, first));
    let second = world.acquire(1, "a");
    world.run(Duration::from_secs(3));
    world.release(0, first);
    world.run(Duration::from_secs(3));
    assert!(world.is_inside(1, second));
    world.cancel(1, second);
    world.run(Duration::from_secs(8));
    assert!(world.agents.iter().all(|agent| agent.errands.is_empty()));
}

#[test]
fn a_node_that_stops_lets_its_clients_leave_and_enters_nothing_more() {
    let mut world = World::new(2);
    let first = world.acquire(0, "a");
    let idle = world.acquire(0, "idle");
    let held = world.acquire(1, "b");
    world.settle();
    world.release(0, idle);
    let waiting = world.acquire(0, "b");
    let heir = world.acquire(1, "a");
    world.settle();
    world.agents[0].close(world.now);
    world.settle();
    assert_eq!(world.queue_of("idle"), (0, 0));
    assert_eq!(world.queue_of("b"), (0, 1));
    let stop = HoldState::Stop(LostReason::Stopped);
    assert_eq!(world.holds(0, first)[0].1, stop);
    assert!(world.events.iter().any(|(at, _, event)| *at == 0
        && *event
            == AgentEvent::Refused {
                request: waiting,
                refusal: LockRefusal::NoSession
            }));
    let refused = world.agents[0].acquire(world.now, wish(&["c"], Permits::EXCLUSIVE));
    assert_eq!(refused, Err(LockRefusal::NoSession));
    assert!(!world.agents[0].is_closed());
    world.release(0, first);
    assert!(world.agents[0].is_closed());
    world.settle();
    assert!(world.is_inside(1, heir) && world.is_inside(1, held));
    assert_eq!(world.table.sessions().count(), 1);
}

#[test]
fn a_node_that_stops_while_idle_is_closed_at_once() {
    let mut world = World::new(1);
    world.agents[0].close(world.now);
    assert!(world.agents[0].is_closed());
    world.drain_all();
    assert!(world.sent.is_empty());
}

#[test]
fn bad_wishes_are_refused_before_anything_is_sent() {
    let mut world = World::new(1);
    for names in [&[][..], &["a", "a"], &["x"; 17]] {
        let refused = world.agents[0].acquire(world.now, wish(names, Permits::EXCLUSIVE));
        assert_eq!(refused, Err(LockRefusal::BadRequest));
    }
    for _request in 0..REQUESTS_PER_SESSION_MAX {
        world.ask_quietly(0, wish(&["a"], Permits::EXCLUSIVE));
    }
    let refused = world.agents[0].acquire(world.now, wish(&["a"], Permits::EXCLUSIVE));
    assert_eq!(refused, Err(LockRefusal::Full));
}

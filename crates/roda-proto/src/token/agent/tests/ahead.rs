//! Asking for the next turns before a client wants them.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::super::ahead::{LEFT_ALONE, REQUESTS_MAX, WATCHED_MAX};
use super::super::*;
use super::world::*;
use crate::token::Priority;

/// A turn of two nodes that come back at once, with a slow log.
const ROUNDS: u32 = 400;

fn exclusive() -> Acquire {
    wish(&["a"], Permits::EXCLUSIVE)
}

/// Nodes whose clients come back at once, for so long. How often each was inside.
fn contend(world: &mut World, time: Duration) -> Vec<u32> {
    let mut turns = vec![0; world.agents.len()];
    let end = world.now + time;
    while world.now < end {
        world.run(HOP / 10);
        for (at, request) in world.inside.keys().copied().collect::<Vec<_>>() {
            turns[at] += 1;
            come_back(world, at, request);
        }
        world.forget_sent();
        world.events.clear();
    }
    turns
}

/// So many nodes that have asked ahead, as their clients come back.
fn coming_back(nodes: usize) -> World {
    let mut world = World::new(nodes);
    world.commit = HOP * 13;
    for at in 0..nodes {
        world.acquire(at, "a");
    }
    contend(&mut world, HOP * ROUNDS);
    assert!((0..nodes).all(|at| !turns(&world, at).is_empty()));
    world
}

/// A client leaves and wants the lock again.
fn come_back(world: &mut World, at: usize, request: RequestId) -> RequestId {
    world.inside.remove(&(at, request));
    world.agents[at].release(world.now, request, None);
    world.ask(at, exclusive())
}

/// Runs until a client of a node is inside; those of other nodes leave and come back.
fn until_inside(world: &mut World, at: usize) -> RequestId {
    for _step in 0..10_000 {
        world.run(HOP / 10);
        let Some(&(of, request)) = world.inside.keys().next() else {
            continue;
        };
        if of == at {
            return request;
        }
        come_back(world, of, request);
    }
    panic!("never inside");
}

/// Requests of a node that are no client's.
fn turns(world: &World, at: usize) -> Vec<RequestId> {
    world.agents[at].ahead.turns()
}

/// Everyone leaves and nobody comes back.
fn leave_all(world: &mut World) {
    for _round in 0..40 {
        for (at, request) in world.inside.keys().copied().collect::<Vec<_>>() {
            world.release(at, request);
        }
        world.run(HOP * 2);
    }
    world.settle();
    assert!(world.inside.is_empty());
}

fn assert_nothing_is_left(world: &mut World) {
    world.run(Duration::from_secs(20));
    assert_eq!(world.queue_of("a"), (0, 0));
    assert!(world.agents.iter().all(|agent| agent.errands.is_empty()));
    assert!((0..world.agents.len()).all(|at| turns(world, at).is_empty()));
}

#[test]
fn the_token_seldom_waits_for_the_log_and_all_get_as_many_turns() {
    let mut world = coming_back(5);
    let hops = 1_000;
    let turns = contend(&mut world, HOP * hops);
    // Each alone gets one turn in the time of an entry and the ways to the leader and back.
    let without = 5 * hops / 15;
    assert!(turns.iter().sum::<u32>() * 2 > without * 3, "{turns:?}");
    let (most, least) = (turns.iter().max().unwrap(), turns.iter().min().unwrap());
    assert!(*most * 10 <= *least * 11, "{turns:?}");
}

#[test]
fn a_client_that_comes_back_adopts_the_oldest_turn_and_another_is_asked_for() {
    let mut world = coming_back(3);
    let request = until_inside(&mut world, 0);
    let before = turns(&world, 0);
    let again = come_back(&mut world, 0, request);
    assert_eq!(again, before[0]);
    assert!(turns(&world, 0).starts_with(&before[1..]));
    assert!(turns(&world, 0).len() >= before.len());
    assert_eq!(until_inside(&mut world, 0), again);
}

#[test]
fn what_nobody_adopts_is_passed_on_and_soon_nothing_is_left_of_it() {
    let mut world = coming_back(3);
    world.events.clear();
    let unadopted = turns(&world, 0);
    leave_all(&mut world);
    let of_turn = |event: &AgentEvent| match event {
        AgentEvent::Entered { request, .. } | AgentEvent::Refused { request, .. } => {
            unadopted.contains(request)
        }
        _ => false,
    };
    let told = |(at, _, event): &(usize, Timestamp, AgentEvent)| *at == 0 && of_turn(event);
    assert!(!world.events.iter().any(told), "a client was told of it");
    assert_nothing_is_left(&mut world);
}

#[test]
fn the_token_passes_those_who_do_not_come_back_without_a_pause() {
    let mut world = coming_back(2);
    let request = until_inside(&mut world, 0);
    world.release(0, request);
    // What is under way to the log stays there: tokens alone move.
    world.commit = Duration::from_secs(1);
    let one = until_inside(&mut world, 1);
    let start = world.now;
    let again = come_back(&mut world, 1, one);
    for _step in 0..40 {
        if world.is_inside(1, again) {
            break;
        }
        world.run(HOP / 10);
    }
    assert!(world.is_inside(1, again));
    assert!(world.now.since(start) <= HOP * 3, "there and back");
}

#[test]
fn turns_that_are_left_alone_leave_the_queue_while_another_is_inside_for_long() {
    let mut world = coming_back(2);
    let request = until_inside(&mut world, 0);
    let (waiters, holders) = world.queue_of("a");
    assert!(waiters + holders > 3);
    world.run(LEFT_ALONE + HOP * 40);
    assert!(world.is_inside(0, request));
    assert!(turns(&world, 0).is_empty() && turns(&world, 1).is_empty());
    let (waiters, holders) = world.queue_of("a");
    assert_eq!(waiters + holders, 2, "who is inside, and the other client");
    leave_all(&mut world);
    assert_nothing_is_left(&mut world);
}

#[test]
fn an_adopted_turn_is_cancelled_like_any_other_request() {
    let mut world = coming_back(2);
    let request = until_inside(&mut world, 0);
    let again = come_back(&mut world, 0, request);
    world.cancel(0, again);
    assert!(!world.agents[0].requests.contains_key(&again));
    leave_all(&mut world);
    assert_nothing_is_left(&mut world);
}

#[test]
fn with_the_session_all_that_was_asked_ahead_is_gone() {
    let mut world = coming_back(2);
    let request = until_inside(&mut world, 0);
    let asked = turns(&world, 0);
    world.agents[0].end_session(LostReason::NotRenewed);
    assert!(turns(&world, 0).is_empty());
    let requests = &world.agents[0].requests;
    assert!(asked.iter().all(|turn| !requests.contains_key(turn)));
    world.inside.remove(&(0, request));
    world.agents[0].release(world.now, request, None);
    leave_all(&mut world);
    assert_nothing_is_left(&mut world);
}

#[test]
fn a_node_that_stops_takes_back_what_it_asked_ahead() {
    let mut world = coming_back(2);
    let request = until_inside(&mut world, 0);
    let now = world.now;
    world.agents[0].close(now);
    assert!(turns(&world, 0).is_empty());
    world.release(0, request);
    world.settle();
    assert!(world.agents[0].is_closed());
    until_inside(&mut world, 1);
    leave_all(&mut world);
    assert_nothing_is_left(&mut world);
}

#[test]
fn a_lock_that_only_one_node_wants_is_not_asked_for_ahead() {
    let mut world = World::new(2);
    let mut request = world.acquire(0, "a");
    world.settle();
    for _turn in 0..40 {
        request = come_back(&mut world, 0, request);
        world.run(HOP);
        assert!(world.is_inside(0, request));
    }
    assert_eq!(world.agents[0].next_asked, 2);
    assert_eq!(world.agents[0].ahead.len(), 0);
}

#[test]
fn once_nobody_else_wants_the_lock_clients_enter_without_the_table_again() {
    let mut world = coming_back(2);
    let request = until_inside(&mut world, 0);
    let others: Vec<_> = world.agents[1].requests.keys().copied().collect();
    for other in others {
        world.cancel(1, other);
    }
    come_back(&mut world, 0, request);
    contend(&mut world, HOP * ROUNDS);
    let asked = world.agents[0].next_asked;
    let entered = contend(&mut world, HOP * 100)[0];
    // As often as the test looks, but for the end of a block of fences.
    assert!(entered > 800, "{entered}");
    assert!(world.agents[0].next_asked <= asked + 1);
}

#[test]
fn a_client_of_another_priority_adopts_nothing() {
    let mut world = coming_back(2);
    let request = until_inside(&mut world, 0);
    let asked = turns(&world, 0);
    world.inside.remove(&(0, request));
    world.agents[0].release(world.now, request, None);
    let urgent = Acquire {
        priority: Priority::MAX,
        ..exclusive()
    };
    let again = world.ask(0, urgent);
    assert!(!asked.contains(&again));
    leave_all(&mut world);
    assert_nothing_is_left(&mut world);
}

#[test]
fn a_node_with_many_requests_asks_nothing_ahead() {
    let mut world = coming_back(2);
    let request = until_inside(&mut world, 0);
    for number in 0..=REQUESTS_MAX {
        world.ask_quietly(0, wish(&[&alloc::format!("b{number}")], Permits::SHARED));
    }
    let turns_before = turns(&world, 0).len();
    come_back(&mut world, 0, request);
    assert_eq!(turns(&world, 0).len(), turns_before - 1);
}

#[test]
fn only_so_many_locks_are_remembered() {
    let mut world = World::new(2);
    let contend_for = |world: &mut World, lock: &str| {
        for _turn in 0..6 {
            for at in 0..2 {
                let request = world.acquire(at, lock);
                world.run(HOP * 10);
                let held: Vec<_> = world.inside.keys().copied().collect();
                held.iter().for_each(|(at, it)| world.release(*at, *it));
                assert!(held.contains(&(at, request)));
                let both = [world.acquire(0, lock), world.acquire(1, lock)];
                world.run(HOP * 10);
                world.release(0, both[0]);
                world.run(HOP * 10);
                world.release(1, both[1]);
            }
        }
    };
    for number in 0..WATCHED_MAX + 8 {
        contend_for(&mut world, &alloc::format!("b{number}"));
        assert!(world.agents[0].ahead.len() <= WATCHED_MAX);
    }
    assert_eq!(world.agents[0].ahead.len(), WATCHED_MAX);
}

#[test]
fn turns_that_the_leader_refuses_are_forgotten_without_a_word() {
    let mut world = coming_back(2);
    until_inside(&mut world, 0);
    let session = world.agents[0].session.id().unwrap();
    let waiting = |turn: &RequestId| {
        let request = world.agents[0].requests.get(turn);
        matches!(request, Some(Request::Waiting { .. }))
    };
    let turn = turns(&world, 0).into_iter().find(waiting).unwrap();
    world.events.clear();
    world.rule = Box::new(|_| Fate::Deliver);
    let refused = LockMessage::Refused {
        session,
        request: turn,
        refusal: LockRefusal::Full,
    };
    let now = world.now;
    world.agents[0].handle_message(now, node(1), refused);
    assert!(!turns(&world, 0).contains(&turn));
    world.run(HOP);
    let refused = |(_, _, event): &(_, _, AgentEvent)| matches!(event, AgentEvent::Refused { .. });
    assert!(!world.events.iter().any(refused));
}

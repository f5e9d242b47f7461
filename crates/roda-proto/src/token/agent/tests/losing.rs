use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use super::super::*;
use super::world::*;
use crate::token::LockCommand;

/// Cuts node 0 off from the leader, who is node 1.
fn cut_off_holder() -> (World, RequestId, RequestId, Timestamp) {
    let mut world = World::new(3);
    world.change_leader(1, true);
    let first = world.acquire(0, "a");
    world.settle();
    let second = world.acquire(2, "a");
    world.settle();
    assert!(world.is_inside(0, first));
    world.run(Duration::from_secs(3));
    world.rule = Box::new(|mail| {
        if mail.from == 0 || mail.to == 0 {
            Fate::Drop
        } else {
            Fate::Deliver
        }
    });
    let valid_until = world.agents[0].valid_until().unwrap();
    let renewed = valid_until.as_micros() - micros(world.timings.session());
    (world, first, second, Timestamp::from_micros(renewed))
}

#[test]
fn a_cut_off_holder_is_at_risk_then_stops_then_is_killed_before_the_next_one_enters() {
    let (mut world, first, second, renewed) = cut_off_holder();
    world.run(Duration::from_secs(8));
    let timings = world.timings;
    let holds = world.holds(0, first);
    let reason = LostReason::NotRenewed;
    let expected = [
        (renewed + timings.at_risk(), HoldState::AtRisk),
        (renewed + timings.stop(), HoldState::Stop(reason)),
        (renewed + timings.kill(), HoldState::Kill(reason)),
    ];
    assert_eq!(holds, expected);
    let entered = world.inside[&(2, second)].since;
    assert!(entered > renewed + timings.session());
}

#[test]
fn a_holder_that_was_only_at_risk_is_safe_again() {
    let (mut world, first, _, renewed) = cut_off_holder();
    let at = renewed + world.timings.at_risk() + HOP;
    world.run(at.since(world.now));
    world.rule = Box::new(|_| Fate::Deliver);
    world.run(Duration::from_secs(5));
    let states: Vec<_> = world
        .holds(0, first)
        .iter()
        .map(|(_, state)| *state)
        .collect();
    assert_eq!(states, [HoldState::AtRisk, HoldState::Safe]);
    assert!(world.is_inside(0, first));
}

#[test]
fn a_holder_that_was_asked_to_stop_is_not_safe_again() {
    let (mut world, first, second, renewed) = cut_off_holder();
    let at = renewed + world.timings.stop() + HOP;
    world.run(at.since(world.now));
    world.rule = Box::new(|_| Fate::Deliver);
    world.settle();
    let reason = LostReason::NotRenewed;
    let states: Vec<_> = world
        .holds(0, first)
        .iter()
        .map(|(_, state)| *state)
        .collect();
    assert_eq!(states, [HoldState::AtRisk, HoldState::Stop(reason)]);
    world.release(0, first);
    world.settle();
    assert!(world.is_inside(2, second));
    assert!(
        world.agents[0].valid_until().is_some(),
        "the session goes on"
    );
}

#[test]
fn a_node_that_slept_is_told_to_kill_when_it_wakes() {
    let mut world = World::new(2);
    let first = world.acquire(1, "a");
    world.settle();
    let later = world.now + Duration::from_secs(60);
    let session = world.agents[1].session.id().unwrap();
    world.agents[1].handle_message(
        later,
        node(0),
        LockMessage::Renewed {
            session,
            sent_micros: world.now.as_micros(),
            view: None,
        },
    );
    let mut events = Vec::new();
    while let Some(output) = world.agents[1].poll_output() {
        events.push(output);
    }
    let killed = AgentOutput::Event(AgentEvent::Hold {
        request: first,
        state: HoldState::Kill(LostReason::NotRenewed),
    });
    assert_eq!(events[0], killed);
    assert_eq!(world.agents[1].valid_until(), None);
}

#[test]
fn an_answer_cannot_prolong_a_lease_beyond_what_was_asked() {
    let mut world = World::new(1);
    world.acquire(0, "a");
    world.settle();
    let before = world.agents[0].valid_until();
    let session = world.agents[0].session.id().unwrap();
    for sent_micros in [u64::MAX, world.now.as_micros() + 1, 0] {
        let message = LockMessage::Renewed {
            session,
            sent_micros,
            view: None,
        };
        world.agents[0].handle_message(world.now, node(0), message);
    }
    assert_eq!(world.agents[0].valid_until(), before);
}

#[test]
fn a_session_that_the_leader_ended_kills_at_once_and_waiting_requests_queue_again() {
    let mut world = World::new(2);
    let inside = world.acquire(1, "a");
    let held = world.acquire(0, "b");
    world.settle();
    let waiting = world.acquire(1, "b");
    world.settle();
    let session = world.agents[1].session.id().unwrap();
    world.table.apply(&[LockCommand::Expire { session }]);
    world.registrar.lead(world.now, &world.table);
    world.run(world.timings.renewal() * 2);
    assert_eq!(
        world.holds(1, inside).last().map(|(_, state)| *state),
        Some(HoldState::Kill(LostReason::SessionEnded))
    );
    assert_ne!(world.agents[1].session.id(), Some(session));
    assert_eq!(world.queue_of("b"), (0, 2));
    world.release(0, held);
    world.settle();
    assert!(
        world.is_inside(1, waiting),
        "under the name that its client knows"
    );
    world.release(1, inside);
}

#[test]
fn a_request_that_was_chosen_waits_again_when_its_session_ends() {
    let mut world = World::new(2);
    let held = world.acquire(0, "b");
    world.settle();
    let chosen = world.acquire(1, "b");
    world.settle();
    assert!(matches!(
        world.agents[1].requests[&chosen],
        Request::Chosen(_)
    ));
    let session = world.agents[1].session.id().unwrap();
    let ended = LockMessage::Ended { session };
    world.agents[1].handle_message(world.now, node(0), ended);
    world.settle();
    world.release(0, held);
    world.run(world.timings.expiry() * 2);
    assert!(world.is_inside(1, chosen));
}

#[test]
fn a_session_given_up_is_closed_as_soon_as_nothing_runs_under_it() {
    let (mut world, first, second, renewed) = cut_off_holder();
    let over = renewed + world.timings.session() + HOP;
    world.run(over.since(world.now));
    world.rule = Box::new(|_| Fate::Deliver);
    world.settle();
    assert!(!world.is_inside(2, second), "not before the client says so");
    world.release(0, first);
    world.settle();
    assert!(world.is_inside(2, second));
    assert!(world.now < renewed + world.timings.expiry());
}

#[test]
fn too_few_voters_are_reported_and_so_is_their_return() {
    let mut world = World::new(2);
    let quorum = Quorum {
        reachable: 1,
        voters: 3,
    };
    world.quorum = Some(quorum);
    let first = world.acquire(1, "a");
    world.run(Duration::from_secs(2));
    assert!(!world.is_inside(1, first));
    world.quorum = None;
    world.run(Duration::from_secs(2));
    assert!(world.is_inside(1, first));
    let said: Vec<_> = world
        .events
        .iter()
        .filter_map(|(at, _, event)| match event {
            AgentEvent::Quorum(quorum) if *at == 1 => Some(*quorum),
            _ => None,
        })
        .collect();
    assert_eq!(said, [Some(quorum), None]);
}

#[test]
fn a_forced_release_stops_the_holder_and_kills_it_in_time() {
    let mut world = World::new(2);
    let first = world.acquire(0, "a");
    world.settle();
    let second = world.acquire(1, "a");
    world.settle();
    let force = LockCommand::Force {
        lock: name("a"),
        by: node(1),
        upto: Fence(u64::MAX),
    };
    world.inject(Mail {
        from: 1,
        to: 0,
        to_leader: true,
        message: LockMessage::Propose {
            commands: [force].to_vec(),
        },
    });
    world.run(Duration::from_millis(100));
    let reason = LostReason::Revoked;
    let stopped = world.holds(0, first);
    assert_eq!(stopped.len(), 1);
    assert_eq!(stopped[0].1, HoldState::Stop(reason));
    world.run(world.timings.session() / 4);
    let killed = (
        stopped[0].0 + world.timings.session() / 4,
        HoldState::Kill(reason),
    );
    assert_eq!(world.holds(0, first)[1..], [killed]);
    assert!(
        !world.is_inside(1, second),
        "not before nothing runs any more"
    );
    world.release(0, first);
    world.settle();
    assert!(world.is_inside(1, second));
}

#[test]
fn an_idle_token_is_given_back_when_it_is_revoked() {
    let mut world = World::new(1);
    let first = world.acquire(0, "a");
    world.settle();
    world.release(0, first);
    let force = LockCommand::Force {
        lock: name("a"),
        by: node(0),
        upto: Fence(u64::MAX),
    };
    world.inject(Mail {
        from: 0,
        to: 0,
        to_leader: true,
        message: LockMessage::Propose {
            commands: [force].to_vec(),
        },
    });
    world.settle();
    assert_eq!(world.queue_of("a"), (0, 0));
}

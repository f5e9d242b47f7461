//! Model of sessions, leases and the direct hand-off around the real [`Table`](roda_proto::token::Table),
//! checked in all its states.
//!
//! Time is abstract: a lease may end at any step, and a session is ended by the leader only after its
//! lease. A restart is a new boot with a new session; the old one, and what runs in it, stays until it is
//! ended. Messages are lost, late, doubled and out of order (see `state.rs`).
//!
//! The four rules of entering are each needed: without any one of them the checker finds two inside.
//! So is the substitution when a chosen successor gives up. That a release tells of all those before it
//! is *not* needed for safety: without it the table only learns later that a grant was left. It is there
//! because the release of one that died after it had passed the token on would never come, and everybody
//! would wait for its session to end.

mod canonical;
mod model;
mod scenario;
mod state;
mod step;

use std::time::Instant;

use model::{ALL_SERVED, BLOCK, HAND_OFF, KEPT, SERVED, T1, T2, T3, T5};
use roda_proto::token::Permits;
use scenario::{Budget, Rules, Scenario, Wish};
use stateright::{Checker, HasDiscoveries, Model};

const MUST_HOLD: [&str; 6] = [T1, T2, T3, T5, BLOCK, SERVED];

/// Visits all states; returns their number and the names of what was found.
fn exhaust(name: &str, scenario: Scenario) -> (usize, Vec<&'static str>) {
    let started = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let checker = scenario.checker().threads(threads).spawn_dfs().join();
    // No limit of states, depth or time was set, so it has ended because nothing was left to visit.
    assert!(checker.is_done(), "{name}: not exhausted");
    let found = checker.discoveries();
    eprintln!(
        "{name}: {} states, depth {}, {:.1?}",
        checker.unique_state_count(),
        checker.max_depth(),
        started.elapsed()
    );
    for property in MUST_HOLD {
        if let Some(path) = found.get(property) {
            let steps = path.clone().into_actions();
            panic!("{name}: {property}, after {steps:#?}");
        }
    }
    (checker.unique_state_count(), found.into_keys().collect())
}

/// The shortest way to two who are inside.
fn break_it(name: &str, rules: Rules) {
    let scenario = Scenario {
        rules,
        // So that some wait for one that waits itself.
        held_millis: 1,
        ..Scenario::exclusive(Budget {
            faults: 1,
            ghosts: 0,
            cancels: 1,
        })
    };
    let checker = scenario
        .checker()
        .finish_when(HasDiscoveries::AnyOf([T1].into()))
        .spawn_bfs()
        .join();
    let Some(path) = checker.discovery(T1) else {
        let states = checker.unique_state_count();
        panic!("{name}: two are never inside, in {states} states");
    };
    eprintln!("{name}: two are inside after {:#?}", path.into_actions());
}

const fn budget(faults: u8, ghosts: u8, cancels: u8) -> Budget {
    Budget {
        faults,
        ghosts,
        cancels,
    }
}

fn assert_found(found: &[&str], properties: &[&str]) {
    for property in properties {
        assert!(found.contains(property), "never: {property}");
    }
}

#[test]
fn three_nodes_with_two_requests_each_are_never_inside_together() {
    let (states, found) = exhaust("exclusive", Scenario::exclusive(budget(1, 1, 1)));
    assert!(states > 100_000, "{states}");
    assert_found(&found, &[HAND_OFF, ALL_SERVED, KEPT]);
}

#[test]
fn nor_when_the_table_chooses_several_successors() {
    let scenario = Scenario {
        held_millis: 1,
        ..Scenario::exclusive(budget(1, 0, 0))
    };
    let (states, found) = exhaust("short holds", scenario);
    assert!(states > 10_000, "{states}");
    assert_found(&found, &[HAND_OFF, ALL_SERVED, KEPT]);
}

#[test]
fn nor_when_each_asks_for_its_second_turn_ahead() {
    let wish = || Wish::new(&["a"], Permits::EXCLUSIVE);
    let scenario = Scenario {
        wishes: [(); 3].map(|()| [wish(), wish().ahead()]),
        held_millis: 1,
        ..Scenario::exclusive(budget(1, 0, 1))
    };
    let (states, found) = exhaust("asked ahead", scenario);
    assert!(states > 10_000, "{states}");
    assert_found(&found, &[HAND_OFF, ALL_SERVED]);
}

#[test]
fn readers_are_inside_together_and_writers_alone() {
    let (read, write) = (Permits::SHARED, Permits::EXCLUSIVE);
    let wish = |permits| Wish::new(&["a"], permits);
    let wishes = [[read, write]; 3].map(|node| node.map(wish));
    let scenario = Scenario {
        wishes,
        ..Scenario::exclusive(budget(1, 0, 0))
    };
    let (states, found) = exhaust("readers and writers", scenario);
    assert!(states > 10_000, "{states}");
    assert_found(&found, &[HAND_OFF, ALL_SERVED]);
}

#[test]
fn a_semaphore_admits_as_many_as_each_tolerates() {
    let two = Permits::new(2).expect("not 0");
    let wish = |permits| Wish::new(&["a"], permits);
    let alone = Permits::EXCLUSIVE;
    let wishes = [[two, two], [two, alone], [Permits::SHARED, two]].map(|node| node.map(wish));
    let scenario = Scenario {
        wishes,
        ..Scenario::exclusive(budget(1, 0, 0))
    };
    let (states, found) = exhaust("semaphore", scenario);
    assert!(states > 10_000, "{states}");
    assert_found(&found, &[ALL_SERVED]);
}

#[test]
fn several_locks_at_once_are_entered_without_deadlock() {
    let wish = |locks: &[&str]| Wish::new(locks, Permits::EXCLUSIVE);
    let scenario = Scenario {
        wishes: [
            [wish(&["a", "b"]), wish(&["a"])],
            [wish(&["b", "a"]), wish(&["b"])],
            [wish(&["b"]), wish(&["b", "a"])],
        ],
        ..Scenario::exclusive(budget(1, 0, 0))
    };
    let (states, found) = exhaust("several locks", scenario);
    assert!(states > 10_000, "{states}");
    assert_found(&found, &[HAND_OFF, ALL_SERVED]);
}

#[test]
fn without_the_session_rule_two_are_inside() {
    let rules = Rules {
        session: false,
        ..Rules::ALL
    };
    break_it("without rule 1", rules);
}

#[test]
fn without_the_fence_rule_two_are_inside() {
    let rules = Rules {
        fence: false,
        ..Rules::ALL
    };
    break_it("without rule 2", rules);
}

#[test]
fn without_the_lease_rule_two_are_inside() {
    let rules = Rules {
        lease: false,
        ..Rules::ALL
    };
    break_it("without rule 3", rules);
}

#[test]
fn without_the_commit_rule_two_are_inside() {
    let rules = Rules {
        committed: false,
        ..Rules::ALL
    };
    break_it("without rule 4", rules);
}

#[test]
fn without_substitution_two_are_inside() {
    let rules = Rules {
        substitution: false,
        ..Rules::ALL
    };
    break_it("without substitution", rules);
}

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
    let checker = scenario.checker().threads(threads).spawn_bfs().join();
    assert!(checker.is_done(), "{name}: not exhausted");
    let found = checker.discoveries();
    println!(
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

/// The shortest way to what must not happen, and its name.
fn break_it(name: &str, rules: Rules) -> &'static str {
    let scenario = Scenario {
        rules,
        ..Scenario::exclusive(Budget {
            faults: 1,
            ghosts: 0,
            cancels: 1,
        })
    };
    let checker = scenario
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let found = checker.discoveries();
    let broken = [T1, T2, T3]
        .into_iter()
        .find_map(|property| found.get(property).map(|path| (property, path.clone())));
    let Some((property, path)) = broken else {
        panic!(
            "{name}: nothing was found in {} states",
            checker.unique_state_count()
        );
    };
    println!("{name}: {property}, after {:#?}", path.into_actions());
    property
}

#[test]
fn three_nodes_with_two_requests_each_are_never_inside_together() {
    let (states, found) = exhaust(
        "exclusive",
        Scenario::exclusive(Budget {
            faults: 1,
            ghosts: 1,
            cancels: 1,
        }),
    );
    assert!(states > 10_000, "{states}");
    for property in [HAND_OFF, ALL_SERVED, KEPT] {
        assert!(found.contains(&property), "never: {property}");
    }
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

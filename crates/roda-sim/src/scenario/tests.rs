use super::*;
use crate::options::Options;

#[test]
fn two_runs_of_a_seed_are_the_same_to_the_last_event() {
    for seed in 0..3 {
        let run = || match random(seed, Options::draw(seed, None), 0) {
            Ok(outcome) => outcome.hash,
            Err(failure) => failure.hash,
        };
        assert_eq!(run(), run(), "seed {seed}");
    }
}

#[test]
fn some_seeds_hold_all_invariants_and_try_something() {
    for seed in 0..10 {
        match random(seed, Options::draw(seed, None), 0) {
            Ok(outcome) => assert!(outcome.totals.delivered > 0, "seed {seed}"),
            Err(failure) => panic!("seed {seed}: {}", failure.violation),
        }
    }
}

#[test]
fn different_seeds_run_differently() {
    let hash = |seed| random(seed, Options::calm(3), 0).map(|outcome| outcome.hash);
    let (one, two) = (hash(1).expect("seed 1"), hash(2).expect("seed 2"));
    assert_ne!(one, two);
}

#[test]
fn faults_with_a_name_are_survived() {
    for named in NAMED {
        if let Err(violation) = (named.run)(1) {
            panic!("{}: {violation}", named.name);
        }
    }
}

#[test]
fn a_hundred_receivers_repair_as_cheaply_as_the_rfc_says() {
    let outcome = large_group(1, 101, 0.02, 10);
    assert!(outcome.is_ok(), "{outcome:?}");
}

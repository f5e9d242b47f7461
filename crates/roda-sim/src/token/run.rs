//! One run: everything goes wrong, then all is healed.

use std::time::Duration;

use super::invariants::Counts;
use super::{Options, World};
use crate::invariants::Violation;
use crate::scenario::Failure;

/// How a run ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Hash of all that happened; the same for the same seed and options.
    pub hash: u64,
    /// How many things happened.
    pub events: u64,
    /// What was tried.
    pub counts: Counts,
    /// How long it took until nobody waited, once all was healed.
    pub rested: Duration,
}

/// Runs a seed.
///
/// # Errors
/// An invariant did not hold, or the group did not come to rest.
pub fn run(seed: u64, options: Options, lines: usize) -> Result<Outcome, Box<Failure>> {
    let mut world = World::new(seed, options, lines);
    match play(&mut world) {
        Ok(rested) => Ok(Outcome {
            hash: world.trace_hash(),
            events: world.trace_events(),
            counts: world.counts(),
            rested,
        }),
        Err(violation) => Err(Box::new(Failure {
            violation,
            hash: world.trace_hash(),
            lines: world.into_lines(),
        })),
    }
}

fn play(world: &mut World) -> Result<Duration, Violation> {
    world.run_for(world.options.safety)?;
    world.heal()?;
    world.come_to_rest()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_of_a_seed_are_the_same_to_the_last_event() {
        for seed in 0..10 {
            let run = || match run(seed, Options::draw(seed), 0) {
                Ok(outcome) => outcome.hash,
                Err(failure) => failure.hash,
            };
            assert_eq!(run(), run(), "seed {seed}");
        }
    }

    #[test]
    fn some_seeds_hold_all_invariants_and_try_something() {
        let mut all = Counts::default();
        for seed in 0..100 {
            match run(seed, Options::draw(seed), 0) {
                Ok(outcome) => {
                    all.entered += outcome.counts.entered;
                    all.handed += outcome.counts.handed;
                    all.kept += outcome.counts.kept;
                    all.expired += outcome.counts.expired;
                }
                Err(failure) => panic!("seed {seed}: {}", failure.violation),
            }
        }
        assert!(all.entered > 1_000, "{all:?}");
        assert!(all.handed > 50, "{all:?}");
        assert!(all.kept > 50, "{all:?}");
        assert!(all.expired > 50, "{all:?}");
    }
}

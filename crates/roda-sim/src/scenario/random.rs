//! Everything at random, as the seed draws it.

use std::time::Duration;

use crate::invariants::Violation;
use crate::options::Options;
use crate::world::{Totals, World};

/// How a run ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Hash of all that happened; the same for the same seed and options.
    pub hash: u64,
    /// How many things happened.
    pub events: u64,
    /// How long the group took to converge once all was healed.
    pub converged: Duration,
    /// What was counted.
    pub totals: Totals,
    /// Hostile datagrams that were refused.
    pub hostile_refused: u64,
}

/// How a run ended badly.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What did not hold.
    pub violation: Violation,
    /// Hash of all that happened until then.
    pub hash: u64,
    /// The last lines, if they were wanted.
    pub lines: Vec<String>,
}

/// Runs a seed.
///
/// # Errors
/// An invariant did not hold, or the group did not converge.
pub fn random(seed: u64, options: Options, lines: usize) -> Result<Outcome, Box<Failure>> {
    let mut world = World::new(seed, options, lines);
    match play(&mut world) {
        Ok(converged) => Ok(Outcome {
            hash: world.trace_hash(),
            events: world.trace_events(),
            converged,
            totals: world.totals,
            hostile_refused: world.hostile_refused(),
        }),
        Err(violation) => Err(Box::new(Failure {
            violation,
            hash: world.trace_hash(),
            lines: world.into_lines(),
        })),
    }
}

fn play(world: &mut World) -> Result<Duration, Violation> {
    world.begin()?;
    world.unleash();
    world.run_for(world.options.safety)?;
    world.heal()?;
    world.converge()
}

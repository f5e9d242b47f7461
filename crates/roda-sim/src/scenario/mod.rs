//! Runs: one of everything at random, and small ones for faults that have a name.

mod named;
mod random;
mod thousand;

pub use named::{NAMED, Named};
pub use random::{Failure, Outcome, random};
pub use thousand::{LargeGroup, large_group};

#[cfg(test)]
mod tests;

//! Deterministic simulator of Roda: real engines over a simulated network, disks and clocks.
//!
//! Everything follows from one seed. A run has a safety phase, in which anything may fail and nothing
//! wrong may happen, and a liveness phase, in which all is healed and the group has to converge.
//! [`invariants`] says what is checked at every step.

pub mod clock;
pub mod disk;
pub mod invariants;
pub mod network;
pub mod node;
pub mod options;
pub mod queue;
pub mod random;
pub mod rfc5401;
pub mod runner;
pub mod scenario;
pub mod token;
pub mod trace;
pub mod world;

pub use invariants::Violation;
pub use options::Options;
pub use world::World;

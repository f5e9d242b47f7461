//! Simulation of the token: real agents, registrars and lock tables over an abstract replicated log.
//!
//! Everything follows from one seed, as in the rest of this crate. A run first does everything that may
//! go wrong, then heals and must come to rest. What must hold is in [`invariants`], one file each.

pub mod client;
pub mod clock;
pub mod consensus;
pub mod invariants;
pub mod links;
pub mod node;
pub mod options;
pub mod run;
pub mod world;

pub use options::Options;
pub use run::run;
pub use world::World;

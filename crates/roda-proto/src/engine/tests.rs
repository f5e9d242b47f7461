//! Engines wired together without faults; faults are the simulator's work.

mod copies;
mod delivery;
mod members;
mod world;

//! Agents, one table and its registrar in virtual time.

mod ahead;
mod ending;
mod handing_over;
mod idle;
mod losing;
mod sharing;
mod stages;
mod torture;
mod world;

//! The table's rules, one by one and under random commands.

mod kit;
mod limits;
mod properties;
mod rules;
mod states;
mod world;

//! The store as its callers see it.

mod history;
mod logs;
mod opening;
mod power;
mod settings;
mod verify;
mod world;

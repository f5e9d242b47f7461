//! The store as its callers see it.
#![expect(clippy::unwrap_used, reason = "in a test, to panic is to report")]

mod backup;
mod fenced;
mod history;
mod jobs;
mod logs;
mod opening;
mod power;
mod settings;
mod verify;
mod world;

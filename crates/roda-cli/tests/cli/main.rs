//! The binary as its users meet it: one test binary for all of it.
#![expect(
    clippy::unwrap_used,
    reason = "clippy knows functions of tests, not the helpers that they share"
)]

mod backup;
mod bad_input;
mod bad_jobs;
mod bad_locks;
mod copies;
mod fake_node;
mod jobs;
mod locks;
mod one_machine;
mod plain_multicast;
mod retention;
mod roda;
mod snapshots;
mod work;
mod wrapper;

//! The index of jobs: their states, kept up with every append, and what a node asks about them.

mod append;
mod blob;
mod check;
mod info;
mod key;
mod list;
mod number;
mod order;
mod past;
mod queue;
mod ready;
mod remove;
mod retire;
mod rounds;
mod row;
mod said;

pub use info::{
    ATTEMPTS_LISTED_MAX, AttemptInfo, CheckpointInfo, JobInfo, LoadedCheckpoint, LoadedPayload,
    LoadedState, Resolved,
};
pub use list::{JOBS_LISTED_MAX, JobCursor, JobsQuery, LiveWorker};
pub use queue::QueueStats;
pub use retire::{RETIRED_AT_ONCE_MAX, Retention, RetireCursor, Retired};
pub use row::JobRow;

pub(crate) use check::JobCheck;
pub(crate) use number::BatchPlace;
pub(crate) use past::PastLog;
pub(crate) use queue::QueueChange;

#[cfg(test)]
mod tests;

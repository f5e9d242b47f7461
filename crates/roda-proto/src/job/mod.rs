//! Jobs: what a group has to do, shared out without a server.
//!
//! A *queue* is a topic; entries of kind `Job` in it say what became of its jobs. The state of a job is a
//! function of the *set* of entries about it, never of their order, so members with the same entries
//! agree:
//!
//! - who pushes a job writes a [`JobEntry::Push`]; its place names the job;
//! - a worker holds the queue's [`claim_lock`] while it writes [`JobEntry::Claim`]s. Whoever gets that
//!   lock has seen every claim made under it before, so no two claim the same job at once. Of those who
//!   try nevertheless (a machine that comes back with entries nobody has seen), the claim under the
//!   greatest fence counts: see [`Job`];
//! - only the claimer says how an attempt goes ([`JobEntry::Save`]) and ends ([`JobEntry::End`]). If its
//!   worker is dead, which is so once somebody else holds its [`worker_lock`], that one says so
//!   ([`JobEntry::Lose`]), and up to where the worker's entries count.

mod chain;
mod checkpoint;
mod cron;
mod entry;
mod fact;
mod fold;
mod id;
mod key;
mod push;
mod shard;
mod state;
mod status;
#[cfg(test)]
mod tests;
mod view;

pub use chain::{Attempt, AttemptEnd, attempts};
pub use checkpoint::{BLOB_LEN_MAX, Checkpoint, CheckpointState, STATE_LEN_MAX};
pub use cron::{CRON_LEN_MAX, CronExpr, CronExprError, Recurrence, RoundEnd};
pub use entry::{
    Claimed, End, EntryError, JOBS_PER_ENTRY_MAX, JobEntry, Lost, OUTPUT_LEN_MAX, Outcome,
};
pub use fact::{Fact, FactKind};
pub use fold::fold;
pub use id::{AttemptId, JobId, JobIdError, JobPrefix, PREFIX_DIGITS_MIN, Place, WorkerId};
pub use key::{KeyRival, push_hash, winner};
pub use push::{
    JOB_KEY_LEN_MAX, JobKey, JobKeyError, OnCrash, PAYLOAD_LEN_MAX, PRIORITY_DEFAULT, PushOptions,
    TRIES_MAX_DEFAULT,
};
pub use shard::{QUEUE_LEN_MAX, QueueName, SHARDS, claim_lock, shard_of, worker_lock};
pub use state::{Job, Unfit};
pub use status::{JobState, Running, SavedAt, StateKind};

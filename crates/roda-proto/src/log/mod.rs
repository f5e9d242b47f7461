//! The signed, per-author, append-only log.

pub mod batch;
pub mod topic;

pub use batch::{BATCH_LEN_MAX, BODY_LEN_MAX, Batch, BatchBuilder, Entry, EntryKind};
pub use topic::{TOPIC_LEN_MAX, Topic, TopicError};

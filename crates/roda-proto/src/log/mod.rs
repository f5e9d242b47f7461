//! The signed, per-author, append-only log.

pub mod batch;
pub mod clock;
pub mod fenced;
pub mod logs;
pub mod outbox;
pub mod topic;

pub use batch::{BATCH_LEN_MAX, BODY_LEN_MAX, Batch, BatchBuilder, Entry, EntryKind};
pub use clock::Clock;
pub use fenced::{Hold, Said};
pub use logs::{Logs, Verdict};
pub use outbox::{Draft, Finished, Outbox, Sealed};
pub use topic::{TOPIC_LEN_MAX, Topic, TopicError};

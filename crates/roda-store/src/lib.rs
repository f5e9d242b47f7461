//! The SQLite store of one node: its identity, group keys, every batch it knows, and an index by topic.
//!
//! [`Store`] is the only writer; whatever a method of it wrote survives power loss once it returns.
//! [`Reader`]s read beside it, page by page, and never hold it up. Both are blocking: a runtime calls
//! them from threads of its own.
//!
//! [`RaftLog`] is another database, beside the first: what a node has voted for and written as one of
//! the voters of the lock table.

mod append;
mod backup;
mod batch_row;
mod blob;
mod catch_up;
mod columns;
mod connection;
mod error;
mod history;
mod hold;
mod job;
mod newest;
mod piece;
mod place;
mod raft_log;
mod reader;
mod reindex;
mod restore;
mod schema;
mod settings;
mod settle;
mod snapshot;
mod store;
mod verify;

pub use backup::{BackupNote, BackupStep, SETTINGS_LEN_MAX, back_up};
pub use blob::{BLOBS_LEN_COPIED_MAX, BLOBS_LEN_MAX, BlobOrigin, BlobPut, WantedBlob};
pub use catch_up::{CATCH_UP_LEN_MAX, CatchUpPage};
pub use error::StoreError;
pub use history::{HISTORY_ENTRIES_MAX, HISTORY_LEN_MAX, History, HistoryQuery, StoredEntry};
pub use hold::{FenceMark, FencedEntry};
pub use job::{
    ATTEMPTS_LISTED_MAX, AttemptInfo, CheckpointInfo, JOBS_LISTED_MAX, JobCursor, JobInfo, JobRow,
    JobsQuery, LiveWorker, LoadedCheckpoint, LoadedPayload, LoadedState, QueueStats,
    RETIRED_AT_ONCE_MAX, Resolved, Retention, RetireCursor, Retired,
};
pub use raft_log::{LogEntry, LogPlace, LogSnapshot, LogVote, LogWrite, RaftLog};
pub use reader::{Reader, TopicSummary};
pub use restore::{Backup, Restoration};
pub use schema::SCHEMA_VERSION;
pub use settings::{CONTACTS_MAX, Contact, META_LEN_MAX, MIRRORS_MAX};
pub use store::Store;
pub use verify::{FAULTS_MAX, VerifyReport};

type Result<T, E = StoreError> = std::result::Result<T, E>;

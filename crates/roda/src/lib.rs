//! A group of machines on one network, with no server: an encrypted, reliable multicast log.
//!
//! Every member has the same log, in SQLite. What one appends reaches the others by multicast,
//! encrypted under the group's key and signed by its author; what gets lost is repaired; who was away
//! catches up. A member that appended knows that its entry survives power loss.
#![warn(missing_docs)]

mod backup;
pub mod boottime;
mod consensus;
mod copies;
mod driver;
mod error;
mod home;
pub mod job;
mod link;
mod lock;
mod mirror;
mod net;
mod node;
mod random;
mod readers;
mod service;
mod stream;
mod topic;
mod types;
mod view;
mod writer;

pub use backup::{Backup, BackupInfo, BackupOptions, BackupStep, Restored, back_up_home};
pub use copies::{Copies, CopyCount};
pub use error::{Error, Result};
pub use home::{peek, verify_home};
pub use lock::{Guard, LockInfo, LockReport, LockRequest, Waiting};
pub use node::Node;
pub use roda_proto::group::{Carrier, InviteTokenError};
pub use roda_proto::log::{BODY_LEN_MAX, TopicError};
pub use roda_proto::stream::Refusal;
pub use roda_proto::token::{
    Fence, Frontier, HoldState, HolderStatus, LOCKS_PER_REQUEST_MAX, LockName, LockNameError,
    LockRefusal, LockStatus, LostReason, Permits, Priority, Quorum, RequestId, Timings,
    WaiterStatus,
};
pub use roda_proto::{
    AuthorId, EntryKind, GroupId, Hash, Hlc, InviteToken, MemberInfo, NodeId, Presence, Seq, Topic,
    WallTime,
};
pub use roda_store::FenceMark;
/// The SQLite that Roda is linked with, for [`job::RunningJob::effects`]. A program has one SQLite only, so
/// this is the version that it can use.
pub use rusqlite;
pub use topic::{History, Lagged, Subscription, TopicHandle};
pub use types::{
    HistoryQuery, InterfaceStatus, Message, MirrorInfo, Options, Receipt, Status, TopicInfo,
    VerifyReport,
};

/// Compiles and runs the example of the README, in both languages.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
#[doc = include_str!("../../../README.pt-BR.md")]
struct Readme;

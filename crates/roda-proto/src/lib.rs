//! Sans-IO protocol engine of Roda.
//!
//! No sockets, no clock, no threads, no files: the driver feeds [`Input`]s with the current time and
//! drains [`Output`]s in order. The same inputs and the same seed give the same outputs, byte for byte.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod crypto;
pub mod engine;
pub mod error;
pub mod group;
pub mod id;
pub mod job;
pub mod log;
pub mod multicast;
pub mod record;
pub mod secure;
pub mod stream;
mod text;
pub mod time;
pub mod token;
pub mod wire;

pub use engine::{
    COPIES_AUTHORS_MAX, Command, CommandError, CommandId, Config, Counters, Deadline, Destination,
    Engine, Event, Input, Output, Seed, Via, WriteId,
};
pub use error::Rejected;
pub use group::{InviteId, InviteToken, MemberInfo, Presence};
pub use id::{AuthorId, EpochTag, GroupId, Hash, Incarnation, NodeId, SenderTag, Seq};
pub use log::{Batch, Entry, EntryKind, Topic};
pub use record::{EpochRecord, Head, Identity, Record, Snapshot};
pub use time::{Hlc, Now, Timestamp, WallTime};

//! A group of machines on one network, with no server: an encrypted, reliable multicast log.
//!
//! SKELETON of the public API: bodies follow.
#![allow(missing_docs, clippy::unused_async, unused_variables)]

pub use roda_proto::{
    AuthorId, EntryKind, GroupId, Hash, Hlc, InviteToken, MemberInfo, NodeId, Presence, Seq, Topic,
    group::{Carrier, InviteTokenError},
    log::{BODY_LEN_MAX, TopicError},
    stream::Refusal,
};

mod net;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How a node runs; the defaults suit a LAN.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Name for people; default: the host's name.
    pub nick: Option<String>,
    /// Interface names or addresses; empty: all that can do multicast, or loopback if there is none.
    pub interfaces: Vec<String>,
    /// Drops this share of received datagrams, for demonstrations and tests.
    pub danger_loss: f64,
    /// Most bytes per second this node sends.
    pub rate_max: Option<u64>,
}

/// A running node. Cheap to clone; the node stops when `shutdown` is called or the last handle is dropped.
#[derive(Clone)]
pub struct Node {}

/// One message as applications see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub author: AuthorId,
    pub node: NodeId,
    pub seq: Seq,
    pub hlc: Hlc,
    pub topic: Topic,
    pub body: Vec<u8>,
}

/// Where an appended message (or the last of several) stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub author: AuthorId,
    pub first: Seq,
    pub last: Seq,
    pub hlc: Hlc,
}

/// What to read of a topic's history; canonical order (HLC, author, seq).
#[derive(Clone, Debug, Default)]
pub struct HistoryQuery {
    /// Only entries at or after this clock.
    pub since: Option<Hlc>,
    /// Only the last n.
    pub last: Option<usize>,
}

#[derive(Clone, Debug)]
pub struct TopicInfo {
    pub topic: Topic,
    pub entries: u64,
    pub last: Hlc,
}

/// One entry of `Status::rejected` etc. Plain data for `roda status`.
#[derive(Clone, Debug, Default)]
pub struct Status {
    pub group: String,
    pub group_name: String,
    pub node: String,
    pub author: String,
    pub nick: String,
    pub pid: u32,
    pub uptime: Duration,
    pub epoch: u32,
    /// "multicast", "unicast" or "mixed", over all online members.
    pub carrier: &'static str,
    pub interfaces: Vec<InterfaceStatus>,
    pub multicast_groups: Vec<SocketAddr>,
    pub stream_port: u16,
    pub members: usize,
    pub members_online: usize,
    pub entries: u64,
    pub stable: Hlc,
    pub next_timer: Option<&'static str>,
    pub counters: std::collections::BTreeMap<&'static str, u64>,
    /// Refused datagrams and batches by reason.
    pub rejected: std::collections::BTreeMap<String, u64>,
    /// Standing problems an operator should know ("disk full", "clock of X is 365 d ahead", forks).
    pub problems: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct InterfaceStatus {
    pub name: String,
    pub addresses: Vec<std::net::IpAddr>,
    pub index: u32,
}

#[derive(Clone, Debug)]
pub struct MirrorInfo {
    pub topic: Topic,
    pub path: PathBuf,
    /// Entries written.
    pub entries: u64,
    pub bytes: u64,
    /// Entries known but not stable yet.
    pub waiting: u64,
    pub error: Option<String>,
}

#[derive(Clone, Debug)]
pub struct VerifyReport {
    pub authors: u64,
    pub batches: u64,
    pub entries: u64,
    /// One line per thing found wrong; empty: all is well.
    pub faults: Vec<String>,
}

/// Why something failed, split by who must act.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("{0} has no group yet")]
    NoGroup(PathBuf),
    #[error("{0} already belongs to a group")]
    AlreadyInGroup(PathBuf),
    #[error("another Roda already runs on {0}")]
    AlreadyRunning(PathBuf),
    #[error("no member answered within {0:?}")]
    JoinTimeout(Duration),
    #[error("the group refused: {0:?}")]
    Refused(Refusal),
    #[error("the invite token has expired")]
    TokenExpired,
    #[error("no member is called {0:?}")]
    UnknownMember(String),
    #[error("{0:?} fits several members")]
    AmbiguousMember(String),
    #[error("unknown interface {0:?}")]
    UnknownInterface(String),
    #[error("a message has at most {BODY_LEN_MAX} bytes, this one has {0}")]
    TooLong(usize),
    #[error("this node is not a member of the group any more")]
    NotMember,
    #[error("the group is full")]
    GroupFull,
    #[error("topic {0} has no entries")]
    UnknownTopic(Topic),
    #[error(
        "the database was written by a newer version of Roda ({found}, this one knows {known})"
    )]
    NewerDatabase { found: u32, known: u32 },
    #[error("the database is damaged: {0}")]
    DamagedDatabase(String),
    #[error("the disk is full")]
    DiskFull,
    #[error("cannot write to {0}: read-only")]
    ReadOnly(PathBuf),
    #[error("the node has stopped")]
    Stopped,
    #[error("{path}: {source}")]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("network: {0}")]
    Network(std::io::Error),
    #[error("store: {0}")]
    Store(String),
}

pub type Result<T> = std::result::Result<T, Error>;

impl Node {
    /// Makes a group and starts its first node.
    pub async fn create(home: &Path, name: &str, options: Options) -> Result<Self> {
        unimplemented!()
    }
    /// Joins a group; returns once a member has admitted this node. `home` is untouched on failure.
    pub async fn join(
        home: &Path,
        token: &InviteToken,
        timeout: Duration,
        options: Options,
    ) -> Result<Self> {
        unimplemented!()
    }
    /// Starts the node that lives in `home`.
    pub async fn open(home: &Path, options: Options) -> Result<Self> {
        unimplemented!()
    }
    pub fn node_id(&self) -> NodeId {
        unimplemented!()
    }
    pub fn group_name(&self) -> String {
        unimplemented!()
    }
    /// A topic by name; exists once something was appended.
    pub fn topic(&self, topic: Topic) -> TopicHandle {
        unimplemented!()
    }
    pub async fn topics(&self) -> Result<Vec<TopicInfo>> {
        unimplemented!()
    }
    pub async fn members(&self) -> Result<Vec<MemberInfo>> {
        unimplemented!()
    }
    pub async fn status(&self) -> Result<Status> {
        unimplemented!()
    }
    pub async fn invite(&self, uses: u32, lifetime: Duration) -> Result<InviteToken> {
        unimplemented!()
    }
    /// `member`: a nick, or at least 4 digits of a node id.
    pub async fn remove(&self, member: &str) -> Result<NodeId> {
        unimplemented!()
    }
    /// Leaves the group for good and stops the node.
    pub async fn leave(&self) -> Result<()> {
        unimplemented!()
    }
    /// Keeps `path` (absolute) a replica of the topic, now and after every start.
    pub async fn mirror(&self, topic: Topic, path: &Path) -> Result<()> {
        unimplemented!()
    }
    pub async fn unmirror(&self, path: &Path) -> Result<bool> {
        unimplemented!()
    }
    pub async fn mirrors(&self) -> Result<Vec<MirrorInfo>> {
        unimplemented!()
    }
    /// Changes interfaces, nick etc. are fixed at start; this checks the database and every signature.
    pub async fn verify(&self) -> Result<VerifyReport> {
        unimplemented!()
    }
    /// Stops cleanly: what was acknowledged is durable, peers are told.
    pub async fn shutdown(&self) -> Result<()> {
        unimplemented!()
    }
    /// Resolves when the node has stopped, for whatever reason (`Ok` after `shutdown` or `leave`).
    pub async fn stopped(&self) -> Result<()> {
        unimplemented!()
    }
}

#[derive(Clone)]
pub struct TopicHandle {}

impl TopicHandle {
    /// Appends one message; returns when it is durable here. Cancel-safe: dropped, it may or may not be appended.
    pub async fn append(&self, body: impl Into<Vec<u8>>) -> Result<Receipt> {
        unimplemented!()
    }
    /// Appends several in order; returns when all are durable here.
    pub async fn append_all(&self, bodies: Vec<Vec<u8>>) -> Result<Receipt> {
        unimplemented!()
    }
    /// Messages delivered from now on, in causal order.
    pub fn subscribe(&self) -> Subscription {
        unimplemented!()
    }
    /// What is stored, in canonical order.
    pub async fn history(&self, query: HistoryQuery) -> Result<History> {
        unimplemented!()
    }
}

/// A bounded page-wise reader: holds little memory however long the history is.
pub struct History {}

impl History {
    /// The next messages, at most a few hundred; empty at the end.
    pub async fn next_page(&mut self) -> Result<Vec<Message>> {
        unimplemented!()
    }
}

/// A stream of messages; also `futures_core::Stream`.
pub struct Subscription {}

impl Subscription {
    /// The next messages; empty when the node has stopped. A subscriber that falls far behind gets
    /// `Lagged` once, and should read the history.
    pub async fn next_batch(&mut self) -> std::result::Result<Vec<Message>, Lagged> {
        unimplemented!()
    }
}

#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the subscriber fell behind")]
pub struct Lagged;

/// Whether a home holds a group, without starting it: (group name, node).
pub fn peek(home: &Path) -> Result<Option<(String, NodeId)>> {
    unimplemented!()
}

/// Integrity check of a stopped home.
pub fn verify_home(home: &Path) -> Result<VerifyReport> {
    unimplemented!()
}

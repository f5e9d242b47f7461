//! Plain data of the public API.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use roda_proto::token::Timings;
use roda_proto::{AuthorId, Hlc, NodeId, Seq, Topic};
use roda_store::FenceMark;

/// How a node runs; the defaults suit a LAN.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Name for people; without it the node keeps the one it has, at first its host's name.
    pub nick: Option<String>,
    /// Interface names or addresses; empty: all that can do multicast, or loopback if there is none.
    pub interfaces: Vec<String>,
    /// Drops this share (0 to 1) of received datagrams, for demonstrations and tests.
    pub danger_loss: f64,
    /// Most bytes per second this node sends.
    pub rate_max: Option<u64>,
    /// How long locks outlive a lost machine; see [`Timings`].
    pub lock_timings: Timings,
    /// Most voters that this node chooses when it leads them: 1, 3 or 5; without it as many as suit the
    /// size of the group.
    pub lock_voters_max: Option<usize>,
}

/// One message as applications see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Whose log it is in.
    pub author: AuthorId,
    /// The node behind the author.
    pub node: NodeId,
    /// Place in the author's log.
    pub seq: Seq,
    /// Clock; with `author` and `seq` the canonical order.
    pub hlc: Hlc,
    /// Where it was said.
    pub topic: Topic,
    /// Content, any bytes.
    pub body: Vec<u8>,
    /// The lock under which it was written, if it was, and whether it came too late.
    pub fence: Option<FenceMark>,
}

/// Where appended messages stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// This node's author.
    pub author: AuthorId,
    /// The first of them.
    pub first: Seq,
    /// The last of them.
    pub last: Seq,
    /// Clock of the last of them.
    pub hlc: Hlc,
}

/// What to read of a topic's history.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistoryQuery {
    /// Only entries at or after this clock.
    pub since: Option<Hlc>,
    /// Only the last n.
    pub last: Option<usize>,
}

/// A topic and how much is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    /// Name.
    pub topic: Topic,
    /// Number of messages.
    pub entries: u64,
    /// Clock of the newest one.
    pub last: Hlc,
}

/// What `roda status` shows.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Group id, hexadecimal.
    pub group: String,
    /// Group name.
    pub group_name: String,
    /// Node id, hexadecimal.
    pub node: String,
    /// Author id, hexadecimal.
    pub author: String,
    /// This node's nick.
    pub nick: String,
    /// Process id.
    pub pid: u32,
    /// Since the start.
    pub uptime: Duration,
    /// Tag of the group key in use.
    pub epoch: u32,
    /// `multicast`, `unicast` or `mixed`, over all members that are heard; `none` if none is.
    pub carrier: &'static str,
    /// Interfaces in use.
    pub interfaces: Vec<InterfaceStatus>,
    /// Group addresses.
    pub multicast_groups: Vec<SocketAddr>,
    /// Own datagram addresses.
    pub addresses: Vec<SocketAddr>,
    /// TCP port of the stream.
    pub stream_port: u16,
    /// Number of members.
    pub members: usize,
    /// Members heard, this node included.
    pub members_online: usize,
    /// Entries here.
    pub entries: u64,
    /// Up to here every member has everything.
    pub stable: Hlc,
    /// What the engine waits for.
    pub next_timer: Option<&'static str>,
    /// What happened how often since the start.
    pub counters: BTreeMap<&'static str, u64>,
    /// Refused datagrams and batches by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Standing problems that an operator should know.
    pub problems: Vec<String>,
}

/// A network interface in use.
#[derive(Clone, Debug)]
pub struct InterfaceStatus {
    /// Name.
    pub name: String,
    /// Addresses in use.
    pub addresses: Vec<IpAddr>,
    /// Index.
    pub index: u32,
}

/// A mirror file and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorInfo {
    /// Of which topic.
    pub topic: Topic,
    /// Where.
    pub path: PathBuf,
    /// Entries in the file.
    pub entries: u64,
    /// Length of the file.
    pub bytes: u64,
    /// Entries known here but not in the file yet, because some member may not have them.
    pub waiting: u64,
    /// Why it does not grow, if something is wrong.
    pub error: Option<String>,
}

/// What a check of a database found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Logs checked.
    pub authors: u64,
    /// Batches checked, with their signatures.
    pub batches: u64,
    /// Entries in them.
    pub entries: u64,
    /// One line per thing found wrong; empty: all is well.
    pub faults: Vec<String>,
}

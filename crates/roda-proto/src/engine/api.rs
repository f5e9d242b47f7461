//! What goes into the engine and what comes out.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use crate::error::Rejected;
use crate::group::InviteId;
use crate::id::{AuthorId, EpochTag, NodeId, Seq};
use crate::log::{Batch, Hold, Topic};
use crate::record::{EpochRecord, Record};
use crate::stream::Refusal;
use crate::time::{Hlc, Timestamp, WallTime};

/// 32 bytes from the operating system; everything random in an engine derives from them.
#[derive(Clone)]
pub struct Seed(pub [u8; 32]);

/// Names a [`Output::Persist`] until it is answered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct WriteId(pub u64);

/// Names a command until its event comes; the driver chooses it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct CommandId(pub u64);

/// What an engine is told once.
#[derive(Clone, Debug)]
pub struct Config {
    /// TCP port on which this node answers streams; told to peers in beacons.
    pub stream_port: u16,
    /// Addresses where members were last heard; asked by unicast while multicast does not reach them.
    pub contacts: Vec<SocketAddr>,
    /// Most bytes per second this node sends; the bucket adapts below it.
    pub rate_max: u64,
    /// First guess of the greatest round-trip time within the group.
    pub grtt: Duration,
    /// Longest pause between two beacons.
    pub beacon_interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            stream_port: 0,
            contacts: Vec::new(),
            rate_max: 1_000_000_000,
            grtt: Duration::from_millis(10),
            beacon_interval: Duration::from_secs(2),
        }
    }
}

/// On which way a datagram came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Via {
    /// To the group's address.
    Multicast,
    /// To this node's own address.
    Unicast,
}

/// All that the world can tell the engine.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// A datagram arrived; it is decrypted in place.
    Datagram {
        /// Who sent it, as far as the network says.
        source: SocketAddr,
        /// On which way.
        via: Via,
        /// Its content.
        payload: &'a mut [u8],
    },
    /// The records of this write survive power loss now. Writes are confirmed in order.
    Persisted(WriteId),
    /// The application wants something.
    Command(CommandId, Command),
    /// A batch came over a stream from a member (or, while joining, from the admitting node).
    Batch(&'a [u8]),
    /// Group keys came over a stream from a member.
    Keys(Vec<EpochRecord>),
    /// Up to which entry of each author somebody wants to know who has it; replaces what was wanted before.
    /// Authors beyond [`COPIES_AUTHORS_MAX`](crate::COPIES_AUTHORS_MAX) are not looked for.
    WantCopies(BTreeMap<AuthorId, Seq>),
    /// A catch-up that [`Event::CatchUp`] asked for has ended, well or not.
    CatchUpEnded {
        /// Whether the peer said `Done`.
        complete: bool,
    },
    /// The time of [`Output::Wait`] has come.
    Timeout,
}

/// What the application can ask for. Every command is answered by exactly one
/// [`Event::Done`] or [`Event::Failed`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Command {
    /// Write the founding entry; the first command of a group's first node.
    Found {
        /// The random part of the group's name.
        salt: [u8; 16],
        /// The group's name for people.
        name: String,
        /// The founder's name for people.
        nick: String,
    },
    /// Say one's nick to the group, if it is not known already.
    Introduce {
        /// The nick.
        nick: String,
    },
    /// Append messages to a topic; done when all are durable here.
    Append {
        /// Where.
        topic: Topic,
        /// Their bodies, each at most [`crate::log::BODY_LEN_MAX`].
        bodies: Vec<Vec<u8>>,
    },
    /// The same under a lock. Whether the hold is live is the caller's to know.
    AppendFenced {
        /// Where.
        topic: Topic,
        /// Under which hold.
        hold: Hold,
        /// Their bodies; with the hold, each is at most [`crate::log::BODY_LEN_MAX`].
        bodies: Vec<Vec<u8>>,
    },
    /// Append entries about jobs to a queue; done when all are durable here.
    AppendJobs {
        /// The queue.
        topic: Topic,
        /// Encoded [`crate::job::JobEntry`]s, each at most [`crate::log::BODY_LEN_MAX`].
        bodies: Vec<Vec<u8>>,
    },
    /// Publish an invite.
    Invite {
        /// Public half of its key.
        invite: InviteId,
        /// How often it may be used.
        uses: u32,
        /// Until when.
        expires: WallTime,
    },
    /// Admit a node that has an invite.
    Admit {
        /// Who asks.
        node: NodeId,
        /// Which invite.
        invite: InviteId,
        /// The invite key's signature over [`crate::stream::join_proof_message`].
        proof: Vec<u8>,
        /// Where to wrap group keys for it.
        wrap_key: [u8; 32],
        /// Its name for people.
        nick: String,
    },
    /// Remove a member and change the group key.
    Remove {
        /// Whom.
        node: NodeId,
    },
    /// Leave the group.
    Leave,
    /// Say goodbye before stopping, so that peers need not wait to notice.
    Bye,
}

/// Why a command was refused; nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// This node was removed or has left.
    #[error("this node is not a member of the group any more")]
    NotMember,
    /// No such member.
    #[error("no such member")]
    UnknownMember,
    /// The joiner was refused.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// A body is longer than [`crate::log::BODY_LEN_MAX`].
    #[error("a message has at most 32768 bytes")]
    TooLong,
    /// Too much waits to be written or sent; try again after [`Event::Writable`].
    #[error("too much waits to be written or sent")]
    Busy,
    /// The group has [`crate::group::MEMBERS_MAX`] members.
    #[error("the group is full")]
    GroupFull,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A command took effect, durably.
    Done {
        /// Which one.
        command: CommandId,
        /// First entry written for it; 0 if none was needed.
        first: Seq,
        /// Last entry written for it.
        last: Seq,
        /// Clock of the last entry.
        hlc: Hlc,
    },
    /// A command was refused.
    Failed {
        /// Which one.
        command: CommandId,
        /// Why.
        error: CommandError,
    },
    /// A batch is durable here and all that it depends on as well. Causal order.
    Delivered(Arc<Batch>),
    /// Every member is known to have everything up to this clock; it never falls.
    Stable(Hlc),
    /// Members, nicks, presence or invites changed; ask [`crate::Engine::members`].
    MembersChanged,
    /// More members are known to have wanted entries; ask [`crate::Engine::holders`].
    CopiesChanged,
    /// Another group key is used for sending.
    EpochChanged(EpochTag),
    /// A member was heard at an address; worth remembering for the next start.
    Contact {
        /// Who.
        node: NodeId,
        /// Its datagram address.
        address: SocketAddr,
        /// Its stream's address.
        stream: SocketAddr,
    },
    /// Fetch what is missing over a stream, then say [`Input::CatchUpEnded`].
    CatchUp {
        /// From whom; `None` if the address belongs to an unknown sender that may be a member.
        peer: Option<NodeId>,
        /// Where its stream listens.
        address: SocketAddr,
    },
    /// What a removed author wrote beyond `above` never counted, although it may have been delivered.
    Voided {
        /// Who.
        author: AuthorId,
        /// The last entry that counts.
        above: Seq,
    },
    /// An author signed two logs; nothing more is accepted from it.
    Forked(AuthorId),
    /// Peers have more from this author than its own database: start again with a new incarnation.
    Amnesia,
    /// Entries of this author carry clocks far ahead of this node's.
    ClockAhead {
        /// Who.
        node: NodeId,
        /// By how much.
        by: Duration,
    },
    /// After [`CommandError::Busy`]: appending is possible again.
    Writable,
    /// This node was removed from the group or has left it.
    Expelled,
}

/// Where a datagram goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Destination {
    /// To all members.
    Group,
    /// To one address.
    Address(SocketAddr),
}

/// All that the engine can ask of the world, in the order in which it must happen.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// Make `records` survive power loss, then feed back [`Input::Persisted`].
    Persist {
        /// To be fed back.
        id: WriteId,
        /// All or nothing.
        records: Vec<Record>,
    },
    /// Send a datagram; losing it is harmless.
    Transmit {
        /// Where to.
        to: Destination,
        /// Its content.
        payload: Vec<u8>,
    },
    /// Tell the application.
    Event(Event),
    /// Drained. Come back at this time, or with the next input if sooner.
    Wait(Option<Deadline>),
}

/// When the engine wants to wake, and why (shown in logs and by `roda status`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadline {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: &'static str,
}

/// What happened how often since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams received, refused ones included.
    pub datagrams_received: u64,
    /// Datagrams sent.
    pub datagrams_sent: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Datagrams and batches refused, by reason.
    pub rejected: BTreeMap<Rejected, u64>,
    /// NACKs sent.
    pub nacks_sent: u64,
    /// NACKs heard.
    pub nacks_received: u64,
    /// Repaired fragments sent.
    pub repairs_sent: u64,
    /// Fragments that were already here.
    pub duplicates: u64,
    /// Batches accepted from others.
    pub batches_received: u64,
    /// Catch-ups over a stream asked for.
    pub catch_ups: u64,
    /// Beacons sent.
    pub beacons_sent: u64,
}

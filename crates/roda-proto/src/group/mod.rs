//! Who belongs: identities, invites, membership, group keys, presence.

pub mod control;
pub mod invite;
pub mod membership;
pub mod presence;

use alloc::string::String;

pub use control::founding_group_id;
pub use invite::{InviteId, InviteToken, InviteTokenError};
pub use membership::{Allowed, Membership};

use crate::id::NodeId;

/// Most members of a group.
pub const MEMBERS_MAX: usize = 1024;
/// Longest nick or group name, in bytes.
pub const NICK_LEN_MAX: usize = 64;

/// A member as the group knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberInfo {
    /// Who.
    pub node: NodeId,
    /// Name for people; may be empty, need not be unique.
    pub nick: String,
    /// Whether it is heard.
    pub presence: Presence,
    /// Entries that this node has and it lacks, by its last beacon; `None` if unknown.
    pub behind: Option<u64>,
    /// How its datagrams reach this node.
    pub carrier: Option<Carrier>,
}

/// Whether a member is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// This node itself.
    Here,
    /// Heard within the last beacons.
    Online,
    /// One or two beacons are missing.
    Suspect,
    /// Said goodbye, or not heard for longer.
    Down,
}

/// The way on which a peer's datagrams arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Carrier {
    /// Multicast arrives.
    Multicast,
    /// Multicast does not arrive; the peer sends to this node's address as well.
    Unicast,
}

/// A name as the group takes it: at most [`NICK_LEN_MAX`] bytes, cut at a character, no control characters.
#[must_use]
pub fn short_name(name: &str) -> String {
    let mut short: String = name.chars().filter(|c| !c.is_control()).collect();
    while short.len() > NICK_LEN_MAX {
        short.pop();
    }
    short
}

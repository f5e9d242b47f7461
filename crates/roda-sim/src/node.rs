//! One machine: its disk, its clocks, and an engine while it is up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use roda_proto::crypto::SigningKey;
use roda_proto::{AuthorId, CommandId, Engine, NodeId, SenderTag, Seq, Timestamp};

use crate::clock::NodeClock;
use crate::disk::Disk;

/// UDP port of every node.
pub const DATAGRAM_PORT: u16 = 7000;
/// TCP port of every node.
pub const STREAM_PORT: u16 = 7001;

/// What a command was given for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Found the group.
    Found,
    /// Publish the invite.
    Invite,
    /// Write messages with these bodies' hashes.
    Append(Vec<u64>),
    /// Let a node in.
    Admit(usize),
    /// Write a node's admission, without starting it yet.
    Enrol(usize),
    /// Say one's nick.
    Introduce,
    /// Show a node the door.
    Remove(usize),
    /// Go.
    Leave,
    /// Say goodbye, then stop.
    Stop,
}

/// Where a node stands in the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not yet admitted.
    Outside,
    /// Admitted, but not yet given what the group wrote before; until then it has no say.
    Joining,
    /// Belongs, as far as it was told.
    Member,
    /// Was removed or left: some other node's removal entry or its own is durable.
    Gone,
}

/// One machine.
pub struct Node {
    /// The secret from which its identity derives.
    pub seed: [u8; 32],
    /// Its identity.
    pub id: NodeId,
    /// Its log, once it has a disk.
    pub author: AuthorId,
    /// Name for people.
    pub nick: String,
    /// Where its datagrams go.
    pub address: SocketAddr,
    /// What survives a crash.
    pub disk: Option<Disk>,
    /// What runs.
    pub engine: Option<Engine>,
    /// How often it was started; things scheduled for an earlier run are void.
    pub boot: u32,
    /// Name of this run in its datagrams, once it has sent one.
    pub tag: Option<SenderTag>,
    /// Its clocks.
    pub clock: NodeClock,
    /// Where it stands.
    pub standing: Standing,
    /// Whether the group will part with it during the run; such a node has no say about others.
    pub doomed: bool,
    /// Whether its engine said that it belongs no more.
    pub expelled: bool,
    /// Addresses worth remembering for the next start.
    pub contacts: Vec<SocketAddr>,
    /// Nodes whose address this run was told.
    pub met: BTreeSet<NodeId>,
    /// Commands that are not answered.
    pub wishes: BTreeMap<CommandId, Wish>,
    /// Last own entry that was given to the disk.
    pub written: Seq,
    /// When the disk has finished what it was given.
    pub disk_free: Timestamp,
    /// Time that each datagram takes to be read, if reading is slow.
    pub reading: Option<Duration>,
    /// When everything that waits has been read.
    pub reader_free: Timestamp,
    /// When the engine wants to wake.
    pub deadline: Option<Timestamp>,
    /// The earliest wake-up that is scheduled.
    pub wake: Option<Timestamp>,
    /// Wake-ups in a row without time passing.
    pub spins: u32,
}

impl Node {
    /// A machine that is not set up yet.
    #[must_use]
    pub fn new(index: usize, seed: [u8; 32]) -> Self {
        Self {
            seed,
            id: SigningKey::from_seed(&seed).public(),
            author: AuthorId([0; 16]),
            nick: format!("node{index}"),
            address: address_of(index, DATAGRAM_PORT),
            disk: None,
            engine: None,
            boot: 0,
            tag: None,
            clock: NodeClock::default(),
            standing: Standing::Outside,
            doomed: false,
            expelled: false,
            contacts: Vec::new(),
            met: BTreeSet::new(),
            wishes: BTreeMap::new(),
            written: Seq(0),
            disk_free: Timestamp::default(),
            reading: None,
            reader_free: Timestamp::default(),
            deadline: None,
            wake: None,
            spins: 0,
        }
    }

    /// Whether its engine runs.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.engine.is_some()
    }

    /// Whether it is up, belongs, and may speak for the group.
    #[must_use]
    pub fn is_core(&self) -> bool {
        self.is_up() && self.standing == Standing::Member && !self.doomed
    }
}

/// Address of a node.
#[must_use]
pub fn address_of(index: usize, port: u16) -> SocketAddr {
    let number = u32::try_from(index + 1).expect("nodes are few");
    let ip = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 0)) + number);
    SocketAddr::from((ip, port))
}

/// The node at an address, whatever the port.
#[must_use]
pub fn index_of(address: &SocketAddr) -> Option<usize> {
    let SocketAddr::V4(address) = address else {
        return None;
    };
    let [10, high, middle, low] = address.ip().octets() else {
        return None;
    };
    let number = u32::from_be_bytes([0, high, middle, low]);
    usize::try_from(number.checked_sub(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_back_to_their_nodes() {
        for index in [0, 254, 255, 999] {
            assert_eq!(index_of(&address_of(index, 7000)), Some(index));
        }
        assert_eq!(index_of(&"172.16.0.1:7000".parse().unwrap()), None);
    }
}

//! Who is heard, how, and how far each one has come.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use crate::group::{Carrier, Presence};
use crate::id::{AuthorId, NodeId, SenderTag};
use crate::time::{Hlc, Timestamp};
use crate::wire::Beacon;

/// Senders remembered that have not proved yet that they live now.
const UNPROVEN_MAX: usize = 1024;
/// Peers to which group datagrams also go by unicast.
pub const ATTACHED_MAX: usize = 64;
/// Addresses of one peer; a machine has a few interfaces with two families each.
const PROVED_MAX: usize = 8;
/// How long an `Attach` holds.
const ATTACH_FOR: Duration = Duration::from_secs(10);
/// Pause between two `Attach` to one peer.
const ATTACH_EVERY: Duration = Duration::from_secs(3);
/// A peer gets this long to be heard by multicast before it is asked for unicast.
const MULTICAST_GRACE: Duration = Duration::from_millis(600);
/// Pause between two requests to one sender to prove that it lives.
const ASK_EVERY: Duration = Duration::from_millis(400);

/// Pause between two requests to a peer to prove its address, while it has proved none.
const CHALLENGE_EVERY: Duration = Duration::from_secs(3);

/// A live run of a member.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its run.
    pub tag: SenderTag,
    /// The node behind the author, once its first entry is here.
    pub node: Option<NodeId>,
    /// Where its datagrams seem to come from.
    pub address: SocketAddr,
    /// Where it has proved that it gets datagrams, the newest last: one per interface and family.
    proved: Vec<SocketAddr>,
    /// When it was last asked for that proof.
    challenged: Option<Timestamp>,
    /// Where group datagrams go by unicast, while it wants them.
    attached_at: Option<SocketAddr>,
    /// TCP port of its stream.
    pub stream_port: u16,
    /// Its last beacon.
    pub beacon: Beacon,
    first_heard: Timestamp,
    pub(crate) heard: Timestamp,
    heard_by_multicast: Option<Timestamp>,
    down: bool,
    /// It asked to get group datagrams by unicast, until then.
    attached_until: Option<Timestamp>,
    /// Token with which this node may ask the same of it.
    path: Option<u64>,
    attach_sent: Option<Timestamp>,
    /// It has everything of its own and others up to these clocks, as far as can be checked here.
    pub promise: Hlc,
    /// See [`Beacon::frontier`].
    pub frontier: Hlc,
    /// Offset of its wall clock to this node's, in milliseconds, at the last beacon.
    pub wall_offset: i64,
}

impl Peer {
    /// An address at which it gets datagrams.
    #[must_use]
    pub fn proved(&self) -> Option<SocketAddr> {
        self.proved.last().copied()
    }

    /// Whether it gets datagrams at this address.
    #[must_use]
    pub fn has_proved(&self, address: &SocketAddr) -> bool {
        self.proved.contains(address)
    }

    /// It has proved no address yet, and question or answer got lost: says whether to ask again now.
    pub fn challenge_again(&mut self, now: Timestamp) -> bool {
        let is_due = self.proved.is_empty()
            && self
                .challenged
                .is_some_and(|at| now.since(at) >= CHALLENGE_EVERY);
        if is_due || self.challenged.is_none() {
            self.challenged = Some(now);
        }
        is_due
    }

    /// Address of its stream.
    #[must_use]
    pub const fn stream_address(&self) -> SocketAddr {
        SocketAddr::new(self.address.ip(), self.stream_port)
    }

    fn carrier(&self, now: Timestamp, lost_after: Duration) -> Carrier {
        match self.heard_by_multicast {
            Some(at) if now.since(at) < lost_after => Carrier::Multicast,
            Some(_) | None => Carrier::Unicast,
        }
    }
}

struct Unproven {
    since: Timestamp,
    asked: Option<Timestamp>,
}

/// What a beacon changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The sender has not proved yet that it lives now; `ask` it if so.
    Unproven {
        /// Whether it is time to ask.
        ask: bool,
    },
    /// A peer appeared, came back, or restarted.
    Appeared,
    /// A known one.
    Known,
}

/// How a node is heard.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// Whether it is heard in time.
    pub presence: Presence,
    /// On which way.
    pub carrier: Carrier,
    /// Its live run.
    pub peer: &'a Peer,
}

/// The table of peers.
pub struct Peers {
    peers: BTreeMap<AuthorId, Peer>,
    by_tag: BTreeMap<SenderTag, AuthorId>,
    unproven: BTreeMap<SenderTag, Unproven>,
    beacon_interval: Duration,
}

impl Peers {
    /// Nobody heard yet.
    #[must_use]
    pub const fn new(beacon_interval: Duration) -> Self {
        Self {
            peers: BTreeMap::new(),
            by_tag: BTreeMap::new(),
            unproven: BTreeMap::new(),
            beacon_interval,
        }
    }

    /// In a large group beacons are rarer, and silence means less.
    pub const fn expect_every(&mut self, beacon_interval: Duration) {
        self.beacon_interval = beacon_interval;
    }

    /// Whether this sender has proved that it lives now.
    #[must_use]
    pub fn is_proven(&self, tag: SenderTag) -> bool {
        self.by_tag.contains_key(&tag)
    }

    /// The peer of a proven sender.
    #[must_use]
    pub fn by_tag(&self, tag: SenderTag) -> Option<(&AuthorId, &Peer)> {
        self.peers.get_key_value(self.by_tag.get(&tag)?)
    }

    /// The peer that is this author.
    #[must_use]
    pub fn get(&self, author: &AuthorId) -> Option<&Peer> {
        self.peers.get(author)
    }

    /// The same, to be told more.
    pub fn get_mut(&mut self, author: &AuthorId) -> Option<&mut Peer> {
        self.peers.get_mut(author)
    }

    /// All peers, down ones included.
    pub fn iter(&self) -> impl Iterator<Item = (&AuthorId, &Peer)> {
        self.peers.iter()
    }

    /// All peers that can be told their node or their clocks.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&AuthorId, &mut Peer)> {
        self.peers.iter_mut()
    }

    /// Takes a beacon in. `own` is this run's tag: a beacon that names it was made after this run began,
    /// so it is no replay of an older time.
    pub fn on_beacon(
        &mut self,
        now: Timestamp,
        tag: SenderTag,
        own: SenderTag,
        source: SocketAddr,
        by_multicast: bool,
        beacon: &Beacon,
    ) -> Heard {
        let Some(author) = beacon.author else {
            return Heard::Known;
        };
        if !self.is_proven(tag) {
            if !beacon.asks.contains(&own) && !beacon.answers.contains(&own) {
                return Heard::Unproven {
                    ask: self.wants_to_ask(now, tag),
                };
            }
            self.unproven.remove(&tag);
            if let Some(old) = self.peers.get(&author).map(|peer| peer.tag) {
                self.by_tag.remove(&old);
            }
            self.by_tag.insert(tag, author);
        } else if self.by_tag.get(&tag) != Some(&author) {
            return Heard::Known;
        }
        self.refresh(now, tag, author, source, by_multicast, beacon)
    }

    fn refresh(
        &mut self,
        now: Timestamp,
        tag: SenderTag,
        author: AuthorId,
        source: SocketAddr,
        by_multicast: bool,
        beacon: &Beacon,
    ) -> Heard {
        let known = self
            .peers
            .get(&author)
            .is_some_and(|peer| !peer.down && peer.tag == tag);
        let peer = self.peers.entry(author).or_insert_with(|| Peer {
            tag,
            node: None,
            address: source,
            proved: Vec::new(),
            challenged: None,
            attached_at: None,
            stream_port: beacon.stream_port,
            beacon: beacon.clone(),
            first_heard: now,
            heard: now,
            heard_by_multicast: None,
            down: false,
            attached_until: None,
            path: None,
            attach_sent: None,
            promise: Hlc::ZERO,
            frontier: Hlc::ZERO,
            wall_offset: 0,
        });
        if !known {
            (peer.tag, peer.down, peer.first_heard) = (tag, false, now);
            peer.heard_by_multicast = None;
            peer.proved.clear();
        }
        peer.heard = now;
        if by_multicast {
            peer.heard_by_multicast = Some(now);
        }
        (peer.address, peer.stream_port) = (source, beacon.stream_port);
        peer.beacon = beacon.clone();
        if known { Heard::Known } else { Heard::Appeared }
    }

    fn wants_to_ask(&mut self, now: Timestamp, tag: SenderTag) -> bool {
        if self.unproven.len() >= UNPROVEN_MAX && !self.unproven.contains_key(&tag) {
            let oldest = self
                .unproven
                .iter()
                .min_by_key(|(_, entry)| entry.since)
                .map(|(tag, _)| *tag);
            if let Some(oldest) = oldest {
                self.unproven.remove(&oldest);
            }
        }
        let entry = self.unproven.entry(tag).or_insert(Unproven {
            since: now,
            asked: None,
        });
        let due = entry.asked.is_none_or(|at| now.since(at) >= ASK_EVERY);
        if due {
            entry.asked = Some(now);
        }
        due
    }

    /// Any authentic datagram of a proven sender is a sign of life.
    pub fn on_datagram(&mut self, now: Timestamp, tag: SenderTag, by_multicast: bool) {
        if let Some(peer) = self
            .by_tag
            .get(&tag)
            .and_then(|author| self.peers.get_mut(author))
        {
            peer.heard = now;
            if by_multicast {
                peer.heard_by_multicast = Some(now);
            }
        }
    }

    /// A peer said goodbye.
    pub fn on_bye(&mut self, tag: SenderTag) -> bool {
        let peer = self
            .by_tag
            .get(&tag)
            .and_then(|author| self.peers.get_mut(author));
        peer.is_some_and(|peer| !core::mem::replace(&mut peer.down, true))
    }

    /// Remembers the token with which to attach to a peer.
    pub fn on_path(&mut self, tag: SenderTag, token: u64) {
        if let Some(peer) = self
            .by_tag
            .get(&tag)
            .and_then(|author| self.peers.get_mut(author))
        {
            peer.path = Some(token);
        }
    }

    /// A peer gets datagrams at this address; returns whether that is news.
    pub fn prove(&mut self, tag: SenderTag, source: SocketAddr) -> bool {
        let peer = self
            .by_tag
            .get(&tag)
            .and_then(|author| self.peers.get_mut(author));
        peer.is_some_and(|peer| {
            let is_news = !peer.proved.contains(&source);
            if is_news {
                if peer.proved.len() >= PROVED_MAX {
                    peer.proved.remove(0);
                }
                peer.proved.push(source);
            }
            is_news
        })
    }

    /// A peer wants group datagrams at its address; returns whether it was not attached before.
    pub fn attach(&mut self, now: Timestamp, tag: SenderTag, source: SocketAddr) -> bool {
        let attached = self.attached(now).count();
        let Some(peer) = self
            .by_tag
            .get(&tag)
            .and_then(|author| self.peers.get_mut(author))
        else {
            return false;
        };
        let is_new = peer.attached_until.is_none_or(|until| until <= now);
        if is_new && attached >= ATTACHED_MAX {
            return false;
        }
        peer.attached_at = Some(source);
        peer.attached_until = Some(now + ATTACH_FOR);
        is_new
    }

    /// Addresses to which group datagrams go by unicast as well.
    pub fn attached(&self, now: Timestamp) -> impl Iterator<Item = SocketAddr> {
        let holds =
            move |peer: &&Peer| !peer.down && peer.attached_until.is_some_and(|until| until > now);
        self.peers
            .values()
            .filter(holds)
            .filter_map(|peer| peer.attached_at)
    }

    /// Peers that are to be asked now to send by unicast: heard, but not by multicast.
    pub fn take_attach_requests(&mut self, now: Timestamp) -> Vec<(SocketAddr, u64)> {
        let lost_after = self.beacon_interval * 3;
        let mut requests = Vec::new();
        for peer in self.peers.values_mut().filter(|peer| !peer.down) {
            let settled = now.since(peer.first_heard) >= MULTICAST_GRACE
                && now.since(peer.heard) < lost_after;
            let due = peer
                .attach_sent
                .is_none_or(|at| now.since(at) >= ATTACH_EVERY);
            if let (Some(path), Some(address), true, true, Carrier::Unicast) = (
                peer.path,
                peer.proved(),
                settled,
                due,
                peer.carrier(now, lost_after),
            ) {
                peer.attach_sent = Some(now);
                requests.push((address, path));
            }
        }
        requests
    }

    /// Whether a peer is heard.
    #[must_use]
    pub fn presence(&self, now: Timestamp, author: &AuthorId) -> Presence {
        let Some(peer) = self.peers.get(author) else {
            return Presence::Down;
        };
        let silent = now.since(peer.heard);
        if peer.down || silent > self.beacon_interval * 3 {
            Presence::Down
        } else if silent > self.beacon_interval * 3 / 2 {
            Presence::Suspect
        } else {
            Presence::Online
        }
    }

    /// The live run of every node that is heard.
    #[must_use]
    pub fn by_node(&self, now: Timestamp) -> BTreeMap<NodeId, Seen<'_>> {
        let mut nodes: BTreeMap<NodeId, Seen<'_>> = BTreeMap::new();
        for (author, peer) in self.online(now) {
            let Some(node) = peer.node else { continue };
            let seen = Seen {
                presence: self.presence(now, author),
                carrier: peer.carrier(now, self.beacon_interval * 3),
                peer,
            };
            let is_better = |known: &Seen<'_>| {
                (seen.presence, now.since(seen.peer.heard))
                    < (known.presence, now.since(known.peer.heard))
            };
            if nodes.get(&node).is_none_or(is_better) {
                nodes.insert(node, seen);
            }
        }
        nodes
    }

    /// Peers heard now.
    pub fn online(&self, now: Timestamp) -> impl Iterator<Item = (&AuthorId, &Peer)> {
        self.peers
            .iter()
            .filter(move |(author, _)| self.presence(now, author) < Presence::Down)
    }

    /// Proved addresses of the peers that are heard, but not by multicast.
    pub fn unheard_by_multicast(&self, now: Timestamp) -> impl Iterator<Item = SocketAddr> {
        let lost_after = self.beacon_interval * 3;
        self.online(now)
            .filter(move |(_, peer)| peer.carrier(now, lost_after) == Carrier::Unicast)
            .filter_map(|(_, peer)| peer.proved())
    }

    /// Whether multicast of the peer at this address arrives.
    #[must_use]
    pub fn is_heard_by_multicast(&self, now: Timestamp, address: &SocketAddr) -> bool {
        self.peers.values().any(|peer| {
            peer.has_proved(address)
                && !peer.down
                && peer.carrier(now, self.beacon_interval * 3) == Carrier::Multicast
        })
    }

    /// The middle wall clock of this node and its peers, as offsets to this node's in milliseconds: the
    /// lower and the upper one, if their number is even.
    #[must_use]
    pub fn median_wall_offsets(&self, now: Timestamp) -> (i64, i64) {
        let mut offsets: Vec<i64> = self
            .online(now)
            .map(|(_, peer)| peer.wall_offset)
            .chain([0])
            .collect();
        offsets.sort_unstable();
        (offsets[(offsets.len() - 1) / 2], offsets[offsets.len() / 2])
    }
}

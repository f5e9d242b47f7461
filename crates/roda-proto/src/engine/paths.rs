//! Where peers can be reached: addresses asked by unicast, and proofs that one gets what is sent to it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use rand_core::Rng;

use super::datagrams::{Arrival, ECHO_LEN};
use super::{Config, Destination, Engine, Event};
use crate::crypto::{self, SEAL_LEN};
use crate::id::{AuthorId, NodeId, SenderTag};
use crate::time::Timestamp;
use crate::wire::codec::Writer;
use crate::wire::header::HEADER_LEN;
use crate::wire::{Beacon, Frame, Peer};

/// Addresses asked by unicast while multicast does not reach them.
const CONTACTS_MAX: usize = 64;
const CONTACT_PAUSE_MAX: Duration = Duration::from_secs(30);
/// Peers told to a newly attached one, so that they fit a datagram.
const PEERS_MAX: usize = 32;
/// Unicast beacons to addresses that may be a stranger's are made this long, so that an answer, which
/// must not be longer, has room.
pub(super) const CONTACT_FRAMES_LEN: usize = 256;
/// Addresses that wait for a challenge; more are challenged when they come again.
const CHALLENGES_MAX: usize = 64;

struct Contact {
    address: SocketAddr,
    next: Timestamp,
    pause: Duration,
}

/// What to say to an address that has not proved that it gets datagrams.
#[derive(Default)]
struct Challenge {
    ask: Option<SenderTag>,
    answer: Option<SenderTag>,
    room: usize,
}

pub(super) struct Paths {
    contacts: Vec<Contact>,
    /// Peers that asked by unicast are answered by unicast.
    pub(super) reply_to: BTreeSet<SocketAddr>,
    challenges: BTreeMap<SocketAddr, Challenge>,
    secret: [u8; 32],
}

impl Paths {
    pub(super) fn new(config: &Config, now: Timestamp, rng: &mut impl Rng) -> Self {
        let mut secret = [0; 32];
        rng.fill_bytes(&mut secret);
        let mut paths = Self {
            contacts: Vec::new(),
            reply_to: BTreeSet::new(),
            challenges: BTreeMap::new(),
            secret,
        };
        for address in &config.contacts {
            paths.add_contact(*address, now);
        }
        paths
    }

    fn add_contact(&mut self, address: SocketAddr, now: Timestamp) {
        let known = self
            .contacts
            .iter()
            .any(|contact| contact.address == address);
        if !known && self.contacts.len() < CONTACTS_MAX && address.port() != 0 {
            self.contacts.push(Contact {
                address,
                next: now,
                pause: Duration::from_millis(500),
            });
        }
    }

    /// What proves to this node that a peer gets datagrams at an address.
    pub(super) fn token(&self, address: &SocketAddr) -> u64 {
        let mut writer = Writer::new();
        crate::group::invite::write_address(&mut writer, address);
        let hash = crypto::sha256(&[&self.secret, writer.as_slice()]);
        u64::from_be_bytes(hash.0[..8].try_into().expect("eight bytes"))
    }
}

impl Engine {
    /// Nothing here is longer than what came from the address, which may be forged.
    pub(super) fn send_challenges(&mut self) {
        for (address, challenge) in core::mem::take(&mut self.paths.challenges) {
            let mut writer = Writer::new();
            Frame::Path(self.paths.token(&address)).write(&mut writer);
            let path_only = writer.clone();
            let beacon = Beacon {
                author: Some(self.author),
                stream_port: self.config.stream_port,
                asks: challenge.ask.into_iter().collect(),
                answers: challenge.answer.into_iter().collect(),
                wall: self.now.wall.0,
                ..Beacon::default()
            };
            if challenge.ask.is_some() || challenge.answer.is_some() {
                Frame::Beacon(beacon).write(&mut writer);
            }
            let fits = |frames: &Writer| frames.len() + HEADER_LEN + SEAL_LEN <= challenge.room;
            let frames = [writer, path_only].into_iter().find(fits);
            if let Some(datagram) = frames.and_then(|frames| self.secure.seal(frames.as_slice())) {
                self.transmit(Destination::Address(address), datagram);
            }
        }
    }

    /// Addresses that get this beacon by unicast: those that multicast may not reach.
    pub(super) fn take_unicast_targets(&mut self) -> BTreeSet<SocketAddr> {
        let now = self.now.mono;
        let mut targets = core::mem::take(&mut self.paths.reply_to);
        for contact in &mut self.paths.contacts {
            if contact.next <= now {
                contact.next = now + contact.pause;
                contact.pause = (contact.pause * 2).min(CONTACT_PAUSE_MAX);
                if !self.peers.is_heard_by_multicast(now, &contact.address) {
                    targets.insert(contact.address);
                }
            }
        }
        targets.extend(self.peers.unheard_by_multicast(now));
        targets
    }

    pub(super) fn challenge(
        &mut self,
        arrival: Arrival,
        ask: Option<SenderTag>,
        answer: Option<SenderTag>,
    ) {
        if self.paths.challenges.len() < CHALLENGES_MAX {
            let challenge = Challenge {
                ask,
                answer,
                room: arrival.room,
            };
            self.paths.challenges.insert(arrival.source, challenge);
            self.prompt_beacon();
        }
    }

    /// Someone wants to know whether datagrams to the address it sees arrive here.
    pub(super) fn on_path(&mut self, arrival: Arrival, token: u64) {
        self.peers.on_path(arrival.sender, token);
        if !arrival.may_echo {
            return;
        }
        if let Some(datagram) = self.secure.seal(&Frame::Echo(token).to_vec()) {
            debug_assert!(datagram.len() <= ECHO_LEN, "an echo has a fixed length");
            self.transmit(Destination::Address(arrival.source), datagram);
        }
    }

    pub(super) fn on_echo(&mut self, arrival: Arrival, token: u64) {
        let Arrival { sender, source, .. } = arrival;
        if token != self.paths.token(&source) || !self.peers.prove(sender, source) {
            return;
        }
        self.paths.reply_to.insert(source);
        self.prompt_beacon();
        let found = self.peers.by_tag(sender);
        if let Some((node, stream)) =
            found.and_then(|(_, peer)| Some((peer.node?, peer.stream_address())))
        {
            self.remember(node, source, stream);
        }
    }

    pub(super) fn remember(&mut self, node: NodeId, address: SocketAddr, stream: SocketAddr) {
        self.event(Event::Contact {
            node,
            address,
            stream,
        });
        self.paths.add_contact(address, self.now.mono);
    }

    /// Notes the nodes behind peers whose first entries have come.
    pub(super) fn recognize_peers(&mut self) {
        let strangers = self.peers.iter().filter(|(_, peer)| peer.node.is_none());
        let strangers: Vec<AuthorId> = strangers.map(|(author, _)| *author).collect();
        for author in strangers {
            self.recognize(&author);
        }
    }

    /// Notes the node behind an author once its log tells. Where it is may have been proved before.
    pub(super) fn recognize(&mut self, author: &AuthorId) {
        let Some(node) = self.logs.node_of(author) else {
            return;
        };
        let stranger = self.peers.get_mut(author);
        let Some(peer) = stranger.filter(|peer| peer.node.is_none()) else {
            return;
        };
        peer.node = Some(node);
        let (proved, stream) = (peer.proved(), peer.stream_address());
        if let Some(address) = proved {
            self.remember(node, address, stream);
        }
        self.event(Event::MembersChanged);
    }

    pub(super) fn on_attach(&mut self, tag: SenderTag, source: SocketAddr, token: u64) {
        if token == self.paths.token(&source) && self.peers.attach(self.now.mono, tag, source) {
            let online = self
                .peers
                .online(self.now.mono)
                .filter_map(|(_, peer)| peer.proved());
            let others = online
                .filter(|address| *address != source)
                .take(PEERS_MAX)
                .map(|address| Peer {
                    ip: match address.ip() {
                        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                        IpAddr::V6(ip) => ip.octets(),
                    },
                    port: address.port(),
                });
            let frame = Frame::Peers(others.collect()).to_vec();
            if let Some(datagram) = self.secure.seal(&frame) {
                self.transmit(Destination::Address(source), datagram);
            }
        }
    }

    pub(super) fn on_peers(&mut self, peers: &[Peer]) {
        for peer in peers {
            let ip = core::net::Ipv6Addr::from(peer.ip).to_canonical();
            self.paths
                .add_contact(SocketAddr::new(ip, peer.port), self.now.mono);
        }
        self.prompt_beacon();
    }

    /// Asks peers that multicast does not reach to pass on what is said to all.
    pub(super) fn send_attach_requests(&mut self) {
        for (address, token) in self.peers.take_attach_requests(self.now.mono) {
            if let Some(datagram) = self.secure.seal(&Frame::Attach(token).to_vec()) {
                self.transmit(Destination::Address(address), datagram);
            }
        }
    }
}

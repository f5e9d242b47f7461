//! The adversary: hears everything, has no key, and sends what it likes from any address.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use roda_proto::wire::header::{HEADER_LEN, OFFER, PROBE, SEALED};
use roda_proto::wire::join::{Offer, PROBE_LEN, Probe, group_tag};
use roda_proto::{InviteId, NodeId, Via};

use super::{Arrival, World};
use crate::invariants::{Check, Origin};
use crate::options::Options;
use crate::random::Random;

const CAPTURED_MAX: usize = 200;
const CAPTURE: f64 = 0.2;
const GARBAGE_LEN_MAX: usize = 1_500;

/// An address that belongs to no node.
#[must_use]
pub fn stranger() -> SocketAddr {
    SocketAddr::from(([172, 16, 66, 66], 6666))
}

struct Captured {
    sender: usize,
    payload: Arc<[u8]>,
    accepted: BTreeSet<(usize, u32)>,
}

/// What the adversary knows.
pub(super) struct Hostile {
    random: Random,
    captured: Vec<Captured>,
}

impl Hostile {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed, "hostile"),
            captured: Vec::new(),
        }
    }

    /// Perhaps keeps a copy of a datagram; returns its number.
    pub(super) fn capture(
        &mut self,
        options: &Options,
        sender: usize,
        payload: &[u8],
    ) -> Option<usize> {
        let wants = options.adversary.is_some()
            && self.captured.len() < CAPTURED_MAX
            && self.random.chance(CAPTURE);
        if !wants {
            return None;
        }
        self.captured.push(Captured {
            sender,
            payload: Arc::from(payload),
            accepted: BTreeSet::new(),
        });
        Some(self.captured.len() - 1)
    }

    /// A node has accepted a captured datagram.
    pub(super) fn on_accepted(&mut self, captured: usize, node: usize, boot: u32) {
        if let Some(captured) = self.captured.get_mut(captured) {
            captured.accepted.insert((node, boot));
        }
    }

    fn has_accepted(&self, captured: usize, node: usize, boot: u32) -> bool {
        self.captured
            .get(captured)
            .is_some_and(|captured| captured.accepted.contains(&(node, boot)))
    }

    /// A changed copy of something captured.
    fn damage(&mut self, captured: usize) -> Vec<u8> {
        let mut payload = self.captured[captured].payload.to_vec();
        match self.random.below(4) {
            0 => {
                let len = self.random.below(payload.len());
                payload.truncate(len);
            }
            1 => payload.push(0),
            2 if payload.len() > HEADER_LEN => {
                let rest = self.random.body(payload.len() - HEADER_LEN);
                payload.truncate(HEADER_LEN);
                payload.extend(rest);
            }
            _ => {
                let bit = self.random.below(payload.len() * 8);
                payload[bit / 8] ^= 1 << (bit % 8);
            }
        }
        payload
    }

    fn garbage(&mut self) -> Vec<u8> {
        let len = self.random.below(GARBAGE_LEN_MAX);
        let mut payload = self.random.body(len);
        let kinds = [SEALED, PROBE, OFFER, 0x20];
        if let (Some(first), Some(kind)) = (payload.first_mut(), self.random.pick(&kinds)) {
            *first = *kind;
        }
        payload
    }

    /// A well-formed question or answer; the tag of a group is on the wire for all to see.
    fn unsealed(&mut self, tag: [u8; 8]) -> Vec<u8> {
        let nonce = self.random.bytes();
        if self.random.chance(0.5) {
            let stream_port = 6666;
            return Offer {
                group_tag: tag,
                nonce,
                stream_port,
            }
            .encode();
        }
        let invite = if self.random.chance(0.5) {
            [0; 32]
        } else {
            self.random.bytes()
        };
        let probe = Probe {
            group_tag: tag,
            nonce,
            invite: InviteId(NodeId(invite)),
            epoch: roda_proto::EpochTag(u32::from_be_bytes(self.random.bytes())),
        }
        .encode();
        debug_assert_eq!(probe.len(), PROBE_LEN);
        probe
    }
}

impl World {
    /// Whether an arrival is hostile, and of what kind.
    pub(super) fn origin_of(&self, arrival: &Arrival) -> Origin {
        let boot = self.nodes[arrival.to].boot;
        match (arrival.from, arrival.captured) {
            (Some(_), _) => Origin::World,
            (None, None) => Origin::Forged,
            (None, Some(captured)) if self.hostile.has_accepted(captured, arrival.to, boot) => {
                Origin::Replayed
            }
            (None, Some(_)) => Origin::Delayed,
        }
    }

    /// The adversary sends one datagram.
    pub(super) fn attack(&mut self) -> Check {
        let (Some(period), true) = (self.options.adversary, self.is_safety_phase) else {
            return Ok(());
        };
        let hostile = &mut self.hostile;
        let to = hostile.random.below(self.nodes.len());
        let captured = hostile.random.below(hostile.captured.len());
        let known = !hostile.captured.is_empty();
        let tag = self.group.as_ref().map(group_tag).unwrap_or_default();
        let (payload, replayed) = match hostile.random.below(4) {
            0 | 1 if known => {
                let whole = hostile.random.chance(0.5);
                if whole {
                    (hostile.captured[captured].payload.to_vec(), Some(captured))
                } else {
                    (hostile.damage(captured), None)
                }
            }
            2 => (hostile.unsealed(tag), None),
            _ => (hostile.garbage(), None),
        };
        let honest = hostile
            .captured
            .get(captured)
            .map(|captured| captured.sender);
        let source = match honest {
            Some(sender) if hostile.random.chance(0.5) => self.nodes[sender].address,
            _ => stranger(),
        };
        let via = if hostile.random.chance(0.5) {
            Via::Multicast
        } else {
            Via::Unicast
        };
        let delay = hostile.random.exponential(period);
        let arrival = Arrival {
            from: None,
            source,
            to,
            via,
            payload: Arc::from(payload),
            place: 0,
            captured: replayed,
        };
        self.after(delay, super::What::Hostile);
        self.arrive(arrival)
    }
}

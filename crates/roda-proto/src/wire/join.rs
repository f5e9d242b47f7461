//! The two datagrams that are not sealed: "who serves streams for this group?" and its answer.
//!
//! ```text
//! probe  0x1f · group tag 8 · nonce 8 · invite 32 (zero: asked by a member) · epoch tag u32 ·
//!        zeros up to 128 bytes
//! offer  0x1e · group tag 8 · nonce 8 · stream port u16
//! ```
//! An offer is far smaller than a probe, so nobody can use a member to flood another address. Nothing
//! is decided here: all that counts is proved on the stream.

use alloc::vec::Vec;

use crate::crypto;
use crate::group::InviteId;
use crate::id::{EpochTag, GroupId, NodeId};
use crate::wire::codec::{Reader, Writer};
use crate::wire::header::{OFFER, PROBE};

/// Length of a probe.
pub const PROBE_LEN: usize = 128;
/// Length of an offer.
pub const OFFER_LEN: usize = 19;

/// The name of a group in probes; it does not reveal the group's id.
#[must_use]
pub fn group_tag(group: &GroupId) -> [u8; 8] {
    let hash = crypto::sha256(&[b"roda group tag v1", &group.0]);
    let mut tag = [0; 8];
    tag.copy_from_slice(&hash.0[..8]);
    tag
}

/// "Who serves streams for this group?"
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// [`group_tag`] of the group.
    pub group_tag: [u8; 8],
    /// Comes back in the offer.
    pub nonce: [u8; 8],
    /// The joiner's invite; all zero when a member asks.
    pub invite: InviteId,
    /// The key that a member misses: only who has it answers. Zero when a joiner asks.
    pub epoch: EpochTag,
}

impl Probe {
    /// A probe by a member that lost touch.
    #[must_use]
    pub const fn by_member(group_tag: [u8; 8], nonce: [u8; 8], epoch: EpochTag) -> Self {
        Self {
            group_tag,
            nonce,
            invite: InviteId(NodeId([0; 32])),
            epoch,
        }
    }

    /// Whether a member asks, not a joiner.
    #[must_use]
    pub fn is_by_member(&self) -> bool {
        self.invite.0.0 == [0; 32]
    }

    /// The datagram.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(PROBE);
        writer.raw(&self.group_tag);
        writer.raw(&self.nonce);
        writer.raw(&self.invite.0.0);
        writer.u32(self.epoch.0);
        let mut datagram = writer.into_vec();
        datagram.resize(PROBE_LEN, 0);
        datagram
    }

    /// Parses a datagram; `None` if it is no probe.
    #[must_use]
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(datagram);
        if datagram.len() != PROBE_LEN || reader.u8().ok()? != PROBE {
            return None;
        }
        Some(Self {
            group_tag: reader.array().ok()?,
            nonce: reader.array().ok()?,
            invite: InviteId(NodeId(reader.array().ok()?)),
            epoch: EpochTag(reader.u32().ok()?),
        })
    }
}

/// "I do, on this port."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// [`group_tag`] of the group.
    pub group_tag: [u8; 8],
    /// From the probe.
    pub nonce: [u8; 8],
    /// TCP port at the address from which the offer comes.
    pub stream_port: u16,
}

impl Offer {
    /// The datagram.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(OFFER);
        writer.raw(&self.group_tag);
        writer.raw(&self.nonce);
        writer.u16(self.stream_port);
        writer.into_vec()
    }

    /// Parses a datagram; `None` if it is no offer.
    #[must_use]
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(datagram);
        if datagram.len() != OFFER_LEN || reader.u8().ok()? != OFFER {
            return None;
        }
        Some(Self {
            group_tag: reader.array().ok()?,
            nonce: reader.array().ok()?,
            stream_port: reader.u16().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probe_and_offer_survive_a_round_trip_and_an_offer_is_smaller() {
        let probe = Probe {
            group_tag: [1; 8],
            nonce: [2; 8],
            invite: InviteId(NodeId([3; 32])),
            epoch: EpochTag(4),
        };
        assert_eq!(Probe::parse(&probe.encode()), Some(probe));
        assert!(!probe.is_by_member());
        assert!(Probe::by_member([1; 8], [2; 8], EpochTag(5)).is_by_member());
        let offer = Offer {
            group_tag: [1; 8],
            nonce: [2; 8],
            stream_port: 7,
        };
        assert_eq!(Offer::parse(&offer.encode()), Some(offer));
        assert!(offer.encode().len() < probe.encode().len());
        assert_eq!(Probe::parse(&offer.encode()), None);
        assert_eq!(Offer::parse(&probe.encode()), None);
    }
}

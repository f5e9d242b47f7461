//! Opens what nodes send, with the group keys that the simulator saw on their disks, so that other
//! invariants can look at the frames.

use std::collections::{BTreeMap, HashMap};

use roda_proto::crypto::PacketKey;
use roda_proto::wire::frame::{Beacon, Frame};
use roda_proto::wire::header::{HEADER_LEN, Header, SEALED};
use roda_proto::{AuthorId, EpochRecord, EpochTag, Hlc, SenderTag, Seq};
use zeroize::Zeroizing;

use super::{Check, Violation};

/// The protocol takes a new key every so many datagrams.
const PHASE_BITS: u32 = 20;

/// What a datagram reveals.
#[derive(Debug, Default)]
pub struct Inspected {
    /// Under which group key.
    pub epoch: EpochTag,
    /// By which run.
    pub sender: SenderTag,
    /// Pieces of these batches: author, first and last entry.
    pub batches: Vec<(AuthorId, Seq, Seq)>,
    /// Heads it claims to have.
    pub heads: Vec<(AuthorId, Seq)>,
    /// Requests it makes.
    pub nacks: usize,
    /// Promise and frontier of its beacon.
    pub claims: Option<(Hlc, Hlc)>,
}

/// Knows all group keys.
#[derive(Default)]
pub struct Inspector {
    secrets: BTreeMap<EpochTag, Zeroizing<[u8; 32]>>,
    // Looked up only.
    keys: HashMap<(EpochTag, SenderTag, u64), PacketKey>,
}

impl Inspector {
    /// A node has this key on its disk.
    pub fn learn(&mut self, epoch: &EpochRecord) {
        self.secrets.insert(epoch.tag, epoch.secret.clone());
    }

    /// Opens a datagram that `node` sends; `None` if it is none of the sealed kind.
    ///
    /// # Errors
    /// It is sealed under a key that is on no disk, or does not open, or does not parse.
    pub fn open(&mut self, node: usize, payload: &[u8]) -> Result<Option<Inspected>, Violation> {
        if payload.first() != Some(&SEALED) {
            return Ok(None);
        }
        let broken = |what: &str| Violation::at("sealed datagram", node, what);
        let header = Header::parse(payload).map_err(|_error| broken("header does not parse"))?;
        let secret = self
            .secrets
            .get(&header.epoch)
            .ok_or_else(|| broken("sealed under a group key that is on no disk"))?;
        let phase = header.number >> PHASE_BITS;
        let key = self
            .keys
            .entry((header.epoch, header.sender, phase))
            .or_insert_with(|| PacketKey::new(secret, header.sender, phase));
        let (head, body) = payload.split_at(HEADER_LEN);
        let mut body = body.to_vec();
        let body = key
            .open(header.number, head, &mut body)
            .ok_or_else(|| broken("seal does not open"))?;
        let frames = Frame::parse_all(body).map_err(|_error| broken("frames do not parse"))?;
        let mut inspected = Inspected {
            epoch: header.epoch,
            sender: header.sender,
            ..Inspected::default()
        };
        frames.iter().for_each(|frame| inspected.add(frame));
        Ok(Some(inspected))
    }
}

impl Inspected {
    fn add(&mut self, frame: &Frame<'_>) {
        match frame {
            Frame::Fragment(fragment) => {
                let last = Seq(fragment.first.0 + u64::from(fragment.count) - 1);
                self.batches.push((fragment.author, fragment.first, last));
            }
            Frame::Beacon(beacon) => self.add_beacon(beacon),
            Frame::Nack(_) => self.nacks += 1,
            _ => {}
        }
    }

    fn add_beacon(&mut self, beacon: &Beacon) {
        self.heads
            .extend(beacon.author.map(|author| (author, beacon.head)));
        self.claims = Some((beacon.promise, beacon.frontier));
        self.heads.extend(&beacon.heads);
    }

    /// Checks that nothing is revealed that is not durable at the sender: persist before send.
    ///
    /// # Errors
    /// A fragment or a head above what `durable` says.
    pub fn check_durable(&self, node: usize, durable: impl Fn(&AuthorId) -> Seq) -> Check {
        let sent = self.batches.iter().map(|(author, _, last)| (author, last));
        let claimed = self.heads.iter().map(|(author, seq)| (author, seq));
        for (author, seq) in sent.chain(claimed) {
            let durable = durable(author);
            if *seq > durable {
                return Err(Violation::at(
                    "persist before send",
                    node,
                    format!("reveals entry {seq} of {author:?}, durable up to {durable}"),
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_above_the_durable_one_is_a_violation() {
        let author = AuthorId([1; 16]);
        let inspected = Inspected {
            heads: vec![(author, Seq(3))],
            ..Inspected::default()
        };
        assert_eq!(inspected.check_durable(0, |_| Seq(3)), Ok(()));
        assert!(inspected.check_durable(0, |_| Seq(2)).is_err());
    }
}

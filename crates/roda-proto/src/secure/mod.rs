//! Seals and opens datagrams: per-sender keys, datagram numbers, replay windows.
//!
//! Key = HKDF(epoch secret, sender tag, number >> 20); nonce = number. The sender tag is the hash of
//! the author and 16 random bytes drawn at every start, so no (key, nonce) pair seals twice, over
//! crashes and copies of the disk. Being sealed proves "some member"; who wrote an entry is proved by
//! the signature of its batch.

mod window;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

pub use window::{ReplayWindow, WINDOW};

use crate::crypto::{self, PacketKey, SEAL_LEN};
use crate::error::Rejected;
use crate::id::{EpochTag, Hash, SenderTag};
use crate::record::EpochRecord;
use crate::time::Timestamp;
use crate::wire::codec::Writer;
use crate::wire::header::{HEADER_LEN, Header};

/// Senders whose windows are kept; beyond it the one silent for longest is forgotten.
pub const SENDERS_MAX: usize = 8192;
/// Epochs kept at once.
pub const EPOCHS_MAX: usize = 16;
/// How long entries under a replaced key are still taken.
pub const SUPERSEDED_FOR: Duration = Duration::from_secs(60);
/// A sender takes a new key every so many datagrams, far below AES-GCM's limits (RFC 9147, §4.5.3).
const PHASE_BITS: u32 = 20;

struct Epoch {
    record: EpochRecord,
    rank: (crate::time::Hlc, Hash),
    superseded_at: Option<Timestamp>,
    is_leaked: bool,
}

struct Sender {
    window: ReplayWindow,
    phase: u64,
    key: PacketKey,
    heard: Timestamp,
}

/// What an opened datagram is.
pub struct Opened<'a> {
    /// Who sealed it.
    pub sender: SenderTag,
    /// Whether it is sealed under the key now used for sending; otherwise only entries count.
    pub current: bool,
    /// The frames.
    pub body: &'a [u8],
}

/// The sealing part.
pub struct Secure {
    tag: SenderTag,
    next_number: u64,
    epochs: Vec<Epoch>,
    sending: Option<(EpochTag, u64, PacketKey)>,
    senders: BTreeMap<(EpochTag, SenderTag), Sender>,
}

impl Secure {
    /// Starts with the keys at hand; `tag` was never used before.
    #[must_use]
    pub fn new(tag: SenderTag, epochs: Vec<EpochRecord>, now: Timestamp) -> Self {
        let mut secure = Self {
            tag,
            next_number: 0,
            epochs: Vec::new(),
            sending: None,
            senders: BTreeMap::new(),
        };
        for record in epochs {
            secure.add_epoch(record, now);
        }
        secure
    }

    /// This run's tag.
    #[must_use]
    pub const fn tag(&self) -> SenderTag {
        self.tag
    }

    /// Adds a key; returns whether it is new.
    pub fn add_epoch(&mut self, record: EpochRecord, now: Timestamp) -> bool {
        if self
            .epochs
            .iter()
            .any(|epoch| epoch.record.tag == record.tag)
        {
            return false;
        }
        let rank = (record.created, crypto::sha256(&[&*record.secret]));
        self.epochs.push(Epoch {
            record,
            rank,
            superseded_at: None,
            is_leaked: false,
        });
        self.sort(now);
        self.epochs.truncate(EPOCHS_MAX);
        true
    }

    /// Ranks keys that someone has who does not belong below all others.
    pub fn rank(&mut self, is_leaked: impl Fn(&EpochRecord) -> bool, now: Timestamp) {
        for epoch in &mut self.epochs {
            epoch.is_leaked = is_leaked(&epoch.record);
        }
        self.sort(now);
    }

    fn sort(&mut self, now: Timestamp) {
        self.epochs
            .sort_by_key(|epoch| core::cmp::Reverse((!epoch.is_leaked, epoch.rank)));
        for (position, epoch) in self.epochs.iter_mut().enumerate() {
            if position == 0 {
                epoch.superseded_at = None;
            } else {
                epoch.superseded_at.get_or_insert(now);
            }
        }
    }

    /// Forgets keys that were replaced long enough ago; returns their tags.
    pub fn forget_superseded(&mut self, now: Timestamp) -> Vec<EpochTag> {
        let is_over = |epoch: &Epoch| {
            epoch
                .superseded_at
                .is_some_and(|at| now.since(at) >= SUPERSEDED_FOR)
        };
        let over: Vec<EpochTag> = self
            .epochs
            .iter()
            .filter(|e| is_over(e))
            .map(|e| e.record.tag)
            .collect();
        if !over.is_empty() {
            self.epochs.retain(|epoch| !is_over(epoch));
            self.senders.retain(|(tag, _), _| !over.contains(tag));
        }
        over
    }

    /// When [`Self::forget_superseded`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.epochs
            .iter()
            .filter_map(|epoch| epoch.superseded_at)
            .min()
            .map(|at| at + SUPERSEDED_FOR)
    }

    /// Known keys, the one used for sending first.
    pub fn epochs(&self) -> impl Iterator<Item = &EpochRecord> {
        self.epochs.iter().map(|epoch| &epoch.record)
    }

    /// Whether the last [`Self::rank`] found that someone has the sending key who does not belong.
    #[must_use]
    pub fn is_current_leaked(&self) -> bool {
        self.epochs.first().is_some_and(|epoch| epoch.is_leaked)
    }

    /// Seals frames into a datagram; `None` before any key is known.
    pub fn seal(&mut self, frames: &[u8]) -> Option<Vec<u8>> {
        let record = &self.epochs.first()?.record;
        let number = self.next_number;
        self.next_number += 1;
        let phase = number >> PHASE_BITS;
        if self
            .sending
            .as_ref()
            .is_none_or(|(tag, old, _)| (*tag, *old) != (record.tag, phase))
        {
            self.sending = Some((
                record.tag,
                phase,
                PacketKey::new(&record.secret, self.tag, phase),
            ));
        }
        let (epoch, _, key) = self.sending.as_ref()?;
        let mut writer = Writer::with_capacity(HEADER_LEN + frames.len() + SEAL_LEN);
        Header {
            epoch: *epoch,
            sender: self.tag,
            number,
        }
        .write(&mut writer);
        writer.raw(frames);
        let mut datagram = writer.into_vec();
        key.seal(number, HEADER_LEN, &mut datagram);
        Some(datagram)
    }

    /// Opens a datagram in place. Nothing is remembered of one that does not prove authentic.
    ///
    /// # Errors
    /// Why it was refused. A datagram of this very run (multicast loops back) opens to `Ok(None)`.
    pub fn open<'a>(
        &mut self,
        now: Timestamp,
        datagram: &'a mut [u8],
    ) -> Result<Option<Opened<'a>>, Rejected> {
        let header = Header::parse(datagram)?;
        if header.sender == self.tag {
            return Ok(None);
        }
        let position = self
            .epochs
            .iter()
            .position(|epoch| epoch.record.tag == header.epoch);
        let position = position.ok_or(Rejected::UnknownEpoch)?;
        let secret = &self.epochs[position].record.secret;
        let id = (header.epoch, header.sender);
        let phase = header.number >> PHASE_BITS;
        let known = self.senders.get_mut(&id);
        if known
            .as_ref()
            .is_some_and(|sender| !sender.window.is_new(header.number))
        {
            return Err(Rejected::Replay);
        }
        let (head, body) = datagram.split_at_mut(HEADER_LEN);
        match known {
            Some(sender) => {
                let fresh =
                    (sender.phase != phase).then(|| PacketKey::new(secret, header.sender, phase));
                let key = fresh.as_ref().unwrap_or(&sender.key);
                let body = key
                    .open(header.number, head, body)
                    .ok_or(Rejected::BadSeal)?;
                sender.window.mark(header.number);
                sender.heard = now;
                if let Some(key) = fresh.filter(|_| phase > sender.phase) {
                    (sender.phase, sender.key) = (phase, key);
                }
                Ok(Some(Opened {
                    sender: header.sender,
                    current: position == 0,
                    body,
                }))
            }
            None => {
                let key = PacketKey::new(secret, header.sender, phase);
                let body = key
                    .open(header.number, head, body)
                    .ok_or(Rejected::BadSeal)?;
                let mut window = ReplayWindow::default();
                window.mark(header.number);
                self.make_room();
                self.senders.insert(
                    id,
                    Sender {
                        window,
                        phase,
                        key,
                        heard: now,
                    },
                );
                Ok(Some(Opened {
                    sender: header.sender,
                    current: position == 0,
                    body,
                }))
            }
        }
    }

    fn make_room(&mut self) {
        if self.senders.len() >= SENDERS_MAX {
            let oldest = self
                .senders
                .iter()
                .min_by_key(|(_, sender)| sender.heard)
                .map(|(id, _)| *id);
            if let Some(oldest) = oldest {
                self.senders.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::time::Hlc;

    fn epoch(byte: u8, created: u64) -> EpochRecord {
        let secret = Zeroizing::new([byte; 32]);
        EpochRecord {
            tag: crypto::epoch_tag(&secret),
            secret,
            created: Hlc(created),
        }
    }

    fn pair() -> (Secure, Secure) {
        let make = |tag| Secure::new(SenderTag(tag), [epoch(1, 1)].into(), Timestamp::default());
        (make(1), make(2))
    }

    fn outcome(secure: &mut Secure, datagram: &[u8]) -> Result<bool, Rejected> {
        secure
            .open(Timestamp::default(), &mut datagram.to_vec())
            .map(|opened| opened.is_some())
    }

    #[test]
    fn a_datagram_opens_once() {
        let (mut a, mut b) = pair();
        let datagram = a.seal(b"frames").unwrap();
        assert_eq!(outcome(&mut a, &datagram), Ok(false));
        assert_eq!(outcome(&mut b, &datagram), Ok(true));
        assert_eq!(outcome(&mut b, &datagram), Err(Rejected::Replay));
    }

    #[test]
    fn no_single_changed_bit_opens_or_is_remembered() {
        let (mut a, mut b) = pair();
        let datagram = a.seal(b"frames").unwrap();
        for bit in 0..datagram.len() * 8 {
            let mut changed = datagram.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(outcome(&mut b, &changed), Ok(true), "bit {bit}");
        }
        assert_eq!(outcome(&mut b, &datagram), Ok(true));
    }

    #[test]
    fn the_newest_key_sends_and_old_ones_are_forgotten_in_time() {
        let (mut a, mut b) = pair();
        let old = a.seal(b"old").unwrap();
        assert!(b.add_epoch(epoch(2, 2), Timestamp::default()));
        assert!(!b.add_epoch(epoch(2, 2), Timestamp::default()));
        let opened = b
            .open(Timestamp::default(), &mut old.clone())
            .unwrap()
            .map(|opened| opened.current);
        assert_eq!(opened, Some(false));
        let new = b.seal(b"new").unwrap();
        assert_eq!(outcome(&mut a, &new), Err(Rejected::UnknownEpoch));
        assert_eq!(
            b.next_deadline(),
            Some(Timestamp::default() + SUPERSEDED_FOR)
        );
        assert_eq!(
            b.forget_superseded(Timestamp::default() + SUPERSEDED_FOR),
            [epoch(1, 1).tag]
        );
        assert_eq!(
            outcome(&mut b, &a.seal(b"late").unwrap()),
            Err(Rejected::UnknownEpoch)
        );
    }
}

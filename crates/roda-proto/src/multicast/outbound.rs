//! What leaves: fresh batches in order, repairs before them, all from a bounded cache.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::id::{AuthorId, EpochTag, Seq};
use crate::log::Batch;
use crate::multicast::inbound::full_mask;
use crate::time::{Hlc, Timestamp};
use crate::wire::frame::{FRAGMENT_DATA_LEN, Fragment, Frame};
use crate::wire::{Gap, Nack};

/// Bytes of recent batches kept for repairs; older ones are fetched over a stream.
pub const CACHE_BYTES_MAX: usize = 16 << 20;
/// Bytes of fresh batches that may wait to be sent; own writing pauses beyond it.
pub const FRESH_BYTES_MAX: usize = 4 << 20;
/// Fragments that one NACK can ask for.
pub const REPAIRS_PER_NACK: u32 = 256;
/// Fragments that may wait to be repaired.
pub const REPAIRS_MAX: usize = 16 * 1024;

type Key = (AuthorId, Seq);

/// What may leave under the group key of now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gate {
    /// Everything.
    #[default]
    Open,
    /// Someone who does not belong has this key: what changes the group, and what this node wrote while
    /// it was the right key. The rest waits for a better one, or to be asked for again.
    Leaked(EpochTag),
}

struct Cached {
    batch: Arc<Batch>,
    /// The group key of when this node wrote it.
    key: Option<EpochTag>,
    /// When each fragment was last sent or heard as a repair.
    touched: Touched,
}

/// When fragments of a batch were on the network last. Most batches have one, and there are many batches.
#[derive(Default)]
struct Touched(Vec<(u16, Timestamp)>);

impl Touched {
    fn at(&self, index: u16) -> Option<Timestamp> {
        let found = self.0.iter().find(|(touched, _)| *touched == index);
        found.map(|(_, at)| *at)
    }

    fn set(&mut self, index: u16, now: Timestamp) {
        match self.0.iter_mut().find(|(touched, _)| *touched == index) {
            Some((_, at)) => *at = now,
            None => self.0.push((index, now)),
        }
    }
}

struct Fresh {
    batch: Arc<Batch>,
    key: Option<EpochTag>,
    /// Next fragment.
    index: u16,
}

struct Delayed {
    at: Timestamp,
    fragments: u64,
}

/// The sending side.
#[derive(Default)]
pub struct Outbound {
    cache: BTreeMap<Key, Cached>,
    order: VecDeque<Key>,
    cached_bytes: usize,
    fresh: VecDeque<Fresh>,
    gate: Gate,
    fresh_bytes: usize,
    repairs: VecDeque<(Key, u16)>,
    delayed: BTreeMap<Key, Delayed>,
}

impl Outbound {
    /// What may leave from now on.
    pub fn set_gate(&mut self, gate: Gate) {
        self.gate = gate;
        let (cache, gate) = (&self.cache, self.gate);
        self.repairs.retain(|(key, _)| {
            cache
                .get(key)
                .is_some_and(|cached| gate.lets_pass(&cached.batch, cached.key))
        });
    }

    /// Keeps a batch for repairs.
    pub fn keep(&mut self, batch: &Arc<Batch>, written_under: Option<EpochTag>) {
        let key = (batch.author, batch.first);
        let cached = Cached {
            batch: Arc::clone(batch),
            key: written_under,
            touched: Touched::default(),
        };
        if self.cache.insert(key, cached).is_none() {
            self.order.push_back(key);
            self.cached_bytes += batch.bytes().len();
        }
        while self.cached_bytes > CACHE_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            if let Some(cached) = self.cache.remove(&oldest) {
                self.cached_bytes -= cached.batch.bytes().len();
            }
        }
    }

    /// Queues a batch of this node.
    pub fn publish(&mut self, batch: &Arc<Batch>, written_under: Option<EpochTag>) {
        self.keep(batch, written_under);
        self.fresh_bytes += batch.bytes().len();
        self.fresh.push_back(Fresh {
            batch: Arc::clone(batch),
            key: written_under,
            index: 0,
        });
    }

    /// Whether own writing should pause.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.fresh_bytes >= FRESH_BYTES_MAX
    }

    /// Whether nothing waits that may be sent.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.repairs.is_empty() && self.next_fresh().is_none()
    }

    /// The first fresh batch that may leave.
    fn next_fresh(&self) -> Option<usize> {
        self.fresh
            .iter()
            .position(|fresh| self.gate.lets_pass(&fresh.batch, fresh.key))
    }

    /// The first entry that was not sent completely yet, and its clock.
    #[must_use]
    pub fn first_unsent(&self) -> Option<(Seq, Hlc)> {
        self.fresh
            .front()
            .map(|fresh| (fresh.batch.first, fresh.batch.hlc_first))
    }

    /// When a delayed repair is due.
    #[must_use]
    pub fn next_delayed(&self) -> Option<Timestamp> {
        self.delayed.values().map(|delayed| delayed.at).min()
    }

    /// Drops what was cut off.
    pub fn cut(&mut self, author: &AuthorId, seq: Seq) {
        let keys: Vec<Key> = self
            .cache
            .range((*author, seq.next())..=(*author, Seq(u64::MAX)))
            .map(|(key, _)| *key)
            .collect();
        for key in keys {
            if let Some(cached) = self.cache.remove(&key) {
                self.cached_bytes -= cached.batch.bytes().len();
            }
        }
        self.order.retain(|key| self.cache.contains_key(key));
    }

    /// Another node repaired this fragment: no need to do it as well.
    pub fn on_repair_heard(&mut self, now: Timestamp, author: AuthorId, first: Seq, index: u16) {
        let key = (author, first);
        if let Some(delayed) = self.delayed.get_mut(&key) {
            delayed.fragments &= !(1 << index);
            if delayed.fragments == 0 {
                self.delayed.remove(&key);
            }
            if let Some(cached) = self.cache.get_mut(&key) {
                cached.touched.set(index, now);
            }
        }
    }

    /// Schedules what a NACK asks for, at once or after `delay`; what went out within `holdoff` is skipped.
    pub fn on_nack(
        &mut self,
        now: Timestamp,
        nack: &Nack,
        delay: Option<Duration>,
        holdoff: Duration,
    ) {
        let mut room = REPAIRS_PER_NACK;
        let parts = nack
            .parts
            .iter()
            .map(|part| ((nack.author, part.first), part.missing));
        let gaps = nack
            .gaps
            .iter()
            .flat_map(|gap| self.keys_within(nack.author, *gap))
            .map(|key| (key, u64::MAX));
        let wanted: Vec<(Key, u64)> = parts.chain(gaps).take(REPAIRS_PER_NACK as usize).collect();
        for (key, mask) in wanted {
            let Some(cached) = self.cache.get_mut(&key) else {
                continue;
            };
            let mask = mask & full_mask(cached.batch.bytes().len());
            if room == 0 {
                break;
            }
            room = room.saturating_sub(mask.count_ones());
            if let Some(delay) = delay {
                let delayed = self.delayed.entry(key).or_insert(Delayed {
                    at: now + delay,
                    fragments: 0,
                });
                delayed.fragments |= mask;
            } else {
                self.repair(now, key, mask, holdoff);
            }
        }
    }

    fn repair(&mut self, now: Timestamp, key: Key, mask: u64, holdoff: Duration) {
        let Some(cached) = self.cache.get_mut(&key) else {
            return;
        };
        if !self.gate.lets_pass(&cached.batch, cached.key) {
            return;
        }
        for index in bits(mask) {
            let touched = cached.touched.at(index);
            let recent = touched.is_some_and(|at| now.since(at) < holdoff);
            if !recent && self.repairs.len() < REPAIRS_MAX {
                cached.touched.set(index, now);
                self.repairs.push_back((key, index));
            }
        }
    }

    fn keys_within(&self, author: AuthorId, gap: Gap) -> Vec<Key> {
        let overlaps = |(_, cached): &(&Key, &Cached)| cached.batch.last >= gap.from;
        // A batch that begins before the gap may reach into it.
        let before = self
            .cache
            .range((author, Seq(0))..(author, gap.from))
            .next_back()
            .filter(overlaps);
        let end = gap.to.max(gap.from);
        let within = self.cache.range((author, gap.from)..=(author, end));
        before
            .into_iter()
            .chain(within)
            .map(|(key, _)| *key)
            .take(REPAIRS_PER_NACK as usize)
            .collect()
    }

    /// Moves delayed repairs that are due into the queue.
    pub fn release_delayed(&mut self, now: Timestamp, holdoff: Duration) {
        let due: Vec<Key> = self
            .delayed
            .iter()
            .filter(|(_, delayed)| delayed.at <= now)
            .map(|(key, _)| *key)
            .collect();
        for key in due {
            if let Some(delayed) = self.delayed.remove(&key) {
                self.repair(now, key, delayed.fragments, holdoff);
            }
        }
    }

    /// The next fragment to send, as a frame, and whether it is a repair. Repairs go first.
    pub fn peek(&mut self) -> Option<(Vec<u8>, bool)> {
        while let Some((key, index)) = self.repairs.front() {
            if let Some(cached) = self.cache.get(key) {
                return Some((fragment_frame(&cached.batch, *index), true));
            }
            self.repairs.pop_front();
        }
        let fresh = &self.fresh[self.next_fresh()?];
        Some((fragment_frame(&fresh.batch, fresh.index), false))
    }

    /// What [`Self::peek`] showed was sent.
    pub fn advance(&mut self, now: Timestamp) {
        if self.repairs.pop_front().is_some() {
            return;
        }
        let Some(position) = self.next_fresh() else {
            return;
        };
        let Fresh { batch, index, .. } = &mut self.fresh[position];
        if let Some(cached) = self.cache.get_mut(&(batch.author, batch.first)) {
            cached.touched.set(*index, now);
        }
        *index += 1;
        if usize::from(*index) * FRAGMENT_DATA_LEN >= batch.bytes().len() {
            self.fresh_bytes -= batch.bytes().len();
            self.fresh.remove(position);
        }
    }
}

impl Gate {
    fn lets_pass(self, batch: &Batch, written_under: Option<EpochTag>) -> bool {
        match self {
            Self::Open => true,
            Self::Leaked(current) => written_under == Some(current) || batch.is_control_only(),
        }
    }
}

fn fragment_frame(batch: &Batch, index: u16) -> Vec<u8> {
    let bytes = batch.bytes();
    let at = usize::from(index) * FRAGMENT_DATA_LEN;
    let fragment = Fragment {
        author: batch.author,
        first: batch.first,
        count: u16::try_from(batch.count()).expect("a batch counts its entries in 16 bits"),
        len: u32::try_from(bytes.len()).expect("a batch has at most 64 KiB"),
        index,
        data: &bytes[at..bytes.len().min(at + FRAGMENT_DATA_LEN)],
    };
    Frame::Fragment(fragment).to_vec()
}

fn bits(mask: u64) -> impl Iterator<Item = u16> {
    (0..64).filter(move |index| mask & (1 << index) != 0)
}

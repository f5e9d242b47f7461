//! What arrives of one author: fragments become batches, holes become NACKs.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use crate::error::Rejected;
use crate::id::Seq;
use crate::time::Timestamp;
use crate::wire::frame::{FRAGMENT_DATA_LEN, Fragment};
use crate::wire::{Gap, Part};

/// Items of one NACK, so that it fits a datagram.
pub const NACK_ITEMS_MAX: usize = 24;

struct Assembly {
    count: u16,
    data: Vec<u8>,
    have: u64,
}

impl Assembly {
    fn missing(&self) -> u64 {
        full_mask(self.data.len()) & !self.have
    }

    /// Missing fragments before one that is here.
    fn holes(&self) -> u64 {
        let below_highest = (1_u64 << (63 - self.have.leading_zeros())) - 1;
        self.missing() & below_highest
    }
}

/// One bit for each fragment of a batch of `len` bytes.
#[must_use]
pub fn full_mask(len: usize) -> u64 {
    u64::MAX >> (64 - len.div_ceil(FRAGMENT_DATA_LEN).clamp(1, 64))
}

/// Why the NACK timer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Armed {
    /// Something is missing between what is here.
    Hole(Timestamp),
    /// The last batch is not complete; its rest may still be on the way.
    Tail(Timestamp),
}

impl Armed {
    /// When it fires.
    #[must_use]
    pub const fn at(self) -> Timestamp {
        match self {
            Self::Hole(at) | Self::Tail(at) => at,
        }
    }
}

/// What a fragment did.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// It was here already.
    Duplicate,
    /// The batch is not complete yet.
    Partial,
    /// The batch is complete.
    Complete(Vec<u8>),
}

/// One author's stream.
#[derive(Default)]
pub struct Inbound {
    /// Everything up to here is accepted.
    pub contiguous: Seq,
    /// The author is known to have written this far.
    pub announced: Seq,
    assemblies: BTreeMap<Seq, Assembly>,
    /// Batches handed on, not accepted yet: first and last entry.
    complete: BTreeMap<Seq, Seq>,
    /// The NACK timer.
    pub armed: Option<Armed>,
    /// NACKs sent in a row without progress.
    pub round: u8,
    /// When the last NACK went out, until something it asked for comes.
    pub asked_at: Option<Timestamp>,
    /// When the last new fragment came.
    pub arrived: Timestamp,
}

impl Inbound {
    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.assemblies
            .values()
            .map(|assembly| assembly.data.len())
            .sum()
    }

    /// Takes a fragment in; `room` is how many more bytes may be held.
    ///
    /// # Errors
    /// [`Rejected::Full`] without room, [`Rejected::Forged`] if it contradicts what is here.
    pub fn on_fragment(
        &mut self,
        now: Timestamp,
        fragment: &Fragment<'_>,
        room: usize,
    ) -> Result<Progress, Rejected> {
        let last = Seq(fragment.first.0 + u64::from(fragment.count) - 1);
        if fragment.first <= self.contiguous || self.complete.contains_key(&fragment.first) {
            return Ok(Progress::Duplicate);
        }
        self.announced = self.announced.max(last);
        let len = fragment.len as usize;
        let assembly = match self.assemblies.entry(fragment.first) {
            Entry::Occupied(here) => here.into_mut(),
            Entry::Vacant(_) if len > room => return Err(Rejected::Full),
            Entry::Vacant(free) => free.insert(Assembly {
                count: fragment.count,
                data: vec![0; len],
                have: 0,
            }),
        };
        if (assembly.count, assembly.data.len()) != (fragment.count, len) {
            return Err(Rejected::Forged);
        }
        let bit = 1_u64 << fragment.index;
        if assembly.have & bit != 0 {
            return Ok(Progress::Duplicate);
        }
        assembly.have |= bit;
        let at = usize::from(fragment.index) * FRAGMENT_DATA_LEN;
        assembly.data[at..at + fragment.data.len()].copy_from_slice(fragment.data);
        self.arrived = now;
        if assembly.missing() != 0 {
            return Ok(Progress::Partial);
        }
        let assembly = self
            .assemblies
            .remove(&fragment.first)
            .expect("present above");
        self.complete.insert(fragment.first, last);
        Ok(Progress::Complete(assembly.data))
    }

    /// Everything up to `seq` is accepted.
    pub fn on_accepted(&mut self, seq: Seq) {
        if seq <= self.contiguous {
            return;
        }
        self.contiguous = seq;
        self.announced = self.announced.max(seq);
        self.round = 0;
        self.assemblies = self.assemblies.split_off(&seq.next());
        self.complete = self.complete.split_off(&seq.next());
    }

    /// A complete batch turned out to be no good: it has to come again.
    pub fn on_refused(&mut self, first: Seq) {
        self.complete.remove(&first);
    }

    /// Forgets what was heard beyond `seq`: it never counted.
    pub fn cut(&mut self, seq: Seq) {
        *self = Self {
            contiguous: seq,
            announced: seq,
            ..Self::default()
        };
    }

    /// Whether anything is missing or incomplete.
    #[must_use]
    pub fn is_level(&self) -> bool {
        self.assemblies.is_empty() && self.announced <= self.contiguous
    }

    /// Number of entries of which nothing is here yet or not all.
    #[must_use]
    pub const fn lag(&self) -> u64 {
        self.announced.0.saturating_sub(self.contiguous.0)
    }

    /// Whether something is missing for sure, not just late.
    #[must_use]
    pub fn has_hole(&self) -> bool {
        self.visit(false, |_, _| true, |_, _| true)
    }

    /// What is missing; with `tail`, also the rest of the last batch. At most [`NACK_ITEMS_MAX`] items.
    #[must_use]
    pub fn missing(&self, tail: bool) -> (Vec<Gap>, Vec<Part>) {
        let (mut gaps, mut parts) = (Vec::new(), Vec::new());
        // Both callbacks count towards one limit.
        let count = core::cell::Cell::new(0);
        let is_full = || {
            count.set(count.get() + 1);
            count.get() >= NACK_ITEMS_MAX
        };
        self.visit(
            tail,
            |from, to| {
                gaps.push(Gap { from, to });
                is_full()
            },
            |first, missing| {
                parts.push(Part { first, missing });
                is_full()
            },
        );
        (gaps, parts)
    }

    /// Calls back for every missing item until a callback returns true; returns whether one did.
    fn visit(
        &self,
        tail: bool,
        mut on_gap: impl FnMut(Seq, Seq) -> bool,
        mut on_part: impl FnMut(Seq, u64) -> bool,
    ) -> bool {
        let mut cursor = self.contiguous.next();
        let mut assemblies = self.assemblies.iter().peekable();
        let mut complete = self.complete.iter().peekable();
        loop {
            let next_assembly = assemblies.peek().map(|(first, _)| **first);
            let next_complete = complete.peek().map(|(first, _)| **first);
            let first = match (next_assembly, next_complete) {
                (None, None) => break,
                (Some(first), None) | (None, Some(first)) => first,
                (Some(a), Some(b)) => a.min(b),
            };
            if first > cursor && on_gap(cursor, Seq(first.0 - 1)) {
                return true;
            }
            if next_complete == Some(first) {
                cursor = cursor.max(complete.next().map_or(cursor, |(_, last)| last.next()));
                continue;
            }
            let Some((_, assembly)) = assemblies.next() else {
                break;
            };
            let end = Seq(first.0 + u64::from(assembly.count));
            let is_last =
                assemblies.peek().is_none() && complete.peek().is_none() && self.announced < end;
            let missing = if tail || !is_last {
                assembly.missing()
            } else {
                assembly.holes()
            };
            if missing != 0 && on_part(first, missing) {
                return true;
            }
            cursor = cursor.max(end);
        }
        self.announced >= cursor && on_gap(cursor, self.announced)
    }

    /// Sets the NACK timer as the state demands; `reorder` and `tail` are the patience for each case.
    pub fn arm(&mut self, now: Timestamp, reorder: Duration, tail: Duration) {
        let wanted = if self.has_hole() {
            Some(Armed::Hole(now + reorder))
        } else if self.is_level() {
            None
        } else {
            Some(Armed::Tail(now + tail))
        };
        self.armed = match (self.armed, wanted) {
            (_, None) => None,
            (Some(Armed::Hole(at)), Some(_)) => Some(Armed::Hole(at)),
            (Some(Armed::Tail(at)), Some(Armed::Hole(sooner))) => Some(Armed::Hole(at.min(sooner))),
            (Some(Armed::Tail(_)) | None, Some(wanted)) => Some(wanted),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::AuthorId;

    fn fragment(first: u64, len: u32, index: u16, data: &[u8]) -> Fragment<'_> {
        Fragment {
            author: AuthorId([1; 16]),
            first: Seq(first),
            count: 2,
            len,
            index,
            data,
        }
    }

    fn feed(inbound: &mut Inbound, first: u64, indices: &[u16]) -> bool {
        let data = [7; FRAGMENT_DATA_LEN];
        let len = u32::try_from(3 * FRAGMENT_DATA_LEN).unwrap();
        indices.iter().any(|index| {
            let fragment = fragment(first, len, *index, &data);
            matches!(
                inbound.on_fragment(Timestamp::default(), &fragment, 1 << 20),
                Ok(Progress::Complete(_))
            )
        })
    }

    #[test]
    fn fragments_in_any_order_make_a_batch_once() {
        let mut inbound = Inbound::default();
        assert!(feed(&mut inbound, 1, &[2, 0, 1]));
        assert!(!feed(&mut inbound, 1, &[2, 0, 1]));
        inbound.on_accepted(Seq(2));
        assert!(inbound.is_level());
    }

    #[test]
    fn only_what_was_overtaken_is_a_hole() {
        let mut inbound = Inbound::default();
        feed(&mut inbound, 1, &[0]);
        assert!(!inbound.has_hole());
        assert_eq!(
            inbound.missing(true),
            (
                vec![],
                vec![Part {
                    first: Seq(1),
                    missing: 0b110
                }]
            )
        );
        feed(&mut inbound, 1, &[2]);
        assert_eq!(
            inbound.missing(false),
            (
                vec![],
                vec![Part {
                    first: Seq(1),
                    missing: 0b010
                }]
            )
        );
        feed(&mut inbound, 7, &[0]);
        let gaps = vec![Gap {
            from: Seq(3),
            to: Seq(6),
        }];
        assert_eq!(
            inbound.missing(false),
            (
                gaps,
                vec![Part {
                    first: Seq(1),
                    missing: 0b010
                }]
            )
        );
    }

    #[test]
    fn an_announced_head_is_a_gap() {
        let mut inbound = Inbound {
            announced: Seq(5),
            ..Inbound::default()
        };
        assert_eq!(
            inbound.missing(false).0,
            [Gap {
                from: Seq(1),
                to: Seq(5)
            }]
        );
        inbound.on_accepted(Seq(5));
        assert!(!inbound.has_hole());
    }

    #[test]
    fn the_mask_of_a_batch_has_a_bit_per_fragment() {
        assert_eq!(full_mask(1), 1);
        assert_eq!(full_mask(FRAGMENT_DATA_LEN), 1);
        assert_eq!(full_mask(FRAGMENT_DATA_LEN + 1), 0b11);
        assert_eq!(full_mask(crate::log::BATCH_LEN_MAX).count_ones(), 59);
    }
}

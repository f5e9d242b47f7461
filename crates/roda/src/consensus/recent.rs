//! The newest entries of the log, in memory: what is replicated and applied is hardly ever older.

use std::collections::VecDeque;
use std::ops::Range;

use super::types::{Ballot, Entry, Place, body_len};

/// Entries that are kept although they are on disk.
const ENTRIES_MAX: usize = 4096;
/// Bytes of entries that are kept although they are on disk.
const LEN_MAX: usize = 8 << 20;

/// The log as the library last left it; the disk is behind by what is under way.
#[derive(Debug)]
pub(super) struct Recent {
    // Invariant: consecutive, up to `last`.
    entries: VecDeque<Entry>,
    len: usize,
    pub(super) last: Option<Place>,
    pub(super) purged: Option<Place>,
    pub(super) vote: Option<Ballot>,
    pub(super) committed: Option<Place>,
}

impl Recent {
    /// With all entries on disk only.
    pub(super) fn new(
        last: Option<Place>,
        purged: Option<Place>,
        vote: Option<Ballot>,
        committed: Option<Place>,
    ) -> Self {
        Self {
            entries: VecDeque::new(),
            len: 0,
            last,
            purged,
            vote,
            committed,
        }
    }

    /// Takes entries that follow the last one.
    pub(super) fn append(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.len += body_len(&entry.payload);
            self.entries.push_back(entry.clone());
            self.last = Some(entry.log_id);
        }
    }

    /// Forgets what is on disk, which ends at `durable`, as far as there is too much.
    pub(super) fn trim(&mut self, durable: Place) {
        while self.entries.len() > ENTRIES_MAX || self.len > LEN_MAX {
            match self.entries.front() {
                Some(first) if first.log_id.index <= durable.index => self.pop_front(),
                _ => return,
            }
        }
    }

    /// Removes the entry at `from` and all behind it. What is last then, the disk has to tell if it
    /// is not in here.
    pub(super) fn truncate(&mut self, from: u64) {
        let is_behind = |entry: &Entry| entry.log_id.index >= from;
        while self.entries.back().is_some_and(is_behind) {
            if let Some(entry) = self.entries.pop_back() {
                self.len -= body_len(&entry.payload);
            }
        }
        let last = self.entries.back().map(|entry| entry.log_id);
        self.last = last.or(self.purged);
    }

    /// Forgets all up to `upto`.
    pub(super) fn purge(&mut self, upto: Place) {
        while self
            .entries
            .front()
            .is_some_and(|first| first.log_id.index <= upto.index)
        {
            self.pop_front();
        }
        self.purged = self.purged.max(Some(upto));
        if self.last.map(|last| last.index) < Some(upto.index) {
            self.last = Some(upto);
        }
    }

    /// The part of a range of indexes that is not in here but may be on disk, and clones of the rest:
    /// as many as have together `len_max` bytes, but at least one if nothing is missing.
    pub(super) fn read(&self, range: Range<u64>, len_max: usize) -> (Range<u64>, Vec<Entry>) {
        let start = range
            .start
            .max(self.purged.map_or(0, |purged| purged.index + 1));
        let end = range.end.min(self.last.map_or(0, |last| last.index + 1));
        let first = self.entries.front().map_or(end, |first| first.log_id.index);
        let missing = start..first.min(end).max(start);
        let mut len = 0;
        let wanted = |entry: &&Entry| (missing.end..end).contains(&entry.log_id.index);
        let fits = |entry: &&Entry| {
            let before = len;
            len += body_len(&entry.payload);
            before == 0 || len <= len_max
        };
        let skip = usize::try_from(missing.end.saturating_sub(first)).unwrap_or(usize::MAX);
        let found = self.entries.iter().skip(skip).filter(wanted);
        let found = found.take_while(fits).cloned().collect();
        (missing, found)
    }

    fn pop_front(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.len -= body_len(&entry.payload);
        }
    }
}

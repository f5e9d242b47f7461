//! I2: a removed member reads nothing and injects nothing after its removal took effect.
//!
//! Protects the group from a member that was shown the door, whose node may keep running with all keys
//! it had. A writer that knows of the removal seals what it writes from then on under a key that the
//! removed node never had; and nobody who knows of the removal takes what the removed node wrote later.

use std::collections::{BTreeMap, BTreeSet};

use roda_proto::{AuthorId, Batch, EntryKind, EpochTag, Seq, Timestamp};

use super::{Check, Inspected, Violation};

/// One removal, named by the entry that says so.
#[derive(Clone, Copy, Debug)]
struct Removed {
    by: AuthorId,
    entry: Seq,
    since: Timestamp,
    target: usize,
    target_author: AuthorId,
}

/// Who was removed and who knows.
#[derive(Default)]
pub struct Removal {
    removals: Vec<Removed>,
    /// For each (writer, removed node): what the writer had written when it learned of the removal.
    known: BTreeMap<(usize, usize), Seq>,
    keys: BTreeMap<usize, BTreeSet<EpochTag>>,
    written: BTreeMap<(AuthorId, Seq), Timestamp>,
    /// Batches without messages: a new key travels in them, so they go out under the old one.
    public: BTreeSet<(AuthorId, Seq)>,
}

impl Removal {
    /// A node holds a group key.
    pub fn on_key(&mut self, node: usize, tag: EpochTag) {
        self.keys.entry(node).or_default().insert(tag);
    }

    /// An author wrote a batch (asked for it to be stored).
    pub fn on_write(&mut self, now: Timestamp, batch: &Batch) {
        if batch
            .entries()
            .all(|entry| entry.kind == EntryKind::Control)
        {
            self.public.insert((batch.author, batch.first));
        }
        self.written
            .entry((batch.author, batch.first))
            .or_insert(now);
    }

    /// `by` has removed `target`, as its entry `entry` says.
    pub fn on_removed(
        &mut self,
        now: Timestamp,
        (by, entry): (AuthorId, Seq),
        (target, target_author): (usize, AuthorId),
    ) {
        self.removals.push(Removed {
            by,
            entry,
            since: now,
            target,
            target_author,
        });
    }

    /// `node` knows of all removals that `delivered` covers; it has written up to `written`.
    pub fn on_progress(&mut self, node: usize, written: Seq, delivered: impl Fn(&AuthorId) -> Seq) {
        for removed in &self.removals {
            if delivered(&removed.by) >= removed.entry {
                self.known.entry((node, removed.target)).or_insert(written);
            }
        }
    }

    /// Whether anyone was removed at all.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.removals.is_empty()
    }

    /// `node`, whose author is `author`, sends a datagram.
    ///
    /// # Errors
    /// It holds an entry written after the writer knew of a removal, under a key of the removed node.
    pub fn on_transmit(&self, node: usize, author: AuthorId, sent: &Inspected) -> Check {
        for ((_, target), written) in self.known.range((node, 0)..=(node, usize::MAX)) {
            let reads = self
                .keys
                .get(target)
                .is_some_and(|keys| keys.contains(&sent.epoch));
            let later = sent.batches.iter().find(|(of, first, _)| {
                *of == author && first > written && !self.public.contains(&(*of, *first))
            });
            if let (true, Some((_, first, _))) = (reads, later) {
                let detail = format!(
                    "entry {first}, written after node {target} was removed, goes out under {:?}, which that node has",
                    sent.epoch
                );
                return Err(Violation::at("I2 removed member reads", node, detail));
            }
        }
        Ok(())
    }

    /// `node` delivers a batch of the removed.
    ///
    /// # Errors
    /// It was written after a removal of which this node knew.
    pub fn on_deliver(&self, node: usize, batch: &Batch) -> Check {
        let written = self.written.get(&(batch.author, batch.first));
        for removed in &self.removals {
            let late = written.is_some_and(|at| *at > removed.since);
            let known = self.known.contains_key(&(node, removed.target));
            if removed.target_author == batch.author && late && known {
                let detail = format!("delivers {batch:?}, written after its author's removal");
                return Err(Violation::at("I2 removed member injects", node, detail));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REMOVER: AuthorId = AuthorId([1; 16]);
    const REMOVED: AuthorId = AuthorId([2; 16]);

    fn sent(first: u64, epoch: u32) -> Inspected {
        Inspected {
            epoch: EpochTag(epoch),
            batches: vec![(REMOVER, Seq(first), Seq(first))],
            ..Inspected::default()
        }
    }

    #[test]
    fn only_later_entries_under_an_old_key_are_a_violation() {
        let mut removal = Removal::default();
        removal.on_key(2, EpochTag(7));
        removal.on_removed(Timestamp::default(), (REMOVER, Seq(5)), (2, REMOVED));
        removal.on_progress(0, Seq(4), |_| Seq(4));
        assert!(removal.on_transmit(0, REMOVER, &sent(6, 7)).is_ok());
        removal.on_progress(0, Seq(5), |_| Seq(5));
        assert!(removal.on_transmit(0, REMOVER, &sent(5, 7)).is_ok());
        assert!(removal.on_transmit(0, REMOVER, &sent(6, 8)).is_ok());
        assert!(removal.on_transmit(0, REMOVER, &sent(6, 7)).is_err());
    }
}

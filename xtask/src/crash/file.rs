//! One file: what every process sees of it, and what of that a power cut leaves.

use std::collections::BTreeMap;

use super::draw::{Draw, Style};

/// What the kernel keeps and writes as a whole.
const PAGE_LEN: usize = 4096;
/// What a disk writes as a whole.
pub(crate) const SECTOR_LEN: usize = 512;

/// A file with its unsynced changes.
#[derive(Default)]
pub(crate) struct File {
    /// What a program reads.
    seen: Vec<u8>,
    /// What has been synced.
    synced: Vec<u8>,
    /// What has not, in order, each with its number.
    changes: Vec<(usize, Change)>,
    /// Pages whose writing has failed. The kernel takes them for written from then on: no later sync
    /// writes them, unless somebody writes to them again. Each holds what failed to be written.
    lost: BTreeMap<usize, Vec<u8>>,
}

enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate { len: usize },
}

impl File {
    /// One that is on the disk as it is.
    pub(crate) fn stored(content: Vec<u8>) -> Self {
        Self {
            synced: content.clone(),
            seen: content,
            ..Self::default()
        }
    }

    /// What a program reads.
    pub(crate) fn seen(&self) -> &[u8] {
        &self.seen
    }

    /// Writes; without an offset, at the end. `number` grows from change to change.
    pub(crate) fn write(&mut self, number: usize, offset: Option<usize>, bytes: Vec<u8>) {
        let offset = offset.unwrap_or(self.seen.len());
        put(&mut self.seen, offset, &bytes);
        let end = offset + bytes.len();
        self.changes.push((number, Change::Write { offset, bytes }));
        let touched = offset / PAGE_LEN..end.div_ceil(PAGE_LEN);
        let again: Vec<usize> = self.lost.range(touched).map(|(page, _)| *page).collect();
        for page in again {
            // The kernel writes the page as a whole now, with what had failed.
            self.lost.remove(&page);
            let offset = page * PAGE_LEN;
            let bytes = self.seen[offset..self.seen.len().min(offset + PAGE_LEN)].to_vec();
            self.changes.push((number, Change::Write { offset, bytes }));
        }
    }

    /// Cuts off or prolongs.
    pub(crate) fn truncate(&mut self, number: usize, len: usize) {
        self.seen.resize(len, 0);
        self.lost.retain(|page, _| page * PAGE_LEN < len);
        self.changes.push((number, Change::Truncate { len }));
    }

    /// A sync of all changes up to a number has returned.
    pub(crate) fn synced(&mut self, upto: usize, done: bool) {
        let rest = self.changes.partition_point(|(number, _)| *number <= upto);
        for (_number, change) in self.changes.drain(..rest) {
            match change {
                Change::Write { offset, bytes } if done => put(&mut self.synced, offset, &bytes),
                // The length is not among what is lost; what is missing reads as zeros.
                Change::Write { offset, bytes } => {
                    let end = offset + bytes.len();
                    if self.synced.len() < end {
                        self.synced.resize(end, 0);
                    }
                    for page in offset / PAGE_LEN..end.div_ceil(PAGE_LEN) {
                        let from = (page * PAGE_LEN).min(self.seen.len());
                        let to = self.seen.len().min(from + PAGE_LEN);
                        self.lost.insert(page, self.seen[from..to].to_vec());
                    }
                }
                Change::Truncate { len } => self.synced.resize(len, 0),
            }
        }
    }

    /// Whether nothing of it is in doubt.
    pub(crate) fn is_certain(&self) -> bool {
        self.changes.is_empty() && self.lost.is_empty()
    }

    /// What a power cut leaves of it, one of many possibilities.
    pub(crate) fn after_power_cut(&self, draw: &mut Draw) -> Vec<u8> {
        let mut left = self.synced.clone();
        let all_lost = draw.chance(2);
        for (page, bytes) in &self.lost {
            if !all_lost && draw.chance(2) {
                put(&mut left, page * PAGE_LEN, bytes);
            }
        }
        let style = draw.style();
        let kept = draw.below(self.changes.len() + 1);
        for (index, (_number, change)) in self.changes.iter().enumerate() {
            match style {
                Style::Everything => apply(&mut left, change),
                Style::Nothing => break,
                Style::Prefix if index < kept => apply(&mut left, change),
                Style::Prefix if index == kept => {
                    apply_torn(&mut left, change, draw);
                    break;
                }
                Style::Prefix => break,
                Style::Some => {
                    if draw.chance(2) {
                        apply(&mut left, change);
                    }
                }
                Style::Sectors => apply_torn(&mut left, change, draw),
            }
        }
        if draw.chance(4) && left.len() < self.seen.len() {
            // The length reached the disk before the content.
            left.resize(self.seen.len(), 0);
        }
        left
    }
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, bytes } => put(content, *offset, bytes),
        Change::Truncate { len } => content.resize(*len, 0),
    }
}

/// Some of its sectors only. A change of the length is made or not.
fn apply_torn(content: &mut Vec<u8>, change: &Change, draw: &mut Draw) {
    let Change::Write { offset, bytes } = change else {
        if draw.chance(2) {
            apply(content, change);
        }
        return;
    };
    let end = offset + bytes.len();
    let mut from = *offset;
    while from < end {
        let to = end.min((from / SECTOR_LEN + 1) * SECTOR_LEN);
        if draw.chance(2) {
            put(content, from, &bytes[from - offset..to - offset]);
        }
        from = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(file: &File) -> Vec<Vec<u8>> {
        let mut outcomes: Vec<_> = (1..200)
            .map(|seed| file.after_power_cut(&mut Draw::new(seed)))
            .collect();
        outcomes.sort();
        outcomes.dedup();
        outcomes
    }

    #[test]
    fn what_was_synced_is_always_there_and_the_rest_in_every_mixture() {
        let mut file = File::default();
        file.write(1, Some(0), b"old".to_vec());
        file.synced(1, true);
        file.write(2, Some(0), b"N".to_vec());
        file.write(3, None, b"!".to_vec());
        let left = outcomes(&file);
        for expected in [&b"old"[..], b"Nld", b"old!", b"Nld!", b"old\0"] {
            assert!(left.contains(&expected.to_vec()), "{expected:?}");
        }
        assert!(left.iter().all(|left| left[1..3] == *b"ld"));
        assert_eq!(file.seen(), b"Nld!");
    }

    #[test]
    fn a_write_is_torn_between_sectors_and_never_inside_one() {
        let mut file = File::stored(vec![0; 2 * SECTOR_LEN]);
        file.write(1, Some(0), vec![1; 2 * SECTOR_LEN]);
        let left = outcomes(&file);
        assert_eq!(left.len(), 4);
        let whole = |sector: &[u8]| sector.iter().all(|byte| *byte == sector[0]);
        assert!(left.iter().all(|left| left.chunks(SECTOR_LEN).all(whole)));
    }

    #[test]
    fn after_a_failed_sync_a_later_one_does_not_bring_the_pages_to_the_disk() {
        let mut file = File::stored(vec![0; 2 * PAGE_LEN]);
        file.write(1, Some(0), b"first".to_vec());
        file.synced(1, false);
        file.write(2, Some(PAGE_LEN), b"second".to_vec());
        file.synced(2, true);
        let left = outcomes(&file);
        assert!(
            left.iter()
                .all(|left| left[PAGE_LEN..].starts_with(b"second"))
        );
        assert!(left.iter().any(|left| left[0] == 0));
        assert!(left.iter().any(|left| left.starts_with(b"first")));
        // Written once more, they do.
        file.write(3, Some(0), b"f".to_vec());
        file.synced(3, true);
        assert!(file.is_certain());
        assert!(
            outcomes(&file)
                .iter()
                .all(|left| left.starts_with(b"first"))
        );
    }
}

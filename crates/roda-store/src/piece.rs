//! Runs of one topic's messages within a batch: what the index by topic is made of.

use std::collections::BTreeMap;

use roda_proto::log::Said;
use roda_proto::{Batch, Entry, Hlc, Seq};

/// No piece is longer than this on the clock: one second. Batches hardly ever are, so nearly all
/// have one piece per topic.
pub(crate) const SPAN_MAX: u64 = Hlc::from_millis(1000).0;

/// A run of messages in one topic of one batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    pub(crate) topic: &'a str,
    /// Sequence number and clock of the first message.
    pub(crate) first: Seq,
    pub(crate) hlc_first: Hlc,
    // Invariant: hlc_last - hlc_first <= SPAN_MAX.
    pub(crate) hlc_last: Hlc,
    pub(crate) count: u32,
}

/// The messages among the entries of a batch.
pub(crate) fn messages(batch: &Batch) -> impl Iterator<Item = (Entry<'_>, Said<'_>)> {
    batch
        .entries()
        .filter_map(|entry| entry.said().map(|said| (entry, said)))
}

/// All pieces of a batch, in order of their first messages.
pub(crate) fn pieces(batch: &Batch) -> Vec<Piece<'_>> {
    pieces_of(batch, |_| true)
}

/// The pieces that a batch would have if only some of its entries were messages.
pub(crate) fn pieces_of(batch: &Batch, is_message: impl Fn(&Entry<'_>) -> bool) -> Vec<Piece<'_>> {
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    let mut newest_of: BTreeMap<&str, usize> = BTreeMap::new();
    for (entry, Said { topic, .. }) in messages(batch).filter(|(entry, _)| is_message(entry)) {
        if let Some(newest) = newest_of.get(topic) {
            let piece = &mut pieces[*newest];
            if entry.hlc.0 - piece.hlc_first.0 <= SPAN_MAX {
                piece.hlc_last = entry.hlc;
                piece.count += 1;
                continue;
            }
        }
        newest_of.insert(topic, pieces.len());
        pieces.push(Piece {
            topic,
            first: entry.seq,
            hlc_first: entry.hlc,
            hlc_last: entry.hlc,
            count: 1,
        });
    }
    pieces
}

#[cfg(test)]
mod tests {
    use roda_proto::crypto::SigningKey;
    use roda_proto::log::BatchBuilder;
    use roda_proto::{EntryKind, Hash, Incarnation, Topic};

    use super::*;

    fn batch(entries: &[(u64, &str)]) -> Batch {
        let mut builder = BatchBuilder::new(Seq(1));
        for (clock, topic) in entries {
            let topic = Topic::new(topic).unwrap();
            builder.push(Hlc(*clock), EntryKind::Message, Some(&topic), b"x");
        }
        builder.seal(
            &SigningKey::from_seed(&[1; 32]),
            Incarnation([0; 8]),
            Hash::ZERO,
            &[],
        )
    }

    #[test]
    fn a_piece_ends_where_a_second_has_passed() {
        let batch = batch(&[(1, "a"), (2, "b"), (1 + SPAN_MAX, "a"), (2 + SPAN_MAX, "a")]);
        let found: Vec<_> = pieces(&batch)
            .iter()
            .map(|piece| (piece.topic.to_owned(), piece.first.0, piece.count))
            .collect();
        let expected = [("a", 1, 2), ("b", 2, 1), ("a", 4, 1)];
        assert_eq!(
            found,
            expected.map(|(topic, first, count)| (topic.to_owned(), first, count))
        );
    }
}

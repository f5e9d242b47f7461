//! I5: per author no gap, no duplicate, first in first out; causal across authors.
//!
//! Protects every reader of a topic: an answer never comes before its question, and nothing twice. What
//! was durable before a crash counts as delivered, because readers find it in the store.

use std::collections::{BTreeMap, BTreeSet};

use roda_proto::{AuthorId, Batch, Head, Seq};

use super::{Check, Violation};

/// What was delivered where.
#[derive(Default)]
pub struct Order {
    delivered: BTreeMap<usize, BTreeMap<AuthorId, Seq>>,
    parting: BTreeSet<AuthorId>,
}

impl Order {
    /// The group is about to part with this author. What it wrote may be cut off by its removal, so that
    /// what depends on it is delivered without it.
    pub fn on_parting(&mut self, author: AuthorId) {
        self.parting.insert(author);
    }

    /// A node starts from a disk with these heads.
    pub fn on_start<'a>(&mut self, node: usize, heads: impl Iterator<Item = &'a Head>) {
        let delivered = heads.map(|head| (head.author, head.seq)).collect();
        self.delivered.insert(node, delivered);
    }

    /// A node delivers a batch.
    ///
    /// # Errors
    /// It is not the author's next one, or something it depends on was not delivered before.
    pub fn on_deliver(&mut self, node: usize, batch: &Batch) -> Check {
        let delivered = self.delivered.entry(node).or_default();
        let seen = |author: &AuthorId| delivered.get(author).copied().unwrap_or_default();
        let before = seen(&batch.author);
        if batch.first != before.next() {
            let detail = format!("{batch:?} delivered after entry {before}");
            return Err(Violation::at("I5 order of an author", node, detail));
        }
        let missing = |(author, seq): &&(AuthorId, Seq)| {
            seen(author) < *seq && !self.parting.contains(author)
        };
        if let Some((author, seq)) = batch.deps.iter().find(missing) {
            let detail = format!("{batch:?} delivered before entry {seq} of {author:?}");
            return Err(Violation::at("I5 causal order", node, detail));
        }
        delivered.insert(batch.author, batch.last);
        Ok(())
    }

    /// A node deletes entries of a removed author.
    pub fn on_void(&mut self, node: usize, author: AuthorId, above: Seq) {
        if let Some(seq) = self.delivered.entry(node).or_default().get_mut(&author) {
            *seq = above.min(*seq);
        }
    }

    /// The last entry of an author that was delivered at a node.
    #[must_use]
    pub fn last(&self, node: usize, author: &AuthorId) -> Seq {
        self.delivered
            .get(&node)
            .and_then(|delivered| delivered.get(author))
            .copied()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use roda_proto::crypto::SigningKey;
    use roda_proto::log::{BatchBuilder, EntryKind};
    use roda_proto::{Hash, Hlc, Incarnation, Topic};

    use super::*;

    fn batch(seed: u8, first: u64, deps: &[(AuthorId, Seq)]) -> Batch {
        let mut builder = BatchBuilder::new(Seq(first));
        let topic = Topic::new("t").unwrap();
        builder.push(Hlc(first), EntryKind::Message, Some(&topic), b"x");
        let key = SigningKey::from_seed(&[seed; 32]);
        builder.seal(&key, Incarnation([0; 8]), Hash::ZERO, deps)
    }

    #[test]
    fn gaps_duplicates_and_missing_causes_are_violations() {
        let mut order = Order::default();
        let (one, two) = (batch(1, 1, &[]), batch(1, 2, &[]));
        let answer = batch(2, 1, &[(one.author, Seq(2))]);
        assert!(order.on_deliver(0, &two).is_err());
        assert!(order.on_deliver(0, &one).is_ok());
        assert!(order.on_deliver(0, &one).is_err());
        assert!(order.on_deliver(0, &answer).is_err());
        assert!(order.on_deliver(0, &two).is_ok());
        assert!(order.on_deliver(0, &answer).is_ok());
    }
}

//! Persist before send, and nothing acknowledged is lost (I5).
//!
//! Protects `say`: what it acknowledged survives any crash of this node. And protects the log from
//! forks: an author that sent an entry, lost it in a crash and wrote another one under the same number
//! would have signed two logs.

use std::collections::BTreeMap;

use roda_proto::{AuthorId, Batch, Seq};

use super::{Check, Violation};
use crate::disk::Stored;

/// What is durable at its author.
#[derive(Default)]
pub struct Durability {
    owners: BTreeMap<AuthorId, usize>,
    durable: BTreeMap<AuthorId, Seq>,
    acknowledged: BTreeMap<AuthorId, Seq>,
}

impl Durability {
    /// `author` is the log of `node` from now on.
    pub fn on_start(&mut self, node: usize, author: AuthorId) {
        self.owners.insert(author, node);
    }

    /// The node behind an author.
    #[must_use]
    pub fn owner(&self, author: &AuthorId) -> Option<usize> {
        self.owners.get(author).copied()
    }

    /// A batch became durable at a node.
    pub fn on_durable(&mut self, node: usize, batch: &Batch) {
        if self.owner(&batch.author) == Some(node) {
            self.durable.insert(batch.author, batch.last);
        }
    }

    /// A node wants to store a batch.
    ///
    /// # Errors
    /// It is another author's, which does not hold it durably itself.
    pub fn on_persist(&self, node: usize, batch: &Batch) -> Check {
        let durable = self.durable.get(&batch.author).copied().unwrap_or_default();
        if self.owner(&batch.author) == Some(node) || batch.last <= durable {
            return Ok(());
        }
        let detail = format!("stores {batch:?}, durable at its author up to {durable}");
        Err(Violation::at("persist before send", node, detail))
    }

    /// A node delivers a batch.
    ///
    /// # Errors
    /// It is not on its disk.
    pub fn on_deliver(&self, node: usize, batch: &Batch, stored: &Stored) -> Check {
        if stored.holds(batch) {
            return Ok(());
        }
        let detail = format!("delivers {batch:?}, which is not durable");
        Err(Violation::at("persist before deliver", node, detail))
    }

    /// A node acknowledges its own entries up to `last`.
    ///
    /// # Errors
    /// They are not on its disk.
    pub fn on_acknowledge(
        &mut self,
        node: usize,
        author: AuthorId,
        last: Seq,
        stored: &Stored,
    ) -> Check {
        if stored.last(&author) < last {
            let detail = format!("acknowledges entry {last}, which is not durable");
            return Err(Violation::at("acknowledged before durable", node, detail));
        }
        let acknowledged = self.acknowledged.entry(author).or_default();
        *acknowledged = last.max(*acknowledged);
        Ok(())
    }

    /// A node that should have everything says what it has.
    ///
    /// # Errors
    /// Something acknowledged by an author among `authors` is missing.
    pub fn check_complete(
        &self,
        node: usize,
        have: &[(AuthorId, Seq)],
        authors: &[AuthorId],
    ) -> Check {
        let have: BTreeMap<_, _> = have.iter().copied().collect();
        for author in authors {
            let acknowledged = self.acknowledged.get(author).copied().unwrap_or_default();
            let here = have.get(author).copied().unwrap_or_default();
            if here < acknowledged {
                let detail =
                    format!("has {here} entries of {author:?}, which acknowledged {acknowledged}");
                return Err(Violation::at("acknowledged but lost", node, detail));
            }
        }
        Ok(())
    }
}

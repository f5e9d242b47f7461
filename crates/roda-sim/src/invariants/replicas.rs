//! I7: equal version vectors mean equal logs.
//!
//! Protects the mirror: replicas that say they have the same entries are the same bytes. Content hashes
//! chain each batch to all before it, so it suffices that no (author, first entry) ever has two.

use std::collections::HashMap;

use roda_proto::{AuthorId, Batch, Hash, Seq};

use super::{Check, Violation};
use crate::disk::Stored;

/// Every batch ever stored anywhere.
#[derive(Default)]
pub struct Replicas {
    // Looked up only.
    known: HashMap<(AuthorId, Seq), Hash>,
}

impl Replicas {
    /// A batch became durable somewhere.
    ///
    /// # Errors
    /// Another batch is known under the same author and first entry.
    pub fn on_durable(&mut self, node: usize, batch: &Batch) -> Check {
        let known = self
            .known
            .entry((batch.author, batch.first))
            .or_insert(batch.hash);
        if *known == batch.hash {
            return Ok(());
        }
        let detail = format!("{batch:?} exists twice with different content");
        Err(Violation::at("I7 fork", node, detail))
    }

    /// A node says what it has.
    ///
    /// # Errors
    /// That is more than its disk holds; or less, although no write is under way.
    pub fn check_vector(
        &self,
        node: usize,
        vector: &[(AuthorId, Seq)],
        stored: &Stored,
        is_synced: bool,
    ) -> Check {
        let on_disk: Vec<_> = stored.heads().map(|head| (head.author, head.seq)).collect();
        let mut claimed: Vec<_> = vector
            .iter()
            .filter(|(_, seq)| seq.0 > 0)
            .copied()
            .collect();
        claimed.sort_unstable();
        let is_covered = claimed
            .iter()
            .all(|(author, seq)| *seq <= stored.last(author));
        if claimed == on_disk || (is_covered && !is_synced) {
            return Ok(());
        }
        let detail = format!("claims {claimed:?}, its disk holds {on_disk:?}");
        Err(Violation::at("I7 version vector", node, detail))
    }
}

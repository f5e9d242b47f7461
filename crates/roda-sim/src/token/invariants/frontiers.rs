//! What was written under a lock is in the frontier of whoever enters it later, unless the session of the
//! one that wrote has ended.

use std::collections::BTreeMap;

use roda_proto::token::{Frontier, LockName, SessionId, Table};
use roda_proto::{AuthorId, Seq};

use crate::invariants::{Check, Violation};
use crate::token::client::Hold;

/// What was written under each lock, and in which session.
#[derive(Default)]
pub struct Frontiers {
    written: BTreeMap<(LockName, AuthorId), (Seq, SessionId)>,
}

impl Frontiers {
    /// Somebody that leaves in a valid session has written.
    pub fn on_write(&mut self, hold: &Hold, author: AuthorId, seq: Seq) {
        for lock in &hold.wish.locks {
            let key = (lock.clone(), author);
            self.written.insert(key, (seq, hold.session));
        }
    }

    /// Somebody enters.
    ///
    /// # Errors
    /// It does not know of something.
    pub fn on_enter(&self, hold: &Hold, frontier: &Frontier, table: &Table) -> Check {
        for ((lock, author), (seq, session)) in &self.written {
            let concerns = hold.wish.locks.contains(lock) && table.node_of(*session).is_some();
            let is_known = frontier
                .0
                .iter()
                .any(|(known, last)| known == author && last >= seq);
            if concerns && !is_known {
                let detail = format!("{hold:?} does not know of {author:?} {seq} under {lock}");
                return Err(Violation::at("frontier", hold.job.node, detail));
            }
        }
        Ok(())
    }
}

//! What was written under a lock is in the frontier of whoever enters it later, if the two exclude each
//! other, and unless the session of the one that wrote has ended.

use std::collections::BTreeMap;

use roda_proto::token::{Frontier, LockName, Permits, SessionId, Table};
use roda_proto::{AuthorId, Seq};

use crate::invariants::{Check, Violation};
use crate::token::client::Hold;

/// Something that was written.
struct Written {
    seq: Seq,
    session: SessionId,
    is_alone: bool,
}

/// What was written last under each lock.
#[derive(Default)]
pub struct Frontiers {
    written: BTreeMap<(LockName, AuthorId), Written>,
}

impl Frontiers {
    /// Somebody that leaves in a valid session has written.
    pub fn on_write(&mut self, hold: &Hold, author: AuthorId, seq: Seq) {
        for lock in &hold.wish.locks {
            let key = (lock.clone(), author);
            let written = Written {
                seq,
                session: hold.session,
                is_alone: hold.wish.permits == Permits::EXCLUSIVE,
            };
            self.written.insert(key, written);
        }
    }

    /// Somebody enters.
    ///
    /// # Errors
    /// It does not know of something.
    pub fn on_enter(&self, hold: &Hold, frontier: &Frontier, table: &Table) -> Check {
        for ((lock, author), written) in &self.written {
            let seq = written.seq;
            let is_ordered = written.is_alone || hold.wish.permits == Permits::EXCLUSIVE;
            let concerns = hold.wish.locks.contains(lock)
                && is_ordered
                && table.node_of(written.session).is_some();
            let is_known = frontier
                .0
                .iter()
                .any(|(known, last)| known == author && *last >= seq);
            if concerns && !is_known {
                let detail = format!("{hold:?} does not know of {author:?} {seq} under {lock}");
                return Err(Violation::at("frontier", hold.job.node, detail));
            }
        }
        Ok(())
    }
}

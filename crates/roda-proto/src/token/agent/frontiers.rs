//! What the next holder should have seen.

use super::super::{FRONTIER_AUTHORS_MAX, Frontier};
use crate::id::{AuthorId, Seq};

/// The greater entry of each author. Authors beyond [`FRONTIER_AUTHORS_MAX`] are left out.
pub(super) fn merge(into: &mut Frontier, from: &Frontier) {
    for (author, seq) in &from.0 {
        note(into, *author, *seq);
    }
}

/// `author` has written up to `seq`.
pub(super) fn note(into: &mut Frontier, author: AuthorId, seq: Seq) {
    let is_full = into.0.len() >= FRONTIER_AUTHORS_MAX;
    match into.0.iter_mut().find(|(known, _)| *known == author) {
        Some((_, last)) => *last = seq.max(*last),
        None if !is_full => into.0.push((author, seq)),
        None => {}
    }
}

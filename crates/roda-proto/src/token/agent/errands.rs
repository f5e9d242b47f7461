//! Commands for the table that are not known to have taken effect.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::super::{Fence, RequestId, SessionId};
use crate::time::Timestamp;

/// A command, by what it is about; what else it says is known when it is sent.
///
/// In the order in which they go into one proposal: what is given back before what is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Errand {
    /// Done when the grant is gone.
    Release(Fence),
    /// Done when the leader has said so.
    Cancel(RequestId),
    /// Done when the request was granted, queued or refused.
    Acquire(RequestId),
    /// Done when the session has ended.
    Close(SessionId),
}

/// All of them. As many as there are requests, grants and former sessions: those have limits.
#[derive(Debug, Default)]
pub(super) struct Errands {
    /// Each with whether it was sent before.
    unsent: BTreeMap<Errand, bool>,
    sent: BTreeMap<Errand, Timestamp>,
    /// When to look for those that should have been done.
    retry_at: Option<Timestamp>,
}

impl Errands {
    /// Something is to be done.
    pub(super) fn add(&mut self, errand: Errand) {
        self.unsent.entry(errand).or_insert(false);
    }

    /// As [`Self::add`], unless it is on its way.
    pub(super) fn add_missing(&mut self, errand: Errand) {
        if !self.sent.contains_key(&errand) {
            self.add(errand);
        }
    }

    /// It has taken effect, or is not wanted any more. Says whether it may be on its way.
    pub(super) fn remove(&mut self, errand: Errand) -> bool {
        let was_sent = self.sent.remove(&errand).is_some();
        let is_fresh = self.unsent.remove(&errand) == Some(false);
        was_sent || !is_fresh
    }

    /// Only those for which `keep` holds remain.
    pub(super) fn retain(&mut self, keep: impl Fn(Errand) -> bool) {
        self.unsent.retain(|errand, _| keep(*errand));
        self.sent.retain(|errand, _| keep(*errand));
    }

    /// Those to be sent now, at most `limit`, in order; they count as sent.
    pub(super) fn take_unsent(
        &mut self,
        now: Timestamp,
        retry_at: Timestamp,
        limit: usize,
        may_go: impl Fn(Errand) -> bool,
    ) -> Vec<Errand> {
        let going: Vec<Errand> = self
            .unsent
            .keys()
            .copied()
            .filter(|errand| may_go(*errand))
            .take(limit)
            .collect();
        for errand in &going {
            self.unsent.remove(errand);
            self.sent.insert(*errand, now);
        }
        if !going.is_empty() && self.retry_at.is_none() {
            self.retry_at = Some(retry_at);
        }
        going
    }

    /// Nothing is to be sent.
    #[must_use]
    pub(super) fn is_drained(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Nothing is on its way or to be sent.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there are.
    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.unsent.len() + self.sent.len()
    }

    /// All that were sent no later than `before` are to be sent again.
    pub(super) fn retry(&mut self, before: Timestamp, retry_at: Timestamp) {
        let unsent = &mut self.unsent;
        self.sent.retain(|errand, sent| {
            let is_young = *sent > before;
            if !is_young {
                unsent.insert(*errand, true);
            }
            is_young
        });
        self.retry_at = (!self.sent.is_empty()).then_some(retry_at);
    }

    /// When to call [`Self::retry`].
    #[must_use]
    pub(super) const fn next_deadline(&self) -> Option<Timestamp> {
        self.retry_at
    }
}

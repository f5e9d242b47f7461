//! Renewals that wait for a quorum to confirm that this node still leads.

use alloc::collections::BTreeMap;

use super::super::{SESSIONS_MAX, SessionId};
use crate::id::NodeId;

/// A renewal that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Renewal {
    /// Who waits.
    pub(super) node: NodeId,
    /// To be given back.
    pub(super) sent_micros: u64,
    /// The version of the view that the node has.
    pub(super) version: u64,
}

impl Renewal {
    /// Of a session that the table does not have.
    pub(super) const fn of_nobody(node: NodeId) -> Self {
        Self {
            node,
            sent_micros: 0,
            version: 0,
        }
    }
}

/// Most renewals that wait; a session has one, further ones are dropped.
const WAITING_MAX: usize = 2 * SESSIONS_MAX;

/// One for each session at most: the latest.
pub(super) type Waiting = BTreeMap<SessionId, Renewal>;

/// The question to the quorum, one at a time.
///
/// A confirmation counts only for what was received before it began: one that was under way already could
/// say that this node led before another was elected.
#[derive(Debug, Default)]
pub(super) enum Renewals {
    /// Nobody waits.
    #[default]
    Quiet,
    /// To be asked with the next output.
    Gathering(Waiting),
    /// Asked.
    Asked {
        id: u64,
        /// Received before it was asked.
        before: Waiting,
        /// Received since.
        since: Waiting,
    },
}

impl Renewals {
    /// A renewal was received.
    pub(super) fn push(&mut self, session: SessionId, renewal: Renewal) {
        match self {
            Self::Quiet => *self = Self::Gathering(Waiting::from([(session, renewal)])),
            Self::Gathering(waiting) | Self::Asked { since: waiting, .. } => {
                if waiting.len() < WAITING_MAX || waiting.contains_key(&session) {
                    waiting.insert(session, renewal);
                }
            }
        }
    }

    /// Whether to ask now; then it counts as asked under this id.
    pub(super) fn ask(&mut self, id: u64) -> bool {
        let Self::Gathering(waiting) = self else {
            return false;
        };
        *self = Self::Asked {
            id,
            before: core::mem::take(waiting),
            since: Waiting::new(),
        };
        true
    }

    /// The question was answered: who can be answered in turn. Empty: it was not this question.
    pub(super) fn on_answer(&mut self, answered: u64) -> Waiting {
        match self {
            Self::Asked { id, before, since } if *id == answered => {
                let before = core::mem::take(before);
                let since = core::mem::take(since);
                *self = if since.is_empty() {
                    Self::Quiet
                } else {
                    Self::Gathering(since)
                };
                before
            }
            Self::Quiet | Self::Gathering(_) | Self::Asked { .. } => Waiting::new(),
        }
    }
}

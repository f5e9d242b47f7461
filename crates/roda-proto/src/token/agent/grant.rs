//! A grant of the table in the hands of its node.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

use super::super::{Fence, Frontier, GrantView, Heir, Permits, RequestId};
use super::Acquire;
use crate::time::Timestamp;

/// Versions of what must be left before a grant that are kept, of one grant.
pub(super) const VERSIONS_KEPT_MAX: usize = 8;

/// A grant.
#[derive(Debug)]
pub(super) struct Grant {
    /// What was wished. It goes back to the request if the session ends before it is entered.
    pub(super) wish: Acquire,
    /// The request as the table knows it. Later clients enter under the same grant.
    pub(super) request: RequestId,
    /// Its last fence.
    pub(super) last: Fence,
    /// Who gets the token.
    pub(super) heirs: Vec<Heir>,
    /// Others wait.
    pub(super) is_wanted: bool,
    /// An operator wants it to be left.
    pub(super) is_revoked: bool,
    /// What whoever enters next should have seen.
    pub(super) frontier: Frontier,
    /// Where it is in its life.
    pub(super) stage: Stage,
}

/// The life of a grant. It is entered as a whole once, and never again after it was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The table has chosen it; others may be inside still.
    Chosen(Before),
    /// A client is inside.
    Inside {
        /// Which.
        client: RequestId,
        /// With which fence of the block.
        fence: Fence,
        /// Since when.
        since: Timestamp,
        /// How long earlier clients were inside, in all.
        spent: Duration,
    },
    /// Nobody is inside and nobody else wants it: the next client here enters without a message.
    Idle {
        /// Fence of the next one.
        next: Fence,
        /// Since when.
        since: Timestamp,
        /// How long clients were inside, in all.
        spent: Duration,
    },
    /// It was left for good. Remembered until the table knows, for heirs that are chosen until then.
    Left {
        /// How long clients were inside, in all.
        held: Duration,
        /// Heirs that were sent the token.
        told: BTreeSet<Fence>,
    },
    /// It was not entered and will not be.
    GivenUp,
}

/// What may happen to a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A client enters.
    Enter { client: RequestId, now: Timestamp },
    /// The client leaves, the node keeps the token.
    Rest(Timestamp),
    /// The client leaves, or the node gives up an idle token.
    Leave(Timestamp),
    /// Nobody wants to enter any more.
    GiveUp,
}

impl Stage {
    /// The only way from one state to another, of a grant with the fences `first` to `last`. `None`: this
    /// cannot happen in this state, and nothing changes.
    #[must_use]
    pub(super) fn next(&self, step: Step, first: Fence, last: Fence) -> Option<Self> {
        match (self, step) {
            // Rule 4 and the token: the set comes from the table only.
            (Self::Chosen(before), Step::Enter { client, now }) if before.is_over() => {
                Some(Self::Inside {
                    client,
                    fence: first,
                    since: now,
                    spent: Duration::ZERO,
                })
            }
            (Self::Idle { next, spent, .. }, Step::Enter { client, now }) if *next <= last => {
                Some(Self::Inside {
                    client,
                    fence: *next,
                    since: now,
                    spent: *spent,
                })
            }
            (
                Self::Inside {
                    fence,
                    since,
                    spent,
                    ..
                },
                Step::Rest(now),
            ) if *fence < last => Some(Self::Idle {
                next: Fence(fence.0 + 1),
                since: now,
                spent: *spent + now.since(*since),
            }),
            (Self::Inside { since, spent, .. }, Step::Leave(now)) => Some(Self::Left {
                held: *spent + now.since(*since),
                told: BTreeSet::new(),
            }),
            (Self::Idle { spent, .. }, Step::Leave(_)) => Some(Self::Left {
                held: *spent,
                told: BTreeSet::new(),
            }),
            (Self::Chosen(_), Step::GiveUp) => Some(Self::GivenUp),
            (Self::Chosen(_), Step::Enter { .. } | Step::Rest(_) | Step::Leave(_))
            | (Self::Inside { .. }, Step::Enter { .. } | Step::Rest(_) | Step::GiveUp)
            | (Self::Idle { .. }, Step::Enter { .. } | Step::Rest(_) | Step::GiveUp)
            | (Self::Left { .. } | Self::GivenUp, _) => None,
        }
    }
}

impl Grant {
    /// One that was chosen just now.
    #[must_use]
    pub(super) fn new(view: &GrantView, wish: Acquire) -> Self {
        Self {
            wish,
            request: view.request,
            last: view.last_fence.max(view.fence),
            heirs: view.heirs.clone(),
            is_wanted: view.is_wanted,
            is_revoked: view.is_revoked,
            frontier: Frontier::default(),
            stage: Stage::Chosen(Before::default()),
        }
    }

    /// Takes a later view of it.
    pub(super) fn update(&mut self, view: &GrantView) {
        self.heirs.clone_from(&view.heirs);
        self.is_wanted = view.is_wanted;
        self.is_revoked |= view.is_revoked;
        if let Stage::Chosen(before) = &mut self.stage {
            before.on_version(&view.after);
        }
    }

    /// The next client may enter without asking: only one lock, for one alone, and nobody else waits.
    #[must_use]
    pub(super) fn may_rest(&self) -> bool {
        self.is_for_one()
            && !self.is_wanted
            && !self.is_revoked
            && self.heirs.is_empty()
            && matches!(self.stage, Stage::Inside { fence, .. } if fence < self.last)
    }

    /// One lock, for one alone: it carries a block of fences.
    #[must_use]
    pub(super) fn is_for_one(&self) -> bool {
        self.wish.permits == Permits::EXCLUSIVE && self.wish.locks.len() == 1
    }
}

/// What must be left before a grant may be entered, as the table has said at different times.
///
/// Each version is enough by itself, and stays enough: "all of these were left" does not become untrue.
/// They differ when a grant in between goes without having been entered, and those before it take its
/// place. Its holder may have entered and sent the token all the same just before its session ended; then
/// only the older version can be fulfilled by tokens.
///
/// Parts of two versions are never put together: that a fence is not in the newer one does not say that
/// it was left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Before {
    versions: Vec<BTreeSet<Fence>>,
    /// Of those in the versions: whose token came.
    left: BTreeSet<Fence>,
}

impl Before {
    /// The table says: these.
    pub(super) fn on_version(&mut self, after: &BTreeSet<Fence>) {
        if self.versions.contains(after) {
            return;
        }
        if self.versions.len() == VERSIONS_KEPT_MAX {
            self.versions.remove(0);
        }
        self.versions.push(after.clone());
    }

    /// A token says: this one was left, and all before it. Says whether that is of use (yet).
    pub(super) fn on_left(&mut self, fence: Fence) -> bool {
        let is_known = self.versions.iter().any(|after| after.contains(&fence));
        if is_known {
            self.left.insert(fence);
        }
        is_known
    }

    /// All that some version names were left.
    #[must_use]
    pub(super) fn is_over(&self) -> bool {
        self.versions
            .iter()
            .any(|after| after.is_subset(&self.left))
    }
}

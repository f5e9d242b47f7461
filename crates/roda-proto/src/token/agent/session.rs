//! The node's session with the lock table, and how much of its lease is left.

use super::super::{SessionId, Timings};
use crate::time::Timestamp;

/// Where the node stands with the lock table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Session {
    /// There is none, and nothing needs one.
    Absent,
    /// Asked for. Every session is asked for under a boot of its own: under the last one's the table
    /// would give back the session that this node has given up.
    Opening {
        /// Under which boot.
        boot: u64,
        /// When it was asked for last.
        asked: Timestamp,
    },
    /// Granted, and valid until its lease is over.
    Open(Lease),
}

/// What may happen to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionInput {
    /// Something needs a session.
    Want { boot: u64, now: Timestamp },
    /// The leader is asked (again): to open it, or to renew it.
    Ask(Timestamp),
    /// The leader has opened it.
    Opened {
        boot: u64,
        id: SessionId,
        sent: Timestamp,
    },
    /// The leader has renewed it.
    Renewed { id: SessionId, sent: Timestamp },
    /// It is over.
    End,
}

/// A session by this node's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) id: SessionId,
    /// The newest version of the session's view that is here.
    pub(super) version: u64,
    /// When the renewal that was answered last was *sent*. The leader counts from its receipt, which is
    /// later: so the lease ends here before it ends there.
    renewed: Timestamp,
    /// When a renewal was sent last. Invariant: renewed <= asked.
    asked: Timestamp,
}

/// How much of a lease has passed without a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Risk {
    /// Little.
    Low,
    /// Renewals should have been answered by now.
    Raised,
    /// What runs under a lock should end.
    Stop,
    /// What runs under a lock must not run any more.
    Kill,
    /// All.
    Over,
}

impl Session {
    /// The only way from one state to another. `None`: this cannot happen in this state, or is out of
    /// date, and nothing changes.
    #[must_use]
    pub(super) fn next(self, input: SessionInput) -> Option<Self> {
        match (self, input) {
            (Self::Absent, SessionInput::Want { boot, now }) => {
                Some(Self::Opening { boot, asked: now })
            }
            (Self::Opening { boot, .. }, SessionInput::Ask(now)) => {
                Some(Self::Opening { boot, asked: now })
            }
            // The leader gives back what it was sent. A later moment than any that was sent would make
            // the lease longer than it is.
            (Self::Opening { boot, asked }, SessionInput::Opened { boot: of, id, sent })
                if boot == of && sent <= asked =>
            {
                Some(Self::Open(Lease {
                    id,
                    version: 0,
                    renewed: sent,
                    asked,
                }))
            }
            (Self::Open(lease), SessionInput::Ask(now)) => Some(Self::Open(Lease {
                asked: now.max(lease.asked),
                ..lease
            })),
            (Self::Open(lease), SessionInput::Renewed { id, sent })
                if id == lease.id && sent > lease.renewed && sent <= lease.asked =>
            {
                Some(Self::Open(Lease {
                    renewed: sent,
                    ..lease
                }))
            }
            (Self::Opening { .. } | Self::Open(_), SessionInput::End) => Some(Self::Absent),
            (Self::Absent, SessionInput::Ask(_) | SessionInput::End)
            | (Self::Opening { .. } | Self::Open(_), SessionInput::Want { .. })
            | (_, SessionInput::Opened { .. } | SessionInput::Renewed { .. }) => None,
        }
    }

    /// The lease, if there is one.
    #[must_use]
    pub(super) const fn lease(&self) -> Option<&Lease> {
        match self {
            Self::Open(lease) => Some(lease),
            Self::Absent | Self::Opening { .. } => None,
        }
    }

    /// The session, if it is open.
    #[must_use]
    pub(super) fn id(&self) -> Option<SessionId> {
        self.lease().map(|lease| lease.id)
    }

    /// Notes which version of the view is here.
    pub(super) const fn note_version(&mut self, version: u64) {
        if let Self::Open(lease) = self {
            lease.version = version;
        }
    }

    /// When to ask the leader next.
    #[must_use]
    pub(super) fn next_ask(&self, timings: &Timings) -> Option<Timestamp> {
        match self {
            Self::Absent => None,
            Self::Opening { asked, .. } => Some(*asked + timings.retry()),
            Self::Open(lease) if lease.is_answered() => Some(lease.asked + timings.renewal()),
            Self::Open(lease) => Some(lease.asked + timings.retry()),
        }
    }
}

impl Lease {
    /// The last renewal that was sent has been answered.
    #[must_use]
    pub(super) fn is_answered(&self) -> bool {
        self.renewed == self.asked
    }

    /// Until when the session is valid.
    #[must_use]
    pub(super) fn valid_until(&self, timings: &Timings) -> Timestamp {
        self.renewed + timings.session()
    }

    /// How much has passed.
    #[must_use]
    pub(super) fn risk(&self, timings: &Timings, now: Timestamp) -> Risk {
        let passed = now.since(self.renewed);
        if passed >= timings.session() {
            Risk::Over
        } else if passed >= timings.kill() {
            Risk::Kill
        } else if passed >= timings.stop() {
            Risk::Stop
        } else if passed >= timings.at_risk() {
            Risk::Raised
        } else {
            Risk::Low
        }
    }

    /// When `risk` becomes the next one.
    #[must_use]
    pub(super) fn risk_ends(&self, timings: &Timings, risk: Risk) -> Timestamp {
        self.renewed
            + match risk {
                Risk::Low => timings.at_risk(),
                Risk::Raised => timings.stop(),
                Risk::Stop => timings.kill(),
                Risk::Kill | Risk::Over => timings.session(),
            }
    }

    /// Rule 3: valid by this node's own clock. Stricter than that: who enters now should not have to
    /// stop at once.
    #[must_use]
    pub(super) fn may_enter(&self, timings: &Timings, now: Timestamp) -> bool {
        self.risk(timings, now) == Risk::Low
    }
}

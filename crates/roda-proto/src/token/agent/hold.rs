//! How safe a hold is: what its client was told last.

use super::super::{Fence, Timings};
use super::session::Risk;
use super::{HoldState, LostReason};
use crate::time::Timestamp;

/// A client that is inside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    /// Under which grant.
    pub(super) grant: Fence,
    /// What the client knows.
    pub(super) danger: Danger,
}

impl Hold {
    /// Of a client that has just entered.
    #[must_use]
    pub(super) const fn new(grant: Fence) -> Self {
        Self {
            grant,
            danger: Danger::Safe,
        }
    }
}

/// How safe a hold is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Danger {
    /// The session is valid and being renewed.
    Safe,
    /// Renewals are not answered.
    AtRisk,
    /// The client was asked to stop; a renewal does not take that back, as it has begun to.
    Stopping {
        /// Why.
        reason: LostReason,
        /// When it is killed if it has not left until then.
        kill_at: Timestamp,
    },
    /// The client was told to kill what runs.
    Killed(LostReason),
}

/// What may happen to a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Threat {
    /// So much of the lease has passed.
    Lease(Risk),
    /// It has to be left: an operator or the node itself wants that.
    Leave(LostReason),
    /// The session is over.
    Ended(LostReason),
    /// Time has passed.
    Time,
}

impl Danger {
    /// The only way from one state to another.
    #[must_use]
    pub(super) fn next(self, threat: Threat, now: Timestamp, timings: &Timings) -> Self {
        // A quarter: for not renewed holds just what is left between `Timings::stop` and `kill`.
        let stop = |reason| Self::Stopping {
            reason,
            kill_at: now + timings.session() / 4,
        };
        match (self, threat) {
            (Self::Killed(reason), _) => Self::Killed(reason),
            (Self::Stopping { reason, kill_at }, Threat::Lease(_) | Threat::Time)
                if now >= kill_at =>
            {
                Self::Killed(reason)
            }
            (Self::Stopping { reason, .. }, Threat::Lease(Risk::Kill | Risk::Over)) => {
                Self::Killed(reason)
            }
            (Self::Stopping { reason, .. }, Threat::Ended(_)) => Self::Killed(reason),
            (stopping @ Self::Stopping { .. }, Threat::Lease(_) | Threat::Leave(_)) => stopping,
            (Self::Safe | Self::AtRisk, Threat::Lease(risk)) => match risk {
                Risk::Low => Self::Safe,
                Risk::Raised => Self::AtRisk,
                Risk::Stop => stop(LostReason::NotRenewed),
                Risk::Kill | Risk::Over => Self::Killed(LostReason::NotRenewed),
            },
            (Self::Safe | Self::AtRisk, Threat::Leave(reason)) => stop(reason),
            (Self::Safe | Self::AtRisk, Threat::Ended(reason)) => Self::Killed(reason),
            (same @ (Self::Safe | Self::AtRisk | Self::Stopping { .. }), Threat::Time) => same,
        }
    }

    /// As clients hear it.
    #[must_use]
    pub(super) const fn state(&self) -> HoldState {
        match self {
            Self::Safe => HoldState::Safe,
            Self::AtRisk => HoldState::AtRisk,
            Self::Stopping { reason, .. } => HoldState::Stop(*reason),
            Self::Killed(reason) => HoldState::Kill(*reason),
        }
    }

    /// When to look again.
    #[must_use]
    pub(super) const fn deadline(&self) -> Option<Timestamp> {
        match self {
            Self::Stopping { kill_at, .. } => Some(*kill_at),
            Self::Safe | Self::AtRisk | Self::Killed(_) => None,
        }
    }
}

//! What must hold at every step, whatever the network, the nodes and the clocks do.

mod exclusion;
mod fences;
mod frontiers;
mod leases;
mod overtaking;
mod progress;
mod replay;
mod sessions;

pub use exclusion::check_exclusion;
pub use fences::Fences;
pub use frontiers::Frontiers;
pub use leases::{Leases, check_end};
pub use overtaking::Overtaking;
pub use progress::Progress;
pub use replay::Replay;
pub use sessions::check_sessions;

use std::collections::BTreeMap;

use roda_proto::Timestamp;
use roda_proto::token::{Change, Frontier, LockCommand, SessionCause};

use super::client::{Hold, Job};
use super::node::Node;
use crate::invariants::Check;

/// All of them.
#[derive(Default)]
pub struct Invariants {
    /// T2 and T3.
    pub fences: Fences,
    /// What one wrote under a lock the next one knows of.
    pub frontiers: Frontiers,
    /// T4.
    pub leases: Leases,
    /// T6.
    pub replay: Replay,
    /// T7.
    pub overtaking: Overtaking,
    /// T8.
    pub progress: Progress,
    /// What was tried.
    pub counts: Counts,
}

/// What was tried. A run in which nothing happens proves nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Somebody entered.
    pub entered: u64,
    /// Somebody entered by a token before the table knew that the one before it had left.
    pub handed: u64,
    /// Somebody entered by a token that was kept.
    pub kept: u64,
    /// A session was not renewed.
    pub expired: u64,
}

impl Invariants {
    /// Somebody enters.
    ///
    /// # Errors
    /// It should not have.
    pub fn on_enter(
        &mut self,
        hold: &Hold,
        frontier: &Frontier,
        inside: &BTreeMap<Job, Hold>,
    ) -> Check {
        self.count(hold);
        check_exclusion(hold, inside)?;
        self.fences.on_enter(hold)?;
        self.frontiers.on_enter(hold, frontier, self.replay.table())
    }

    /// An entry was agreed on.
    ///
    /// # Errors
    /// The table did with it what it should not.
    pub fn on_entry(
        &mut self,
        now: Timestamp,
        commands: &[LockCommand],
        nodes: &[Node],
        inside: &BTreeMap<Job, Hold>,
    ) -> Check {
        let applied = self.replay.apply(commands);
        for change in &applied.changes {
            if let Change::Ended { session, cause, .. } = change {
                self.counts.expired += u64::from(*cause == SessionCause::Expired);
                check_end(now, *session, *cause, nodes, inside)?;
            }
        }
        let status = self.replay.table().status(&[]);
        check_sessions(self.replay.table(), &status)?;
        self.overtaking.on_changes(&applied.changes, &status)
    }

    fn count(&mut self, hold: &Hold) {
        let view = self.replay.table().view(hold.session);
        let grants = view.map_or_else(Vec::new, |view| view.grants);
        let of_block = grants
            .iter()
            .find(|grant| grant.fence <= hold.fence && hold.fence <= grant.last_fence);
        self.counts.entered += 1;
        if let Some(grant) = of_block {
            self.counts.handed += u64::from(!grant.after.is_empty());
            self.counts.kept += u64::from(grant.fence < hold.fence);
        }
    }
}

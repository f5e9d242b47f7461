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
pub use leases::check_end;
pub use overtaking::Overtaking;
pub use progress::Progress;
pub use replay::Replay;
pub use sessions::check_sessions;

use std::collections::BTreeMap;

use roda_proto::Timestamp;
use roda_proto::token::{Change, Frontier, LockCommand};

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
    /// T6.
    pub replay: Replay,
    /// T7.
    pub overtaking: Overtaking,
    /// T8.
    pub progress: Progress,
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
                check_end(now, *session, *cause, nodes, inside)?;
            }
        }
        let status = self.replay.table().status(&[]);
        check_sessions(self.replay.table(), &status)?;
        self.overtaking.on_changes(&applied.changes, &status)
    }

    /// How often somebody entered.
    #[must_use]
    pub const fn entered(&self) -> u64 {
        self.fences.entered()
    }
}

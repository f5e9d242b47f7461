//! Whether enough voters answer, as far as this node can tell.

use roda_proto::token::Quorum;
use roda_proto::{NodeId, Presence, Timestamp};

use super::{Inner, Locks, now};

impl Locks {
    /// Why a client still waits, if it is for want of voters.
    pub(in crate::lock) fn missing_quorum(&self) -> Option<Quorum> {
        let inner = self.lock();
        if inner.quorum.is_some() {
            return inner.quorum;
        }
        self.voters_missing(&inner, now())
    }

    /// No leader answers, and too few voters seem to be there. If enough are, they will soon choose one.
    pub(super) fn voters_missing(&self, inner: &Inner, now: Timestamp) -> Option<Quorum> {
        if !inner.leader.is_missing(now, &self.timings) {
            return None;
        }
        // A voter whose own log cannot be written takes no part, and knows no voters.
        let is_working = !inner.role.voters.is_empty();
        let seen = self.quorum_seen(inner.leader.voters(), is_working);
        (seen.reachable < seen.needed()).then_some(seen)
    }

    /// By presence alone, for a node that is no voter or finds no leader.
    pub(in crate::lock) fn quorum_seen(&self, voters: &[NodeId], is_working: bool) -> Quorum {
        let view = self.view.borrow();
        let is_here = |node: &&NodeId| {
            if **node == self.node {
                return is_working;
            }
            let found = view.members.iter().find(|member| member.node == **node);
            found.is_some_and(|member| matches!(member.presence, Presence::Here | Presence::Online))
        };
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Quorum {
            reachable: count(voters.iter().filter(is_here).count()),
            voters: count(voters.len().max(1)),
        }
    }
}

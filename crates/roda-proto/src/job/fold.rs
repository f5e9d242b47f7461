//! From the facts about a job to its state.

use super::chain::Facts;
use super::{Fact, FactKind, Job, PushOptions};
use crate::time::Hlc;

/// The state of a job that was pushed at this clock with these options, and of which these facts are
/// known. Their order does not matter.
#[must_use]
pub fn fold(pushed: Hlc, options: &PushOptions, facts: &[Fact]) -> Job {
    Job::new(pushed, options).refold(facts)
}

impl Job {
    /// The same job, of which exactly these facts are known. Their order does not matter.
    #[must_use]
    pub fn refold(&self, facts: &[Fact]) -> Self {
        let mut job = self.anew();
        let facts = Facts::new(facts);
        let chain = facts.chain();
        if let Some(first) = chain.links.first() {
            // What ended an attempt that is not known (any more) is taken from who continued.
            job.begin_after(first.claim.after);
        }
        let mut leaves_some_out = chain.leaves_some_out;
        for link in &chain.links {
            let saves = link.saves.iter().copied();
            for fact in core::iter::once(link.claim.fact)
                .chain(saves)
                .chain(link.end)
            {
                leaves_some_out |= job.step(fact).is_err();
            }
        }
        for fact in &facts.all {
            match fact.kind {
                FactKind::Claim { attempt, .. } => job.was_claimed(attempt),
                FactKind::Cancel { .. } | FactKind::Retry { .. } | FactKind::Purge => {
                    leaves_some_out |= job.step(fact).is_err();
                }
                FactKind::Save { .. } | FactKind::End { .. } | FactKind::Lose { .. } => {}
            }
        }
        job.set_loose(leaves_some_out);
        job
    }
}

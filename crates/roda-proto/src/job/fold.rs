//! From the facts about a job to its state.

use super::chain::{Chain, Facts, Link};
use super::{Fact, FactKind, Job, JobState, PushOptions};
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
        job.follow(&facts, &chain);
        job
    }

    /// The job, of which these facts are known besides all that it was folded of; their order does not
    /// matter. What it was folded of need not be known any more.
    ///
    /// `None` says that only a fold of all facts is right: it does not wait, or some are about attempts that
    /// it knows, or do not continue it.
    #[must_use]
    pub fn continued(&self, facts: &[Fact]) -> Option<Self> {
        let waits = matches!(self.state(), JobState::Waiting { .. });
        let is_later = |fact: &Fact| {
            let attempt = fact.kind.attempt();
            attempt.is_none_or(|attempt| self.attempt().is_none_or(|last| last < attempt))
        };
        if self.is_loose() || !waits || !facts.iter().all(is_later) {
            return None;
        }
        let facts = Facts::new(facts);
        let chain = facts.chain();
        let continues = match chain.links.first() {
            Some(Link { claim, .. }) => {
                claim.after == self.ended() && claim.generation >= self.generation()
            }
            None => !facts.all.iter().any(|fact| fact.kind.is_of_attempt()),
        };
        if !continues {
            return None;
        }
        let mut job = self.clone();
        job.follow(&facts, &chain);
        Some(job)
    }

    /// Adds the attempts of a chain, and then what operators said.
    fn follow(&mut self, facts: &Facts<'_>, chain: &Chain<'_>) {
        let mut leaves_some_out = chain.leaves_some_out;
        for link in &chain.links {
            let saves = link.saves.iter().copied();
            for fact in core::iter::once(link.claim.fact)
                .chain(saves)
                .chain(link.end)
            {
                leaves_some_out |= self.step(fact).is_err();
            }
        }
        for fact in &facts.all {
            match fact.kind {
                FactKind::Claim { attempt, .. } => self.was_claimed(attempt),
                FactKind::Cancel { .. } | FactKind::Retry { .. } | FactKind::Purge => {
                    leaves_some_out |= self.step(fact).is_err();
                }
                FactKind::Save { .. } | FactKind::End { .. } | FactKind::Lose { .. } => {}
            }
        }
        self.set_loose(leaves_some_out);
    }
}

//! The attempts that count, each named by the one after it.
//!
//! The claim with the greatest attempt says which entry ended the attempt before, that one's claim says
//! the same of the one before it, and so on back. A claim that is not on this chain was made by somebody
//! who had lost the claim lock without knowing it: it is void, and all that is said of its attempt. So is
//! a claim of a job that was done before.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::{AttemptId, Fact, FactKind, Outcome, Place, WorkerId};
use crate::id::Seq;
use crate::time::Hlc;

/// An attempt at a job, as people want to see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which.
    pub id: AttemptId,
    /// Whose.
    pub worker: WorkerId,
    /// The entry that claimed it; its author is the worker's node.
    pub claim: Place,
    /// Clock of that entry.
    pub started: Hlc,
    /// The job's generation then.
    pub generation: u32,
    /// How often it was saved.
    pub saves: u32,
    /// How it ended; `None` while it runs.
    pub end: Option<AttemptEnd>,
    /// It does not count: somebody else had the right to claim the job.
    pub is_void: bool,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptEnd {
    /// The entry that says so.
    pub place: Place,
    /// Its clock.
    pub hlc: Hlc,
    /// How, if its worker lived to say so.
    pub outcome: Option<Outcome>,
    /// How long it ran, in milliseconds, if its worker lived to say so.
    pub millis: Option<u64>,
}

/// The attempts on record in their order, void ones among them.
#[must_use]
pub fn attempts(facts: &[Fact]) -> Vec<Attempt> {
    let facts = Facts::new(facts);
    let chain = facts.chain();
    let on_chain: BTreeMap<Place, &Link<'_>> = chain
        .links
        .iter()
        .map(|link| (link.claim.fact.place, link))
        .collect();
    let listed = facts.claims.iter().map(|claim| {
        let link = on_chain.get(&claim.fact.place);
        Attempt {
            id: claim.attempt,
            worker: claim.worker,
            claim: claim.fact.place,
            started: claim.fact.hlc,
            generation: claim.generation,
            saves: link.map_or(0, |link| {
                u32::try_from(link.saves.len()).unwrap_or(u32::MAX)
            }),
            end: link.and_then(|link| link.end).map(end_of),
            is_void: link.is_none(),
        }
    });
    listed.collect()
}

fn end_of(fact: &Fact) -> AttemptEnd {
    let (outcome, millis) = match fact.kind {
        FactKind::End {
            outcome, millis, ..
        } => (Some(outcome), Some(millis)),
        _ => (None, None),
    };
    AttemptEnd {
        place: fact.place,
        hlc: fact.hlc,
        outcome,
        millis,
    }
}

/// The facts about one job, in the order of their places.
pub(super) struct Facts<'f> {
    pub(super) all: Vec<&'f Fact>,
    /// In the order of attempts.
    claims: Vec<Claim<'f>>,
}

/// A fact that is a claim.
#[derive(Clone, Copy)]
pub(super) struct Claim<'f> {
    pub(super) fact: &'f Fact,
    worker: WorkerId,
    attempt: AttemptId,
    pub(super) after: Option<Place>,
    pub(super) generation: u32,
}

/// An attempt on the chain, with what counts for it.
pub(super) struct Link<'f> {
    pub(super) claim: Claim<'f>,
    pub(super) saves: Vec<&'f Fact>,
    pub(super) end: Option<&'f Fact>,
}

pub(super) struct Chain<'f> {
    pub(super) links: Vec<Link<'f>>,
    /// Some claims, saves or ends are not on it.
    pub(super) leaves_some_out: bool,
}

impl<'f> Facts<'f> {
    pub(super) fn new(facts: &'f [Fact]) -> Self {
        let mut all: Vec<&Fact> = facts.iter().collect();
        all.sort_by_key(|fact| fact.place);
        all.dedup_by_key(|fact| fact.place);
        let mut claims: Vec<Claim<'_>> = all.iter().filter_map(|fact| Claim::of(fact)).collect();
        claims.sort_by_key(|claim| (claim.attempt, claim.fact.place));
        Self { all, claims }
    }

    pub(super) fn chain(&self) -> Chain<'f> {
        let before = self.previous();
        let mut is_after_done = vec![false; self.claims.len()];
        for (at, previous) in before.iter().enumerate() {
            if let Some((claim, end)) = previous {
                is_after_done[at] = is_done(end) || is_after_done[*claim];
            }
        }
        let mut links = Vec::new();
        let mut next = is_after_done.iter().rposition(|is_void| !is_void);
        let mut ended_by: Option<&Fact> = None;
        while let Some(at) = next {
            let claim = self.claims[at];
            links.push(match ended_by {
                Some(end) => self.ended(claim, end),
                None => self.last(claim),
            });
            (next, ended_by) = before[at].map_or((None, None), |(at, end)| (Some(at), Some(end)));
        }
        links.reverse();
        let counted: usize = links
            .iter()
            .map(|link| 1 + link.saves.len() + usize::from(link.end.is_some()))
            .sum();
        let of_attempts = self.all.iter().filter(|fact| fact.kind.is_of_attempt());
        Chain {
            leaves_some_out: of_attempts.count() > counted,
            links,
        }
    }

    /// For each claim the one before it, by index, and what ended that one.
    fn previous(&self) -> Vec<Option<(usize, &'f Fact)>> {
        let previous = self.claims.iter().map(|claim| {
            let end = self.at(claim.after?)?;
            let attempt = end.kind.ended_attempt()?;
            let from = self.claims.partition_point(|other| other.attempt < attempt);
            let to = self
                .claims
                .partition_point(|other| other.attempt <= attempt);
            let at = (from..to).rfind(|at| self.claims[*at].is_ended_by(end))?;
            let before = &self.claims[at];
            let is_before = before.attempt < claim.attempt && before.generation <= claim.generation;
            is_before.then_some((at, end))
        });
        previous.collect()
    }

    fn at(&self, place: Place) -> Option<&'f Fact> {
        let at = self.all.binary_search_by_key(&place, |fact| fact.place);
        Some(self.all[at.ok()?])
    }

    /// An attempt of which the next claimer says what ended it.
    fn ended(&self, claim: Claim<'f>, end: &'f Fact) -> Link<'f> {
        let until = match end.kind {
            FactKind::Lose { last, .. } => last,
            _ => end.place.seq,
        };
        Link {
            saves: self.saves(&claim, until),
            claim,
            end: Some(end),
        }
    }

    /// The last attempt: what its worker says ends it, unless somebody else says that the worker was dead
    /// by then.
    fn last(&self, claim: Claim<'f>) -> Link<'f> {
        let losses = self.all.iter().copied().filter_map(|fact| match fact.kind {
            FactKind::Lose { fence, last, .. } if claim.is_ended_by(fact) => {
                Some((fence, fact.place, last, fact))
            }
            _ => None,
        });
        let lost = losses.max_by_key(|(fence, place, ..)| (*fence, *place));
        let until = lost.map_or(Seq(u64::MAX), |(_, _, last, _)| last);
        let is_end = |fact: &&Fact| matches!(fact.kind, FactKind::End { .. });
        let said = self.by_claimer(&claim, until);
        let end = said
            .filter(is_end)
            .find(|fact| claim.is_ended_by(fact))
            .or_else(|| lost.map(|(.., fact)| fact));
        match end {
            Some(end) => self.ended(claim, end),
            None => Link {
                saves: self.saves(&claim, until),
                claim,
                end: None,
            },
        }
    }

    fn saves(&self, claim: &Claim<'f>, until: Seq) -> Vec<&'f Fact> {
        let attempt = claim.attempt;
        let is_save =
            |fact: &&Fact| matches!(fact.kind, FactKind::Save { attempt: of, .. } if of == attempt);
        self.by_claimer(claim, until).filter(is_save).collect()
    }

    /// What the claim's author said after it, up to an entry.
    fn by_claimer(&self, claim: &Claim<'f>, until: Seq) -> impl Iterator<Item = &'f Fact> {
        let place = claim.fact.place;
        let from = self.all.partition_point(|fact| fact.place <= place);
        let is_said =
            move |fact: &&Fact| fact.place.author == place.author && fact.place.seq <= until;
        self.all[from..].iter().copied().take_while(is_said)
    }
}

impl<'f> Claim<'f> {
    fn of(fact: &'f Fact) -> Option<Self> {
        match fact.kind {
            FactKind::Claim {
                worker,
                attempt,
                after,
                generation,
            } => Some(Self {
                fact,
                worker,
                attempt,
                after,
                generation,
            }),
            _ => None,
        }
    }

    fn is_ended_by(&self, end: &Fact) -> bool {
        let Place { author, seq } = self.fact.place;
        match end.kind {
            FactKind::End {
                worker, attempt, ..
            } => {
                (worker, attempt) == (self.worker, self.attempt)
                    && end.place.author == author
                    && end.place.seq > seq
            }
            FactKind::Lose {
                worker, attempt, ..
            } => (worker, attempt) == (self.worker, self.attempt),
            _ => false,
        }
    }
}

impl FactKind {
    /// Whether it is about an attempt, and not about the job as a whole.
    pub(super) const fn is_of_attempt(&self) -> bool {
        match self {
            Self::Claim { .. } | Self::Save { .. } | Self::End { .. } | Self::Lose { .. } => true,
            Self::Cancel { .. } | Self::Retry { .. } | Self::Purge => false,
        }
    }

    /// Which attempt it is about, if it is about one.
    #[must_use]
    pub const fn attempt(&self) -> Option<AttemptId> {
        match self {
            Self::Claim { attempt, .. }
            | Self::Save { attempt, .. }
            | Self::End { attempt, .. }
            | Self::Lose { attempt, .. } => Some(*attempt),
            Self::Cancel { .. } | Self::Retry { .. } | Self::Purge => None,
        }
    }

    const fn ended_attempt(&self) -> Option<AttemptId> {
        match self {
            Self::End { attempt, .. } | Self::Lose { attempt, .. } => Some(*attempt),
            _ => None,
        }
    }
}

/// Done for good: a recurring job is due again.
const fn is_done(end: &Fact) -> bool {
    matches!(
        end.kind,
        FactKind::End {
            outcome: Outcome::Done,
            next: None,
            ..
        }
    )
}

//! The state of a job, and the one function that changes it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use minicbor::{Decode, Encode};
use thiserror::Error;

use super::{
    AttemptId, Fact, FactKind, JobState, OnCrash, Outcome, Place, PushOptions, Recurrence,
    RoundEnd, SavedAt, WorkerId,
};
use crate::id::Seq;
use crate::time::{Hlc, WallTime};

/// How many checkpoints of a job are known by their place, the newest first.
const CHECKPOINTS_KEPT: usize = 2;

/// What is known of a job: its facts, folded.
///
/// It is a function of the set of facts: [`fold`](super::fold) makes it of all, [`Self::step`] adds one
/// that continues what is known already.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Job {
    #[n(0)]
    pub(super) tries_max: u16,
    #[n(1)]
    pub(super) on_crash: OnCrash,
    #[n(2)]
    pub(super) phase: Phase,
    #[n(3)]
    pub(super) generation: u32,
    /// The least clock of a push or claim that shows the present generation.
    #[n(4)]
    pub(super) shown: Hlc,
    /// What operators said about generations, from the one before the present one on.
    #[n(5)]
    pub(super) marks: BTreeMap<u32, Mark>,
    #[n(6)]
    pub(super) purged: Hlc,
    #[n(7)]
    pub(super) tries: u32,
    #[n(8)]
    pub(super) attempt: Option<AttemptId>,
    #[n(9)]
    pub(super) first_attempt: Option<AttemptId>,
    #[n(10)]
    pub(super) ended: Option<Place>,
    /// At most [`CHECKPOINTS_KEPT`], the newest first; neighbours differ in their hash.
    #[n(11)]
    pub(super) checkpoints: Vec<SavedAt>,
    #[n(12)]
    pub(super) code: Option<i32>,
    #[n(13)]
    pub(super) millis: u64,
    /// Facts that do not count now, and might with others: only a fold of all facts is right.
    #[n(14)]
    pub(super) is_loose: bool,
    #[n(15)]
    pub(super) pushed: Hlc,
    #[n(16)]
    pub(super) not_before: WallTime,
    #[n(17)]
    pub(super) recurrence: Option<Recurrence>,
}

/// What the attempts say, without the operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(super) enum Phase {
    #[n(0)]
    Waiting {
        #[n(0)]
        not_before: WallTime,
    },
    #[n(1)]
    Running {
        #[n(0)]
        attempt: AttemptId,
        #[n(1)]
        worker: WorkerId,
        #[n(2)]
        claim: Place,
        /// The claimer's last entry about it.
        #[n(3)]
        seen: Seq,
        /// It saved a new checkpoint.
        #[n(4)]
        has_progress: bool,
    },
    #[n(2)]
    Done,
    #[n(3)]
    Dead {
        #[n(0)]
        code: Option<i32>,
    },
    #[n(4)]
    Cancelled,
    #[n(5)]
    Held,
}

/// What operators said about a generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(super) struct Mark {
    #[n(0)]
    pub(super) is_cancelled: bool,
    /// The least clock of a retry.
    #[n(1)]
    pub(super) retried: Option<Hlc>,
}

/// Why a fact does not simply continue what is known: it came out of order, or it is void. Only
/// [`fold`](super::fold) tells which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unfit {
    /// Other facts that do not count may count with this one.
    #[error("there are facts that may count now")]
    Loose,
    /// A claim of a job that runs.
    #[error("the job is running")]
    IsRunning,
    /// A claim of a job that is done.
    #[error("the job is done")]
    IsDone,
    /// A claim that does not continue after the last attempt.
    #[error("it does not continue the last attempt")]
    NotNext,
    /// About an attempt that does not run.
    #[error("this attempt does not run")]
    NotRunning,
    /// Said before, or not counting, what is known already.
    #[error("it does not follow what is known")]
    OutOfOrder,
}

impl Job {
    /// A job of which nothing but the push is known.
    #[must_use]
    pub fn new(pushed: Hlc, options: &PushOptions) -> Self {
        Self {
            tries_max: options.tries_max,
            on_crash: options.on_crash,
            phase: Phase::Waiting {
                not_before: options.not_before,
            },
            generation: 0,
            shown: pushed,
            marks: BTreeMap::new(),
            purged: Hlc::ZERO,
            tries: 0,
            attempt: None,
            first_attempt: None,
            ended: None,
            checkpoints: Vec::new(),
            code: None,
            millis: 0,
            is_loose: false,
            pushed,
            not_before: options.not_before,
            recurrence: options
                .cron
                .clone()
                .map(|cron| Recurrence::new(cron, options.not_before)),
        }
    }

    /// The same job as if nothing but the push were known.
    pub(super) fn anew(&self) -> Self {
        let options = PushOptions {
            tries_max: self.tries_max,
            on_crash: self.on_crash,
            not_before: self.not_before,
            cron: self
                .recurrence
                .as_ref()
                .map(|recurring| recurring.cron.clone()),
            ..PushOptions::default()
        };
        Self::new(self.pushed, &options)
    }

    /// Adds a fact that was not known before. The one transition function: a fold of all facts is made
    /// of nothing else.
    ///
    /// # Errors
    /// [`Unfit`] if it takes a [`fold`](super::fold) of all facts; nothing has changed then.
    pub fn step(&mut self, fact: &Fact) -> Result<(), Unfit> {
        if self.is_loose && fact.kind.is_of_attempt() {
            return Err(Unfit::Loose);
        }
        match fact.kind {
            FactKind::Claim {
                worker,
                attempt,
                after,
                generation,
            } => self.claim(fact, worker, attempt, (after, generation))?,
            FactKind::Save {
                attempt,
                hash,
                done,
                total,
                blob,
            } => {
                self.hear(fact, attempt, None)?;
                self.save(SavedAt {
                    place: fact.place,
                    hash,
                    done,
                    total,
                    blob,
                });
            }
            FactKind::End {
                worker,
                attempt,
                outcome,
                millis,
                next,
            } => {
                self.hear(fact, attempt, Some(worker))?;
                self.ended = Some(fact.place);
                self.millis = millis;
                self.end(outcome, (fact.hlc, next));
            }
            FactKind::Lose {
                worker,
                attempt,
                last,
                next,
                fence: _,
            } => self.lose(fact, (worker, attempt), last, next)?,
            FactKind::Cancel { generation } => {
                self.marks.entry(generation).or_default().is_cancelled = true;
            }
            FactKind::Retry { generation } => {
                let mark = self.marks.entry(generation).or_default();
                mark.retried = Some(mark.retried.map_or(fact.hlc, |known| known.min(fact.hlc)));
            }
            FactKind::Purge => self.purged = self.purged.max(fact.hlc),
        }
        self.settle();
        Ok(())
    }

    /// Adds that its queue was purged at this clock.
    pub fn purge(&mut self, at: Hlc) {
        self.purged = self.purged.max(at);
        self.settle();
    }

    fn claim(
        &mut self,
        fact: &Fact,
        worker: WorkerId,
        attempt: AttemptId,
        (after, generation): (Option<Place>, u32),
    ) -> Result<(), Unfit> {
        match self.phase {
            Phase::Running { .. } => return Err(Unfit::IsRunning),
            Phase::Done => return Err(Unfit::IsDone),
            Phase::Waiting { .. } | Phase::Dead { .. } | Phase::Cancelled | Phase::Held => {}
        }
        let is_next = after == self.ended
            && self.attempt.is_none_or(|last| last < attempt)
            && self.generation <= generation;
        if !is_next {
            return Err(Unfit::NotNext);
        }
        if self.generation < generation {
            // Whoever claims it has seen the retry.
            self.advance(generation);
        }
        self.shown = self.shown.min(fact.hlc);
        self.attempt = Some(attempt);
        self.was_claimed(attempt);
        self.phase = Phase::Running {
            attempt,
            worker,
            claim: fact.place,
            seen: fact.place.seq,
            has_progress: false,
        };
        Ok(())
    }

    /// Takes in that the claimer of the running attempt said something about it.
    fn hear(&mut self, fact: &Fact, of: AttemptId, by: Option<WorkerId>) -> Result<(), Unfit> {
        let Phase::Running {
            attempt,
            worker,
            claim,
            seen,
            ..
        } = &mut self.phase
        else {
            return Err(Unfit::NotRunning);
        };
        if *attempt != of || claim.author != fact.place.author || by.is_some_and(|by| by != *worker)
        {
            return Err(Unfit::NotRunning);
        }
        if fact.place.seq <= *seen {
            return Err(Unfit::OutOfOrder);
        }
        *seen = fact.place.seq;
        Ok(())
    }

    fn save(&mut self, saved: SavedAt) {
        if let Some(newest) = self.checkpoints.first_mut()
            && newest.hash == saved.hash
        {
            *newest = saved;
            return;
        }
        self.checkpoints.insert(0, saved);
        self.checkpoints.truncate(CHECKPOINTS_KEPT);
        // A job that begins anew after a crash makes no progress by saving.
        if self.on_crash != OnCrash::Retry
            && let Phase::Running { has_progress, .. } = &mut self.phase
        {
            *has_progress = true;
            self.tries = 0;
        }
    }

    fn end(&mut self, outcome: Outcome, (hlc, next): (Hlc, Option<WallTime>)) {
        let at_once = Phase::Waiting {
            not_before: WallTime(0),
        };
        (self.phase, self.code) = match outcome {
            Outcome::Done => (self.end_round(Phase::Done, hlc, next), Some(0)),
            Outcome::Failed { code, retry_at } => {
                let retried = Phase::Waiting {
                    not_before: retry_at,
                };
                let phase = match self.failed(Some(code)) {
                    Some(dead) => self.end_round(dead, hlc, next),
                    None => retried,
                };
                (phase, Some(code))
            }
            Outcome::Again | Outcome::Returned => (at_once, None),
            Outcome::Cancelled => (Phase::Cancelled, None),
            Outcome::CutOff { code } => {
                self.crash(code, hlc, next);
                return;
            }
        };
    }

    fn lose(
        &mut self,
        fact: &Fact,
        of: (WorkerId, AttemptId),
        last: Seq,
        next: Option<WallTime>,
    ) -> Result<(), Unfit> {
        let Phase::Running {
            attempt,
            worker,
            claim,
            seen,
            ..
        } = self.phase
        else {
            return Err(Unfit::NotRunning);
        };
        if (worker, attempt) != of {
            return Err(Unfit::NotRunning);
        }
        // Whoever does not even know of the claim still knows that its worker is dead.
        if seen > last.max(claim.seq) {
            return Err(Unfit::OutOfOrder);
        }
        self.ended = Some(fact.place);
        self.crash(None, fact.hlc, next);
        Ok(())
    }

    /// The attempt that runs did not end by itself: nobody knows how far it came.
    fn crash(&mut self, code: Option<i32>, hlc: Hlc, next: Option<WallTime>) {
        self.code = code;
        let at_once = Phase::Waiting {
            not_before: WallTime(0),
        };
        let has_progress = matches!(
            self.phase,
            Phase::Running {
                has_progress: true,
                ..
            }
        );
        let dead = if has_progress {
            None
        } else {
            self.failed(code)
        };
        if self.on_crash == OnCrash::Retry {
            self.checkpoints.clear();
        }
        self.phase = match dead {
            // An operator decides before anything else comes, the next round as well.
            _ if self.on_crash == OnCrash::Hold => Phase::Held,
            Some(dead) => self.end_round(dead, hlc, next),
            None => at_once,
        };
    }

    /// Counts a failed try. Whether it was one too many.
    fn failed(&mut self, code: Option<i32>) -> Option<Phase> {
        self.tries = self.tries.saturating_add(1);
        let tries_max = u32::from(self.tries_max);
        (tries_max > 0 && self.tries >= tries_max).then_some(Phase::Dead { code })
    }

    /// The job is over, or only its round, if it is to come again.
    fn end_round(&mut self, over: Phase, hlc: Hlc, next: Option<WallTime>) -> Phase {
        let Some(recurrence) = &mut self.recurrence else {
            return over;
        };
        let (is_dead, code) = match over {
            Phase::Dead { code } => (true, code),
            _ => (false, Some(0)),
        };
        recurrence.end_round(RoundEnd { hlc, is_dead, code }, next);
        let Some(not_before) = next else {
            return over;
        };
        self.tries = 0;
        self.checkpoints.clear();
        Phase::Waiting { not_before }
    }

    /// Begins the next generation, and the next, as long as the present one is over and was retried.
    fn settle(&mut self) {
        loop {
            let is_over = matches!(
                self.state(),
                JobState::Dead { .. } | JobState::Cancelled | JobState::Held
            );
            match self.generation.checked_add(1) {
                Some(next) if is_over && self.mark(self.generation).retried.is_some() => {
                    self.advance(next);
                }
                _ => break,
            }
        }
        let keep_from = self.generation.saturating_sub(1);
        if self
            .marks
            .first_key_value()
            .is_some_and(|(first, _)| *first < keep_from)
        {
            self.marks = self.marks.split_off(&keep_from);
        }
    }

    fn advance(&mut self, generation: u32) {
        self.generation = generation;
        self.shown = Hlc(u64::MAX);
        self.tries = 0;
        self.phase = Phase::Waiting {
            not_before: WallTime(0),
        };
    }

    pub(super) fn mark(&self, generation: u32) -> Mark {
        self.marks.get(&generation).copied().unwrap_or_default()
    }

    /// Goes on after an attempt that is not known.
    pub(super) const fn begin_after(&mut self, ended: Option<Place>) {
        self.ended = ended;
    }

    /// Takes in a claim, void or not.
    pub(super) fn was_claimed(&mut self, attempt: AttemptId) {
        let first = self
            .first_attempt
            .map_or(attempt, |first| first.min(attempt));
        self.first_attempt = Some(first);
    }

    pub(super) const fn set_loose(&mut self, is_loose: bool) {
        self.is_loose = is_loose;
    }
}

//! A job and the facts about it.

use std::format;
use std::string::String;
use std::vec::Vec;

use crate::crypto;
use crate::id::{AuthorId, Seq};
use crate::job::{
    AttemptId, CronExpr, Fact, FactKind, Job, JobState, OnCrash, Outcome, Place, PushOptions,
    WorkerId, fold,
};
use crate::time::{Hlc, WallTime};
use crate::token::Fence;

pub(super) const PUSHED: Hlc = Hlc(10);

/// A node by its number.
pub(super) fn author(number: u8) -> AuthorId {
    AuthorId([number; 16])
}

/// The worker of that node.
pub(super) fn worker(number: u8) -> WorkerId {
    WorkerId([number; 16])
}

pub(super) fn attempt(fence: u64, number: u32) -> AttemptId {
    AttemptId {
        fence: Fence(fence),
        number,
    }
}

pub(super) fn options(tries_max: u16, on_crash: OnCrash) -> PushOptions {
    PushOptions {
        tries_max,
        on_crash,
        ..PushOptions::default()
    }
}

/// Of a job that comes again, first at 100.
pub(super) fn recurring(tries_max: u16, on_crash: OnCrash) -> PushOptions {
    PushOptions {
        cron: Some(CronExpr::new("0 * * * *").unwrap()),
        not_before: WallTime(100),
        ..options(tries_max, on_crash)
    }
}

pub(super) fn failed(code: i32, retry_at: u64) -> Outcome {
    Outcome::Failed {
        code,
        retry_at: WallTime(retry_at),
    }
}

/// Facts in the order in which they were written; each has a clock and a place of its own.
#[derive(Clone, Debug)]
pub(super) struct Kit {
    pub(super) options: PushOptions,
    pub(super) facts: Vec<Fact>,
}

impl Kit {
    pub(super) fn new(options: PushOptions) -> Self {
        Self {
            options,
            facts: Vec::new(),
        }
    }

    pub(super) fn job(&self) -> Job {
        fold(PUSHED, &self.options, &self.facts)
    }

    /// The next fact of a node.
    pub(super) fn fact(&self, by: u8, kind: FactKind) -> Fact {
        let next = self.facts.len() as u64 + 1;
        Fact {
            place: Place {
                author: author(by),
                seq: Seq(next),
            },
            hlc: Hlc(PUSHED.0 + next * 10),
            kind,
        }
    }

    pub(super) fn say(&mut self, by: u8, kind: FactKind) -> Place {
        let fact = self.fact(by, kind);
        self.facts.push(fact);
        fact.place
    }

    /// The claim that comes next under a fence.
    pub(super) fn next_claim(&self, by: u8, fence: u64) -> FactKind {
        let job = self.job();
        FactKind::Claim {
            worker: worker(by),
            attempt: attempt(fence, job.attempt().map_or(0, |last| last.number) + 1),
            after: job.ended(),
            generation: job.generation(),
        }
    }

    pub(super) fn claim(&mut self, by: u8, fence: u64) -> Place {
        self.say(by, self.next_claim(by, fence))
    }

    /// What the node says about the last attempt.
    pub(super) fn save_of(&self, state: &[u8]) -> FactKind {
        FactKind::Save {
            attempt: self.last(),
            hash: crypto::content_hash(state),
            done: Some(state.len() as u64),
            total: None,
            // Where a state is makes no difference to the fold.
            blob: (state == [2]).then_some(30_000),
        }
    }

    pub(super) fn end_of(&self, by: u8, outcome: Outcome) -> FactKind {
        FactKind::End {
            worker: worker(by),
            attempt: self.last(),
            outcome,
            millis: 5,
            next: None,
        }
    }

    /// The same, and when the job is due again.
    pub(super) fn round_end_of(&self, by: u8, outcome: Outcome, at: u64) -> FactKind {
        let mut kind = self.end_of(by, outcome);
        if let FactKind::End { next, .. } = &mut kind {
            *next = Some(WallTime(at));
        }
        kind
    }

    pub(super) fn loss_of(&self, dead: u8, fence: u64, last: u64) -> FactKind {
        FactKind::Lose {
            worker: worker(dead),
            fence: Fence(fence),
            attempt: self.last(),
            last: Seq(last),
            next: None,
        }
    }

    /// The same, and when the job is due again.
    pub(super) fn round_loss_of(&self, dead: u8, last: u64, at: u64) -> FactKind {
        let mut kind = self.loss_of(dead, 9, last);
        if let FactKind::Lose { next, .. } = &mut kind {
            *next = Some(WallTime(at));
        }
        kind
    }

    pub(super) fn last(&self) -> AttemptId {
        self.job().attempt().unwrap_or_else(|| attempt(1, 1))
    }
}

/// A job in one line: state, then generation, tries, attempts and checkpoints as far as there are any.
pub(super) fn line(job: &Job) -> String {
    let mut line = match job.state() {
        JobState::Waiting { not_before } if not_before.0 > 0 => {
            format!("waiting until {}", not_before.0)
        }
        JobState::Running(running) => {
            let wanted = if running.cancel_wanted {
                ", cancel wanted"
            } else {
                ""
            };
            let by = running.claim.author.0[0];
            format!("running by {by}{wanted}")
        }
        other => format!("{:?}", other.kind()).to_lowercase(),
    };
    if let JobState::Dead { code } = job.state() {
        line += &code.map_or_else(|| " (no code)".into(), |code| format!(" ({code})"));
    }
    let attempts = job.attempt().map_or(0, |attempt| attempt.number);
    let counts = [
        ("generation", job.generation()),
        ("tries", job.tries()),
        ("attempts", attempts),
        ("saved", job.checkpoints().len().try_into().unwrap()),
    ];
    for (what, count) in counts.iter().filter(|(_, count)| *count > 0) {
        line += &format!(", {what} {count}");
    }
    if let Some(recurrence) = job.recurrence() {
        line += &format!(", rounds {}", recurrence.rounds);
        if let Some(last) = recurrence.last {
            let how = if last.is_dead { "dead" } else { "done" };
            line += &format!(" (last {how}, code {:?})", last.code);
        }
    }
    line
}

//! What a job tells of itself.

use super::state::Phase;
use super::{
    AttemptId, Claimed, Job, JobId, JobState, OnCrash, Place, Recurrence, Running, SavedAt,
};
use crate::time::Hlc;

impl Job {
    /// How a worker claims it next.
    #[must_use]
    pub fn next_claim(&self, job: JobId) -> Claimed {
        Claimed {
            job,
            number: self.attempt.map_or(0, |last| last.number).saturating_add(1),
            after: self.ended,
            generation: self.generation,
        }
    }

    /// What it is doing.
    #[must_use]
    pub fn state(&self) -> JobState {
        let is_cancelled = self.mark(self.generation).is_cancelled;
        match self.phase {
            Phase::Running {
                attempt,
                worker,
                claim,
                ..
            } => JobState::Running(Running {
                attempt,
                worker,
                claim,
                cancel_wanted: is_cancelled,
            }),
            Phase::Done => JobState::Done,
            Phase::Cancelled => JobState::Cancelled,
            _ if is_cancelled => JobState::Cancelled,
            Phase::Waiting { .. } if self.purged > self.began() => JobState::Cancelled,
            Phase::Waiting { not_before } => JobState::Waiting { not_before },
            Phase::Dead { code } => JobState::Dead { code },
            Phase::Held => JobState::Held,
        }
    }

    /// How often operators had it tried anew.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// When the present generation began. Purges after it cancel the job if it waits.
    #[must_use]
    pub fn began(&self) -> Hlc {
        let before = self.generation.checked_sub(1);
        let retried = before.and_then(|before| self.mark(before).retried);
        retried.map_or(self.shown, |retried| retried.min(self.shown))
    }

    /// Whether an operator had the present generation tried anew before it is over.
    #[must_use]
    pub fn is_retried(&self) -> bool {
        self.mark(self.generation).retried.is_some()
    }

    /// Tries that failed since the last progress in this generation.
    #[must_use]
    pub const fn tries(&self) -> u32 {
        self.tries
    }

    /// So many failed tries make it dead; 0: no number does.
    #[must_use]
    pub const fn tries_max(&self) -> u16 {
        self.tries_max
    }

    /// What becomes of it when its worker dies.
    #[must_use]
    pub const fn on_crash(&self) -> OnCrash {
        self.on_crash
    }

    /// The last attempt that counts; the next one has the number after its.
    #[must_use]
    pub const fn attempt(&self) -> Option<AttemptId> {
        self.attempt
    }

    /// The smallest attempt on record, void ones among them.
    #[must_use]
    pub const fn first_attempt(&self) -> Option<AttemptId> {
        self.first_attempt
    }

    /// The entry that ended the last attempt: what the next claim names.
    #[must_use]
    pub const fn ended(&self) -> Option<Place> {
        self.ended
    }

    /// Whether facts are known that do not count now, and might with others.
    #[must_use]
    pub const fn is_loose(&self) -> bool {
        self.is_loose
    }

    /// The last checkpoints that differ, two at most, the newest first.
    #[must_use]
    pub fn checkpoints(&self) -> &[SavedAt] {
        &self.checkpoints
    }

    /// What is known of its rounds, if it comes again.
    #[must_use]
    pub const fn recurrence(&self) -> Option<&Recurrence> {
        self.recurrence.as_ref()
    }

    /// Exit code of the last attempt that ended, if it told one.
    #[must_use]
    pub const fn code(&self) -> Option<i32> {
        self.code
    }

    /// How long the last attempt that ended well or not took, in milliseconds.
    #[must_use]
    pub const fn millis(&self) -> u64 {
        self.millis
    }
}

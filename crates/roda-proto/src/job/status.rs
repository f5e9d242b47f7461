//! What people see of a job.

use minicbor::{Decode, Encode};

use super::{AttemptId, JobId, Place, WorkerId};
use crate::id::Hash;
use crate::time::WallTime;

/// What a job is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It is to be run.
    Waiting {
        /// Not before this moment; 0: at once.
        not_before: WallTime,
    },
    /// A worker runs it.
    Running(Running),
    /// It ended well, for good.
    Done,
    /// It failed too often.
    Dead {
        /// Exit code of the last try, if that told one.
        code: Option<i32>,
    },
    /// Nobody wants it any more.
    Cancelled,
    /// Its worker died while it ran; an operator has to decide.
    Held,
    /// Another push with the same idempotency key is run instead. Only who knows all pushes of the queue
    /// can tell: [`Job::state`](super::Job::state) never does.
    Duplicate(JobId),
}

/// A running attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// Which.
    pub attempt: AttemptId,
    /// Whose.
    pub worker: WorkerId,
    /// The entry that claimed it; its author is the worker's node.
    pub claim: Place,
    /// Somebody cancelled the job: the worker is to stop it.
    pub cancel_wanted: bool,
}

/// The states without their data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StateKind {
    /// [`JobState::Waiting`].
    Waiting,
    /// [`JobState::Running`].
    Running,
    /// [`JobState::Done`].
    Done,
    /// [`JobState::Dead`].
    Dead,
    /// [`JobState::Cancelled`].
    Cancelled,
    /// [`JobState::Held`].
    Held,
    /// [`JobState::Duplicate`].
    Duplicate,
}

impl StateKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Running,
        Self::Done,
        Self::Dead,
        Self::Cancelled,
        Self::Held,
        Self::Duplicate,
    ];

    /// Whether the job may still be run without anybody's doing; a later one with the same order key
    /// waits for it. A held one keeps its place.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Running | Self::Held)
    }
}

impl JobState {
    /// Which of the states it is.
    #[must_use]
    pub const fn kind(&self) -> StateKind {
        match self {
            Self::Waiting { .. } => StateKind::Waiting,
            Self::Running(_) => StateKind::Running,
            Self::Done => StateKind::Done,
            Self::Dead { .. } => StateKind::Dead,
            Self::Cancelled => StateKind::Cancelled,
            Self::Held => StateKind::Held,
            Self::Duplicate(_) => StateKind::Duplicate,
        }
    }
}

/// A checkpoint without its state: where it is, and how far the job was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct SavedAt {
    /// The entry that holds it.
    #[n(0)]
    pub place: Place,
    /// Hash of its state.
    #[n(1)]
    pub hash: Hash,
    /// How much was done.
    #[n(2)]
    pub done: Option<u64>,
    /// How much there is to do.
    #[n(3)]
    pub total: Option<u64>,
    /// Length of the blob that is its state; `None`: the entry holds it.
    #[n(4)]
    pub blob: Option<u32>,
}

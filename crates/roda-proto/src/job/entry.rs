//! Job entries: what is said about jobs, as CBOR in entries of kind `Job`.

use alloc::vec::Vec;

use minicbor::{Decode, Encode};
use thiserror::Error;

use super::checkpoint::{BLOB_LEN_MAX, Checkpoint};
use super::{AttemptId, JobId, PAYLOAD_LEN_MAX, Place, PushOptions, WorkerId};
use crate::error::Rejected;
use crate::id::Seq;
use crate::log::BODY_LEN_MAX;
use crate::stream;
use crate::time::WallTime;
use crate::token::Fence;

/// Most bytes that an entry tells of an attempt's output: its end.
pub const OUTPUT_LEN_MAX: usize = 8 * 1024;
/// Most jobs that one entry is about.
pub const JOBS_PER_ENTRY_MAX: usize = 256;

/// What an entry has besides its list of jobs; more than enough.
const LIST_OVERHEAD: usize = 64;

/// Something said about jobs. An entry that does not parse was written by a newer version: it is stored,
/// passed on, and means nothing.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub enum JobEntry {
    /// A new job; the entry's place is its id.
    #[n(0)]
    Push {
        /// What to do, at most [`PAYLOAD_LEN_MAX`] bytes.
        #[n(0)]
        #[cbor(with = "minicbor::bytes")]
        payload: Vec<u8>,
        /// How to run it.
        #[n(1)]
        options: PushOptions,
    },
    /// The author's worker begins to run jobs of one shard.
    #[n(1)]
    Claim {
        /// Which worker.
        #[n(0)]
        worker: WorkerId,
        /// Fence of the claim lock, held while this was written.
        #[n(1)]
        fence: Fence,
        /// Whose claim lock.
        #[n(2)]
        shard: u8,
        /// Which jobs.
        #[n(3)]
        jobs: Vec<Claimed>,
    },
    /// How far a running attempt has come.
    #[n(2)]
    Save {
        /// Which job.
        #[n(0)]
        job: JobId,
        /// Which attempt at it, one of the author's.
        #[n(1)]
        attempt: AttemptId,
        /// From where it can go on.
        #[n(2)]
        checkpoint: Checkpoint,
    },
    /// Attempts of one of the author's workers ended.
    #[n(3)]
    End {
        /// Which worker.
        #[n(0)]
        worker: WorkerId,
        /// Which attempts, and how.
        #[n(1)]
        ends: Vec<End>,
    },
    /// A worker is dead, and all that it ran.
    #[n(4)]
    Lose {
        /// Which worker.
        #[n(0)]
        worker: WorkerId,
        /// Fence of the worker's lock under which this was written.
        #[n(1)]
        fence: Fence,
        /// The attempts that it ran.
        #[n(2)]
        lost: Vec<Lost>,
    },
    /// Jobs are not wanted any more.
    #[n(5)]
    Cancel {
        /// Which, and which generation of each.
        #[n(0)]
        jobs: Vec<(JobId, u32)>,
    },
    /// Dead, cancelled or held jobs are to be tried anew.
    #[n(6)]
    Retry {
        /// Which, and which generation of each ends with this.
        #[n(0)]
        jobs: Vec<(JobId, u32)>,
    },
    /// The queue is paused, or goes on; the canonically last such entry of a queue counts.
    #[n(7)]
    Pause {
        /// Whether nothing of it is to be claimed.
        #[n(0)]
        paused: bool,
    },
    /// The queue's waiting jobs that were pushed before this are not wanted any more.
    #[n(8)]
    Purge,
}

/// A job that a worker begins to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Claimed {
    /// Which.
    #[n(0)]
    pub job: JobId,
    /// Counts its attempts from 1.
    #[n(1)]
    pub number: u32,
    /// The entry that ended the previous attempt, as the claimer knows it; `None` for the first.
    #[n(2)]
    pub after: Option<Place>,
    /// The job's generation: how often it was retried by operators.
    #[n(3)]
    pub generation: u32,
}

/// An attempt that ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct End {
    /// Of which job.
    #[n(0)]
    pub job: JobId,
    /// Which attempt at it.
    #[n(1)]
    pub attempt: AttemptId,
    /// How.
    #[n(2)]
    pub outcome: Outcome,
    /// How long it ran, in milliseconds.
    #[n(3)]
    pub millis: u64,
    /// The end of its output, at most [`OUTPUT_LEN_MAX`] bytes.
    #[n(4)]
    #[cbor(with = "minicbor::bytes")]
    pub output: Vec<u8>,
    /// When the job is due again, should its round be over with this.
    #[n(5)]
    pub next: Option<WallTime>,
}

/// How an attempt ended, as the worker saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub enum Outcome {
    /// Well; the job, or its round, is done for good.
    #[n(0)]
    Done,
    /// Not well.
    #[n(1)]
    Failed {
        /// Exit code.
        #[n(0)]
        code: i32,
        /// The next try is due then, if there is one.
        #[n(1)]
        retry_at: WallTime,
    },
    /// It wants to be run again at once: no failure.
    #[n(2)]
    Again,
    /// It was given back, not begun or stopped cleanly: no failure.
    #[n(3)]
    Returned,
    /// It was stopped because somebody had cancelled it.
    #[n(4)]
    Cancelled,
    /// It was cut off halfway: killed from outside, or given back after it had begun. Counts as a crash,
    /// told by a worker that lives.
    #[n(5)]
    CutOff {
        /// Exit code, if it was killed from outside.
        #[n(0)]
        code: Option<i32>,
    },
}

/// An attempt whose worker is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Lost {
    /// Of which job.
    #[n(0)]
    pub job: JobId,
    /// Which attempt at it.
    #[n(1)]
    pub attempt: AttemptId,
    /// What the claimer wrote about the attempt beyond this entry of its log does not count.
    #[n(2)]
    pub last: Seq,
    /// When the job is due again, should its round be over with this.
    #[n(3)]
    pub next: Option<WallTime>,
}

/// Which limit an entry breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EntryError {
    /// More than [`PAYLOAD_LEN_MAX`].
    #[error("a payload has at most {PAYLOAD_LEN_MAX} bytes, this one has {0}")]
    Payload(usize),
    /// More than [`BLOB_LEN_MAX`], or not where one of its length has to be.
    #[error("a checkpoint has at most {BLOB_LEN_MAX} bytes, this one has {0}")]
    State(usize),
    /// More than [`OUTPUT_LEN_MAX`].
    #[error("an attempt's output has at most {OUTPUT_LEN_MAX} bytes, this one has {0}")]
    Output(usize),
    /// More than [`JOBS_PER_ENTRY_MAX`].
    #[error("an entry is about at most {JOBS_PER_ENTRY_MAX} jobs, this one about {0}")]
    Jobs(usize),
    /// A recurring job never ends, so those behind it would wait for ever.
    #[error("a recurring job cannot have an order key")]
    RecurringInOrder,
}

impl JobEntry {
    /// The entry's body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        stream::encode(self)
    }

    /// Parses an entry's body.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] if it is anything else, or beyond a limit.
    pub fn parse(body: &[u8]) -> Result<Self, Rejected> {
        let entry: Self = stream::decode(body)?;
        match entry.check() {
            Ok(()) => Ok(entry),
            Err(_beyond) => Err(Rejected::Malformed),
        }
    }

    /// Whether every member will take the entry for what it is. It still has to fit into a body: see
    /// [`Self::into_bodies`].
    ///
    /// # Errors
    /// Says which limit it breaks.
    pub fn check(&self) -> Result<(), EntryError> {
        let within = |len: usize, max, error: fn(usize) -> EntryError| {
            if len > max { Err(error(len)) } else { Ok(()) }
        };
        let jobs = |len| within(len, JOBS_PER_ENTRY_MAX, EntryError::Jobs);
        match self {
            Self::Push { options, .. } if options.cron.is_some() && options.order_key.is_some() => {
                Err(EntryError::RecurringInOrder)
            }
            Self::Push { payload, .. } => {
                within(payload.len(), PAYLOAD_LEN_MAX, EntryError::Payload)
            }
            Self::Save { checkpoint, .. } if checkpoint.state.is_in_place() => Ok(()),
            Self::Save { checkpoint, .. } => Err(EntryError::State(checkpoint.state.len())),
            Self::End { ends, .. } => {
                let longest = ends.iter().map(|end| end.output.len()).max();
                within(
                    longest.unwrap_or_default(),
                    OUTPUT_LEN_MAX,
                    EntryError::Output,
                )?;
                jobs(ends.len())
            }
            Self::Claim { jobs: claimed, .. } => jobs(claimed.len()),
            Self::Lose { lost, .. } => jobs(lost.len()),
            Self::Cancel { jobs: named } | Self::Retry { jobs: named } => jobs(named.len()),
            Self::Pause { .. } | Self::Purge => Ok(()),
        }
    }

    /// The bodies of as few entries as say the same: a long list is cut so that each part is within
    /// [`JOBS_PER_ENTRY_MAX`] and [`BODY_LEN_MAX`].
    ///
    /// # Errors
    /// As [`Self::check`], but for the number of jobs.
    pub fn into_bodies(self) -> Result<Vec<Vec<u8>>, EntryError> {
        let parts = match self {
            Self::Claim {
                worker,
                fence,
                shard,
                jobs,
            } => cut(jobs, |jobs| Self::Claim {
                worker,
                fence,
                shard,
                jobs,
            }),
            Self::End { worker, ends } => cut(ends, |ends| Self::End { worker, ends }),
            Self::Lose {
                worker,
                fence,
                lost,
            } => cut(lost, |lost| Self::Lose {
                worker,
                fence,
                lost,
            }),
            Self::Cancel { jobs } => cut(jobs, |jobs| Self::Cancel { jobs }),
            Self::Retry { jobs } => cut(jobs, |jobs| Self::Retry { jobs }),
            whole @ (Self::Push { .. } | Self::Save { .. } | Self::Pause { .. } | Self::Purge) => {
                Vec::from([whole])
            }
        };
        let bodies = parts.iter().map(|part| {
            part.check()?;
            Ok(part.encode())
        });
        bodies.collect()
    }
}

fn cut<T: Encode<()>>(items: Vec<T>, entry: impl Fn(Vec<T>) -> JobEntry) -> Vec<JobEntry> {
    let mut entries = Vec::new();
    let (mut part, mut len) = (Vec::new(), LIST_OVERHEAD);
    for item in items {
        let item_len = stream::encode(&item).len();
        let is_full = part.len() == JOBS_PER_ENTRY_MAX || len + item_len > BODY_LEN_MAX;
        if is_full && !part.is_empty() {
            entries.push(entry(core::mem::take(&mut part)));
            len = LIST_OVERHEAD;
        }
        len += item_len;
        part.push(item);
    }
    if !part.is_empty() {
        entries.push(entry(part));
    }
    entries
}

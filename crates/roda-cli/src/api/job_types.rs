//! What the control API says and takes about jobs and queues.

use std::fmt;
use std::str::FromStr;

use axum::http::HeaderName;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::blob::Blob;
use super::lock_types::NodeName;

/// Longest payload.
pub(crate) const PAYLOAD_LEN_MAX: usize = 24 * 1024;
/// Longest checkpoint.
pub(crate) const STATE_LEN_MAX: usize = 16 * 1024 * 1024;
/// Tells how many newer checkpoints are not to be had.
pub(crate) const SKIPPED_HEADER: HeaderName = HeaderName::from_static("roda-skipped");
/// Longest key and order key.
pub(crate) const KEY_LEN_MAX: usize = 256;
/// Longest name of a queue: it stands inside the names of its locks.
pub(crate) const QUEUE_LEN_MAX: usize = 100;
/// A job that does not say how urgent it is.
pub(crate) const PRIORITY_DEFAULT: u8 = 4;
/// A job that does not say how often it is tried.
pub(crate) const TRIES_DEFAULT: u16 = 5;

/// What a crash of the worker's machine means for a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnCrashReply {
    /// From the start.
    Retry,
    /// From the newest checkpoint.
    #[default]
    Resume,
    /// An operator decides.
    Hold,
}

impl OnCrashReply {
    /// Its name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Resume => "resume",
            Self::Hold => "hold",
        }
    }
}

/// A job to add.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PushJob {
    /// What it is about.
    #[serde(default)]
    pub(crate) payload: Blob,
    /// Once only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// Not before so long from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delay_ms: Option<u64>,
    /// Not before then; in place of `delay_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<String>,
    /// Again and again, by the calendar; in place of both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cron: Option<String>,
    /// How urgent, 0 to 9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) priority: Option<u8>,
    /// How often it is tried; 0: without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_tries: Option<u16>,
    /// Jobs with the same one run one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) order_key: Option<String>,
    /// What a crash means.
    #[serde(default)]
    pub(crate) on_crash: OnCrashReply,
}

/// Jobs to add, in this order; all or none.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PushRequest {
    /// The jobs.
    pub(crate) jobs: Vec<PushJob>,
}

/// What became of a push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PushedReply {
    /// The job.
    pub(crate) id: String,
    /// Its queue.
    pub(crate) queue: String,
    /// Whether it was added now; else its key was known already.
    pub(crate) new: bool,
}

/// What became of pushes, in their order; durable on this machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PushReply {
    /// One each.
    pub(crate) jobs: Vec<PushedReply>,
}

/// How a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum JobStateReply {
    /// For a worker, or for its time.
    Waiting,
    /// A worker has it.
    Running,
    /// It succeeded.
    Done,
    /// It failed too often.
    Dead,
    /// Somebody did not want it any more.
    Cancelled,
    /// It crashed, and an operator decides.
    Held,
    /// Another job with its key counts in its place.
    Duplicate,
}

impl JobStateReply {
    /// All of them, in the order in which they are counted.
    pub(crate) const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Running,
        Self::Done,
        Self::Dead,
        Self::Cancelled,
        Self::Held,
        Self::Duplicate,
    ];

    /// Its name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Held => "held",
            Self::Duplicate => "duplicate",
        }
    }

    /// Whether nothing more happens unless somebody asks for it.
    pub(crate) const fn is_end(self) -> bool {
        matches!(self, Self::Done | Self::Dead | Self::Cancelled)
    }
}

/// An attempt: the fence of the queue's lock under which it was claimed, and how many-th of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Attempt {
    /// The fence.
    pub(crate) fence: u64,
    /// From 1.
    pub(crate) number: u32,
}

impl fmt::Display for Attempt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.fence, self.number)
    }
}

impl FromStr for Attempt {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('-').and_then(|(fence, number)| {
            Some(Self {
                fence: fence.parse().ok()?,
                number: number.parse().ok()?,
            })
        });
        parsed.ok_or("an attempt is written FENCE-NUMBER")
    }
}

impl Serialize for Attempt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Attempt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// A job, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JobReply {
    /// Its id.
    pub(crate) id: String,
    /// Its queue.
    pub(crate) queue: String,
    /// How it is.
    pub(crate) state: JobStateReply,
    /// When it was added.
    pub(crate) pushed: String,
    /// Not before then; absent: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) not_before: Option<String>,
    /// How urgent.
    pub(crate) priority: u8,
    /// Failed tries that count.
    pub(crate) tries: u32,
    /// How many are allowed; 0: any number.
    pub(crate) max_tries: u16,
    /// How often it was started.
    pub(crate) attempts: u32,
    /// How often an operator had it tried again.
    pub(crate) generation: u32,
    /// What a crash means.
    pub(crate) on_crash: OnCrashReply,
    /// Once only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// One after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) order_key: Option<String>,
    /// It runs, and somebody wants it ended.
    #[serde(default)]
    pub(crate) cancel_wanted: bool,
    /// The attempt that runs, or the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attempt: Option<Attempt>,
    /// Where that one runs or ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<NodeName>,
    /// The last exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<i32>,
    /// How long the last attempt that ended took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) millis: Option<u64>,
    /// So much is done, as the job itself told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) done: Option<u64>,
    /// Of so much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) total: Option<u64>,
    /// The job that counts in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) duplicate_of: Option<String>,
    /// When it comes again and again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cron: Option<String>,
    /// How many of its rounds are over, if it comes again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rounds: Option<u32>,
    /// How the last of them ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_round: Option<RoundReply>,
}

/// How a round of a recurring job ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RoundReply {
    /// When.
    pub(crate) ended: String,
    /// Done or dead.
    pub(crate) state: JobStateReply,
    /// Exit code of its last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<i32>,
}

impl JobReply {
    /// How the job ended since it was as `before`; of a recurring one, how its round did.
    pub(crate) fn end_since(&self, before: &Self) -> Option<(JobStateReply, Option<i32>)> {
        if self.state.is_end() {
            return Some((self.state, self.code));
        }
        let round = self.last_round.as_ref()?;
        (self.rounds > before.rounds).then_some((round.state, round.code))
    }
}

/// An attempt of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AttemptReply {
    /// Which.
    pub(crate) attempt: Attempt,
    /// By which worker, hexadecimal.
    pub(crate) worker: String,
    /// Where.
    pub(crate) node: NodeName,
    /// When it was claimed.
    pub(crate) started: String,
    /// When it ended; absent: it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<String>,
    /// `done`, `failed`, `again`, `returned`, `cancelled` or `lost`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<String>,
    /// Exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<i32>,
    /// How long its command ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) millis: Option<u64>,
    /// The end of what it printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<Blob>,
}

/// All about a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JobDetailReply {
    /// As in lists.
    #[serde(flatten)]
    pub(crate) job: JobReply,
    /// What it is about.
    pub(crate) payload: Blob,
    /// Its attempts, the first one first.
    pub(crate) tried: Vec<AttemptReply>,
    /// Its last checkpoints that differ, the newest first.
    #[serde(default)]
    pub(crate) checkpoints: Vec<SavedReply>,
}

/// A checkpoint without its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedReply {
    /// So much is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) done: Option<u64>,
    /// Of so much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) total: Option<u64>,
    /// Length of its state, if that is kept beside the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u32>,
    /// Whether its state is on this node.
    pub(crate) here: bool,
}

/// Which jobs are meant.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobsParams {
    /// Of this queue only.
    pub(crate) queue: Option<String>,
    /// In this state only.
    pub(crate) state: Option<JobStateReply>,
    /// At most so many.
    pub(crate) limit: Option<usize>,
    /// Those after the last of another page.
    pub(crate) after: Option<String>,
}

/// Jobs, the newest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct JobsReply {
    /// The jobs.
    pub(crate) jobs: Vec<JobReply>,
    /// What to give as `after` for the next page; null: there is none.
    pub(crate) next: Option<String>,
}

/// How long to wait for a job's end.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobWaitParams {
    /// At most so long; absent: for ever.
    pub(crate) timeout_ms: Option<u64>,
}

/// A job's progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckpointRequest {
    /// The attempt that saves it; another one may not any more.
    pub(crate) attempt: Attempt,
    /// From what it can go on.
    pub(crate) state: Blob,
    /// So much is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) done: Option<u64>,
    /// Of so much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) total: Option<u64>,
}

/// A job's progress, whose state is the body.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckpointParams {
    /// The attempt that saves it; another one may not any more.
    pub(crate) attempt: Attempt,
    /// So much is done.
    pub(crate) done: Option<u64>,
    /// Of so much.
    pub(crate) total: Option<u64>,
}

/// The newest checkpoint that is whole and to be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CheckpointReply {
    /// From what the job can go on.
    pub(crate) state: Blob,
    /// So much is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) done: Option<u64>,
    /// Of so much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) total: Option<u64>,
    /// Whether it is the newest that was saved.
    pub(crate) newest: bool,
}

/// A job's newest checkpoint, if it has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LoadReply {
    /// The job.
    pub(crate) id: String,
    /// Null: nothing was saved, or nothing of it is to be had.
    pub(crate) checkpoint: Option<CheckpointReply>,
    /// So many newer ones are damaged or not to be had.
    pub(crate) skipped: usize,
}

/// A queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueReply {
    /// Its name.
    pub(crate) queue: String,
    /// Whether nothing of it is started.
    pub(crate) paused: bool,
    /// Jobs in each state.
    pub(crate) waiting: u64,
    /// Being worked on.
    pub(crate) running: u64,
    /// Succeeded.
    pub(crate) done: u64,
    /// Failed too often.
    pub(crate) dead: u64,
    /// Not wanted any more.
    pub(crate) cancelled: u64,
    /// For an operator.
    pub(crate) held: u64,
    /// Not counted twice.
    pub(crate) duplicate: u64,
}

impl QueueReply {
    /// How many are in a state.
    pub(crate) const fn count(&self, state: JobStateReply) -> u64 {
        match state {
            JobStateReply::Waiting => self.waiting,
            JobStateReply::Running => self.running,
            JobStateReply::Done => self.done,
            JobStateReply::Dead => self.dead,
            JobStateReply::Cancelled => self.cancelled,
            JobStateReply::Held => self.held,
            JobStateReply::Duplicate => self.duplicate,
        }
    }
}

/// How many jobs a purge has cancelled.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct PurgedReply {
    /// So many.
    pub(crate) cancelled: u64,
}

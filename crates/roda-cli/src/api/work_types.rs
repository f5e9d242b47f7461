//! What the control API says and takes about workers.

use serde::{Deserialize, Serialize};

use super::blob::Blob;
use super::job_types::{Attempt, OnCrashReply};

/// A worker asks what to do.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PollRequest {
    /// The fence of the lock `roda/worker/WORKER`, which this node holds for it.
    pub(crate) fence: u64,
    /// Of which queue it wants jobs.
    pub(crate) queue: String,
    /// How many more it can run now.
    pub(crate) free: usize,
    /// The attempts that it has; others that the node believes it has are given to it again.
    #[serde(default)]
    pub(crate) known: Vec<KnownAttempt>,
    /// Answer at the latest after so long.
    #[serde(default)]
    pub(crate) wait_ms: u64,
    /// Answer as soon as the queue has nothing left to do.
    #[serde(default)]
    pub(crate) until_idle: bool,
    /// It has been told that the queue is paused.
    #[serde(default)]
    pub(crate) paused: bool,
}

/// An attempt that a worker has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KnownAttempt {
    /// The job.
    pub(crate) id: String,
    /// Its attempt.
    pub(crate) attempt: Attempt,
    /// It knows that this one is to be cancelled.
    #[serde(default)]
    pub(crate) cancelling: bool,
}

/// What a worker has to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PollReply {
    /// Jobs that are its own from now on.
    #[serde(default)]
    pub(crate) jobs: Vec<ClaimedReply>,
    /// Jobs of `known` that somebody wants cancelled.
    #[serde(default)]
    pub(crate) cancel: Vec<String>,
    /// Nothing of the queue waits, not for later either, and nothing runs.
    #[serde(default)]
    pub(crate) idle: bool,
    /// No jobs of the queue are started, on any member.
    #[serde(default)]
    pub(crate) paused: bool,
}

/// A job that a worker has claimed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClaimedReply {
    /// The job.
    pub(crate) id: String,
    /// The attempt that this is.
    pub(crate) attempt: Attempt,
    /// Failed tries that count so far.
    pub(crate) tries: u32,
    /// What a crash means.
    #[serde(default)]
    pub(crate) on_crash: OnCrashReply,
    /// Its idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// What it is about.
    pub(crate) payload: Blob,
}

/// A worker tells how attempts ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndsRequest {
    /// The fence of the lock `roda/worker/WORKER`.
    pub(crate) fence: u64,
    /// Of which queue.
    pub(crate) queue: String,
    /// The ends. One that is known already is no fault.
    pub(crate) ends: Vec<EndedAttempt>,
}

/// How an attempt ended; nothing of it runs any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EndedAttempt {
    /// The job.
    pub(crate) id: String,
    /// Its attempt.
    pub(crate) attempt: Attempt,
    /// How.
    #[serde(flatten)]
    pub(crate) outcome: OutcomeRequest,
    /// How long its command ran.
    #[serde(default)]
    pub(crate) millis: u64,
    /// The end of what it printed.
    #[serde(default)]
    pub(crate) output: Blob,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub(crate) enum OutcomeRequest {
    /// With success.
    Done,
    /// Without.
    Failed {
        /// Exit code; 128 + n after signal n.
        code: i32,
        /// The next try begins no sooner than this from now.
        retry_in_ms: u64,
    },
    /// Its progress is saved, it wants to run again.
    Again,
    /// It was given back; it never began, or was ended because its worker ends.
    Returned,
    /// It was ended because somebody wanted it cancelled.
    Cancelled,
    /// It was cut off halfway, and its job is to be held after a crash.
    CutOff {
        /// 128 + n, if signal n came from outside.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<i32>,
    },
}

impl OutcomeRequest {
    /// Its name.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed { .. } => "failed",
            Self::Again => "again",
            Self::Returned => "returned",
            Self::Cancelled => "cancelled",
            Self::CutOff { .. } => "cut-off",
        }
    }

    /// The exit code that counts as a failure or success.
    pub(crate) const fn code(&self) -> Option<i32> {
        match self {
            Self::Done => Some(0),
            Self::Failed { code, .. } => Some(*code),
            Self::CutOff { code } => *code,
            Self::Again | Self::Returned | Self::Cancelled => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_flat_object() {
        let end = EndedAttempt {
            id: "ab-1".to_owned(),
            attempt: Attempt {
                fence: 7,
                number: 2,
            },
            outcome: OutcomeRequest::Failed {
                code: 3,
                retry_in_ms: 2000,
            },
            millis: 15,
            output: Blob::from(b"x".to_vec()),
        };
        let json = serde_json::to_string(&end).unwrap();
        let expected = r#"{"id":"ab-1","attempt":"7-2","outcome":"failed","code":3,"retry_in_ms":2000,"millis":15,"output":"x"}"#;
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<EndedAttempt>(&json).unwrap(), end);
    }
}

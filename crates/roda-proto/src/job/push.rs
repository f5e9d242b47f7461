//! What a job is told when it is pushed.

use alloc::sync::Arc;
use core::fmt;

use minicbor::{Decode, Encode};
use thiserror::Error;

use super::CronExpr;
use crate::text::checked_text;
use crate::time::WallTime;
use crate::token::Priority;

/// Most bytes of a job's payload.
pub const PAYLOAD_LEN_MAX: usize = 24 * 1024;
/// Longest idempotency or order key, in bytes.
pub const JOB_KEY_LEN_MAX: usize = 256;
/// How often a job is tried unless the push says otherwise.
pub const TRIES_MAX_DEFAULT: u16 = 5;
/// Priority of a job unless the push says otherwise.
pub const PRIORITY_DEFAULT: u8 = 4;

/// An idempotency or order key: 1 to [`JOB_KEY_LEN_MAX`] bytes of text without control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobKey(Arc<str>);

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum JobKeyError {
    /// Nothing at all.
    #[error("a key cannot be empty")]
    Empty,
    /// More than [`JOB_KEY_LEN_MAX`] bytes.
    #[error("a key has at most {JOB_KEY_LEN_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// It would spoil a terminal.
    #[error("a key cannot contain {0:?}")]
    BadCharacter(char),
}

impl JobKey {
    /// Checks a key.
    ///
    /// # Errors
    /// Says which rule it breaks.
    pub fn new(text: &str) -> Result<Self, JobKeyError> {
        match text.len() {
            0 => return Err(JobKeyError::Empty),
            len if len > JOB_KEY_LEN_MAX => return Err(JobKeyError::TooLong(len)),
            _ => {}
        }
        match text.chars().find(|c| c.is_control()) {
            Some(bad) => Err(JobKeyError::BadCharacter(bad)),
            None => Ok(Self(text.into())),
        }
    }
}

impl fmt::Debug for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobKey({} bytes)", self.0.len())
    }
}

checked_text!(JobKey, JobKeyError, "not a key");

/// What becomes of a job whose worker died while it ran.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode)]
#[cbor(index_only)]
pub enum OnCrash {
    /// It goes on from its newest checkpoint.
    #[default]
    #[n(0)]
    Resume,
    /// It begins anew; its checkpoints are forgotten.
    #[n(1)]
    Retry,
    /// It waits until an operator retries or cancels it.
    #[n(2)]
    Hold,
}

/// How a job is to be run.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct PushOptions {
    /// Of several pushes of a queue with the same idempotency key, one is run.
    #[n(0)]
    pub key: Option<JobKey>,
    /// Not run before this moment; 0: at once.
    #[n(1)]
    pub not_before: WallTime,
    /// Higher ones are run first.
    #[n(2)]
    pub priority: Priority,
    /// So many failed tries without progress make it dead; 0: no number does.
    #[n(3)]
    pub tries_max: u16,
    /// Jobs of a queue with the same order key run one at a time, in the order of their pushes.
    #[n(4)]
    pub order_key: Option<JobKey>,
    /// What becomes of it when its worker dies.
    #[n(5)]
    pub on_crash: OnCrash,
    /// It comes again then, for ever; `not_before` is the first time. Never with an order key: those
    /// behind it would wait for ever.
    #[n(6)]
    pub cron: Option<CronExpr>,
}

impl Default for PushOptions {
    fn default() -> Self {
        Self {
            key: None,
            not_before: WallTime(0),
            priority: Priority::new(PRIORITY_DEFAULT).expect("within the range of priorities"),
            tries_max: TRIES_MAX_DEFAULT,
            order_key: None,
            on_crash: OnCrash::default(),
            cron: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_a_length_and_no_control_characters() {
        assert!(JobKey::new("praça 1/2").is_ok());
        assert_eq!(JobKey::new(""), Err(JobKeyError::Empty));
        assert_eq!(JobKey::new("a\n"), Err(JobKeyError::BadCharacter('\n')));
        let longest = "k".repeat(JOB_KEY_LEN_MAX);
        assert!(JobKey::new(&longest).is_ok());
        let longer = JobKey::new(&(longest + "k"));
        assert_eq!(longer, Err(JobKeyError::TooLong(JOB_KEY_LEN_MAX + 1)));
    }
}

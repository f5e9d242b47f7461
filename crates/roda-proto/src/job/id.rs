//! Names of jobs, workers and attempts.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use data_encoding::HEXLOWER;
use minicbor::{Decode, Encode};
use thiserror::Error;

use crate::id::{AuthorId, Seq};
use crate::token::Fence;

/// Fewest digits of an author by which people may name a job.
pub const PREFIX_DIGITS_MIN: usize = 4;

const AUTHOR_DIGITS: usize = 2 * AuthorId::LEN;

/// An entry: whose log it is in, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(array)]
pub struct Place {
    /// Its author.
    #[n(0)]
    pub author: AuthorId,
    /// Its place in the author's log.
    #[n(1)]
    pub seq: Seq,
}

/// A job: the place of the entry that pushed it. As text, the author in 32 hexadecimal digits, `-`, and
/// the number: `3f2a…c0-17`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(array)]
pub struct JobId {
    /// Who pushed it.
    #[n(0)]
    pub author: AuthorId,
    /// The place of the push in the author's log.
    #[n(1)]
    pub seq: Seq,
}

/// Why a text names no job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "a job is named by {PREFIX_DIGITS_MIN} to 32 lower-case hexadecimal digits, a hyphen and a number"
)]
pub struct JobIdError;

impl JobId {
    /// The entry that pushed it.
    #[must_use]
    pub const fn place(self) -> Place {
        let Self { author, seq } = self;
        Place { author, seq }
    }
}

impl From<Place> for JobId {
    fn from(Place { author, seq }: Place) -> Self {
        Self { author, seq }
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.author, self.seq)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({}-{})", self.author.short(), self.seq)
    }
}

impl FromStr for JobId {
    type Err = JobIdError;

    fn from_str(text: &str) -> Result<Self, JobIdError> {
        let prefix: JobPrefix = text.parse()?;
        prefix.whole().ok_or(JobIdError)
    }
}

/// A job as people type it: the first digits of its author, at least [`PREFIX_DIGITS_MIN`], and its
/// number: `3f2a-17`. Every [`JobId`] as text is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobPrefix {
    // Invariant: PREFIX_DIGITS_MIN to AUTHOR_DIGITS lower-case hexadecimal digits.
    digits: String,
    seq: Seq,
}

impl JobPrefix {
    /// The number of the job's push.
    #[must_use]
    pub const fn seq(&self) -> Seq {
        self.seq
    }

    /// The first and the last author that begin with the digits.
    #[must_use]
    pub fn authors(&self) -> (AuthorId, AuthorId) {
        (self.filled('0'), self.filled('f'))
    }

    /// The job, if nothing is left out.
    #[must_use]
    pub fn whole(&self) -> Option<JobId> {
        let (author, _) = self.authors();
        let is_whole = self.digits.len() == AUTHOR_DIGITS;
        is_whole.then_some(JobId {
            author,
            seq: self.seq,
        })
    }

    fn filled(&self, digit: char) -> AuthorId {
        let missing = AUTHOR_DIGITS - self.digits.len();
        let digits = self.digits.chars();
        let digits: String = digits.chain(core::iter::repeat_n(digit, missing)).collect();
        AuthorId::from_hex(&digits).expect("checked when parsed")
    }
}

impl FromStr for JobPrefix {
    type Err = JobIdError;

    fn from_str(text: &str) -> Result<Self, JobIdError> {
        let (digits, seq) = text.split_once('-').ok_or(JobIdError)?;
        let is_digit = |digit: char| matches!(digit, '0'..='9' | 'a'..='f');
        let fits = (PREFIX_DIGITS_MIN..=AUTHOR_DIGITS).contains(&digits.len());
        // The parser of numbers would take a sign, and leading zeros would be a second name.
        let is_number = !seq.starts_with(['+', '0']);
        if !fits || !digits.chars().all(is_digit) || !is_number {
            return Err(JobIdError);
        }
        Ok(Self {
            digits: digits.into(),
            seq: Seq(seq.parse().map_err(|_no_number| JobIdError)?),
        })
    }
}

/// A worker: drawn at random for each of its runs. It lives exactly as long as it holds its
/// [`worker_lock`](super::worker_lock); who gets that lock next knows that all it ran is dead. As text,
/// 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct WorkerId(
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub [u8; 16],
);

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WorkerId({})", HEXLOWER.encode(&self.0[..4]))
    }
}

impl FromStr for WorkerId {
    type Err = JobIdError;

    fn from_str(text: &str) -> Result<Self, JobIdError> {
        let bytes = HEXLOWER.decode(text.as_bytes());
        let bytes = bytes.map_err(|_not_hex| JobIdError)?;
        bytes.try_into().map(Self).map_err(|_length| JobIdError)
    }
}

/// An attempt at a job. Later ones are greater: the lock's fence grows with each holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(array)]
pub struct AttemptId {
    /// Fence of the claim lock under which the job was claimed.
    #[n(0)]
    pub fence: Fence,
    /// Counts the job's attempts from 1.
    #[n(1)]
    pub number: u32,
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_job_is_named_by_its_text_or_its_beginning() {
        let job = JobId {
            author: AuthorId([0x3f; 16]),
            seq: Seq(17),
        };
        assert_eq!(job.to_string().parse(), Ok(job));
        let prefix: JobPrefix = "3f3f3-17".parse().unwrap();
        assert_eq!(prefix.whole(), None);
        assert_eq!(prefix.seq(), Seq(17));
        let (from, to) = prefix.authors();
        assert!((from..=to).contains(&job.author));
        assert!(from.to_hex().starts_with("3f3f3000"));
        assert!(to.to_hex().ends_with("ffff"));
        assert!("3f3f-17".parse::<JobId>().is_err());
    }

    #[test]
    fn what_is_no_name_of_a_job_is_refused() {
        let long = "a".repeat(33) + "-1";
        for text in [
            "",
            "-",
            "abc-1",
            "abcd",
            "abcd-",
            "abcd-x",
            "abcd-+1",
            "abcd-01",
            "abcd-0",
            "abcd--1",
            "ABCD-1",
            "abcg-1",
            "abcd-18446744073709551616",
            &long,
            "çabc-1",
        ] {
            assert_eq!(text.parse::<JobPrefix>(), Err(JobIdError), "{text}");
        }
        assert!("0".repeat(31).parse::<WorkerId>().is_err());
        let worker = WorkerId([0xa0; 16]);
        assert_eq!(worker.to_string().parse(), Ok(worker));
    }
}

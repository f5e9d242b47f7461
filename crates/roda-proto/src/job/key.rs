//! Idempotency keys: which of several pushes with one key is run.

use super::{AttemptId, JobEntry, JobId, PushOptions};
use crate::crypto;
use crate::id::Hash;
use crate::time::{Hlc, WallTime};

/// A push that has the same key as others of its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRival {
    /// The job.
    pub job: JobId,
    /// Clock of its push.
    pub hlc: Hlc,
    /// The smallest attempt on record, if it was ever claimed.
    pub first_attempt: Option<AttemptId>,
}

/// The push that is run; the others are duplicates of it. Whichever was claimed first stays the one;
/// before any was claimed it is the canonical first, by clock, author and number.
#[must_use]
pub fn winner(rivals: impl IntoIterator<Item = KeyRival>) -> Option<JobId> {
    let first = rivals.into_iter().min_by_key(|rival| {
        let attempt = rival.first_attempt;
        (attempt.is_none(), attempt, rival.hlc, rival.job)
    });
    first.map(|rival| rival.job)
}

/// Tells whether two pushes ask for the same: BLAKE3 of payload and options. When a recurring job is due
/// first follows from when it was pushed, so this makes no difference.
#[must_use]
pub fn push_hash(payload: &[u8], options: &PushOptions) -> Hash {
    let mut options = options.clone();
    if options.cron.is_some() {
        options.not_before = WallTime(0);
    }
    let payload = payload.to_vec();
    let push = JobEntry::Push { payload, options };
    crypto::content_hash(&push.encode())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{AuthorId, Seq};
    use crate::job::CronExpr;
    use crate::token::Fence;

    fn rival(author: u8, hlc: u64, fence: Option<u64>) -> KeyRival {
        KeyRival {
            job: JobId {
                author: AuthorId([author; 16]),
                seq: Seq(1),
            },
            hlc: Hlc(hlc),
            first_attempt: fence.map(|fence| AttemptId {
                fence: Fence(fence),
                number: 1,
            }),
        }
    }

    #[test]
    fn what_was_claimed_wins_and_else_what_came_first() {
        assert_eq!(winner([]), None);
        let (early, late) = (rival(2, 1, None), rival(1, 2, None));
        assert_eq!(winner([late, early]), Some(early.job));
        let same_clock = rival(1, 1, None);
        assert_eq!(winner([early, same_clock]), Some(same_clock.job));
        let claimed = rival(3, 9, Some(7));
        assert_eq!(winner([early, late, claimed]), Some(claimed.job));
        let claimed_first = rival(4, 10, Some(6));
        assert_eq!(winner([claimed, claimed_first]), Some(claimed_first.job));
    }

    #[test]
    fn a_push_that_asks_for_anything_else_has_another_hash() {
        let options = PushOptions::default();
        let hash = push_hash(b"a", &options);
        assert_eq!(hash, push_hash(b"a", &options));
        assert_ne!(hash, push_hash(b"b", &options));
        let other = PushOptions {
            tries_max: 9,
            ..options
        };
        assert_ne!(hash, push_hash(b"a", &other));
    }

    #[test]
    fn a_recurring_job_is_the_same_whenever_it_was_pushed() {
        let at = |cron: &str, not_before| PushOptions {
            cron: Some(CronExpr::new(cron).unwrap()),
            not_before: WallTime(not_before),
            ..PushOptions::default()
        };
        let hash = push_hash(b"a", &at("0 * * * *", 1));
        assert_eq!(hash, push_hash(b"a", &at("0 * * * *", 2)));
        assert_ne!(hash, push_hash(b"a", &at("1 * * * *", 1)));
    }
}

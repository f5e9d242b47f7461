//! Shards: which lock lets claim which jobs.

use alloc::format;

use super::{JobId, PushOptions, WorkerId};
use crate::crypto;
use crate::log::Topic;
use crate::token::LockName;

/// A queue is a topic; jobs are pushed to it if its name has at most [`QUEUE_LEN_MAX`] bytes.
pub type QueueName = Topic;

/// Longest name of a queue, in bytes: the name of its claim locks has to be a lock's.
pub const QUEUE_LEN_MAX: usize = 100;
/// Parts of a queue that are claimed from side by side.
pub const SHARDS: u8 = 4;

/// The shard of a job, below [`SHARDS`]. Jobs with the same order key are in the same one, and so are
/// pushes that may turn out to be the same job.
#[must_use]
pub fn shard_of(job: &JobId, options: &PushOptions) -> u8 {
    let hash = match options.order_key.as_ref().or(options.key.as_ref()) {
        Some(key) => crypto::content_hash(key.as_str().as_bytes()),
        None => {
            let seq = job.seq.0.to_be_bytes();
            crypto::content_hash(&[job.author.as_bytes().as_slice(), &seq].concat())
        }
    };
    hash.0[0] % SHARDS
}

/// The lock under which a shard's jobs are claimed. `None` if the queue's name is too long.
#[must_use]
pub fn claim_lock(queue: &QueueName, shard: u8) -> Option<LockName> {
    if queue.as_str().len() > QUEUE_LEN_MAX {
        return None;
    }
    LockName::new(&format!("roda/queue/{queue}/{shard}")).ok()
}

/// The lock that a worker holds while it lives.
#[must_use]
pub fn worker_lock(worker: &WorkerId) -> LockName {
    LockName::new(&format!("roda/worker/{worker}")).expect("short, and made of allowed characters")
}

#[cfg(test)]
mod tests {
    use super::super::JobKey;
    use super::*;
    use crate::id::{AuthorId, Seq};

    fn job(seq: u64) -> JobId {
        JobId {
            author: AuthorId([1; 16]),
            seq: Seq(seq),
        }
    }

    #[test]
    fn every_shard_gets_its_share_and_a_key_decides_first() {
        let plain = PushOptions::default();
        let mut counts = [0; SHARDS as usize];
        for seq in 1..=400 {
            counts[usize::from(shard_of(&job(seq), &plain))] += 1;
        }
        assert!(counts.iter().all(|count| *count > 60), "{counts:?}");
        let key = |text| Some(JobKey::new(text).unwrap());
        let keyed = |key, order_key| PushOptions {
            key,
            order_key,
            ..PushOptions::default()
        };
        let of = |seq, options: &PushOptions| shard_of(&job(seq), options);
        let same = keyed(key("a"), None);
        assert!((1..50).all(|seq| of(seq, &same) == of(1, &same)));
        let ordered = keyed(key("b"), key("a"));
        assert_eq!(of(9, &ordered), of(1, &same), "the order key comes first");
    }

    #[test]
    fn the_longest_queue_still_has_claim_locks() {
        let longest = QueueName::new(&"q".repeat(QUEUE_LEN_MAX)).unwrap();
        assert!(claim_lock(&longest, u8::MAX).is_some());
        let longer = QueueName::new(&"q".repeat(QUEUE_LEN_MAX + 1)).unwrap();
        assert_eq!(claim_lock(&longer, 0), None);
        let queue = QueueName::new("mail").unwrap();
        let lock = claim_lock(&queue, 3).unwrap();
        assert_eq!(lock.as_str(), "roda/queue/mail/3");
        let worker = worker_lock(&WorkerId([0xab; 16]));
        assert!(worker.as_str().starts_with("roda/worker/abab"));
    }
}

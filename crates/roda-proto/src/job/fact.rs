//! Facts: what an entry says about one job, without what the fold does not need.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use minicbor::{Decode, Encode};

use super::{AttemptId, End, JobEntry, JobId, Lost, Outcome, Place, WorkerId};
use crate::id::{Hash, Seq};
use crate::time::{Hlc, WallTime};
use crate::token::Fence;

/// What an entry says about a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Fact {
    /// The entry.
    #[n(0)]
    pub place: Place,
    /// Its clock.
    #[n(1)]
    pub hlc: Hlc,
    /// What it says.
    #[n(2)]
    pub kind: FactKind,
}

/// The kinds of facts; see [`JobEntry`], whose variants they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub enum FactKind {
    /// An attempt begins.
    #[n(0)]
    Claim {
        /// Of which worker.
        #[n(0)]
        worker: WorkerId,
        /// Which attempt.
        #[n(1)]
        attempt: AttemptId,
        /// What ended the previous one.
        #[n(2)]
        after: Option<Place>,
        /// Of which generation.
        #[n(3)]
        generation: u32,
    },
    /// An attempt has come so far.
    #[n(1)]
    Save {
        /// Which attempt.
        #[n(0)]
        attempt: AttemptId,
        /// The checkpoint's hash.
        #[n(1)]
        hash: Hash,
        /// How much is done.
        #[n(2)]
        done: Option<u64>,
        /// How much there is.
        #[n(3)]
        total: Option<u64>,
        /// Length of the blob that is its state, if it is one.
        #[n(4)]
        blob: Option<u32>,
    },
    /// An attempt ended.
    #[n(2)]
    End {
        /// Of which worker.
        #[n(0)]
        worker: WorkerId,
        /// Which attempt.
        #[n(1)]
        attempt: AttemptId,
        /// How.
        #[n(2)]
        outcome: Outcome,
        /// After how many milliseconds.
        #[n(3)]
        millis: u64,
        /// When a recurring job is due again.
        #[n(4)]
        next: Option<WallTime>,
    },
    /// An attempt's worker is dead.
    #[n(3)]
    Lose {
        /// Which worker.
        #[n(0)]
        worker: WorkerId,
        /// Fence of the worker's lock.
        #[n(1)]
        fence: Fence,
        /// Which attempt.
        #[n(2)]
        attempt: AttemptId,
        /// The claimer's last entry that counts for it.
        #[n(3)]
        last: Seq,
        /// When a recurring job is due again.
        #[n(4)]
        next: Option<WallTime>,
    },
    /// Not wanted any more.
    #[n(4)]
    Cancel {
        /// Which generation.
        #[n(0)]
        generation: u32,
    },
    /// To be tried anew.
    #[n(5)]
    Retry {
        /// Which generation ends.
        #[n(0)]
        generation: u32,
    },
    /// The whole queue was purged.
    #[n(6)]
    Purge,
}

impl JobEntry {
    /// What the entry says about jobs that it names: nothing for a push, and for what concerns a whole
    /// queue. Of a job named twice, the first mention counts.
    #[must_use]
    pub fn facts(&self) -> Vec<(JobId, FactKind)> {
        let mut facts: Vec<(JobId, FactKind)> = match self {
            Self::Push { .. } | Self::Pause { .. } | Self::Purge => Vec::new(),
            Self::Claim {
                worker,
                fence,
                jobs,
                shard: _,
            } => {
                let claim = |claimed: &super::Claimed| {
                    let kind = FactKind::Claim {
                        worker: *worker,
                        attempt: AttemptId {
                            fence: *fence,
                            number: claimed.number,
                        },
                        after: claimed.after,
                        generation: claimed.generation,
                    };
                    (claimed.job, kind)
                };
                jobs.iter().map(claim).collect()
            }
            Self::Save {
                job,
                attempt,
                checkpoint,
            } => Vec::from([(
                *job,
                FactKind::Save {
                    attempt: *attempt,
                    hash: checkpoint.hash,
                    done: checkpoint.done,
                    total: checkpoint.total,
                    blob: checkpoint.blob(),
                },
            )]),
            Self::End { worker, ends } => ends.iter().map(|end| ended(*worker, end)).collect(),
            Self::Lose {
                worker,
                fence,
                lost,
            } => lost
                .iter()
                .map(|lost| died(*worker, *fence, lost))
                .collect(),
            Self::Cancel { jobs } => {
                let cancel = |&(job, generation)| (job, FactKind::Cancel { generation });
                jobs.iter().map(cancel).collect()
            }
            Self::Retry { jobs } => {
                let retry = |&(job, generation)| (job, FactKind::Retry { generation });
                jobs.iter().map(retry).collect()
            }
        };
        let mut named = BTreeSet::new();
        facts.retain(|(job, _)| named.insert(*job));
        facts
    }
}

fn ended(worker: WorkerId, end: &End) -> (JobId, FactKind) {
    let kind = FactKind::End {
        worker,
        attempt: end.attempt,
        outcome: end.outcome,
        millis: end.millis,
        next: end.next,
    };
    (end.job, kind)
}

fn died(worker: WorkerId, fence: Fence, lost: &Lost) -> (JobId, FactKind) {
    let kind = FactKind::Lose {
        worker,
        fence,
        attempt: lost.attempt,
        last: lost.last,
        next: lost.next,
    };
    (lost.job, kind)
}

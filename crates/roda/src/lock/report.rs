//! What `roda locks` shows: asked of the leader, which also knows since when.

use std::collections::BTreeMap;
use std::time::Duration;

use minicbor::{Decode, Encode};
use roda_proto::token::{Change, Fence, LockName, LockStatus, Quorum, RequestId, SessionId, Table};
use roda_proto::{NodeId, Timestamp};

use super::{LockInfo, LockReport};

/// Since when grants and waiters are there, as this node has seen it while it leads.
#[derive(Debug, Default)]
pub(super) struct Ages {
    granted: BTreeMap<Fence, Timestamp>,
    queued: BTreeMap<(SessionId, RequestId), Timestamp>,
    /// When this node began to lead: whatever is older is at least that old.
    since: Timestamp,
}

impl Ages {
    pub(super) fn begin(&mut self, now: Timestamp) {
        *self = Self {
            since: now,
            ..Self::default()
        };
    }

    pub(super) fn note(&mut self, now: Timestamp, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Queued {
                    session, request, ..
                } => {
                    self.queued.insert((*session, *request), now);
                }
                Change::Granted {
                    session,
                    request,
                    fence,
                    ..
                } => {
                    self.queued.remove(&(*session, *request));
                    self.granted.insert(*fence, now);
                }
                Change::Promoted { fence, .. } => {
                    self.granted.insert(*fence, now);
                }
                Change::Released { fence, .. } => {
                    self.granted.remove(fence);
                }
                Change::Cancelled { session, request } => {
                    self.queued.remove(&(*session, *request));
                }
                Change::Ended { session, .. } => {
                    self.queued.retain(|(of, _), _| of != session);
                }
                _other => {}
            }
        }
    }

    fn of(&self, now: Timestamp, status: &LockStatus) -> (Vec<u64>, Vec<u64>) {
        let age = |since: Option<&Timestamp>| {
            let age = now.since(*since.unwrap_or(&self.since));
            u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
        };
        let holding = status.holders.iter();
        let holding = holding.map(|holder| age(self.granted.get(&holder.fence)));
        let waiting = status.waiters.iter();
        let waiting = waiting.map(|waiter| age(self.queued.get(&(waiter.session, waiter.request))));
        (holding.collect(), waiting.collect())
    }

    /// Forgets grants that are no more; their end need not have been seen one by one.
    pub(super) fn prune(&mut self, status: &[LockStatus]) {
        let holders = status.iter().flat_map(|lock| &lock.holders);
        let live: std::collections::BTreeSet<Fence> = holders.map(|holder| holder.fence).collect();
        self.granted.retain(|fence, _| live.contains(fence));
    }

    pub(super) fn len(&self) -> usize {
        self.granted.len()
    }
}

/// The question, on a link.
#[derive(Debug, Encode, Decode)]
pub(super) struct ReportCall {
    /// Only these; empty: all.
    #[n(0)]
    pub(super) names: Vec<LockName>,
}

/// The answer.
#[derive(Debug, Encode, Decode)]
pub(super) enum ReportReply {
    /// Somebody else may know.
    #[n(0)]
    NotLeader {
        /// Who leads.
        #[n(0)]
        leader: Option<NodeId>,
        /// Who votes.
        #[n(1)]
        voters: Vec<NodeId>,
    },
    /// Too few voters answer.
    #[n(1)]
    NoQuorum(#[n(0)] Quorum),
    /// The leader's word.
    #[n(2)]
    Report {
        /// Who votes.
        #[n(0)]
        voters: Vec<NodeId>,
        /// Which of them answer.
        #[n(1)]
        quorum: Quorum,
        /// The locks.
        #[n(2)]
        locks: Vec<AgedStatus>,
    },
}

/// A lock, with ages in milliseconds.
#[derive(Debug, Encode, Decode)]
pub(super) struct AgedStatus {
    #[n(0)]
    status: LockStatus,
    #[n(1)]
    holding: Vec<u64>,
    #[n(2)]
    waiting: Vec<u64>,
}

/// Most holders and waiters in one report: it has to fit a message.
const REPORT_ROWS_MAX: usize = 1000;
/// Most waiters of one lock in a report of several.
const REPORT_WAITERS_MAX: usize = 100;

/// What the leader answers.
pub(super) fn report(
    now: Timestamp,
    table: &Table,
    ages: &mut Ages,
    names: &[LockName],
) -> Vec<AgedStatus> {
    let locks = table.status(names);
    if names.is_empty() && ages.len() > 2 * locks.len() {
        ages.prune(&locks);
    }
    let mut rows = 0;
    let mut report = Vec::new();
    for mut status in locks {
        status.waiters.truncate(REPORT_WAITERS_MAX);
        rows += 1 + status.holders.len() + status.waiters.len();
        if rows > REPORT_ROWS_MAX {
            break;
        }
        let (holding, waiting) = ages.of(now, &status);
        report.push(AgedStatus {
            status,
            holding,
            waiting,
        });
    }
    report
}

impl From<AgedStatus> for LockInfo {
    fn from(aged: AgedStatus) -> Self {
        let durations = |millis: Vec<u64>| millis.into_iter().map(Duration::from_millis).collect();
        Self {
            status: aged.status,
            holding: durations(aged.holding),
            waiting: durations(aged.waiting),
        }
    }
}

pub(super) fn lock_report(
    leader: NodeId,
    voters: Vec<NodeId>,
    quorum: Quorum,
    locks: Vec<AgedStatus>,
) -> LockReport {
    LockReport {
        leader,
        voters,
        quorum,
        locks: locks.into_iter().map(Into::into).collect(),
    }
}

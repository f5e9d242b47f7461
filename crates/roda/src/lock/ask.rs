//! Questions to the leader, wherever it is: the report, and release by force.

use std::time::Duration;

use roda_proto::NodeId;
use roda_proto::stream::{self, CallService};
use roda_proto::token::{LockCommand, LockName, Quorum};

use super::LockReport;
use super::report::{ReportCall, ReportReply, lock_report};
use super::run::Switchboard;
use super::service::now;
use crate::consensus::{Consensus as _, ConsensusError};
use crate::error::{Error, Result};
use crate::link::CallError;

/// Longest wait for one reply.
const CALL_TIME_MAX: Duration = Duration::from_secs(1);
/// Pause before somebody else is asked.
const ASK_PAUSE: Duration = Duration::from_millis(50);
/// How often a lock that was released by force is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

impl Switchboard {
    /// Asks for the report until a leader answers, for a session time at most.
    pub(super) async fn report(&self, names: &[LockName]) -> Result<LockReport> {
        let deadline = now() + self.locks.timings.session();
        loop {
            if let Some(leader) = self.locks.leader() {
                match self.report_of(leader, names).await {
                    Some(ReportReply::Report {
                        voters,
                        quorum,
                        locks,
                    }) => return Ok(lock_report(leader, voters, quorum, locks)),
                    Some(ReportReply::NoQuorum(quorum)) => return Err(Error::NoQuorum(quorum)),
                    Some(ReportReply::NotLeader { leader, voters }) => {
                        self.locks.on_redirect(leader, voters);
                    }
                    None => {}
                }
            }
            if now() > deadline {
                let missing = self.locks.missing_quorum();
                return Err(missing.map_or(Error::NoLeader, Error::NoQuorum));
            }
            tokio::time::sleep(ASK_PAUSE).await;
        }
    }

    async fn report_of(&self, leader: NodeId, names: &[LockName]) -> Option<ReportReply> {
        let call = ReportCall {
            names: names.to_vec(),
        };
        let body = stream::encode(&call);
        if leader == self.locks.node {
            let reply = self.answer_report(&body).await?;
            return stream::decode(&reply).ok();
        }
        let links = &self.locks.links;
        let service = CallService::LockReport;
        match links.call(leader, service, body, CALL_TIME_MAX).await {
            Ok(reply) => stream::decode(&reply).ok(),
            Err(CallError::TimedOut | CallError::Refused) => None,
        }
    }

    /// Answers as the leader, if this node leads: only after a majority has confirmed that.
    pub(super) async fn answer_report(&self, body: &[u8]) -> Option<Vec<u8>> {
        let ReportCall { names } = stream::decode(body).ok()?;
        let reply = match self.consensus.confirm().await {
            Ok(()) => match self.locks.report(&names) {
                Ok(locks) => {
                    let voters = self.locks.role().voters;
                    let quorum = self.locks.quorum_seen(&voters, true);
                    ReportReply::Report {
                        voters,
                        quorum,
                        locks,
                    }
                }
                Err((leader, voters)) => ReportReply::NotLeader { leader, voters },
            },
            Err(ConsensusError::NoQuorum(quorum)) => ReportReply::NoQuorum(quorum),
            Err(
                ConsensusError::NotLeader(_)
                | ConsensusError::TooLong { .. }
                | ConsensusError::Store(_),
            ) => {
                let (leader, voters) = self.locks.known_leader();
                ReportReply::NotLeader { leader, voters }
            }
            Err(ConsensusError::Stopped) => return None,
        };
        Some(stream::encode(&reply))
    }

    /// Has the holders of a lock stopped, and waits until they are.
    pub(super) async fn force(&self, name: &LockName) -> Result<()> {
        let names = [name.clone()];
        let holders = |report: &LockReport| -> Vec<_> {
            let locks = report.locks.iter();
            let holders = locks.flat_map(|lock| &lock.status.holders);
            let live = holders.filter(|holder| holder.is_live);
            live.map(|holder| (holder.fence, holder.is_revoked))
                .collect()
        };
        let before = holders(&self.report(&names).await?);
        if before.is_empty() {
            return Err(Error::NotHeld(name.clone()));
        }
        let latest = before
            .iter()
            .map(|(fence, _)| *fence)
            .max()
            .unwrap_or_default();
        tracing::warn!(lock = %name, "released by force");
        loop {
            let now = holders(&self.report(&names).await?);
            let remaining = now
                .iter()
                .filter(|(fence, _)| before.iter().any(|(held, _)| held == fence));
            let remaining: Vec<_> = remaining.collect();
            if remaining.is_empty() {
                return Ok(());
            }
            if remaining.iter().any(|(_, is_revoked)| !is_revoked) {
                self.locks.propose(LockCommand::Force {
                    lock: name.clone(),
                    by: self.locks.node,
                    upto: latest,
                });
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// How many voters answer, as far as this node can see.
    pub(super) fn missing_quorum(&self) -> Option<Quorum> {
        self.locks.missing_quorum()
    }
}

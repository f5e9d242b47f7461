//! The tasks around the locks of a node.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use roda_proto::stream::CallService;
use roda_proto::token::{LockMessage, Timings};
use roda_proto::{GroupId, NodeId, Presence};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::service::{Locks, ToVoters};
use crate::boottime::Alarm;
use crate::consensus::{AppliedEntry, Candidate, Consensus, ConsensusError, Raft, RaftParts};
use crate::error::{Error, Result};
use crate::link::{LinkHandler, Links};
use crate::random;
use crate::view::View;

/// How long a stopping node still sends.
const CLOSE_LINGER: Duration = Duration::from_millis(50);

/// What the locks of a node need.
pub(crate) struct LockParts {
    pub(crate) home: PathBuf,
    pub(crate) node: NodeId,
    pub(crate) group: GroupId,
    /// This node founds the voters of a new group.
    pub(crate) is_founder: bool,
    pub(crate) timings: Timings,
    pub(crate) links: Links,
    pub(crate) view: watch::Receiver<View>,
}

/// The running locks of a node.
pub(crate) struct LockService {
    pub(crate) switchboard: Arc<Switchboard>,
    task: AbortHandle,
}

impl LockService {
    /// Opens the voters' log and begins.
    ///
    /// # Errors
    /// The log cannot be used, or the machine is out of files.
    pub(crate) fn start(parts: LockParts) -> Result<Self> {
        let LockParts {
            home,
            node,
            group,
            is_founder,
            timings,
            links,
            view,
        } = parts;
        let (to_voters, asked) = mpsc::unbounded_channel();
        let (consensus, applied) = Raft::start(RaftParts {
            home: home.clone(),
            node,
            group,
            is_founder,
            timings,
            links: links.clone(),
        })
        .map_err(|error| Error::store(&home, error))?;
        let alarm = Alarm::new().map_err(|error| Error::file(&home, &error))?;
        let boot = u64::from_le_bytes(random::bytes()?);
        let table = consensus.table();
        let locks = Locks::new(node, boot, timings, links, view, table, to_voters);
        let switchboard = Arc::new(Switchboard {
            locks: Arc::new(locks),
            consensus,
        });
        let running = run(Arc::clone(&switchboard), alarm, asked, applied);
        let task = tokio::spawn(running).abort_handle();
        Ok(Self { switchboard, task })
    }

    pub(super) fn locks(&self) -> &Locks {
        &self.switchboard.locks
    }

    /// Leaves everything, as far as nobody is inside any more, and stops voting.
    pub(crate) async fn stop(&self) {
        self.switchboard.locks.close();
        // What was just handed over, and the closing of the session, is to be sent.
        tokio::time::sleep(CLOSE_LINGER).await;
        self.switchboard.consensus.stop().await;
        self.task.abort();
        self.switchboard.locks.links.close();
    }
}

/// Connects links, locks and voters.
pub(crate) struct Switchboard {
    pub(super) locks: Arc<Locks>,
    pub(super) consensus: Arc<Raft>,
}

impl LinkHandler for Switchboard {
    fn on_lock(&self, from: NodeId, message: LockMessage) {
        self.locks.on_message(from, message);
    }

    async fn on_call(&self, from: NodeId, service: CallService, body: Vec<u8>) -> Option<Vec<u8>> {
        match service {
            CallService::Consensus => self.consensus.handle_call(from, &body).await,
            CallService::LockReport => self.answer_report(&body).await,
        }
    }
}

/// Runs until the node stops.
pub(crate) async fn run(
    switchboard: Arc<Switchboard>,
    alarm: Alarm,
    to_voters: mpsc::UnboundedReceiver<ToVoters>,
    applied: mpsc::UnboundedReceiver<AppliedEntry>,
) {
    let Switchboard { locks, consensus } = &*switchboard;
    let mut tasks = JoinSet::new();
    tasks.spawn(ring(Arc::clone(locks), alarm));
    tasks.spawn(take_applied(Arc::clone(locks), applied));
    tasks.spawn(follow_role(Arc::clone(locks), consensus.role()));
    tasks.spawn(ask_voters(
        Arc::clone(locks),
        Arc::clone(consensus),
        to_voters,
    ));
    tasks.spawn(offer_candidates(locks.view.clone(), Arc::clone(consensus)));
    // Each ends only with the node.
    while tasks.join_next().await.is_some() {}
}

async fn ring(locks: Arc<Locks>, alarm: Alarm) {
    loop {
        let deadline = locks.on_alarm();
        tokio::select! {
            () = alarm.wait(deadline) => {}
            () = locks.rearm.notified() => {}
        }
    }
}

async fn take_applied(locks: Arc<Locks>, mut applied: mpsc::UnboundedReceiver<AppliedEntry>) {
    while let Some(AppliedEntry { proposal, applied }) = applied.recv().await {
        locks.on_applied(proposal, applied);
    }
}

async fn follow_role(locks: Arc<Locks>, mut role: watch::Receiver<crate::consensus::Role>) {
    loop {
        let now = role.borrow_and_update().clone();
        locks.on_role(now);
        if role.changed().await.is_err() {
            return;
        }
    }
}

/// Hands entries over in order; what becomes of each is waited for beside.
async fn ask_voters(
    locks: Arc<Locks>,
    consensus: Arc<Raft>,
    mut asked: mpsc::UnboundedReceiver<ToVoters>,
) {
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            Some(_ended) = under_way.join_next() => {}
            next = asked.recv() => match next {
                None => return,
                Some(ToVoters::Propose { id, commands }) => {
                    let written = consensus.propose(id, commands).await;
                    let locks = Arc::clone(&locks);
                    under_way.spawn(async move {
                        let done = match written {
                            Ok(written) => written.await,
                            Err(error) => Err(error),
                        };
                        if let Err(error) = done {
                            tracing::debug!(%error, "nothing was agreed");
                            locks.on_failed(id, quorum_of(&error));
                        }
                    });
                }
                Some(ToVoters::Confirm { id }) => {
                    let (locks, consensus) = (Arc::clone(&locks), Arc::clone(&consensus));
                    under_way.spawn(async move {
                        let confirmed = consensus.confirm().await;
                        let confirmed = confirmed.map_err(|error| {
                            quorum_of(&error).unwrap_or_else(|| consensus.quorum())
                        });
                        locks.on_confirmed(id, confirmed);
                    });
                }
            },
        }
    }
}

fn quorum_of(error: &ConsensusError) -> Option<roda_proto::token::Quorum> {
    match error {
        ConsensusError::NoQuorum(quorum) => Some(*quorum),
        ConsensusError::NotLeader(_) | ConsensusError::Store(_) | ConsensusError::Stopped => None,
    }
}

/// Tells the voters which members could be one of them.
async fn offer_candidates(mut view: watch::Receiver<View>, consensus: Arc<Raft>) {
    loop {
        let candidates = {
            let view = view.borrow_and_update();
            let members = view.members.iter();
            let candidates = members.map(|member| Candidate {
                node: member.node,
                is_online: matches!(member.presence, Presence::Here | Presence::Online),
            });
            candidates.collect()
        };
        consensus.set_candidates(candidates);
        if view.changed().await.is_err() {
            return;
        }
    }
}

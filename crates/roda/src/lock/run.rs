//! The tasks around the locks of a node.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use roda_proto::stream::CallService;
use roda_proto::token::{LockMessage, Quorum, Timings};
use roda_proto::{GroupId, NodeId, Presence, Timestamp};
use roda_store::RaftLog;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::service::{Locks, ToVoters};
use crate::boottime::Alarm;
use crate::consensus::{
    AppliedEntry, CallError, Caller, Candidate, Consensus, ConsensusError, Online, RaftNode,
    RaftOptions, Role,
};
use crate::error::{Error, Result};
use crate::link::{LinkHandler, Links};
use crate::random;
use crate::view::View;

/// Applied entries that wait to be told to sessions; the voters wait beyond it.
const APPLIED_MAX: usize = 1024;
/// Longest wait for the voters to replace a node that leaves.
const RETIRE_TIME_MAX: Duration = Duration::from_secs(5);
/// Between two looks at the clock if the system gives no alarm.
const ALARM_LOOK: Duration = Duration::from_millis(50);
/// How long a stopping node still sends.
const CLOSE_LINGER: Duration = Duration::from_millis(50);

/// What the locks of a node need.
pub(crate) struct LockParts {
    pub(crate) home: PathBuf,
    pub(crate) node: NodeId,
    pub(crate) group: GroupId,
    /// The voters' log.
    pub(crate) log: RaftLog,
    /// This node founds the voters of a new group.
    pub(crate) found: bool,
    pub(crate) timings: Timings,
    pub(crate) voters_max: usize,
    pub(crate) links: Links,
    pub(crate) view: watch::Receiver<View>,
}

/// The running locks of a node.
pub(crate) struct LockService {
    pub(crate) switchboard: Arc<Switchboard>,
    retiring: watch::Sender<bool>,
    task: AbortHandle,
}

impl LockService {
    /// Begins.
    ///
    /// # Errors
    /// The log cannot be read, or the machine is out of files.
    pub(crate) async fn start(parts: LockParts) -> Result<Self> {
        let LockParts {
            home,
            node,
            group,
            log,
            found,
            timings,
            voters_max,
            links,
            view,
        } = parts;
        let (to_voters, asked) = mpsc::unbounded_channel();
        let (apply, applied) = mpsc::channel(APPLIED_MAX);
        let (offer, candidates) = watch::channel(Vec::new());
        let options = RaftOptions {
            node,
            cluster: group,
            timings,
            voters_max,
            found,
        };
        let caller = Arc::new(LinkCaller(links.clone()));
        let consensus = RaftNode::start(options, log, caller, candidates, apply)
            .await
            .map_err(|error| Error::Store(error.to_string()))?;
        let alarm = Alarm::new().map_err(|error| Error::file(&home, &error))?;
        let boot = u64::from_le_bytes(random::bytes()?);
        let table = consensus.table();
        let locks = Locks::new(node, boot, timings, links, view, table, to_voters);
        let switchboard = Arc::new(Switchboard {
            locks: Arc::new(locks),
            consensus: Arc::new(consensus),
        });
        let (retiring, retires) = watch::channel(false);
        let inputs = Inputs {
            retires,
            alarm,
            asked,
            applied,
            offer,
        };
        let running = run(Arc::clone(&switchboard), inputs);
        let task = tokio::spawn(running).abort_handle();
        Ok(Self {
            switchboard,
            retiring,
            task,
        })
    }

    /// Gives the vote to another, if there is another; for a node that leaves the group.
    pub(crate) async fn retire(&self) {
        let node = self.switchboard.locks.node;
        let is_alone = {
            let view = self.switchboard.locks.view.borrow();
            let mut members = view.members.iter();
            !members.any(|member| member.presence == Presence::Online)
        };
        if is_alone {
            return;
        }
        self.retiring.send_replace(true);
        let mut role = self.switchboard.consensus.role();
        let is_out = |role: &Role| !role.voters.contains(&node);
        // Without the others it leaves all the same; they replace it when they hear of that.
        let _in_time = tokio::time::timeout(RETIRE_TIME_MAX, role.wait_for(is_out)).await;
    }

    pub(super) fn locks(&self) -> &Locks {
        &self.switchboard.locks
    }

    /// Leaves everything, as far as nobody is inside any more, and stops voting.
    pub(crate) async fn stop(&self) {
        self.switchboard.locks.close();
        // What was just handed over, and the closing of the session, is to be sent.
        tokio::time::sleep(CLOSE_LINGER).await;
        self.switchboard.consensus.shutdown().await;
        self.task.abort();
        self.switchboard.locks.links.close();
    }
}

/// Connects links, locks and voters.
pub(crate) struct Switchboard {
    pub(super) locks: Arc<Locks>,
    pub(super) consensus: Arc<RaftNode>,
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

/// Voters call each other on links.
struct LinkCaller(Links);

impl Caller for LinkCaller {
    async fn call(
        &self,
        to: NodeId,
        request: Vec<u8>,
        timeout: Duration,
    ) -> std::result::Result<Vec<u8>, CallError> {
        if !self.0.knows(to) {
            return Err(CallError::Unreachable);
        }
        let called = self.0.call(to, CallService::Consensus, request, timeout);
        called.await.map_err(|_no_reply| CallError::NoAnswer)
    }
}

/// What wakes the tasks.
struct Inputs {
    retires: watch::Receiver<bool>,
    alarm: Alarm,
    asked: mpsc::UnboundedReceiver<ToVoters>,
    applied: mpsc::Receiver<AppliedEntry>,
    offer: watch::Sender<Vec<Candidate>>,
}

/// Runs until the node stops.
async fn run(switchboard: Arc<Switchboard>, inputs: Inputs) {
    let Inputs {
        retires,
        alarm,
        asked,
        applied,
        offer,
    } = inputs;
    let Switchboard { locks, consensus } = &*switchboard;
    let mut tasks = JoinSet::new();
    tasks.spawn(ring(Arc::clone(locks), alarm));
    tasks.spawn(take_applied(Arc::clone(locks), applied));
    tasks.spawn(follow_role(Arc::clone(locks), consensus.role()));
    tasks.spawn(ask_voters(Arc::clone(locks), Arc::clone(consensus), asked));
    let offering = offer_candidates(locks.node, locks.view.clone(), retires, offer);
    tasks.spawn(offering);
    // Each ends only with the node.
    while tasks.join_next().await.is_some() {}
}

async fn ring(locks: Arc<Locks>, alarm: Alarm) {
    loop {
        let deadline = locks.on_alarm();
        let at = deadline.map(|at| at.since(Timestamp::default()));
        tokio::select! {
            rung = alarm.wait(at) => if let Err(error) = rung {
                // Leases end by this alarm: without it they are looked at often.
                tracing::error!(%error, "no alarm");
                tokio::time::sleep(ALARM_LOOK).await;
            },
            () = locks.rearm.notified() => {}
        }
    }
}

async fn take_applied(locks: Arc<Locks>, mut entries: mpsc::Receiver<AppliedEntry>) {
    while let Some(AppliedEntry { index, id, applied }) = entries.recv().await {
        tracing::trace!(index, "applied");
        locks.on_applied(id, applied);
    }
}

async fn follow_role(locks: Arc<Locks>, mut role: watch::Receiver<Role>) {
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
    consensus: Arc<RaftNode>,
    mut asked: mpsc::UnboundedReceiver<ToVoters>,
) {
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            Some(_ended) = under_way.join_next() => {}
            next = asked.recv() => match next {
                None => return,
                Some(ToVoters::Propose { id, commands }) => {
                    let (locks, consensus) = (Arc::clone(&locks), Arc::clone(&consensus));
                    let mut writing = Box::pin(async move {
                        if let Err(error) = consensus.propose(id, commands).await {
                            tracing::debug!(%error, "nothing was agreed");
                            locks.on_failed(id, quorum_of(&error));
                        }
                    });
                    // The first poll hands the entry over, so that entries keep their order.
                    if !is_done(&mut writing).await {
                        under_way.spawn(writing);
                    }
                }
                Some(ToVoters::Confirm { id }) => {
                    let (locks, consensus) = (Arc::clone(&locks), Arc::clone(&consensus));
                    under_way.spawn(async move {
                        let confirmed = consensus.confirm().await;
                        let confirmed =
                            confirmed.map_err(|error| quorum_of(&error).unwrap_or_default());
                        locks.on_confirmed(id, confirmed);
                    });
                }
            },
        }
    }
}

/// Polls once.
async fn is_done(work: &mut (impl Future<Output = ()> + Unpin)) -> bool {
    std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut *work).poll(context).is_ready())).await
}

fn quorum_of(error: &ConsensusError) -> Option<Quorum> {
    match error {
        ConsensusError::NoQuorum(quorum) => Some(*quorum),
        ConsensusError::NotLeader(_)
        | ConsensusError::TooLong { .. }
        | ConsensusError::Store(_)
        | ConsensusError::Stopped => None,
    }
}

/// Tells the voters which members could be one of them.
async fn offer_candidates(
    own: NodeId,
    mut view: watch::Receiver<View>,
    mut retires: watch::Receiver<bool>,
    offer: watch::Sender<Vec<Candidate>>,
) {
    let mut known: BTreeMap<NodeId, Online> = BTreeMap::new();
    loop {
        let now = Instant::now();
        let is_retiring = *retires.borrow_and_update();
        let candidates: Vec<Candidate> = {
            let view = view.borrow_and_update();
            let members = view.members.iter();
            let candidates = members.map(|member| {
                let is_here = matches!(member.presence, Presence::Here | Presence::Online);
                let presence = match (known.get(&member.node), is_here) {
                    (Some(same @ Online::Since(_)), true)
                    | (Some(same @ Online::NotSince(_)), false) => *same,
                    (_, true) => Online::Since(now),
                    (_, false) => Online::NotSince(now),
                };
                Candidate {
                    node: member.node,
                    presence,
                    is_member: !(is_retiring && member.node == own),
                }
            });
            candidates.collect()
        };
        let members = candidates.iter();
        known = members
            .map(|member| (member.node, member.presence))
            .collect();
        offer.send_replace(candidates);
        let changed = tokio::select! {
            changed = view.changed() => changed,
            changed = retires.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

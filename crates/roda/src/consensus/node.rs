//! One node's part in the Raft of its group.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use openraft::ServerState;
use openraft::error::{CheckIsLeaderError, ClientWriteError, ForwardToLeader, RaftError};
use roda_proto::token::{LockCommand, Table, Timings};
use roda_proto::{GroupId, NodeId};
use roda_store::RaftLog;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::life::{Life, Setting};
use super::network::Network;
use super::types::{Proposal, RaftPeer};
use super::wire::Acquaintance;
use super::writer::Writer;
use super::{AppliedEntry, Caller, Candidate, Consensus, ConsensusError, Role};
use super::{role, scout, voters};
use crate::random;

/// What a node needs to take part.
pub(crate) struct RaftOptions {
    /// This node.
    pub(crate) node: NodeId,
    /// Its group.
    pub(crate) cluster: GroupId,
    /// How long things take.
    pub(crate) timings: Timings,
    /// Most voters while this node leads.
    pub(crate) voters_max: usize,
    /// Makes this node the first voter, if its log is new. Only right for the node that founded the
    /// group, and only with the one log whose id it noted in its main database *before*: another log
    /// (the first was lost) must never be the beginning of a second table.
    pub(crate) found: bool,
}

/// One node's part in the Raft of its group: a voter, or one that could become a voter.
#[derive(Clone)]
pub(crate) struct RaftNode {
    shared: Arc<Shared>,
}

struct Shared {
    timings: Timings,
    role: watch::Receiver<Role>,
    table: Arc<Mutex<Table>>,
    /// `None` while the log is replaced or cannot be written, and at the end.
    life: RwLock<Option<Arc<Life>>>,
    stop: watch::Sender<bool>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

impl RaftNode {
    /// Starts with what is in `log`. Applied entries go to `applied`, which has to be drained all the
    /// time: while it is full, nothing more is applied.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) async fn start<C: Caller>(
        options: RaftOptions,
        log: RaftLog,
        caller: Arc<C>,
        candidates: watch::Receiver<Vec<Candidate>>,
        applied: mpsc::Sender<AppliedEntry>,
    ) -> Result<Self, ConsensusError> {
        let path = log.path().to_owned();
        let (writer, found) = Writer::start(log)?;
        let (reverted, on_reverted) = watch::channel(0);
        let setting = Setting {
            node: options.node,
            cluster: options.cluster,
            timings: options.timings,
            voters_max: options.voters_max,
            caller,
            table: Arc::default(),
            applied,
            candidates,
            writer,
            path,
            reverted,
        };
        let (life, network) = Life::start(&setting, found).await?;
        if options.found {
            life.found().await?;
        }
        let (role, role_seen) = watch::channel(Role::default());
        let (stop, on_stop) = watch::channel(false);
        let shared = Arc::new(Shared {
            timings: options.timings,
            role: role_seen,
            table: Arc::clone(&setting.table),
            life: RwLock::new(Some(Arc::clone(&life))),
            stop,
            keeper: Mutex::default(),
        });
        let keeper = Keeper {
            setting,
            role,
            shared: Arc::clone(&shared),
        };
        let keeping = tokio::spawn(keeper.run(life, network, on_reverted, on_stop));
        *lock(&shared.keeper) = Some(keeping);
        Ok(Self { shared })
    }

    /// Answers a request that `from` sent; `None`: it deserves no answer. Cancel-safe.
    pub(crate) async fn handle_call(&self, from: NodeId, request: &[u8]) -> Option<Vec<u8>> {
        let life = self.life().ok()?;
        let known = || {
            let role = self.shared.role.borrow();
            Acquaintance {
                term: role.term,
                leader: role.leader,
                voters: role.voters.clone(),
            }
        };
        life.handle(from, request, known).await
    }

    /// The table as far as it is applied here. Locked for microseconds only, never across an await.
    pub(crate) fn table(&self) -> Arc<Mutex<Table>> {
        Arc::clone(&self.shared.table)
    }

    /// Stops, and returns when all that was acknowledged is on disk and the log is closed.
    pub(crate) async fn shutdown(&self) {
        self.shared.stop.send_replace(true);
        let keeper = lock(&self.shared.keeper).take();
        if let Some(keeper) = keeper {
            // A panic of the task was reported where it happened.
            let _joined = keeper.await;
        }
    }

    fn life(&self) -> Result<Arc<Life>, ConsensusError> {
        let life = self.shared.life.read();
        let life = life.unwrap_or_else(PoisonError::into_inner);
        life.clone().ok_or(ConsensusError::Stopped)
    }
}

#[cfg(test)]
impl RaftNode {
    /// Writes the table down and forgets the entries before.
    pub(super) async fn compact(&self) {
        let raft = self.life().unwrap().raft.clone();
        raft.trigger().snapshot().await.unwrap();
        let metrics = || raft.data_metrics().borrow().clone();
        let last = metrics().last_applied;
        let mut data = raft.data_metrics();
        data.wait_for(|data| data.snapshot >= last).await.unwrap();
        raft.trigger().purge_log(last.unwrap().index).await.unwrap();
        data.wait_for(|data| data.purged >= last).await.unwrap();
    }

    /// Whether the membership has a raft id.
    pub(super) fn knows(&self, raft_id: u64) -> bool {
        self.life().unwrap().node_of(raft_id).is_some()
    }

    pub(super) fn raft_id(&self) -> Option<u64> {
        self.life().ok().map(|life| life.raft_id)
    }
}

impl Consensus for RaftNode {
    async fn propose(&self, id: u64, commands: Vec<LockCommand>) -> Result<u64, ConsensusError> {
        let proposal = Proposal::new(id, commands)?;
        let life = self.life()?;
        // Without a quorum nothing can be decided; an entry that waits for one may be written long
        // after whoever wanted it has given up, so there should not be many.
        life.check_quorum()?;
        let writing = life.raft.client_write(proposal);
        match timeout(self.shared.timings.session() / 2, writing).await {
            Ok(Ok(written)) => Ok(written.log_id.index),
            Ok(Err(error)) => Err(life.explain(error, |error| match error {
                ClientWriteError::ForwardToLeader(forward) => Some(forward),
                ClientWriteError::ChangeMembershipError(_) => None,
            })),
            Err(_elapsed) => Err(ConsensusError::NoQuorum(life.quorum())),
        }
    }

    async fn confirm(&self) -> Result<(), ConsensusError> {
        let life = self.life()?;
        let confirming = life.raft.ensure_linearizable();
        match timeout(self.shared.timings.session() / 2, confirming).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(life.explain(error, |error| match error {
                CheckIsLeaderError::ForwardToLeader(forward) => Some(forward),
                CheckIsLeaderError::QuorumNotEnough(_) => None,
            })),
            Err(_elapsed) => Err(ConsensusError::NoQuorum(life.quorum())),
        }
    }

    fn role(&self) -> watch::Receiver<Role> {
        self.shared.role.clone()
    }
}

impl Life {
    /// Becomes the first voter, unless there is something in the log already.
    async fn found(&self) -> Result<(), ConsensusError> {
        if !self.is_new {
            return Ok(());
        }
        let first = [(self.raft_id, RaftPeer { node: self.node })];
        let founding = self
            .raft
            .initialize(std::collections::BTreeMap::from(first));
        founding
            .await
            .map_err(|error| ConsensusError::Store(error.to_string()))
    }

    fn check_quorum(&self) -> Result<(), ConsensusError> {
        let metrics = self.raft.server_metrics();
        if metrics.borrow().state != ServerState::Leader {
            return Ok(());
        }
        let quorum = self.quorum();
        if quorum.reachable < quorum.needed() {
            return Err(ConsensusError::NoQuorum(quorum));
        }
        Ok(())
    }

    fn explain<E>(
        &self,
        error: RaftError<u64, E>,
        forward: impl FnOnce(E) -> Option<ForwardToLeader<u64, RaftPeer>>,
    ) -> ConsensusError {
        match error {
            RaftError::APIError(error) => match forward(error) {
                Some(forward) => {
                    let leader = forward.leader_node.map(|peer| peer.node);
                    ConsensusError::NotLeader(leader.filter(|leader| *leader != self.node))
                }
                None => ConsensusError::NoQuorum(self.quorum()),
            },
            RaftError::Fatal(openraft::error::Fatal::Stopped) => ConsensusError::Stopped,
            RaftError::Fatal(fatal) => ConsensusError::Store(fatal.to_string()),
        }
    }
}

/// Owns the tasks of a life, and begins a new one when the log turns out to have been put back, or could
/// not be written.
struct Keeper<C> {
    setting: Setting<C>,
    role: watch::Sender<Role>,
    shared: Arc<Shared>,
}

/// Why a life ended.
enum End {
    /// The node stops.
    Stopped,
    /// Others know a later state of the log.
    Reverted,
    /// The disk failed, or is full.
    Failed,
}

impl<C: Caller> Keeper<C> {
    async fn run(
        mut self,
        mut life: Arc<Life>,
        mut network: Network<C>,
        mut on_reverted: watch::Receiver<u64>,
        mut on_stop: watch::Receiver<bool>,
    ) {
        loop {
            let mut tasks = self.spawn(&life, network);
            let end = tokio::select! {
                _stopping = on_stop.wait_for(|stop| *stop) => End::Stopped,
                told = on_reverted.wait_for(|raft_id| *raft_id == life.raft_id) => {
                    if told.is_err() { End::Stopped } else { End::Reverted }
                }
                () = life.failed() => End::Failed,
            };
            self.put(None);
            tasks.shutdown().await;
            if let Err(error) = life.raft.shutdown().await {
                tracing::error!(%error, "the raft did not stop well");
            }
            self.role.send_replace(Role::default());
            let next = match end {
                End::Stopped => None,
                End::Reverted => self.begin_anew().await,
                End::Failed => tokio::select! {
                    _stopping = on_stop.wait_for(|stop| *stop) => None,
                    reopened = self.reopen() => Some(reopened),
                },
            };
            let Some(next) = next else { break };
            (life, network) = next;
            self.put(Some(Arc::clone(&life)));
        }
        self.setting.writer.close().await;
    }

    fn spawn(&self, life: &Arc<Life>, network: Network<C>) -> JoinSet<()> {
        let (told, on_told) = watch::channel(None::<Acquaintance>);
        let mut tasks = JoinSet::new();
        let candidates = || self.setting.candidates.clone();
        tasks.spawn(role::follow(Arc::clone(life), on_told, self.role.clone()));
        tasks.spawn(scout::run(
            Arc::clone(life),
            network.clone(),
            candidates(),
            told,
        ));
        let role = self.role.subscribe();
        tasks.spawn(voters::run(Arc::clone(life), network, candidates(), role));
        tasks
    }

    /// Empties the log, which then is another voter's: one that has promised nothing yet. `None`: it
    /// could not be done.
    async fn begin_anew(&self) -> Option<(Arc<Life>, Network<C>)> {
        let begin = async {
            let fresh = fresh_raft_id()?;
            self.setting.writer.renew(fresh).await?;
            let known = self.setting.writer.look().await?;
            Life::start(&self.setting, known).await
        };
        let begun = begin.await;
        begun
            .inspect_err(
                |error| tracing::error!(%error, "the log of locks could not be begun anew"),
            )
            .ok()
    }

    /// Goes on with what is on disk, as after a crash, as soon as it can be written again.
    async fn reopen(&mut self) -> (Arc<Life>, Network<C>) {
        loop {
            self.setting.writer.close().await;
            tokio::time::sleep(REOPEN_PAUSE).await;
            match self.try_reopen().await {
                Ok(life) => {
                    tracing::info!("the log of locks can be written again");
                    return life;
                }
                Err(error) => tracing::warn!(%error, "the log of locks cannot be opened again"),
            }
        }
    }

    async fn try_reopen(&mut self) -> Result<(Arc<Life>, Network<C>), ConsensusError> {
        let (path, cluster, fresh) = (
            self.setting.path.clone(),
            self.setting.cluster,
            fresh_raft_id()?,
        );
        let opening = tokio::task::spawn_blocking(move || RaftLog::open(&path, cluster, fresh));
        let log = opening
            .await
            .map_err(|_panicked| ConsensusError::Stopped)?
            .map_err(|error| ConsensusError::Store(error.to_string()))?;
        let (writer, found) = Writer::start(log)?;
        self.setting.writer = writer;
        Life::start(&self.setting, found).await
    }

    fn put(&self, life: Option<Arc<Life>>) {
        let held = self.shared.life.write();
        *held.unwrap_or_else(PoisonError::into_inner) = life;
    }
}

/// Before the log is opened again after an error.
const REOPEN_PAUSE: Duration = Duration::from_millis(500);

/// A raft id that nobody has.
pub(crate) fn fresh_raft_id() -> Result<u64, ConsensusError> {
    loop {
        let drawn = random::bytes().map_err(|error| ConsensusError::Store(error.to_string()))?;
        // SQLite's numbers are signed.
        match u64::from_be_bytes(drawn) >> 1 {
            0 => {}
            raft_id => return Ok(raft_id),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

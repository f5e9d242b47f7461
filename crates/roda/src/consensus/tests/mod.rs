//! Nodes in one process, over calls in memory whose links can be cut.

mod cluster;
mod hostile;
mod rollback;
mod speed;
mod storage;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use roda_proto::token::{LockCommand, Timings};
use roda_proto::{GroupId, NodeId};
use roda_store::RaftLog;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use super::{
    AppliedEntry, CallError, Caller, Candidate, Consensus, ConsensusError, Online, RaftNode,
    RaftOptions, Role, fresh_raft_id,
};

const CLUSTER: GroupId = GroupId([7; 16]);
/// Elections within 320 to 640 ms: the disk of a busy machine may take a tenth of a second.
const TIMINGS: Timings = Timings::new(Duration::from_millis(4000));
/// Nothing here takes nearly as long; a busy machine may.
const PATIENCE: Duration = Duration::from_secs(60);

/// Names a node by one byte.
fn id(node: u8) -> NodeId {
    NodeId([node; 32])
}

/// Calls by memory.
#[derive(Default)]
struct Air {
    nodes: Mutex<BTreeMap<NodeId, RaftNode>>,
    cut: Mutex<BTreeSet<(NodeId, NodeId)>>,
}

impl Air {
    fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.cut.lock().unwrap().contains(&(from, to))
    }
}

struct Link {
    me: NodeId,
    air: Arc<Air>,
}

impl Caller for Link {
    async fn call(
        &self,
        to: NodeId,
        request: Vec<u8>,
        time: Duration,
    ) -> Result<Vec<u8>, CallError> {
        assert!(
            request.len() <= super::CALL_LEN_MAX,
            "{} bytes",
            request.len()
        );
        if self.air.is_cut(self.me, to) {
            return Err(CallError::Unreachable);
        }
        let node = self.air.nodes.lock().unwrap().get(&to).cloned();
        let node = node.ok_or(CallError::Unreachable)?;
        let answer = timeout(time, node.handle_call(self.me, &request)).await;
        if self.air.is_cut(to, self.me) {
            return Err(CallError::NoAnswer);
        }
        answer.ok().flatten().ok_or(CallError::NoAnswer)
    }
}

/// A group in one process.
struct World {
    air: Arc<Air>,
    home: TempDir,
    candidates: Vec<Candidate>,
    views: BTreeMap<u8, watch::Sender<Vec<Candidate>>>,
    applied: BTreeMap<u8, mpsc::Receiver<AppliedEntry>>,
    next: u64,
}

impl World {
    fn new() -> Self {
        Self {
            air: Arc::default(),
            home: tempfile::tempdir().unwrap(),
            candidates: Vec::new(),
            views: BTreeMap::new(),
            applied: BTreeMap::new(),
            next: 0,
        }
    }

    /// A group of which the first node is the founder, and all are steady members.
    async fn of(nodes: u8) -> Self {
        let mut world = Self::new();
        for node in 1..=nodes {
            world.start(node).await;
        }
        world.admit(1..=nodes);
        world
    }

    fn path(&self, node: u8) -> PathBuf {
        self.home.path().join(format!("{node}.db"))
    }

    async fn start(&mut self, node: u8) {
        let has_log = self.path(node).exists();
        let log = RaftLog::open(&self.path(node), CLUSTER, fresh_raft_id().unwrap()).unwrap();
        let options = RaftOptions {
            node: id(node),
            cluster: CLUSTER,
            timings: TIMINGS,
            voters_max: 5,
            // As if the main database had noted the first log of the first node.
            found: node == 1 && !has_log,
        };
        let link = Arc::new(Link {
            me: id(node),
            air: Arc::clone(&self.air),
        });
        let (applied, seen) = mpsc::channel(100_000);
        let (view, candidates) = watch::channel(self.candidates.clone());
        self.views.insert(node, view);
        let raft = RaftNode::start(options, log, link, candidates, applied);
        let raft = raft.await.unwrap();
        self.air.nodes.lock().unwrap().insert(id(node), raft);
        self.applied.insert(node, seen);
    }

    async fn stop(&self, node: u8) {
        let raft = self.air.nodes.lock().unwrap().remove(&id(node)).unwrap();
        raft.shutdown().await;
    }

    fn wipe(&self, node: u8) {
        for suffix in ["", "-wal", "-shm"] {
            let mut path = self.path(node).into_os_string();
            path.push(suffix);
            let _absent = std::fs::remove_file(path);
        }
    }

    fn node(&self, node: u8) -> RaftNode {
        self.air.nodes.lock().unwrap()[&id(node)].clone()
    }

    fn role(&self, node: u8) -> Role {
        self.node(node).role().borrow().clone()
    }

    /// These are members and there; nobody else is a member.
    fn admit(&mut self, nodes: impl IntoIterator<Item = u8>) {
        let since = Instant::now() - Duration::from_secs(100);
        let presence = Online::Since(since);
        let of = |node| Candidate {
            node: id(node),
            presence,
            is_member: true,
        };
        self.candidates = nodes.into_iter().map(of).collect();
        self.show();
    }

    /// The member has been away for longer than is borne.
    fn miss(&mut self, node: u8) {
        let presence = Online::NotSince(Instant::now() - Duration::from_secs(60));
        for candidate in self
            .candidates
            .iter_mut()
            .filter(|one| one.node == id(node))
        {
            candidate.presence = presence;
        }
        self.show();
    }

    /// All nodes see the same members.
    fn show(&self) {
        for view in self.views.values() {
            view.send_replace(self.candidates.clone());
        }
    }

    /// A node tells itself that it is about to leave.
    fn prepare_to_leave(&self, node: u8) {
        self.views[&node].send_modify(|candidates| candidates.retain(|one| one.node != id(node)));
    }

    /// Cuts a node off from all others, or connects it again.
    fn isolate(&self, node: u8, is_cut: bool) {
        let mut cut = self.air.cut.lock().unwrap();
        cut.retain(|(from, to)| *from != id(node) && *to != id(node));
        let others = (1..=20).filter(|other| is_cut && *other != node);
        cut.extend(others.flat_map(|other| [(id(node), id(other)), (id(other), id(node))]));
    }

    /// Waits until a node's role is as wanted.
    async fn until(&self, node: u8, what: &str, is: impl FnMut(&Role) -> bool) -> Role {
        let mut role = self.node(node).role();
        let waiting = timeout(PATIENCE, role.wait_for(is)).await;
        let found = waiting.map(|role| role.unwrap().clone());
        found.unwrap_or_else(|_| panic!("{node}: not {what}: {:?}", self.role(node)))
    }

    /// Waits until one of these nodes leads, and returns it.
    async fn leader(&self, nodes: impl IntoIterator<Item = u8> + Clone) -> u8 {
        let looking = async {
            loop {
                let leads = |node: &u8| self.role(*node).is_leading;
                if let Some(node) = nodes.clone().into_iter().find(leads) {
                    return node;
                }
                // Whoever leads next changes its own role; which one it is, nobody knows.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, looking).await.expect("nobody leads")
    }

    /// Waits until so many vote, and a node that leads says so.
    async fn voters(&self, nodes: impl IntoIterator<Item = u8> + Clone, count: usize) -> u8 {
        let looking = async {
            loop {
                let leader = self.leader(nodes.clone()).await;
                let settled = |role: &Role| role.is_leading && role.voters.len() == count;
                let mut role = self.node(leader).role();
                if let Ok(Ok(_)) = timeout(TIMINGS.session() * 4, role.wait_for(settled)).await {
                    return leader;
                }
            }
        };
        timeout(PATIENCE, looking)
            .await
            .expect("too few or too many voters")
    }

    /// Writes one session, as a command that leaves a trace in the table.
    async fn propose(&mut self, node: u8) -> Result<u64, ConsensusError> {
        self.next += 1;
        let command = LockCommand::Open {
            node: id(node),
            boot: self.next,
            session_millis: 1000,
        };
        self.node(node).propose(self.next, vec![command]).await
    }

    /// Proposes to whoever leads until it works.
    async fn propose_somewhere(&mut self, nodes: impl IntoIterator<Item = u8> + Clone) -> u64 {
        loop {
            let leader = self.leader(nodes.clone()).await;
            match self.propose(leader).await {
                Ok(index) => return index,
                Err(error) => tracing::debug!(%error, "again"),
            }
        }
    }

    fn sessions(&self, node: u8) -> usize {
        let table = self.node(node).table();
        table.lock().unwrap().sessions().count()
    }

    /// Waits until a node's table has so many sessions.
    async fn until_sessions(&self, node: u8, count: usize) {
        let looking = async {
            while self.sessions(node) < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let done = timeout(PATIENCE, looking).await;
        done.unwrap_or_else(|_| panic!("{node}: {} of {count}", self.sessions(node)));
    }

    async fn end(self) {
        let nodes: Vec<RaftNode> = {
            let mut nodes = self.air.nodes.lock().unwrap();
            std::mem::take(&mut *nodes).into_values().collect()
        };
        for node in nodes {
            node.shutdown().await;
        }
    }
}

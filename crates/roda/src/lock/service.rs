//! What ties the token protocol to the world: agent, registrar, voters, links, clock and clients.

mod quorum;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roda_proto::stream::LinkFrame;
use roda_proto::token::{
    Acquire, Acquired, Agent, AgentEvent, AgentOutput, Fence, Frontier, LockCommand, LockMessage,
    LockName, LockRefusal, Quorum, Recipient, Registrar, RegistrarOutput, RequestId, Table,
    Timings,
};
use roda_proto::{AuthorId, NodeId, Presence, Seq, Timestamp};
use tokio::sync::{Notify, mpsc, watch};

use super::clients::{Clients, Entered, Ticket};
use super::leader::LeaderGuess;
use super::report::Ages;
use crate::boottime;
use crate::consensus::Role;
use crate::link::Links;
use crate::view::View;

/// The locks of a node.
pub(crate) struct Locks {
    pub(super) node: NodeId,
    pub(super) links: Links,
    pub(super) timings: Timings,
    pub(super) view: watch::Receiver<View>,
    table: Arc<Mutex<Table>>,
    inner: Mutex<Inner>,
    /// News that wait for `inner`. Clients that enter and leave without a pause let them pass: a mutex
    /// alone would let the same client in again and again.
    news: AtomicUsize,
    /// The next deadline is earlier than what the alarm is set to.
    pub(super) rearm: Notify,
    voters: mpsc::UnboundedSender<ToVoters>,
}

struct Inner {
    agent: Agent,
    registrar: Registrar,
    clients: Clients,
    leader: LeaderGuess,
    role: Role,
    ages: Ages,
    quorum: Option<Quorum>,
    /// What the alarm is set to.
    armed: Option<Timestamp>,
}

/// How often a client gives way to news.
const YIELDS_MAX: usize = 64;

/// What the registrar wants of the voters. The registrar bounds how much is under way.
pub(super) enum ToVoters {
    /// Write an entry.
    Propose {
        /// Names it.
        id: u64,
        /// The entry.
        commands: Vec<LockCommand>,
    },
    /// Ask whether this node still leads.
    Confirm {
        /// Names the question.
        id: u64,
    },
}

/// Inside at once, or not yet.
pub(super) enum Asked {
    /// The token was here.
    Inside(RequestId, Entered),
    /// In the queue.
    Waiting(RequestId, Ticket),
}

impl Locks {
    pub(super) fn new(
        node: NodeId,
        boot: u64,
        timings: Timings,
        links: Links,
        view: watch::Receiver<View>,
        table: Arc<Mutex<Table>>,
        voters: mpsc::UnboundedSender<ToVoters>,
    ) -> Self {
        Self {
            node,
            links,
            timings,
            view,
            table,
            inner: Mutex::new(Inner {
                agent: Agent::new(node, boot, timings),
                registrar: Registrar::new(timings),
                clients: Clients::new(),
                leader: LeaderGuess::default(),
                role: Role::default(),
                ages: Ages::default(),
                quorum: None,
                armed: None,
            }),
            news: AtomicUsize::new(0),
            rearm: Notify::new(),
            voters,
        }
    }

    // --- clients ---

    pub(super) fn acquire(&self, wish: Acquire) -> Result<Asked, LockRefusal> {
        let kept = wish.clone();
        self.let_news_pass();
        self.step(|inner, now| match inner.agent.acquire(now, wish)? {
            Acquired::Inside {
                request,
                fence,
                frontier,
            } => {
                let entered = inner.clients.hold(request, kept, fence, frontier);
                Ok(Asked::Inside(request, entered))
            }
            Acquired::Waiting(request) => {
                let ticket = inner.clients.wait(request, kept);
                Ok(Asked::Waiting(request, ticket))
            }
        })
    }

    /// `wrote`: the last entry that this node wrote since it entered.
    pub(super) fn release(&self, request: RequestId, wrote: Option<(AuthorId, Seq)>) {
        self.step(|inner, now| {
            inner.clients.forget(request);
            inner.agent.release(now, request, wrote);
        });
    }

    pub(super) fn cancel(&self, request: RequestId) {
        self.step(|inner, now| {
            inner.clients.forget(request);
            inner.agent.cancel(now, request);
        });
    }

    pub(super) fn held_frontier(&self, name: &LockName, fence: Fence) -> Option<Frontier> {
        self.lock().clients.frontier(name, fence)
    }

    pub(super) fn valid_until(&self) -> Option<Timestamp> {
        self.lock().agent.valid_until()
    }

    pub(super) fn close(&self) {
        self.step(|inner, now| inner.agent.close(now));
    }

    // --- the world ---

    pub(super) fn on_message(&self, from: NodeId, message: LockMessage) {
        self.news.fetch_add(1, Ordering::Relaxed);
        self.step(|inner, now| {
            self.news.fetch_sub(1, Ordering::Relaxed);
            self.take(inner, now, from, message);
        });
    }

    pub(super) fn on_role(&self, role: Role) {
        self.step(|inner, now| {
            let known = std::mem::replace(&mut inner.role, role);
            let role = inner.role.clone();
            let is_same = known.term == role.term && known.is_leading == role.is_leading;
            if !is_same {
                if known.is_leading {
                    inner.registrar.follow();
                }
                if role.is_leading {
                    tracing::info!(term = role.term, "leads the locks of the group");
                    inner.ages.begin(now);
                    inner.registrar.lead(now, &self.table());
                    inner.registrar.start_fences(first_fence());
                    self.announce(&role);
                }
            }
            // A voter knows better than any hint, also that nobody leads.
            if role.voters.contains(&self.node)
                && inner.leader.learn(role.leader, role.voters.clone())
            {
                inner.agent.handle_leader(now, role.leader);
            }
        });
    }

    pub(super) fn on_applied(&self, id: Option<u64>, applied: roda_proto::token::Applied) {
        self.news.fetch_add(1, Ordering::Relaxed);
        self.step(|inner, now| {
            self.news.fetch_sub(1, Ordering::Relaxed);
            if !inner.role.is_leading {
                return;
            }
            inner.ages.note(now, &applied.changes);
            for change in &applied.changes {
                tracing::debug!(?change, "lock");
            }
            inner.registrar.on_applied(now, &self.table(), id, applied);
        });
    }

    pub(super) fn on_failed(&self, id: u64, quorum: Option<Quorum>) {
        self.step(|inner, now| inner.registrar.on_failed(now, id, quorum));
    }

    pub(super) fn on_confirmed(&self, id: u64, result: Result<(), Quorum>) {
        self.step(|inner, now| {
            inner.registrar.on_confirmed(now, &self.table(), id, result);
        });
    }

    /// Rings at the next deadline, and says what that is now.
    pub(super) fn on_alarm(&self) -> Option<Timestamp> {
        self.step(|inner, now| {
            let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
            if is_due(inner.agent.next_deadline()) {
                inner.agent.handle_timeout(now);
            }
            if is_due(inner.registrar.next_deadline()) {
                inner.registrar.handle_timeout(now);
            }
        });
        let mut inner = self.lock();
        inner.armed = inner.deadline();
        inner.armed
    }

    /// Asks the leader to write a command in nobody's name.
    pub(super) fn propose(&self, command: LockCommand) {
        let message = LockMessage::Propose {
            commands: vec![command],
        };
        self.step(|inner, now| self.to_leader(inner, now, message));
    }

    // --- what the leader tells others ---

    pub(super) fn report(
        &self,
        names: &[LockName],
    ) -> Result<Vec<super::report::AgedStatus>, (Option<NodeId>, Vec<NodeId>)> {
        let mut inner = self.lock();
        if inner.role.is_leading {
            Ok(super::report::report(
                now(),
                &self.table(),
                &mut inner.ages,
                names,
            ))
        } else {
            Err((inner.leader.known(), inner.leader.voters().to_vec()))
        }
    }

    /// Who leads, or whom to ask next.
    pub(super) fn leader(&self) -> Option<NodeId> {
        let mut inner = self.lock();
        if inner.role.is_leading {
            return Some(self.node);
        }
        let now = now();
        inner.leader.recipient(now, &self.timings, || self.others())
    }

    /// Somebody that does not lead says who does.
    pub(super) fn on_redirect(&self, leader: Option<NodeId>, voters: Vec<NodeId>) {
        self.step(|inner, now| self.redirect(inner, now, leader, voters));
    }

    fn redirect(
        &self,
        inner: &mut Inner,
        now: Timestamp,
        leader: Option<NodeId>,
        voters: Vec<NodeId>,
    ) {
        // A voter knows by itself.
        if inner.role.voters.contains(&self.node) {
            return;
        }
        let leader = leader.or_else(|| inner.leader.known());
        if inner.leader.learn(leader, voters) {
            inner.agent.handle_leader(now, leader);
        }
    }

    /// Who leads and who votes, as far as this node knows.
    pub(super) fn known_leader(&self) -> (Option<NodeId>, Vec<NodeId>) {
        let inner = self.lock();
        (inner.leader.known(), inner.leader.voters().to_vec())
    }

    pub(super) fn role(&self) -> Role {
        self.lock().role.clone()
    }

    // --- inside ---

    fn let_news_pass(&self) {
        for _ in 0..YIELDS_MAX {
            if self.news.load(Ordering::Relaxed) == 0 {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// Every change goes through here: one input, then all that comes out of it.
    fn step<T>(&self, work: impl FnOnce(&mut Inner, Timestamp) -> T) -> T {
        let mut inner = self.lock();
        let now = now();
        let done = work(&mut inner, now);
        self.drain(&mut inner, now);
        if let Some(deadline) = inner.deadline()
            && inner.armed.is_none_or(|armed| deadline < armed)
        {
            inner.armed = Some(deadline);
            self.rearm.notify_one();
        }
        done
    }

    fn drain(&self, inner: &mut Inner, now: Timestamp) {
        loop {
            if let Some(output) = inner.agent.poll_output() {
                match output {
                    AgentOutput::Send {
                        to: Recipient::Leader,
                        message,
                    } => self.to_leader(inner, now, message),
                    AgentOutput::Send {
                        to: Recipient::Node(to),
                        message,
                    } => self.send(inner, now, to, message),
                    AgentOutput::Event(event) => self.on_event(inner, event),
                }
            } else if let Some(output) = inner.registrar.poll_output() {
                let to_voters = match output {
                    RegistrarOutput::Send { to, message } => {
                        self.send(inner, now, to, message);
                        continue;
                    }
                    RegistrarOutput::Propose { id, commands } => ToVoters::Propose { id, commands },
                    RegistrarOutput::Confirm { id } => ToVoters::Confirm { id },
                };
                // Without a receiver the node stops.
                let _stopping = self.voters.send(to_voters);
            } else {
                return;
            }
        }
    }

    fn to_leader(&self, inner: &mut Inner, now: Timestamp, message: LockMessage) {
        if inner.role.is_leading {
            let table = self.table();
            inner
                .registrar
                .handle_message(now, &table, self.node, message);
            return;
        }
        let to = inner.leader.recipient(now, &self.timings, || self.others());
        if let Some(seen) = self.voters_missing(inner, now) {
            inner.clients.set_quorum(Some(seen));
        }
        if let Some(to) = to
            && to != self.node
        {
            self.links.send(to, &LinkFrame::Lock(message));
        }
    }

    fn send(&self, inner: &mut Inner, now: Timestamp, to: NodeId, message: LockMessage) {
        if to == self.node {
            inner.agent.handle_message(now, to, message);
        } else {
            self.links.send(to, &LinkFrame::Lock(message));
        }
    }

    /// Tells every session's node who leads now: their leases go on meanwhile.
    fn announce(&self, role: &Role) {
        let message = LockMessage::NotLeader {
            leader: Some(self.node),
            voters: role.voters.clone(),
        };
        let frame = LinkFrame::Lock(message);
        let nodes: BTreeSet<NodeId> = self.table().sessions().map(|(_, node, _)| node).collect();
        for node in nodes.into_iter().filter(|node| *node != self.node) {
            self.links.send(node, &frame);
        }
    }

    /// Sorts the messages of others: some are for the leader, some for a node.
    fn take(&self, inner: &mut Inner, now: Timestamp, from: NodeId, message: LockMessage) {
        match message {
            LockMessage::Open { .. } | LockMessage::Renew { .. } | LockMessage::Propose { .. } => {
                if inner.role.is_leading {
                    let table = self.table();
                    inner.registrar.handle_message(now, &table, from, message);
                } else {
                    let answer = LockMessage::NotLeader {
                        leader: inner.leader.known(),
                        voters: inner.leader.voters().to_vec(),
                    };
                    self.links.send(from, &LinkFrame::Lock(answer));
                }
            }
            LockMessage::NotLeader { leader, voters } => {
                inner.leader.denied(from);
                self.redirect(inner, now, leader, voters);
            }
            LockMessage::Opened { .. }
            | LockMessage::Renewed { .. }
            | LockMessage::Ended { .. }
            | LockMessage::Refused { .. }
            | LockMessage::Withdrawn { .. }
            | LockMessage::Notice(_)
            | LockMessage::Asked { .. }
            | LockMessage::NoQuorum(_) => {
                inner.leader.heard(from);
                if inner.quorum.is_none() {
                    inner.clients.set_quorum(None);
                }
                inner.agent.handle_message(now, from, message);
            }
            LockMessage::Token(_) => inner.agent.handle_message(now, from, message),
        }
    }

    fn on_event(&self, inner: &mut Inner, event: AgentEvent) {
        match event {
            AgentEvent::Entered {
                request,
                fence,
                frontier,
            } => inner.clients.enter(request, fence, frontier),
            AgentEvent::Refused { request, refusal } => inner.clients.refuse(request, refusal),
            AgentEvent::Hold { request, state } => inner.clients.set_state(request, state),
            AgentEvent::Quorum(quorum) => {
                inner.quorum = quorum;
                inner.clients.set_quorum(quorum);
            }
            AgentEvent::Session(session) => {
                tracing::debug!(node = %self.node.short(), ?session, "lock session");
            }
            _newer => {}
        }
    }

    /// Members that may know who leads: those that are heard.
    fn others(&self) -> Vec<NodeId> {
        let view = self.view.borrow();
        let online = view.members.iter();
        let online = online.filter(|member| member.presence == Presence::Online);
        online.map(|member| member.node).collect()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The moment, as agent and registrar take it.
pub(super) fn now() -> Timestamp {
    Timestamp::default() + boottime::now()
}

/// Seconds since 1970, high enough up for a million fences each: should a group ever begin a new table,
/// its fences go on above the old ones.
fn first_fence() -> Fence {
    Fence((crate::driver::wall().0 / 1000) << 20)
}

impl Inner {
    fn deadline(&self) -> Option<Timestamp> {
        let agent = self.agent.next_deadline();
        let registrar = self.registrar.next_deadline();
        agent.into_iter().chain(registrar).min()
    }
}

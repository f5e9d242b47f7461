//! What the world looks like between two steps.
//!
//! Nothing that was sent is ever taken away again: a message may be taken at any later time, more than
//! once, or never. That is loss, delay, duplication and reordering at once, and costs no state, because
//! what can have been sent follows from what happened: a grant that was left has sent its token to each
//! heir that its holder was told of, and its release to the table.

use std::collections::{BTreeMap, BTreeSet};

use roda_proto::NodeId;
use roda_proto::token::SHORT_HOLD_MILLIS;
use roda_proto::token::{
    Applied, Fence, GrantView, LockCommand, LockName, RequestId, SessionId, Table,
};

use crate::scenario::{Budget, NODES, REQUESTS, Rules, Scenario};

/// How far a client's request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Request {
    /// Not made yet, or not yet in the session that replaced a lost one.
    New,
    /// Written to the table, or to an entry that was lost.
    Waiting,
    /// Withdrawn before it entered.
    Cancelled,
    /// Inside, or left.
    Served,
}

/// A running node; what it forgets by a restart is its session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    pub(crate) boot: u64,
    pub(crate) session: SessionId,
    /// Whether the session is valid by the node's own clock.
    pub(crate) has_lease: bool,
    pub(crate) requests: [Request; REQUESTS],
}

/// How far an entering is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// A process runs under the lock.
    Inside,
    /// Nothing runs; the node keeps the token for its next request.
    Idle,
    /// Left for good, or killed.
    Left,
}

/// A session that entered by a grant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Use {
    /// The session whose lease protects it. With the first rule, the grant's own.
    pub(crate) by: SessionId,
    pub(crate) fence: Fence,
    /// Of the node, the one that is served.
    pub(crate) request: usize,
    pub(crate) stage: Stage,
}

/// A grant as its session was told of it, in all versions that it was told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Grant {
    pub(crate) node: usize,
    pub(crate) session: SessionId,
    pub(crate) request: usize,
    pub(crate) fence: Fence,
    pub(crate) last_fence: Fence,
    pub(crate) afters: BTreeSet<BTreeSet<Fence>>,
    pub(crate) heirs: BTreeSet<(Fence, SessionId)>,
    pub(crate) uses: Vec<Use>,
}

impl Grant {
    pub(crate) fn use_by(&self, session: SessionId) -> Option<&Use> {
        self.uses.iter().find(|entered| entered.by == session)
    }

    pub(crate) fn is_left(&self) -> bool {
        self.uses
            .iter()
            .any(|entered| entered.by == self.session && entered.stage == Stage::Left)
    }
}

/// Largest fences that were entered; they must grow between those that exclude each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Highest {
    pub(crate) alone: Fence,
    pub(crate) any: Fence,
}

/// What was found wrong in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Wrong {
    /// T3.
    FenceWentBack,
    /// T5.
    DeadSessionInTable,
    /// A fence outside of its grant's block.
    BlockExhausted,
}

/// A session that was ever opened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Opened {
    pub(crate) node: usize,
    /// Requests of the node that the table has heard of in this session.
    pub(crate) used: BTreeSet<usize>,
}

/// All of it. `canonical.rs` says which states are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// All rules hold, so what is over is never looked at again.
    pub(crate) is_reduced: bool,
    pub(crate) is_symmetric: bool,
    pub(crate) table: Table,
    pub(crate) nodes: [Node; NODES],
    pub(crate) sessions: BTreeMap<SessionId, Opened>,
    /// Releases after short holds: they let the table choose more successors.
    pub(crate) short_holds: u8,
    pub(crate) grants: Vec<Grant>,
    pub(crate) highest: BTreeMap<LockName, Highest>,
    pub(crate) budget: Budget,
    pub(crate) wrong: Option<Wrong>,
}

pub(crate) fn node_id(node: usize) -> NodeId {
    NodeId([u8::try_from(node).expect("few nodes"); NodeId::LEN])
}

fn node_index(id: NodeId) -> usize {
    usize::from(id.0[0])
}

pub(crate) fn request_id(request: usize) -> RequestId {
    RequestId(request as u64)
}

fn request_index(id: RequestId) -> usize {
    usize::try_from(id.0).expect("few requests")
}

impl State {
    /// Every node has just started and has a session.
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let mut table = Table::new();
        let _applied = table.apply(&[LockCommand::Start { fence: Fence(1) }]);
        let nodes = [0, 1, 2].map(|node| Node {
            boot: 1,
            session: open(&mut table, node, 1),
            has_lease: true,
            requests: [Request::New; REQUESTS],
        });
        let opened = |(node, of): (usize, &Node)| {
            let used = BTreeSet::new();
            (of.session, Opened { node, used })
        };
        Self {
            is_reduced: scenario.rules == Rules::ALL,
            is_symmetric: scenario.is_symmetric(),
            sessions: nodes.iter().enumerate().map(opened).collect(),
            short_holds: 0,
            table,
            nodes,
            grants: Vec::new(),
            highest: BTreeMap::new(),
            budget: scenario.budget,
            wrong: None,
        }
    }

    /// Opens a session for a node's next boot. Whatever waited asks again in it.
    pub(crate) fn start_session(&mut self, node: usize) {
        let boot = self.nodes[node].boot + 1;
        let session = open(&mut self.table, node, boot);
        let used = BTreeSet::new();
        self.sessions.insert(session, Opened { node, used });
        let started = &mut self.nodes[node];
        started.boot = boot;
        started.session = session;
        started.has_lease = true;
        for request in &mut started.requests {
            if *request == Request::Waiting {
                *request = Request::New;
            }
        }
    }

    /// Writes a command to the table; `false` if it changes nothing.
    pub(crate) fn commit(&mut self, command: LockCommand, rules: Rules) -> bool {
        let before = self.table.clone();
        let is_cancel = matches!(command, LockCommand::Cancel { .. });
        self.note_use(&command);
        let applied = self.table.apply(&[command]);
        if self.table == before {
            return false;
        }
        if is_cancel && !rules.substitution {
            self.forget_given_up(&applied);
        }
        self.learn(&applied);
        if !self.is_table_sound() {
            self.wrong = Some(Wrong::DeadSessionInTable);
        }
        true
    }

    fn note_use(&mut self, command: &LockCommand) {
        match command {
            LockCommand::Acquire {
                session, request, ..
            }
            | LockCommand::Cancel { session, request } => {
                if let Some(opened) = self.sessions.get_mut(session) {
                    opened.used.insert(request_index(*request));
                }
            }
            LockCommand::Release { held_millis, .. } if *held_millis < SHORT_HOLD_MILLIS => {
                self.short_holds += 1;
            }
            LockCommand::Release { .. }
            | LockCommand::Start { .. }
            | LockCommand::Open { .. }
            | LockCommand::Close { .. }
            | LockCommand::Expire { .. }
            | LockCommand::Force { .. } => {}
        }
    }

    /// Writes a command to an entry that is then lost, and lets everybody act as if it were not.
    pub(crate) fn speculate(&mut self, command: LockCommand) -> bool {
        let applied = self.table.clone().apply(&[command]);
        self.learn(&applied);
        !applied.notices.is_empty()
    }

    /// Notes what sessions are told. When they act on it is up to them.
    fn learn(&mut self, applied: &Applied) {
        for (node, notice) in &applied.notices {
            for view in &notice.grants {
                self.learn_grant(node_index(*node), notice.session, view);
            }
        }
    }

    fn learn_grant(&mut self, node: usize, session: SessionId, view: &GrantView) {
        let key = (view.fence, session);
        let at = match self
            .grants
            .binary_search_by_key(&key, |grant| (grant.fence, grant.session))
        {
            Ok(at) => at,
            Err(at) => {
                self.grants.insert(at, new_grant(node, session, view));
                at
            }
        };
        let grant = &mut self.grants[at];
        grant.afters.insert(view.after.clone());
        let heirs = view.heirs.iter().map(|heir| (heir.fence, heir.session));
        grant.heirs.extend(heirs);
    }

    /// Without substitution, whoever waited for a grant that was given up does not wait any more.
    fn forget_given_up(&mut self, applied: &Applied) {
        let gone: Vec<Fence> = applied
            .notices
            .iter()
            .flat_map(|(_, notice)| notice.gone.iter().copied())
            .collect();
        for grant in &mut self.grants {
            let mut freed = Vec::new();
            for after in &grant.afters {
                if after.iter().any(|fence| gone.contains(fence)) {
                    let rest = after.iter().filter(|fence| !gone.contains(fence));
                    freed.push(rest.copied().collect());
                }
            }
            grant.afters.extend(freed);
        }
    }

    /// T5: whoever holds, follows or waits has a session.
    fn is_table_sound(&self) -> bool {
        self.table.status(&[]).iter().all(|lock| {
            let holders = lock.holders.iter().map(|holder| holder.session);
            let waiters = lock.waiters.iter().map(|waiter| waiter.session);
            holders
                .chain(waiters)
                .all(|session| self.table.node_of(session).is_some())
        })
    }

    pub(crate) fn is_alive(&self, session: SessionId) -> bool {
        self.table.node_of(session).is_some()
    }

    /// Whether the table has the request, and as a grant or a waiter.
    pub(crate) fn has_request(&self, session: SessionId, request: usize) -> bool {
        self.table.view(session).is_some_and(|view| {
            let id = request_id(request);
            view.waiting.contains(&id) || view.grants.iter().any(|grant| grant.request == id)
        })
    }

    /// Whether the table has the grant.
    pub(crate) fn has_grant(&self, grant: &Grant) -> bool {
        self.table
            .view(grant.session)
            .is_some_and(|view| view.grants.iter().any(|held| held.fence == grant.fence))
    }

    /// Whether everything that some version of the grant has to wait for was left and said so: the
    /// table by an empty set, or each of its members by a token.
    pub(crate) fn is_open(&self, grant: &Grant) -> bool {
        grant
            .afters
            .iter()
            .any(|after| after.iter().all(|fence| self.has_token(*fence, grant)))
    }

    fn has_token(&self, from: Fence, to: &Grant) -> bool {
        let key = (to.fence, to.session);
        self.grants
            .iter()
            .any(|grant| grant.fence == from && grant.is_left() && grant.heirs.contains(&key))
    }

    /// What is inside at this moment.
    pub(crate) fn inside(&self) -> impl Iterator<Item = (&Grant, &Use)> {
        self.grants.iter().flat_map(|grant| {
            let uses = grant.uses.iter();
            uses.filter(|entered| entered.stage == Stage::Inside)
                .map(move |entered| (grant, entered))
        })
    }
}

fn open(table: &mut Table, node: usize, boot: u64) -> SessionId {
    let _applied = table.apply(&[LockCommand::Open {
        node: node_id(node),
        boot,
        session_millis: 4_000,
    }]);
    let own = table.sessions().filter(|(_, of, _)| *of == node_id(node));
    own.map(|(session, ..)| session)
        .max()
        .expect("a session was opened")
}

fn new_grant(node: usize, session: SessionId, view: &GrantView) -> Grant {
    Grant {
        node,
        session,
        request: request_index(view.request),
        fence: view.fence,
        last_fence: view.last_fence,
        afters: BTreeSet::new(),
        heirs: BTreeSet::new(),
        uses: Vec::new(),
    }
}

//! Which states are the same for all that can still happen.
//!
//! The checker knows a state by its hash alone. This one leaves out what no later step looks at:
//! numbers stand for their order only, versions and grants that are over are not there, and of nodes that
//! want the same the names do not count. (Without one of the rules also what is over can be looked at, and
//! stays.) A node is described by its places in the one queue and the one
//! order of fences, so the sorted descriptions say everything.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use roda_proto::token::{Fence, LockStatus, RequestId, SessionId, SessionView};

use crate::scenario::NODES;
use crate::state::{Grant, Request, Stage, State};

type Ranks = BTreeMap<Fence, usize>;

/// A grant by ranks.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct GrantSketch {
    rank: usize,
    request: usize,
    /// As the table has it now.
    after: Option<BTreeSet<Option<usize>>>,
    /// As it was ever told.
    afters: BTreeSet<BTreeSet<Option<usize>>>,
    /// By the node's current session or not, the place in the block, and the stage.
    uses: Vec<(bool, u64, u8)>,
}

/// A session by ranks.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct SessionSketch {
    is_current: bool,
    is_alive: bool,
    used: BTreeSet<usize>,
    grants: Vec<GrantSketch>,
    /// Places, requests, and bounds: those tell apart how long somebody has waited.
    waiting: Vec<(usize, usize, u64)>,
}

/// A node by ranks.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct NodeSketch {
    name: usize,
    has_lease: bool,
    requests: Vec<u8>,
    sessions: Vec<SessionSketch>,
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.budget.hash(hasher);
        self.wrong.hash(hasher);
        self.hash_sketch(hasher);
    }
}

impl State {
    fn hash_sketch<H: Hasher>(&self, hasher: &mut H) {
        let status = self.table.status(&[]);
        let sessions: Vec<SessionId> = self.sessions.keys().copied().collect();
        let views: BTreeMap<SessionId, SessionView> = sessions
            .iter()
            .filter_map(|session| Some((*session, self.table.view(*session)?)))
            .collect();
        let kept: Vec<&Grant> = self
            .grants
            .iter()
            .filter(|grant| !self.is_reduced || self.still_matters(grant, &views))
            .collect();
        let ranks: Ranks = kept
            .iter()
            .enumerate()
            .map(|(rank, grant)| (grant.fence, rank))
            .collect();
        for (lock, highest) in &self.highest {
            let rank = |fence| ranks.keys().filter(|kept| **kept <= fence).count();
            (lock, rank(highest.alone), rank(highest.any)).hash(hasher);
        }
        self.short_holds.min(4).hash(hasher);
        let mut nodes: Vec<NodeSketch> = (0..NODES)
            .map(|node| {
                let own = self.sessions.iter().filter(|(_, of)| of.node == node);
                let own = own.filter(|(session, _)| {
                    let is_there = views.contains_key(session);
                    is_there
                        || **session == self.nodes[node].session
                        || kept.iter().any(|grant| grant.session == **session)
                });
                NodeSketch {
                    name: if self.is_symmetric { 0 } else { node },
                    has_lease: self.nodes[node].has_lease,
                    requests: self.nodes[node].requests.iter().map(code).collect(),
                    sessions: own
                        .map(|(session, _)| {
                            self.sketch(*session, views.get(session), &kept, &ranks, &status)
                        })
                        .collect(),
                }
            })
            .collect();
        nodes.sort_unstable();
        nodes.hash(hasher);
    }

    /// Whether some later step can look at a grant.
    fn still_matters(&self, grant: &Grant, views: &BTreeMap<SessionId, SessionView>) -> bool {
        let is_in = |session: SessionId, fence: Fence| {
            let view = views.get(&session);
            view.is_some_and(|view| view.grants.iter().any(|held| held.fence == fence))
        };
        let is_used = |entered: &crate::state::Use| entered.stage != Stage::Left;
        let own = &self.nodes[grant.node];
        let may_be_entered = grant.uses.is_empty()
            && grant.session == own.session
            && own.requests[grant.request] == Request::Waiting;
        is_in(grant.session, grant.fence)
            || grant.uses.iter().any(is_used)
            || may_be_entered
            || self.grants.iter().any(|other| {
                other.uses.is_empty()
                    && is_in(other.session, other.fence)
                    && other
                        .afters
                        .iter()
                        .any(|after| after.contains(&grant.fence))
            })
    }

    fn sketch(
        &self,
        session: SessionId,
        view: Option<&SessionView>,
        kept: &[&Grant],
        ranks: &Ranks,
        status: &[LockStatus],
    ) -> SessionSketch {
        let known = &self.sessions[&session];
        let current = self.nodes[known.node].session;
        let grants = kept.iter().filter(|grant| grant.session == session);
        let grants = grants.map(|grant| {
            let held = view.and_then(|view| view.grants.iter().find(|it| it.fence == grant.fence));
            let rank = |fence: &Fence| ranks.get(fence).copied();
            let is_over = self.is_reduced && !grant.uses.is_empty();
            let afters = grant.afters.iter().filter(|_| !is_over);
            let uses = grant.uses.iter().map(|entered| {
                let place = entered.fence.0 - grant.fence.0;
                (entered.by == current, place, stage_code(entered.stage))
            });
            GrantSketch {
                rank: ranks[&grant.fence],
                request: grant.request,
                after: held.map(|held| held.after.iter().map(rank).collect()),
                afters: afters
                    .map(|after| after.iter().map(rank).collect())
                    .collect(),
                uses: uses.collect(),
            }
        });
        let waiting = status.iter().flat_map(|lock| {
            lock.waiters
                .iter()
                .enumerate()
                .filter(|(_, waiter)| waiter.session == session)
                .map(|(place, waiter)| {
                    // All equal wishes are served in the order in which they came.
                    let bound = if self.is_symmetric { 0 } else { waiter.bound };
                    (place, number(waiter.request), bound)
                })
        });
        SessionSketch {
            is_current: session == current,
            is_alive: view.is_some(),
            used: known.used.clone(),
            grants: grants.collect(),
            waiting: waiting.collect(),
        }
    }
}

fn number(request: RequestId) -> usize {
    usize::try_from(request.0).unwrap_or(usize::MAX)
}

const fn code(request: &Request) -> u8 {
    match request {
        Request::New => 0,
        Request::Waiting => 1,
        Request::Cancelled => 2,
        Request::Served => 3,
    }
}

const fn stage_code(stage: Stage) -> u8 {
    match stage {
        Stage::Inside => 0,
        Stage::Idle => 1,
        Stage::Left => 2,
    }
}

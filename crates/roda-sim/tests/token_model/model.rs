//! What can happen next, and what must hold.

use std::collections::BTreeMap;

use roda_proto::token::SessionId;
use stateright::{Model, Property};

use crate::scenario::{NODES, REQUESTS, Scenario};
use crate::state::{Grant, Request, Stage, State, Wrong};
use crate::step::Step;

pub(crate) const T1: &str = "T1: no two are inside that exclude each other";
pub(crate) const T2: &str = "T2: a fence is used by one session";
pub(crate) const T3: &str = "T3: fences grow in the order of entering";
pub(crate) const T5: &str = "T5: who holds, follows or waits has a session";
pub(crate) const BLOCK: &str = "no fence outside of a grant's block";
pub(crate) const SERVED: &str = "in the end every request was served or withdrawn";
pub(crate) const HAND_OFF: &str = "a token overtakes the table";
pub(crate) const ALL_SERVED: &str = "all requests are served";
pub(crate) const KEPT: &str = "a kept token is entered again";

impl Model for Scenario {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self)]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        if state.wrong.is_some() {
            return;
        }
        for node in 0..NODES {
            self.client_steps(state, node, steps);
            session_steps(state, node, steps);
        }
        for at in 0..state.grants.len() {
            self.grant_steps(state, at, steps);
        }
        for (session, ..) in state.table.sessions() {
            let node = state.nodes.iter().find(|node| node.session == session);
            if node.is_none_or(|node| !node.has_lease) {
                steps.push(Step::Expire { session });
            }
        }
        if state.budget.ghosts > 0 {
            ghost_steps(state, steps);
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut next = last.clone();
        self.perform(&mut next, step).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(T1, |scenario: &Self, state| scenario.is_exclusive(state)),
            Property::always(T2, |_, state| is_every_fence_of_one_session(state)),
            Property::always(T3, |_, state: &State| {
                state.wrong != Some(Wrong::FenceWentBack)
            }),
            Property::always(T5, |_, state: &State| {
                state.wrong != Some(Wrong::DeadSessionInTable)
            }),
            Property::always(BLOCK, |_, state: &State| {
                state.wrong != Some(Wrong::BlockExhausted)
            }),
            Property::eventually(SERVED, |_, state| is_at_rest(state)),
            Property::sometimes(HAND_OFF, |_, state| is_ahead_of_table(state)),
            Property::sometimes(ALL_SERVED, |_, state| is_all_served(state)),
            Property::sometimes(KEPT, |_, state: &State| {
                state.inside().any(|(grant, used)| used.fence > grant.fence)
            }),
        ]
    }
}

impl Scenario {
    fn client_steps(&self, state: &State, node: usize, steps: &mut Vec<Step>) {
        let own = &state.nodes[node];
        for request in 0..REQUESTS {
            match own.requests[request] {
                Request::New if self.may_ask(state, node, request) => {
                    steps.push(Step::Acquire { node, request });
                    if !self.rules.committed && state.budget.faults > 0 {
                        steps.push(Step::Speculate { node, request });
                    }
                }
                Request::Waiting if state.budget.cancels > 0 => {
                    steps.push(Step::GiveUp { node, request });
                }
                Request::New | Request::Waiting | Request::Cancelled | Request::Served => {}
            }
            if is_unwanted(state, node, request) {
                steps.push(Step::Cancel { node, request });
            }
        }
    }

    /// A node asks for its requests in their order; and of nodes that nothing tells apart, the first asks first.
    fn may_ask(&self, state: &State, node: usize, request: usize) -> bool {
        let has_asked = |node: usize| state.nodes[node].requests[0] != Request::New;
        let in_order = state.nodes[node].requests[..request]
            .iter()
            .all(|earlier| *earlier != Request::New);
        let is_named = !self.is_symmetric() || node == 0 || has_asked(node - 1) || {
            // Somebody asked before and asks again in another session: naming is over.
            state.nodes.iter().any(|node| node.boot > 1)
        };
        in_order && is_named && state.is_alive(state.nodes[node].session)
    }

    fn grant_steps(&self, state: &State, at: usize, steps: &mut Vec<Step>) {
        let grant = &state.grants[at];
        for request in 0..REQUESTS {
            if self.may_enter(state, grant, request) {
                steps.push(Step::Enter {
                    node: grant.node,
                    grant: at,
                    request,
                });
            }
        }
        for entered in &grant.uses {
            match entered.stage {
                Stage::Inside => self.leave_steps(state, at, entered.by, steps),
                Stage::Idle => self.idle_steps(state, at, steps),
                Stage::Left => {}
            }
        }
        if grant.is_left() && state.has_grant(grant) {
            steps.push(Step::Release { grant: at });
        }
    }

    fn leave_steps(&self, state: &State, at: usize, by: SessionId, steps: &mut Vec<Step>) {
        let grant = &state.grants[at];
        let own = &state.nodes[grant.node];
        if by != own.session {
            // Its node does not know of it any more; that it runs until its lease ends is the worst case.
            return;
        }
        let keep = false;
        let wish = &self.wishes[grant.node][grant.request];
        steps.push(Step::Leave {
            grant: at,
            by,
            keep,
        });
        if by == grant.session && wish.is_alone() && wish.locks.len() == 1 && own.has_lease {
            let keep = true;
            steps.push(Step::Leave {
                grant: at,
                by,
                keep,
            });
        }
    }

    fn idle_steps(&self, state: &State, at: usize, steps: &mut Vec<Step>) {
        let grant = &state.grants[at];
        let node = grant.node;
        let own = &state.nodes[node];
        if grant.session != own.session {
            return;
        }
        steps.push(Step::HandOver { grant: at });
        for request in 0..REQUESTS {
            let fits = self.wishes[node][request].is_same(&self.wishes[node][grant.request]);
            if own.requests[request] == Request::New && fits && (own.has_lease || !self.rules.lease)
            {
                steps.push(Step::EnterAgain {
                    node,
                    grant: at,
                    request,
                });
            }
        }
    }

    /// The four rules; the fourth is in what a node is told.
    fn may_enter(&self, state: &State, grant: &Grant, request: usize) -> bool {
        let own = &state.nodes[grant.node];
        let wishes = &self.wishes[grant.node];
        let is_own = grant.session == own.session;
        // A node that does not know its grants by their sessions does not know their requests either.
        let is_for = if self.rules.session && self.rules.fence {
            request == grant.request
        } else {
            wishes[request].is_same(&wishes[grant.request])
        };
        is_for
            && own.requests[request] == Request::Waiting
            && (is_own || !self.rules.session)
            && (!self.rules.fence || self.is_larger(state, grant))
            && (own.has_lease || !self.rules.lease)
            && grant
                .use_by(own.session)
                .is_none_or(|entered| entered.stage == Stage::Left)
            && state.is_open(grant)
    }

    fn is_larger(&self, state: &State, grant: &Grant) -> bool {
        let session = state.nodes[grant.node].session;
        let wishes = &self.wishes[grant.node];
        let wish = &wishes[grant.request];
        if grant.use_by(session).is_some() {
            return false;
        }
        // Holders that share may enter in any order, so they only compare with those that do not.
        let used = state.grants.iter().filter(|other| {
            let theirs = &wishes[other.request];
            other.node == grant.node
                && wish.shares_a_lock_with(theirs)
                && (wish.is_alone() || theirs.is_alone())
        });
        used.filter_map(|other| other.use_by(session))
            .all(|entered| entered.fence < grant.fence)
    }

    /// T1: of those inside a lock, each tolerates their number.
    fn is_exclusive(&self, state: &State) -> bool {
        let mut inside: BTreeMap<_, (u32, u32)> = BTreeMap::new();
        for (grant, entered) in state.inside() {
            let wish = &self.wishes[grant.node][entered.request];
            for lock in &wish.locks {
                let (number, tolerated) = inside.entry(lock).or_insert((0, u32::MAX));
                *number += 1;
                *tolerated = (*tolerated).min(wish.permits.value());
            }
        }
        inside
            .values()
            .all(|(number, tolerated)| number <= tolerated)
    }
}

/// Whether the table has a request of this session that nobody waits for or is inside with.
fn is_unwanted(state: &State, node: usize, request: usize) -> bool {
    let own = &state.nodes[node];
    let is_used = state.grants.iter().any(|grant| {
        grant.session == own.session
            && grant.request == request
            && !grant.uses.is_empty()
            && state.has_grant(grant)
    });
    own.requests[request] != Request::Waiting && !is_used && state.has_request(own.session, request)
}

fn session_steps(state: &State, node: usize, steps: &mut Vec<Step>) {
    let own = &state.nodes[node];
    if state.budget.faults > 0 {
        steps.push(Step::Restart { node });
        if own.has_lease {
            steps.push(Step::LeaseEnds { node });
        }
    }
    if !own.has_lease {
        steps.push(Step::Reopen { node });
    }
}

/// Of earlier sessions: what their nodes had asked just before they forgot.
fn ghost_steps(state: &State, steps: &mut Vec<Step>) {
    for (session, opened) in &state.sessions {
        let node = opened.node;
        if state.nodes[node].session == *session || !state.is_alive(*session) {
            continue;
        }
        let late = (0..REQUESTS).filter(|request| !opened.used.contains(request));
        steps.extend(late.map(|request| Step::Ghost {
            node,
            session: *session,
            request,
        }));
    }
}

/// T2.
fn is_every_fence_of_one_session(state: &State) -> bool {
    let mut sessions = BTreeMap::new();
    state.grants.iter().all(|grant| {
        grant.uses.iter().all(|entered| {
            // Fences of a block that were entered before the last one belong to the same session.
            *sessions.entry(grant.fence).or_insert(entered.by) == entered.by
        })
    })
}

/// Nothing is left to be done, and nothing remains that nobody wants.
fn is_at_rest(state: &State) -> bool {
    let is_over = |request: &Request| match request {
        Request::Served | Request::Cancelled => true,
        Request::New | Request::Waiting => false,
    };
    state
        .nodes
        .iter()
        .all(|node| node.requests.iter().all(is_over))
        && state.inside().next().is_none()
        && state
            .table
            .status(&[])
            .iter()
            .all(|lock| lock.holders.is_empty() && lock.waiters.is_empty())
}

/// Somebody is inside who, as far as the table knows, has to wait.
fn is_ahead_of_table(state: &State) -> bool {
    state.inside().any(|(grant, _)| {
        state.table.view(grant.session).is_some_and(|view| {
            view.grants
                .iter()
                .any(|known| known.fence == grant.fence && !known.after.is_empty())
        })
    })
}

fn is_all_served(state: &State) -> bool {
    let requests = state.nodes.iter().flat_map(|node| &node.requests);
    requests
        .into_iter()
        .all(|request| *request == Request::Served)
}

//! What can happen, and what it does.

use roda_proto::token::{Fence, Frontier, LockCommand, SessionId};

use crate::scenario::{Scenario, Wish};
use crate::state::{Grant, Request, Stage, State, Use, Wrong, request_id};

/// One step. Numbers name nodes, their requests, and grants by their place in the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A client's request is written to the table.
    Acquire { node: usize, request: usize },
    /// A request is written that its node had made before it forgot the session.
    Ghost {
        node: usize,
        session: SessionId,
        request: usize,
    },
    /// A client does not want to wait any more.
    GiveUp { node: usize, request: usize },
    /// The table hears that a request is not wanted and will not be entered.
    Cancel { node: usize, request: usize },
    /// A node enters by a grant, for one of its requests.
    Enter {
        node: usize,
        grant: usize,
        request: usize,
    },
    /// A node enters again by a token that it kept.
    EnterAgain {
        node: usize,
        grant: usize,
        request: usize,
    },
    /// What ran under a grant has ended; the token is kept for another request, or passed on.
    Leave {
        grant: usize,
        by: SessionId,
        keep: bool,
    },
    /// A kept token is passed on.
    HandOver { grant: usize },
    /// The table hears that a grant was left.
    Release { grant: usize },
    /// A session that its node still uses is over by the node's clock; all that runs in it is killed.
    LeaseEnds { node: usize },
    /// The leader ends a session. By the node's clock it is over; if the node has forgotten it, what
    /// runs in it is killed by then.
    Expire { session: SessionId },
    /// A node whose session is over opens another one.
    Reopen { node: usize },
    /// A node forgets everything and starts anew. What ran under its locks runs on.
    Restart { node: usize },
    /// Everybody acts on a request that only a leader that is none any more has seen.
    Speculate { node: usize, request: usize },
}

impl Scenario {
    /// Performs a step; `false` if it changes nothing.
    pub(crate) fn perform(&self, state: &mut State, step: Step) -> bool {
        match step {
            Step::Acquire { node, request } => {
                state.nodes[node].requests[request] = Request::Waiting;
                let session = state.nodes[node].session;
                state.commit(self.acquire(session, node, request), self.rules)
            }
            Step::Ghost {
                node,
                session,
                request,
            } => {
                state.budget.ghosts -= 1;
                state.commit(self.acquire(session, node, request), self.rules)
            }
            Step::GiveUp { node, request } => {
                state.budget.cancels -= 1;
                state.nodes[node].requests[request] = Request::Cancelled;
                true
            }
            Step::Cancel { node, request } => {
                let session = state.nodes[node].session;
                let request = request_id(request);
                state.commit(LockCommand::Cancel { session, request }, self.rules)
            }
            Step::Enter {
                node,
                grant,
                request,
            } => self.enter(state, node, grant, request),
            Step::EnterAgain {
                node,
                grant,
                request,
            } => self.enter_again(state, node, grant, request),
            Step::Leave { grant, by, keep } => set_stage(&mut state.grants[grant], by, keep),
            Step::HandOver { grant } => {
                let by = state.grants[grant].session;
                set_stage(&mut state.grants[grant], by, false)
            }
            Step::Release { grant } => self.release(state, grant),
            Step::LeaseEnds { node } => {
                state.budget.faults -= 1;
                state.nodes[node].has_lease = false;
                let session = state.nodes[node].session;
                kill(state, session);
                true
            }
            Step::Expire { session } => {
                if state.nodes.iter().all(|node| node.session != session) {
                    kill(state, session);
                }
                state.commit(LockCommand::Expire { session }, self.rules)
            }
            Step::Reopen { node } => {
                state.start_session(node);
                true
            }
            Step::Restart { node } => {
                state.budget.faults -= 1;
                state.start_session(node);
                true
            }
            Step::Speculate { node, request } => {
                state.budget.faults -= 1;
                state.nodes[node].requests[request] = Request::Waiting;
                let session = state.nodes[node].session;
                state.speculate(self.acquire(session, node, request))
            }
        }
    }

    fn acquire(&self, session: SessionId, node: usize, request: usize) -> LockCommand {
        let wish = &self.wishes[node][request];
        LockCommand::Acquire {
            session,
            request: request_id(request),
            locks: wish.locks.clone(),
            permits: wish.permits,
            priority: wish.priority,
            is_ahead: wish.is_ahead,
        }
    }

    fn release(&self, state: &mut State, grant: usize) -> bool {
        let grant = &state.grants[grant];
        let release = LockCommand::Release {
            session: grant.session,
            fence: grant.fence,
            frontier: Frontier::default(),
            held_millis: self.held_millis,
        };
        state.commit(release, self.rules)
    }

    fn enter(&self, state: &mut State, node: usize, grant: usize, request: usize) -> bool {
        let by = state.nodes[node].session;
        let fence = state.grants[grant].fence;
        let entered = Use {
            by,
            fence,
            request,
            stage: Stage::Inside,
        };
        let uses = &mut state.grants[grant].uses;
        match uses.iter_mut().find(|known| known.by == by) {
            Some(known) => *known = entered,
            None => uses.push(entered),
        }
        self.note_entering(state, node, request, fence);
        true
    }

    fn enter_again(&self, state: &mut State, node: usize, grant: usize, request: usize) -> bool {
        let kept = &mut state.grants[grant];
        let last = kept.last_fence;
        let Some(entered) = kept.uses.first_mut() else {
            return false;
        };
        let fence = Fence(entered.fence.0 + 1);
        entered.fence = fence;
        entered.request = request;
        entered.stage = Stage::Inside;
        if fence > last {
            state.wrong = Some(Wrong::BlockExhausted);
        }
        self.note_entering(state, node, request, fence);
        true
    }

    fn note_entering(&self, state: &mut State, node: usize, request: usize, fence: Fence) {
        state.nodes[node].requests[request] = Request::Served;
        let Wish { locks, .. } = &self.wishes[node][request];
        let is_alone = self.wishes[node][request].is_alone();
        for lock in locks {
            let highest = state.highest.entry(lock.clone()).or_default();
            // Those that may be inside together enter in any order.
            let before = if is_alone { highest.any } else { highest.alone };
            if fence <= before {
                state.wrong = Some(Wrong::FenceWentBack);
            }
            highest.any = highest.any.max(fence);
            if is_alone {
                highest.alone = highest.alone.max(fence);
            }
        }
    }
}

fn set_stage(grant: &mut Grant, by: SessionId, keep: bool) -> bool {
    let entered = grant.uses.iter_mut().find(|entered| entered.by == by);
    let stage = if keep { Stage::Idle } else { Stage::Left };
    entered.map(|entered| entered.stage = stage).is_some()
}

fn kill(state: &mut State, session: SessionId) {
    let uses = state.grants.iter_mut().flat_map(|grant| &mut grant.uses);
    for entered in uses.filter(|entered| entered.by == session) {
        entered.stage = Stage::Left;
    }
}

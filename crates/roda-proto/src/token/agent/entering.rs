//! From the table's word to inside, and from inside to the next one.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::errands::Errand;
use super::grant::{Grant, Stage, Step};
use super::hold::{Hold, Threat};
use super::session::Risk;
use super::{Agent, AgentEvent, LostReason, Recipient, Request};
use crate::token::{
    Fence, Frontier, GrantView, Heir, IDLE_TOKENS_MAX, LockMessage, LockName, LockRefusal, Notice,
    RequestId, SessionId, SessionView, Token,
};

impl Agent {
    pub(super) fn on_notice(&mut self, notice: &Notice) {
        let Some(lease) = self.session.lease() else {
            return;
        };
        // Rule 1, and in order: an old notice must not bring back what is gone.
        if notice.session != lease.id || notice.version <= lease.version {
            return;
        }
        if notice.version > lease.version + 1 {
            // One is missing. If a renewal is under way, its answer brings the whole view.
            if lease.is_answered() {
                self.ask();
            }
            return;
        }
        self.on_quorum(None);
        self.session.note_version(notice.version);
        for fence in &notice.gone {
            self.on_gone(*fence);
        }
        for request in &notice.dropped {
            self.errands.remove(Errand::Cancel(*request));
        }
        for view in &notice.grants {
            self.on_grant(view);
        }
        for request in &notice.queued {
            self.on_queued(*request);
        }
    }

    /// All that the table has of this session.
    pub(super) fn on_view(&mut self, view: &SessionView) {
        let Some(lease) = self.session.lease() else {
            return;
        };
        if view.version < lease.version {
            return;
        }
        self.session.note_version(view.version);
        let there: BTreeSet<Fence> = view.grants.iter().map(|grant| grant.fence).collect();
        let held: BTreeSet<Fence> = self.grants.keys().copied().collect();
        let gone: Vec<Fence> = held.difference(&there).copied().collect();
        for fence in gone {
            self.on_gone(fence);
        }
        for grant in &view.grants {
            self.on_grant(grant);
        }
        for request in &view.waiting {
            self.on_queued(*request);
        }
        // The table does not know of what still waits: it is asked again.
        let queued: BTreeSet<RequestId> = view.waiting.iter().copied().collect();
        let unknown: Vec<RequestId> = self
            .requests
            .iter()
            .filter(|(_, request)| matches!(request, Request::Waiting { .. }))
            .map(|(name, _)| *name)
            .filter(|name| !queued.contains(name))
            .collect();
        for request in unknown {
            self.errands.add_missing(Errand::Acquire(request));
        }
    }

    /// The table has it in the queue.
    pub(super) fn on_queued(&mut self, request: RequestId) {
        self.errands.remove(Errand::Acquire(request));
        if !self.requests.contains_key(&request) {
            self.withdraw(request);
        }
    }

    /// Asks the table to forget a request that nobody here wants: a command that was repeated after
    /// its end has brought it back.
    fn withdraw(&mut self, request: RequestId) {
        let is_used = |grant: &Grant| {
            grant.request == request
                && match grant.stage {
                    Stage::Inside { .. } | Stage::Idle { .. } | Stage::Left { .. } => true,
                    Stage::Chosen(_) | Stage::GivenUp => false,
                }
        };
        // Never of a grant that was entered: the table would give the lock to the next one.
        if !self.grants.values().any(is_used) {
            self.errands.add_missing(Errand::Cancel(request));
        }
    }

    fn on_gone(&mut self, fence: Fence) {
        self.errands.remove(Errand::Release(fence));
        let Some(grant) = self.grants.remove(&fence) else {
            return;
        };
        forget_reusable(&mut self.reusable, &grant, fence);
        self.asked_for.remove(&fence);
        match grant.stage {
            Stage::Left { .. } => {}
            Stage::GivenUp => {
                self.errands.remove(Errand::Cancel(grant.request));
            }
            Stage::Idle { .. } => self.idle -= 1,
            // The table takes nothing away from a session that lives. Should it have happened all the
            // same, whoever is inside must not stay, and whoever waits asks anew.
            Stage::Inside { client, .. } => {
                self.threaten(client, Threat::Ended(LostReason::SessionEnded));
                if let Some(request) = self.requests.get_mut(&client)
                    && let Some(session) = self.session.id()
                {
                    *request = Request::Lost(session);
                }
            }
            Stage::Chosen(_) if self.drop_turn(grant.request) => {}
            Stage::Chosen(_) => {
                let wish = grant.wish;
                let is_ahead = false;
                self.requests
                    .insert(grant.request, Request::Waiting { wish, is_ahead });
                self.errands.add(Errand::Acquire(grant.request));
            }
        }
    }

    fn on_grant(&mut self, view: &GrantView) {
        self.errands.remove(Errand::Acquire(view.request));
        if !self.grants.contains_key(&view.fence) {
            match self.requests.get_mut(&view.request) {
                Some(request @ Request::Waiting { .. }) => {
                    let chosen = core::mem::replace(request, Request::Chosen(view.fence));
                    if let Request::Waiting { wish, .. } = chosen {
                        self.grants.insert(view.fence, Grant::new(view, wish));
                    }
                }
                Some(Request::Chosen(_) | Request::Inside(_) | Request::Lost(_)) | None => {
                    self.withdraw(view.request);
                    return;
                }
            }
        }
        let Some(grant) = self.grants.get_mut(&view.fence) else {
            return;
        };
        grant.update(view);
        grant.frontier.merge(&view.frontier);
        self.watch_share(view.fence, view.share);
        let Some(grant) = self.grants.get(&view.fence) else {
            return;
        };
        let is_revoked = grant.is_revoked;
        let is_wanted = grant.is_wanted || is_revoked || !grant.heirs.is_empty();
        match grant.stage {
            Stage::Chosen(_) => {
                for (from, frontier) in self.tokens.take(view.fence) {
                    self.asked_for.insert(view.fence);
                    self.on_left(from, view.fence, &frontier);
                }
                self.try_enter(view.fence);
            }
            Stage::Inside { client, .. } if is_revoked => {
                self.threaten(client, Threat::Leave(LostReason::Revoked));
            }
            Stage::Idle { .. } if is_wanted => self.leave(view.fence),
            Stage::Left { .. } => self.pass_on(view.fence),
            Stage::Inside { .. } | Stage::Idle { .. } | Stage::GivenUp => {}
        }
    }

    /// A token of another node.
    pub(super) fn on_token(&mut self, token: &Token) {
        // Rule 1: not for an earlier session of this node.
        if self.session.id() == Some(token.session) {
            if self.grants.contains_key(&token.to) {
                self.asked_for.insert(token.to);
            }
            self.on_left(token.from, token.to, &token.frontier);
            self.try_enter(token.to);
        }
    }

    /// `from` was left, and `to` is to know.
    fn on_left(&mut self, from: Fence, to: Fence, frontier: &Frontier) {
        match self.grants.get_mut(&to) {
            Some(grant) => match &mut grant.stage {
                Stage::Chosen(before) => {
                    let is_of_use = before.on_left(from);
                    grant.frontier.merge(frontier);
                    if !is_of_use {
                        self.tokens.keep(from, to, frontier.clone());
                    }
                }
                Stage::Inside { .. } | Stage::Idle { .. } | Stage::Left { .. } | Stage::GivenUp => {
                }
            },
            // Rule 4: nothing is entered before the table's word is here; until then it is kept.
            None => self.tokens.keep(from, to, frontier.clone()),
        }
    }

    /// Enters whatever may be entered, after a time in which nothing could.
    pub(super) fn enter_all(&mut self) {
        let chosen: Vec<Fence> = self
            .grants
            .iter()
            .filter(|(_, grant)| matches!(grant.stage, Stage::Chosen(_)))
            .map(|(fence, _)| *fence)
            .collect();
        for fence in chosen {
            self.try_enter(fence);
        }
    }

    /// Enters a grant if all four rules allow it.
    pub(super) fn try_enter(&mut self, fence: Fence) {
        if !self.may_enter() {
            return; // Rule 3; a renewal brings it back here.
        }
        let Some(grant) = self.grants.get_mut(&fence) else {
            return;
        };
        let Stage::Chosen(before) = &grant.stage else {
            return;
        };
        if !before.is_over() {
            return;
        }
        let client = grant.request;
        if !self.used.admits(&grant.wish, fence) {
            // Rule 2. The table does not do that; it is not asked again, lest it does it again.
            self.give_up(fence);
            self.refuse(client, LockRefusal::Full);
            return;
        }
        let now = self.now;
        let Some(inside) = grant
            .stage
            .next(Step::Enter { client, now }, fence, grant.last)
        else {
            return;
        };
        grant.stage = inside;
        self.used.note(&grant.wish, grant.last);
        if grant.is_for_one() && !self.asked_for.contains(&fence) {
            self.reusable.insert(grant.wish.locks[0].clone(), fence);
        }
        let (frontier, is_revoked) = (grant.frontier.clone(), grant.is_revoked);
        if let [lock] = grant.wish.locks.as_slice() {
            let lock = lock.clone();
            if self.end_turn(&lock, client) {
                self.on_client_left(fence);
                return;
            }
        }
        self.requests
            .insert(client, Request::Inside(Hold::new(fence)));
        self.event(AgentEvent::Entered {
            request: client,
            fence,
            frontier,
        });
        self.warn_newcomer(client, is_revoked);
    }

    /// Tells who has just entered what all others know already.
    pub(super) fn warn_newcomer(&mut self, client: RequestId, is_revoked: bool) {
        if self.risk != Risk::Low {
            self.threaten(client, Threat::Lease(self.risk));
        }
        if is_revoked {
            self.threaten(client, Threat::Leave(LostReason::Revoked));
        }
    }

    /// The client of a grant has left: the token stays here, or goes to whoever is next.
    pub(super) fn on_client_left(&mut self, fence: Fence) {
        let Some(grant) = self.grants.get_mut(&fence) else {
            return;
        };
        if grant.may_rest() && self.idle < IDLE_TOKENS_MAX && !self.is_closing {
            let Some(idle) = grant.stage.next(Step::Rest(self.now), fence, grant.last) else {
                return;
            };
            grant.stage = idle;
            self.idle += 1;
            if self.idle_check.is_none() {
                self.idle_check = Some(self.now + self.timings.idle_token());
            }
        } else {
            self.leave(fence);
        }
    }

    /// Leaves a grant for good.
    pub(super) fn leave(&mut self, fence: Fence) {
        let Some(grant) = self.grants.get_mut(&fence) else {
            return;
        };
        let Some(left) = grant.stage.next(Step::Leave(self.now), fence, grant.last) else {
            return;
        };
        let was_idle = matches!(grant.stage, Stage::Idle { .. });
        grant.stage = left;
        if was_idle {
            self.idle -= 1;
        }
        forget_reusable(&mut self.reusable, grant, fence);
        self.errands.add(Errand::Release(fence));
        self.pass_on(fence);
    }

    /// Sends the token of a grant that was left to those heirs that do not have it.
    fn pass_on(&mut self, fence: Fence) {
        let Some(grant) = self.grants.get_mut(&fence) else {
            return;
        };
        let Stage::Left { told, .. } = &mut grant.stage else {
            return; // Only who was inside can say that it has left.
        };
        let new: Vec<Heir> = grant
            .heirs
            .iter()
            .copied()
            .filter(|heir| told.insert(heir.fence))
            .collect();
        if new.is_empty() {
            return;
        }
        let frontier = grant.frontier.clone();
        for heir in new {
            if self.session.id() == Some(heir.session) {
                self.on_left(fence, heir.fence, &frontier);
                self.try_enter(heir.fence);
            } else if heir.node != self.node {
                let token = Token {
                    from: fence,
                    to: heir.fence,
                    session: heir.session,
                    frontier: frontier.clone(),
                };
                self.send(Recipient::Node(heir.node), LockMessage::Token(token));
            }
        }
    }

    /// A grant that was not entered will not be.
    pub(super) fn give_up(&mut self, fence: Fence) {
        let Some(grant) = self.grants.get_mut(&fence) else {
            return;
        };
        if let Some(given_up) = grant.stage.next(Step::GiveUp, fence, grant.last) {
            grant.stage = given_up;
            self.errands.add(Errand::Cancel(grant.request));
        }
    }
}

impl Agent {
    /// Clients that enter again and again without asking would keep out those whose requests are on
    /// their way to the table. From here on they ask as well, and take their turn.
    ///
    /// A token that comes from another node says the same: who had it will want it again.
    pub(super) fn on_asked(&mut self, session: SessionId, fence: Fence) {
        if self.session.id() == Some(session)
            && let Some(grant) = self.grants.get(&fence)
        {
            forget_reusable(&mut self.reusable, grant, fence);
            self.asked_for.insert(fence);
        }
    }
}

/// The next client does not enter under this grant.
fn forget_reusable(reusable: &mut BTreeMap<LockName, Fence>, grant: &Grant, fence: Fence) {
    if let Some(lock) = grant.wish.locks.first()
        && reusable.get(lock) == Some(&fence)
    {
        reusable.remove(lock);
    }
}

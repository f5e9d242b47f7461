//! What clients ask.

use alloc::vec;

use super::*;
use crate::token::Frontier;

impl Agent {
    /// Wants locks for a client.
    ///
    /// # Errors
    /// Nothing was asked for: [`LockRefusal::BadRequest`], [`LockRefusal::Full`], or
    /// [`LockRefusal::NoSession`] after [`Self::close`].
    pub fn acquire(&mut self, now: Timestamp, wish: Acquire) -> Result<Acquired, LockRefusal> {
        self.advance(now);
        if self.is_closing {
            return Err(LockRefusal::NoSession);
        }
        let is_one = wish.locks.len() == 1;
        if wish.locks.is_empty()
            || wish.locks.len() > LOCKS_PER_REQUEST_MAX
            || !is_one && wish.locks.iter().collect::<BTreeSet<_>>().len() != wish.locks.len()
        {
            return Err(LockRefusal::BadRequest);
        }
        if self.requests.len() >= REQUESTS_PER_SESSION_MAX {
            return Err(LockRefusal::Full);
        }
        self.busy = self.now;
        if !is_one || wish.permits != Permits::EXCLUSIVE {
            let request = self.ask_for(wish, false);
            self.want_session();
            return Ok(Acquired::Waiting(request));
        }
        let (lock, priority) = (wish.locks[0].clone(), wish.priority);
        self.ahead.note_asked(&lock, priority, self.now);
        if let Some(inside) = self.enter_idle(&lock) {
            return Ok(inside);
        }
        if let Some(turn) = self.adopt(&lock, priority) {
            return Ok(Acquired::Waiting(turn));
        }
        let request = self.ask_for(wish, false);
        self.ask_ahead(&lock, priority);
        self.want_session();
        Ok(Acquired::Waiting(request))
    }

    /// Asks the table.
    pub(super) fn ask_for(&mut self, wish: Acquire, is_ahead: bool) -> RequestId {
        let request = RequestId(self.next_asked);
        self.next_asked += 1;
        self.requests
            .insert(request, Request::Waiting { wish, is_ahead });
        self.errands.add(Errand::Acquire(request));
        request
    }

    /// The client that was inside has left, and nothing of it runs any more. `wrote` is the last entry
    /// of this node's author, if it wrote any since it entered.
    pub fn release(&mut self, now: Timestamp, request: RequestId, wrote: Option<(AuthorId, Seq)>) {
        self.advance(now);
        self.busy = self.now;
        match self.requests.get(&request) {
            None => {}
            Some(Request::Waiting { .. } | Request::Chosen(_)) => self.drop_waiting(request),
            Some(Request::Inside(hold)) => {
                let fence = hold.grant;
                self.watch_leaving(fence);
                self.requests.remove(&request);
                if let (Some((author, seq)), Some(grant)) = (wrote, self.grants.get_mut(&fence)) {
                    grant.frontier.merge(&Frontier(vec![(author, seq)]));
                }
                self.on_client_left(fence);
            }
            Some(Request::Lost(session)) => {
                let session = *session;
                self.requests.remove(&request);
                self.close_past(session);
            }
        }
        self.close_if_done();
    }

    /// The client does not want to wait any more. If it is inside already (an event is under way), that
    /// counts as left.
    pub fn cancel(&mut self, now: Timestamp, request: RequestId) {
        self.release(now, request, None);
    }

    /// Enters under a token that is idle here.
    fn enter_idle(&mut self, lock: &LockName) -> Option<Acquired> {
        if !self.may_enter() {
            return None;
        }
        let first = *self.reusable.get(lock)?;
        let now = self.now;
        let grant = self.grants.get_mut(&first)?;
        let Stage::Idle { next: fence, .. } = grant.stage else {
            return None;
        };
        let client = RequestId(self.next_quick);
        grant.stage = grant
            .stage
            .next(Step::Enter { client, now }, first, grant.last)?;
        let (frontier, is_revoked) = (grant.frontier.clone(), grant.is_revoked);
        self.next_quick += 1;
        self.idle -= 1;
        self.requests
            .insert(client, Request::Inside(Hold::new(first)));
        self.warn_newcomer(client, is_revoked);
        Some(Acquired::Inside {
            request: client,
            fence,
            frontier,
        })
    }

    /// Whoever waits does not want to any more.
    pub(super) fn drop_waiting(&mut self, request: RequestId) {
        match self.requests.remove(&request) {
            Some(Request::Waiting { .. }) => self.take_back(request),
            Some(Request::Chosen(fence)) => self.give_up(fence),
            Some(used @ (Request::Inside(_) | Request::Lost(_))) => {
                self.requests.insert(request, used);
            }
            None => {}
        }
    }

    /// What has not been asked needs no taking back.
    fn take_back(&mut self, request: RequestId) {
        let may_have_come = self.errands.remove(Errand::Acquire(request));
        if may_have_come && self.session.id().is_some() {
            self.errands.add(Errand::Cancel(request));
        }
    }

    /// Gives back idle tokens.
    pub(super) fn leave_idle(&mut self, is_due: impl Fn(Timestamp) -> bool) {
        let mut due = Vec::new();
        for (fence, grant) in &self.grants {
            if let Stage::Idle { since, .. } = grant.stage {
                if is_due(since) {
                    due.push(*fence);
                } else {
                    let at = since + self.timings.idle_token();
                    self.idle_check = earlier(self.idle_check, Some(at));
                }
            }
        }
        for fence in due {
            self.leave(fence);
        }
    }
}

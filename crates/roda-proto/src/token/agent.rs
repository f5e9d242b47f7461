//! A node's side: one session, and the locks that local clients enter and leave.
//!
//! # When a node enters
//!
//! All four rules must hold. Each is there because without it two can be inside:
//!
//! 1. *The token or grant names the current session, not just the node.* A node that restarts forgets
//!    what it had. Meanwhile a token or a notice for its earlier life is still on its way, and the table
//!    may have ended that life and given the lock to another: entering on it would make two. So every
//!    start is a new session, and so is every loss of one.
//! 2. *Its fence is larger than all that the session used for the lock.* A message that comes late, or
//!    twice, would otherwise bring back a grant that was left, while a later one is inside. (Grants that
//!    share a lock are compared with the exclusive ones only: they may be inside together, so their order
//!    among each other means nothing.)
//! 3. *The session is valid by the node's own clock, one that counts suspended time.* No message may
//!    come to tell a node that it was cut off and that its session was ended: it has to know by itself.
//!    The lease counts from when the renewal was *sent*, the leader counts from the receipt and waits
//!    half as long again, so that this clock is the first to run out.
//! 4. *The grant was committed before.* Who holds the token cannot choose: if it is lost together with
//!    its sender, the voters must know already who else may have it, and whose session they have to end
//!    before another gets the lock. A token that arrives before the table's word waits for it.
//!
//! And, of course, whoever was inside before must have left. A token says so, or the table does: a
//! grant names those who must have left ([`GrantView::after`](super::GrantView::after)), and any one
//! version of that set suffices.
//!
//! # When a node leaves
//!
//! A client that is gone frees its lock only when nothing of it runs any more. Then the token goes
//! straight to the heirs that the table has chosen, and the table is told afterwards. A grant that was
//! never entered is *cancelled* instead: the token is not sent for it, because it would claim that those
//! before it have left.
//!
//! If nobody wants the lock, the token stays, *idle*: the next client here enters without any message,
//! with the next fence of a block that the table has set aside. The table counts the node as the holder
//! all the while, so this breaks no rule; the first other one who asks makes it give the token up.
//!
//! Where clients come back for a lock that other nodes want too, the node asks for its next turns ahead of
//! them; see `ahead.rs`.
//!
//! # What is sent again
//!
//! Every command until its effect is seen, for each of them can be lost: on a broken link, with a leader.
//! The table takes each as often as it comes.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use super::{
    COMMANDS_PER_PROPOSAL_MAX, Fence, LOCKS_PER_REQUEST_MAX, LockCommand, LockMessage, LockName,
    LockRefusal, Permits, Quorum, REQUESTS_PER_SESSION_MAX, RequestId, SESSION_MILLIS_MAX,
    SESSION_MILLIS_MIN, SessionId, Timings,
};
use crate::id::{AuthorId, NodeId, Seq};
use crate::time::Timestamp;

mod ahead;
mod api;
mod clients;
mod commands;
mod entering;
mod errands;
mod fences;
mod grant;
mod hold;
mod holds;
mod lease;
mod session;
#[cfg(test)]
pub(super) mod tests;
mod tokens;

pub use api::{Acquire, Acquired, AgentEvent, AgentOutput, HoldState, LostReason, Recipient};

use ahead::Ahead;
use errands::{Errand, Errands};
use fences::UsedFences;
use grant::{Grant, Stage, Step};
use hold::{Hold, Threat};
use holds::earlier;
use session::{Risk, Session};
use tokens::EarlyTokens;

/// Most former sessions that are closed at the table if they are there still.
const PAST_SESSIONS_MAX: usize = 16;

/// Where the numbers of requests begin that the table never hears of.
const QUICK_REQUESTS: u64 = 1 << 63;

/// One node's locks. Every method takes the time of a clock that counts suspended time (`CLOCK_BOOTTIME`).
///
/// After every call, and before the next one, outputs are to be taken until there are none; commands
/// made by several calls leave together if they are taken after the last.
#[derive(Debug)]
pub struct Agent {
    node: NodeId,
    next_boot: u64,
    timings: Timings,
    session_millis: u32,
    /// The latest time that was told. It does not go back, whatever the clock does.
    now: Timestamp,
    leader: Option<NodeId>,
    session: Session,
    /// What clients inside know about the lease.
    risk: Risk,
    is_closing: bool,
    /// Of requests that the table is asked for. It keeps track of them as ranges, so they have no gaps.
    next_asked: u64,
    /// Of requests that enter without the table's knowing.
    next_quick: u64,
    /// Invariant: each `Chosen` and `Inside` names a grant of the present session that names it.
    requests: BTreeMap<RequestId, Request>,
    /// Of the present session, by first fence.
    grants: BTreeMap<Fence, Grant>,
    /// Grants of a single exclusive lock that were entered and not left, by their lock.
    reusable: BTreeMap<LockName, Fence>,
    /// Grants that somebody has asked for, or will: no further client enters under them. Invariant: in
    /// `grants`.
    asked_for: BTreeSet<Fence>,
    /// How many grants are idle. Invariant: at most `IDLE_TOKENS_MAX`.
    idle: usize,
    used: UsedFences,
    tokens: EarlyTokens,
    errands: Errands,
    /// Former sessions that the table may still have, and until when that can be.
    past: BTreeMap<SessionId, Timestamp>,
    /// What is asked for before a client wants it.
    ahead: Ahead,
    quorum: Option<Quorum>,
    /// When a request or a grant was last seen.
    busy: Timestamp,
    /// When the first idle token could be due.
    idle_check: Option<Timestamp>,
    /// When the first stopping hold could be due.
    kill_check: Option<Timestamp>,
    outputs: VecDeque<AgentOutput>,
}

/// The life of a client's request.
#[derive(Debug)]
enum Request {
    /// It waits in the table's queue, or is on its way there.
    Waiting {
        wish: Acquire,
        /// It was asked for before a client wanted it.
        is_ahead: bool,
    },
    /// The table has chosen it; the grant has its wish.
    Chosen(Fence),
    /// The client is inside.
    Inside(Hold),
    /// The client was inside when its session ended, and has not left yet.
    Lost(SessionId),
}

impl Agent {
    /// An agent without a session. `boot` is drawn at random.
    ///
    /// Every agent of a node needs another one: the table would take the new for the old.
    #[must_use]
    pub fn new(node: NodeId, boot: u64, timings: Timings) -> Self {
        // The table does not keep to other times than these, so this side must not either.
        let session_millis = u32::try_from(timings.session().as_millis())
            .unwrap_or(SESSION_MILLIS_MAX)
            .clamp(SESSION_MILLIS_MIN, SESSION_MILLIS_MAX);
        Self {
            node,
            next_boot: boot,
            timings: Timings::new(Duration::from_millis(u64::from(session_millis))),
            session_millis,
            now: Timestamp::default(),
            leader: None,
            session: Session::Absent,
            risk: Risk::Low,
            is_closing: false,
            next_asked: 1,
            next_quick: QUICK_REQUESTS,
            requests: BTreeMap::new(),
            grants: BTreeMap::new(),
            reusable: BTreeMap::new(),
            asked_for: BTreeSet::new(),
            idle: 0,
            used: UsedFences::default(),
            tokens: EarlyTokens::default(),
            errands: Errands::default(),
            past: BTreeMap::new(),
            ahead: Ahead::default(),
            quorum: None,
            busy: Timestamp::default(),
            idle_check: None,
            kill_check: None,
            outputs: VecDeque::new(),
        }
    }

    /// Takes a message of another node, or of this node's own registrar.
    pub fn handle_message(&mut self, now: Timestamp, _from: NodeId, message: LockMessage) {
        self.advance(now);
        match message {
            LockMessage::Opened {
                boot,
                sent_micros,
                session,
            } => self.on_opened(boot, session, Timestamp::from_micros(sent_micros)),
            LockMessage::Renewed {
                session,
                sent_micros,
                view,
            } => self.on_renewed(session, Timestamp::from_micros(sent_micros), view.as_ref()),
            LockMessage::Ended { session } => self.on_ended(session),
            LockMessage::Refused {
                session,
                request,
                refusal,
            } => self.on_refused(session, request, refusal),
            LockMessage::Withdrawn { session, requests } => self.on_withdrawn(session, &requests),
            LockMessage::Notice(notice) => self.on_notice(&notice),
            LockMessage::Asked { session, fence } => self.on_asked(session, fence),
            LockMessage::Token(token) => self.on_token(&token),
            LockMessage::NoQuorum(quorum) => self.on_quorum(Some(quorum)),
            // Who leads is told by `handle_leader`; the others are for leaders.
            LockMessage::NotLeader { .. }
            | LockMessage::Open { .. }
            | LockMessage::Renew { .. }
            | LockMessage::Propose { .. } => {}
        }
        self.close_if_done();
    }

    /// Who leads now, if somebody is known; messages on their way to an earlier one may be lost.
    pub fn handle_leader(&mut self, now: Timestamp, leader: Option<NodeId>) {
        self.advance(now);
        if leader.is_none() || leader == self.leader {
            return;
        }
        self.leader = leader;
        self.ask();
        self.errands
            .retry(self.now, self.now + self.timings.retry());
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.advance(now);
        self.close_if_done();
    }

    /// The node stops: nothing is to be entered any more, and the session closes once all is left.
    ///
    /// Who waits is refused with [`LockRefusal::NoSession`]; who is inside is asked to stop. When
    /// [`Self::is_closed`] and there are no outputs, nothing more is to be done.
    pub fn close(&mut self, now: Timestamp) {
        self.advance(now);
        self.is_closing = true;
        self.threaten_all(Threat::Leave(LostReason::Stopped));
        self.end_ahead();
        let waiting: Vec<RequestId> = self
            .requests
            .iter()
            .filter(|(_, request)| matches!(request, Request::Waiting { .. } | Request::Chosen(_)))
            .map(|(name, _)| *name)
            .collect();
        for request in waiting {
            self.drop_waiting(request);
            self.event(AgentEvent::Refused {
                request,
                refusal: LockRefusal::NoSession,
            });
        }
        self.leave_idle(|_| true);
        self.close_if_done();
    }

    /// When to call [`Self::handle_timeout`].
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let mut next = earlier(self.session.next_ask(&self.timings), self.kill_check);
        if let Some(lease) = self.session.lease() {
            next = earlier(next, Some(lease.risk_ends(&self.timings, self.risk)));
        }
        next = earlier(next, self.errands.next_deadline());
        next = earlier(next, self.idle_check);
        next = earlier(next, self.ahead.next_deadline());
        next = earlier(next, self.past.values().next().copied());
        earlier(next, self.retire_at())
    }

    /// The next output; `None`: drained.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<AgentOutput> {
        if self.outputs.is_empty() {
            self.flush();
        }
        self.outputs.pop_front()
    }

    /// Until when the session is valid; `None` without one.
    #[must_use]
    pub fn valid_until(&self) -> Option<Timestamp> {
        let lease = self.session.lease()?;
        Some(lease.valid_until(&self.timings))
    }

    /// The node stops, and everything is left.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_closing && self.requests.is_empty() && self.session == Session::Absent
    }

    /// Rule 3, and nothing after `close`.
    fn may_enter(&self) -> bool {
        let may = |lease: &session::Lease| lease.may_enter(&self.timings, self.now);
        !self.is_closing && self.session.lease().is_some_and(may)
    }

    /// Does what time alone makes due. Comes before everything else: a lease that is over must not be
    /// renewed or used by what has come since.
    fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        if self.next_deadline().is_some_and(|at| at <= self.now) {
            self.on_time();
        }
    }

    fn on_time(&mut self) {
        let now = self.now;
        self.on_risk();
        self.check_stopping();
        self.check_ahead();
        if self
            .session
            .next_ask(&self.timings)
            .is_some_and(|at| at <= now)
        {
            self.ask();
        }
        if self.errands.next_deadline().is_some_and(|at| at <= now) {
            let retry = self.timings.retry();
            let before = now.as_micros().saturating_sub(micros(retry));
            self.errands
                .retry(Timestamp::from_micros(before), now + retry);
        }
        if self.idle_check.is_some_and(|at| at <= now) {
            let limit = self.timings.idle_token();
            self.idle_check = None;
            self.leave_idle(|since| now.since(since) >= limit);
        }
        while let Some(entry) = self.past.first_entry()
            && *entry.get() <= now
        {
            let (session, _) = entry.remove_entry();
            self.errands.remove(Errand::Close(session));
        }
        if self.retire_at().is_some_and(|at| at <= now) {
            self.retire_session();
        }
    }

    /// When a session that nothing uses is closed.
    fn retire_at(&self) -> Option<Timestamp> {
        let is_used = !self.requests.is_empty() || !self.grants.is_empty();
        (!is_used && self.session != Session::Absent)
            .then(|| self.busy + self.timings.idle_session())
    }

    fn close_if_done(&mut self) {
        if self.is_closing && self.requests.is_empty() && self.session != Session::Absent {
            self.retire_session();
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

//! The session: opened when something needs it, renewed while it lasts, and what its end does.

use alloc::vec::Vec;

use super::errands::Errand;
use super::fences::UsedFences;
use super::hold::Threat;
use super::session::{Risk, Session, SessionInput};
use super::tokens::EarlyTokens;
use super::{Agent, AgentEvent, AgentOutput, LostReason, PAST_SESSIONS_MAX, Recipient, Request};
use crate::time::Timestamp;
use crate::token::{LockMessage, SessionId, SessionView};

impl Agent {
    /// Asks for a session if there is none.
    pub(super) fn want_session(&mut self) {
        let boot = self.next_boot;
        let now = self.now;
        if self.is_closing || !self.step_session(SessionInput::Want { boot, now }) {
            return;
        }
        // Not under this boot again: should the answer come late, it is for a session given up.
        self.next_boot = self.next_boot.wrapping_add(1);
        self.send_ask();
    }

    /// Asks the leader again what was asked last: to open or to renew the session.
    pub(super) fn ask(&mut self) {
        if self.step_session(SessionInput::Ask(self.now)) {
            self.send_ask();
        }
    }

    fn send_ask(&mut self) {
        let sent_micros = self.now.as_micros();
        let message = match &self.session {
            Session::Absent => return,
            Session::Opening { boot, .. } => LockMessage::Open {
                boot: *boot,
                sent_micros,
                session_millis: self.session_millis,
            },
            Session::Open(lease) => LockMessage::Renew {
                session: lease.id,
                sent_micros,
                version: lease.version,
            },
        };
        self.send(Recipient::Leader, message);
    }

    pub(super) fn on_opened(&mut self, boot: u64, id: SessionId, sent: Timestamp) {
        if self.step_session(SessionInput::Opened { boot, id, sent }) {
            self.risk = Risk::Low;
            self.event(AgentEvent::Session(Some(id)));
            self.on_quorum(None);
            self.on_risk();
        }
    }

    pub(super) fn on_renewed(
        &mut self,
        id: SessionId,
        sent: Timestamp,
        view: Option<&SessionView>,
    ) {
        if self.session.id() != Some(id) {
            return;
        }
        self.on_quorum(None);
        let could_enter = self.may_enter();
        if self.step_session(SessionInput::Renewed { id, sent }) {
            self.on_risk();
        }
        if let Some(view) = view {
            self.on_view(view);
        }
        if !could_enter && self.may_enter() {
            self.enter_all();
        }
    }

    /// The lease is so much nearer to its end, or was renewed.
    pub(super) fn on_risk(&mut self) {
        let Some(lease) = self.session.lease() else {
            return;
        };
        let risk = lease.risk(&self.timings, self.now);
        if risk == Risk::Over {
            self.end_session(LostReason::NotRenewed);
        } else if risk != self.risk {
            self.risk = risk;
            self.threaten_all(Threat::Lease(risk));
        }
    }

    /// The leader says that the session is over, and has given all that it held to others.
    pub(super) fn on_ended(&mut self, id: SessionId) {
        self.past.remove(&id);
        self.errands.remove(Errand::Close(id));
        if self.session.id() == Some(id) {
            self.end_session(LostReason::SessionEnded);
            self.past.remove(&id);
        }
    }

    /// The session is over for this node. Whoever is inside is lost, and has to say when nothing of it
    /// runs any more; whoever waits queues again under a new session.
    pub(super) fn end_session(&mut self, reason: LostReason) {
        let Some(id) = self.session.id() else {
            // What was only asked for ends by itself at the table, if it is there.
            self.step_session(SessionInput::End);
            return;
        };
        self.threaten_all(Threat::Ended(reason));
        self.end_ahead();
        self.step_session(SessionInput::End);
        let mut grants = core::mem::take(&mut self.grants);
        let mut waiting = Vec::new();
        for (name, request) in &mut self.requests {
            match request {
                Request::Waiting { .. } => waiting.push(*name),
                Request::Chosen(fence) => {
                    if let Some(grant) = grants.remove(fence) {
                        let wish = grant.wish;
                        let is_ahead = false;
                        *request = Request::Waiting { wish, is_ahead };
                        waiting.push(*name);
                    }
                }
                Request::Inside(_) => *request = Request::Lost(id),
                Request::Lost(_) => {}
            }
        }
        self.reusable.clear();
        self.asked_for.clear();
        self.idle = 0;
        self.idle_check = None;
        self.kill_check = None;
        self.used = UsedFences::default();
        self.tokens = EarlyTokens::default();
        self.errands
            .retain(|errand| matches!(errand, Errand::Close(_)));
        for name in waiting {
            self.errands.add(Errand::Acquire(name));
        }
        self.event(AgentEvent::Session(None));
        self.remember_past(id);
        self.close_past(id);
        if self.has_waiting() {
            self.want_session();
        }
    }

    /// The table may have the session still: it is to be closed there as soon as nothing runs under it.
    fn remember_past(&mut self, id: SessionId) {
        if self.past.len() == PAST_SESSIONS_MAX
            && let Some((oldest, _)) = self.past.pop_first()
        {
            self.errands.remove(Errand::Close(oldest));
        }
        self.past.insert(id, self.now + self.timings.session() * 2);
    }

    /// Closes a former session if nothing runs under it any more, for whoever waits. What is not
    /// remembered, the table has ended by itself.
    pub(super) fn close_past(&mut self, id: SessionId) {
        let is_running = |request: &Request| matches!(request, Request::Lost(of) if *of == id);
        if self.past.contains_key(&id) && !self.requests.values().any(is_running) {
            self.errands.add(Errand::Close(id));
        }
    }

    /// Ends a session that is of no use any more: the node stops, or has not used it for long.
    pub(super) fn retire_session(&mut self) {
        // What was left is told first, in the same order: closing alone would let others wait for it.
        self.flush_all();
        self.end_session(LostReason::Stopped);
    }

    fn has_waiting(&self) -> bool {
        self.requests
            .values()
            .any(|request| matches!(request, Request::Waiting { .. }))
    }

    fn step_session(&mut self, input: SessionInput) -> bool {
        let Some(next) = self.session.next(input) else {
            return false;
        };
        self.session = next;
        true
    }

    pub(super) fn send(&mut self, to: Recipient, message: LockMessage) {
        self.outputs.push_back(AgentOutput::Send { to, message });
    }

    pub(super) fn event(&mut self, event: AgentEvent) {
        self.outputs.push_back(AgentOutput::Event(event));
    }
}

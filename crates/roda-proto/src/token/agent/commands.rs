//! What the table is asked, and what its leader answers to that.

use super::*;

impl Agent {
    /// Makes one message of all commands that are to be sent.
    pub(super) fn flush(&mut self) {
        if self.errands.is_drained() {
            return;
        }
        let is_open = self.session.id().is_some();
        let going = self.errands.take_unsent(
            self.now,
            self.now + self.timings.retry(),
            COMMANDS_PER_PROPOSAL_MAX,
            |errand| is_open || matches!(errand, Errand::Close(_)),
        );
        let commands: Vec<LockCommand> = going
            .into_iter()
            .filter_map(|errand| self.command(errand))
            .collect();
        if !commands.is_empty() {
            self.send(Recipient::Leader, LockMessage::Propose { commands });
        }
    }

    /// As [`Self::flush`], but many messages if one is not enough.
    pub(super) fn flush_all(&mut self) {
        let messages = self.errands.len() / COMMANDS_PER_PROPOSAL_MAX + 1;
        for _message in 0..messages {
            self.flush();
        }
    }

    /// What to send for an errand; `None`: it has no object any more, and is forgotten.
    fn command(&mut self, errand: Errand) -> Option<LockCommand> {
        let command = self.command_of(errand);
        if command.is_none() {
            self.errands.remove(errand);
        }
        command
    }

    fn command_of(&self, errand: Errand) -> Option<LockCommand> {
        if let Errand::Close(session) = errand {
            return Some(LockCommand::Close { session });
        }
        let session = self.session.id()?;
        match errand {
            Errand::Release(fence) => {
                let grant = self.grants.get(&fence)?;
                let Stage::Left { held, .. } = &grant.stage else {
                    return None;
                };
                Some(LockCommand::Release {
                    session,
                    fence,
                    frontier: grant.frontier.clone(),
                    held_millis: u64::try_from(held.as_millis()).unwrap_or(u64::MAX),
                })
            }
            Errand::Cancel(request) => Some(LockCommand::Cancel { session, request }),
            Errand::Acquire(request) => match self.requests.get(&request)? {
                Request::Waiting { wish, is_ahead } => Some(LockCommand::Acquire {
                    session,
                    request,
                    locks: wish.locks.clone(),
                    permits: wish.permits,
                    priority: wish.priority,
                    is_ahead: *is_ahead,
                }),
                Request::Chosen(_) | Request::Inside(_) | Request::Lost(_) => None,
            },
            Errand::Close(session) => Some(LockCommand::Close { session }),
        }
    }

    pub(super) fn on_withdrawn(&mut self, session: SessionId, requests: &[RequestId]) {
        if self.session.id() == Some(session) {
            for request in requests {
                self.errands.remove(Errand::Cancel(*request));
            }
        }
    }

    pub(super) fn on_refused(
        &mut self,
        session: SessionId,
        request: RequestId,
        refusal: LockRefusal,
    ) {
        let is_waiting = matches!(self.requests.get(&request), Some(Request::Waiting { .. }));
        if self.session.id() != Some(session) || !is_waiting {
            return;
        }
        match refusal {
            LockRefusal::Full
            | LockRefusal::BadRequest
            | LockRefusal::NotAllowed
            | LockRefusal::NotHeld
            | LockRefusal::Over => {
                self.errands.remove(Errand::Acquire(request));
                self.refuse(request, refusal);
            }
            // It is asked again, under another session if need be.
            LockRefusal::NoSession | LockRefusal::NoQuorum => {}
        }
    }

    /// The request comes to nothing.
    pub(super) fn refuse(&mut self, request: RequestId, refusal: LockRefusal) {
        if self.drop_turn(request) {
            return;
        }
        self.requests.remove(&request);
        self.event(AgentEvent::Refused { request, refusal });
    }

    /// Whether enough voters answer has been said, or is evident.
    pub(super) fn on_quorum(&mut self, missing: Option<Quorum>) {
        if self.quorum != missing {
            self.quorum = missing;
            self.event(AgentEvent::Quorum(missing));
        }
    }
}

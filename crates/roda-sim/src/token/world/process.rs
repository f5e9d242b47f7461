//! What a process does after something happened to it.

use std::time::Duration;

use roda_proto::token::{AgentEvent, AgentOutput, RegistrarOutput};

use super::{Happening, Place, World};
use crate::invariants::{Check, Violation};
use crate::token::client::Job;

/// Nobody is woken more often.
const TIMER_MIN: Duration = Duration::from_micros(50);

impl World {
    /// Takes all outputs of a process, and sees when it wants to be woken.
    pub(super) fn settle(&mut self, node: usize) -> Check {
        loop {
            let Some(process) = self.nodes[node].process.as_mut() else {
                return Ok(());
            };
            if let Some(output) = process.agent.poll_output() {
                match output {
                    AgentOutput::Send { to, message } => self.send_from_agent(node, to, message),
                    AgentOutput::Event(event) => self.on_event(node, event)?,
                }
                continue;
            }
            match process.registrar.poll_output() {
                Some(RegistrarOutput::Send { to, message }) => {
                    let to = crate::token::node::index_of(to);
                    self.send(node, to, message);
                }
                Some(RegistrarOutput::Propose { id, commands }) => {
                    self.propose(node, id, commands);
                }
                Some(RegistrarOutput::Confirm { id }) => self.ask(node, id),
                None => break,
            }
        }
        self.rearm(node)
    }

    fn rearm(&mut self, node: usize) -> Check {
        let clock = self.nodes[node].clock;
        let Some(process) = self.nodes[node].process.as_mut() else {
            return Ok(());
        };
        let life = process.life;
        process.valid_until = process.agent.valid_until();
        if let (Some(session), Some(until)) = (process.session, process.valid_until) {
            self.checks.leases.note(session, until);
        }
        if process.is_closing && process.agent.is_closed() {
            // What it said last is on its way, and may come through or not.
            process.is_closing = false;
            let delay = self.random.exponential(self.options.quorum * 4);
            self.after(delay, Happening::End(Place { node, life }));
        }
        let Some(process) = self.nodes[node].process.as_mut() else {
            return Ok(());
        };
        let Some(deadline) = process.next_deadline() else {
            return Ok(());
        };
        let at = clock.to_world(deadline).max(self.now + TIMER_MIN);
        if process.timer.is_none_or(|timer| at < timer) {
            process.timer = Some(at);
            self.queue.push(at, Happening::Timer(Place { node, life }));
        }
        Ok(())
    }

    pub(super) fn on_timer(&mut self, node: usize) -> Check {
        let local = self.local(node);
        let now = self.now;
        let Some(process) = self.nodes[node].process.as_mut() else {
            return Ok(());
        };
        if process.timer.is_some_and(|timer| timer > now) {
            return Ok(()); // An earlier one has replaced it.
        }
        process.timer = None;
        let is_due = |at: Option<roda_proto::Timestamp>| at.is_some_and(|at| at <= local);
        let agent = is_due(process.agent.next_deadline());
        let registrar = is_due(process.registrar.next_deadline());
        if agent {
            process.agent.handle_timeout(local);
        }
        if registrar {
            process.registrar.handle_timeout(local);
        }
        if agent || registrar {
            self.trace.note(now, node, &[1], || "timer");
        }
        self.settle(node)
    }

    fn on_event(&mut self, node: usize, event: AgentEvent) -> Check {
        let Some(process) = self.nodes[node].process.as_mut() else {
            return Ok(());
        };
        let life = process.life;
        let job = |request| Job {
            node,
            life,
            request,
        };
        match event {
            AgentEvent::Entered {
                request,
                fence,
                frontier,
            } => match self.waiting.remove(&job(request)) {
                Some(wish) => self.enter(job(request), wish, fence, &frontier),
                None => Err(Violation::at(
                    "entering",
                    node,
                    format!("{request:?} entered, and nobody wants it"),
                )),
            },
            AgentEvent::Refused { request, refusal } => {
                let words = [2, request.0];
                self.trace
                    .note(self.now, node, &words, || format!("{request:?} {refusal}"));
                self.waiting.remove(&job(request));
                Ok(())
            }
            AgentEvent::Hold { request, state } => {
                self.on_hold(job(request), state);
                Ok(())
            }
            AgentEvent::Session(session) => {
                process.session = session;
                let words = [3, session.map_or(0, |session| session.0)];
                self.trace
                    .note(self.now, node, &words, || format!("session {session:?}"));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

//! What clients inside are told about how safe they are.

use alloc::vec::Vec;

use super::hold::Threat;
use super::{Agent, AgentEvent, Request};
use crate::time::Timestamp;
use crate::token::RequestId;

impl Agent {
    /// Something happened to everyone inside.
    pub(super) fn threaten_all(&mut self, threat: Threat) {
        let inside: Vec<RequestId> = self
            .requests
            .iter()
            .filter(|(_, request)| matches!(request, Request::Inside(_)))
            .map(|(client, _)| *client)
            .collect();
        for client in inside {
            self.threaten(client, threat);
        }
    }

    /// Something happened to one.
    pub(super) fn threaten(&mut self, client: RequestId, threat: Threat) {
        let Some(Request::Inside(hold)) = self.requests.get_mut(&client) else {
            return;
        };
        let before = hold.danger;
        hold.danger = before.next(threat, self.now, &self.timings);
        let state = hold.danger.state();
        self.kill_check = earlier(self.kill_check, hold.danger.deadline());
        if state != before.state() {
            self.event(AgentEvent::Hold {
                request: client,
                state,
            });
        }
    }

    /// Kills those that were asked to stop and did not.
    pub(super) fn check_stopping(&mut self) {
        if self.kill_check.is_some_and(|at| at <= self.now) {
            self.kill_check = None;
            self.threaten_all(Threat::Time);
        }
    }
}

/// The earlier of two times that may never come.
pub(super) fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

//! T4: nothing runs for longer than its lease by its own node's clock; and when the table ends a session,
//! its lease is over by that clock, and nothing runs in it.

use std::collections::BTreeMap;
use std::time::Duration;

use roda_proto::Timestamp;
use roda_proto::token::{SessionCause, SessionId};

use crate::invariants::{Check, Violation};
use crate::token::client::{Hold, Job};
use crate::token::node::Node;

/// Until when sessions are valid by the clocks of their nodes.
#[derive(Default)]
pub struct Leases {
    until: BTreeMap<SessionId, Timestamp>,
}

impl Leases {
    /// A process says until when its session is valid.
    pub fn note(&mut self, session: SessionId, until: Timestamp) {
        let known = self.until.entry(session).or_default();
        *known = until.max(*known);
    }

    /// Until when a session is valid, as far as is known.
    #[must_use]
    pub fn until(&self, session: SessionId) -> Timestamp {
        self.until.get(&session).copied().unwrap_or_default()
    }

    /// What ran in a session has ended at this time of its node's clock.
    ///
    /// # Errors
    /// That is too late.
    pub fn check_left(&self, hold: &Hold, local: Timestamp) -> Check {
        let until = self.until(hold.session);
        // The world's clock and the node's are both rounded to microseconds.
        if local > until + Duration::from_micros(2) {
            let detail = format!("{hold:?} ran until {local:?}, its lease until {until:?}");
            return Err(Violation::at("T4", hold.job.node, detail));
        }
        Ok(())
    }
}

/// The end of a session is agreed on.
///
/// # Errors
/// Somebody is inside, or the node takes the session for valid.
pub fn check_end(
    now: Timestamp,
    session: SessionId,
    cause: SessionCause,
    nodes: &[Node],
    inside: &BTreeMap<Job, Hold>,
) -> Check {
    if let Some(hold) = inside.values().find(|hold| hold.session == session) {
        let detail = format!("{session:?} ends ({cause:?}), inside is {hold:?}");
        return Err(Violation::at("T4", hold.job.node, detail));
    }
    for (index, node) in nodes.iter().enumerate() {
        let Some(process) = &node.process else {
            continue;
        };
        let local = node.clock.now(now);
        let is_valid = process.valid_until.is_some_and(|until| until > local);
        if process.session == Some(session) && is_valid {
            let detail = format!("{session:?} ends ({cause:?}), and is valid");
            return Err(Violation::at("T4", index, detail));
        }
    }
    Ok(())
}

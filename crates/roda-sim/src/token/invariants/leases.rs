//! T4: when the table ends a session, its lease is over by its own node's clock, and nothing runs in it.

use std::collections::BTreeMap;

use roda_proto::Timestamp;
use roda_proto::token::{SessionCause, SessionId};

use crate::invariants::{Check, Violation};
use crate::token::client::{Hold, Job};
use crate::token::node::Node;

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

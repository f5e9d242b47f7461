//! Beside the table of the leading voter: sessions by the clock, and who has to be told what.
//!
//! The table reads no clock, so somebody has to tell it that a session is over. That is the registrar of
//! the leading voter, and it must be later than the session's own node:
//!
//! - it counts from the *receipt* of a renewal, half a session time longer than the node counts from the
//!   moment of sending;
//! - it answers a renewal only after a quorum has confirmed, in a round that began after the receipt, that
//!   it leads. Another one that is elected afterwards starts all clocks anew, later than this receipt. A
//!   leader that was replaced without knowing gets no such confirmation, and so prolongs nothing;
//! - a session whose end is on its way into the log is not renewed any more, whatever becomes of that
//!   entry.
//!
//! Opening a session needs no question of its own: that its entry was agreed on after the receipt says
//! the same.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::table::Applied;
use super::{
    COMMANDS_PER_PROPOSAL_MAX, Change, Fence, LockCommand, LockMessage, LockOutcome, Quorum,
    RequestId, SessionId, Table, Timings,
};
use crate::id::NodeId;
use crate::time::Timestamp;

mod clocks;
mod commands;
mod proposals;
mod renewals;
#[cfg(test)]
mod tests;

use clocks::Clocks;
use proposals::{Origin, Proposals};
use renewals::{Renewal, Renewals};

/// What a registrar wants of the world, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrarOutput {
    /// May be lost.
    Send {
        /// To whom; this node itself perhaps.
        to: NodeId,
        /// What.
        message: LockMessage,
    },
    /// Write this as one entry; then call `on_applied` if it was applied while this node leads, or
    /// `on_failed`.
    Propose {
        /// Names the proposal.
        id: u64,
        /// The entry.
        commands: Vec<LockCommand>,
    },
    /// Find out whether a quorum still takes this node for the leader; then call `on_confirmed`.
    Confirm {
        /// Names the question.
        id: u64,
    },
}

/// Keeps the sessions of a group while its node leads; does nothing otherwise.
#[derive(Debug)]
pub struct Registrar {
    timings: Timings,
    /// Never used twice, not even by different terms of this node.
    next_id: u64,
    role: Role,
    outputs: VecDeque<RegistrarOutput>,
}

/// Whether this node leads.
#[derive(Debug)]
enum Role {
    Following,
    Leading(Leading),
}

/// What a leader remembers; gone with its term.
#[derive(Debug, Default)]
struct Leading {
    clocks: Clocks,
    renewals: Renewals,
    proposals: Proposals,
}

/// Requests that the table does not have (any more), as was wanted, by who wanted it.
type Withdrawn = BTreeMap<(NodeId, SessionId), Vec<RequestId>>;

impl Registrar {
    /// One that does not lead.
    #[must_use]
    pub fn new(timings: Timings) -> Self {
        Self {
            timings,
            next_id: 1,
            role: Role::Following,
            outputs: VecDeque::new(),
        }
    }

    /// This node leads now, and all entries of earlier leaders are in `table`: the time of every
    /// session begins anew.
    pub fn lead(&mut self, now: Timestamp, table: &Table) {
        let mut leading = Leading::default();
        for (session, _, session_time) in table.sessions() {
            leading.clocks.start(now, session, session_time);
        }
        self.outputs.clear();
        self.role = Role::Leading(leading);
    }

    /// Another node leads, or nobody does. Proposals under way are forgotten.
    pub fn follow(&mut self) {
        self.outputs.clear();
        self.role = Role::Following;
    }

    /// Fences are to start no lower than this. For the first leader of a group; later it changes little.
    pub fn start_fences(&mut self, fence: Fence) {
        if let Role::Leading(leading) = &mut self.role {
            let command = LockCommand::Start { fence };
            leading.proposals.push_own(Origin::Unasked(None), command);
        }
    }

    /// Takes a message to the leader, of a member of the group. What others may send is ignored, and
    /// so is everything while this node does not lead.
    pub fn handle_message(
        &mut self,
        now: Timestamp,
        table: &Table,
        from: NodeId,
        message: LockMessage,
    ) {
        let Role::Leading(leading) = &mut self.role else {
            return;
        };
        match message {
            LockMessage::Open {
                boot,
                sent_micros,
                session_millis,
            } => self.on_open(table, from, boot, sent_micros, session_millis),
            LockMessage::Renew {
                session,
                sent_micros,
                version,
            } => {
                match table.node_of(session) {
                    // At the receipt already: a late end is always safe.
                    Some(node) if node == from => {
                        leading.clocks.renew(now, session);
                    }
                    Some(_another) => return,
                    // Said only once a quorum has confirmed that this table is the latest.
                    None => {}
                }
                let renewal = Renewal {
                    node: from,
                    sent_micros,
                    version,
                };
                leading.renewals.push(session, renewal);
            }
            LockMessage::Propose { commands } => self.on_propose(table, from, commands),
            LockMessage::Opened { .. }
            | LockMessage::Renewed { .. }
            | LockMessage::Ended { .. }
            | LockMessage::Refused { .. }
            | LockMessage::Notice(_)
            | LockMessage::Token(_)
            | LockMessage::NotLeader { .. }
            | LockMessage::NoQuorum(_)
            | LockMessage::Withdrawn { .. }
            | LockMessage::Asked { .. } => {}
        }
    }

    /// An entry was applied while this node leads: its own with the id of the proposal, or somebody
    /// else's. `table` has it.
    pub fn on_applied(&mut self, now: Timestamp, table: &Table, id: Option<u64>, applied: Applied) {
        let Role::Leading(leading) = &mut self.role else {
            return;
        };
        let origins = id.map_or_else(Vec::new, |id| leading.proposals.finish(id));
        let mut ended = Vec::new();
        for change in &applied.changes {
            match change {
                Change::Opened { session, .. } => {
                    if let Some((_, _, time)) = table.sessions().find(|(id, ..)| id == session) {
                        leading.clocks.start(now, *session, time);
                    }
                }
                Change::Ended { session, node, .. } => {
                    leading.clocks.remove(*session);
                    ended.push((*node, *session));
                }
                Change::Queued { .. }
                | Change::Cancelled { .. }
                | Change::Granted { .. }
                | Change::Promoted { .. }
                | Change::Released { .. }
                | Change::Revoked { .. } => {}
            }
        }
        let mut withdrawn = Withdrawn::new();
        for (origin, outcome) in origins.into_iter().zip(&applied.outcomes) {
            self.answer(now, origin, outcome, &mut withdrawn);
        }
        for (to, notice) in applied.notices {
            self.send(to, LockMessage::Notice(notice));
        }
        for ((to, session), requests) in withdrawn {
            self.send(to, LockMessage::Withdrawn { session, requests });
        }
        for (to, session) in ended {
            self.send(to, LockMessage::Ended { session });
        }
    }

    /// A proposal came to nothing, or nobody knows; whoever asked will ask again.
    pub fn on_failed(&mut self, now: Timestamp, id: u64, quorum: Option<Quorum>) {
        let Role::Leading(leading) = &mut self.role else {
            return;
        };
        let mut waiting = BTreeSet::new();
        for origin in leading.proposals.finish(id) {
            waiting.extend(origin.node());
            if let Origin::Expire(session) = origin {
                let at = now + self.timings.retry();
                leading.clocks.retry(at, session);
            }
        }
        if let Some(quorum) = quorum {
            for node in waiting {
                self.send(node, LockMessage::NoQuorum(quorum));
            }
        }
    }

    /// The answer to a `Confirm`: a quorum has confirmed, after the question was asked, that this node
    /// leads; or too few answered.
    pub fn on_confirmed(
        &mut self,
        _now: Timestamp,
        table: &Table,
        id: u64,
        result: Result<(), Quorum>,
    ) {
        let Role::Leading(leading) = &mut self.role else {
            return;
        };
        for (session, renewal) in leading.renewals.on_answer(id) {
            let message = match result {
                Err(quorum) => LockMessage::NoQuorum(quorum),
                Ok(()) if leading.clocks.is_running(session) => LockMessage::Renewed {
                    session,
                    sent_micros: renewal.sent_micros,
                    view: if table.version_of(session) == Some(renewal.version) {
                        None
                    } else {
                        table.view(session)
                    },
                },
                // Being ended is not over: it is not renewed, and told when the table has it.
                Ok(()) if table.node_of(session).is_some() => continue,
                Ok(()) => LockMessage::Ended { session },
            };
            self.outputs.push_back(RegistrarOutput::Send {
                to: renewal.node,
                message,
            });
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        let Role::Leading(leading) = &mut self.role else {
            return;
        };
        for session in leading.clocks.take_due(now) {
            let command = LockCommand::Expire { session };
            leading.proposals.push_own(Origin::Expire(session), command);
        }
    }

    /// When to call [`Self::handle_timeout`].
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        match &self.role {
            Role::Following => None,
            Role::Leading(leading) => leading.clocks.next_deadline(),
        }
    }

    /// The next output; `None`: drained.
    ///
    /// What has come since the last time leaves together: call it after all that is there was handled.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<RegistrarOutput> {
        if self.outputs.is_empty()
            && let Role::Leading(leading) = &mut self.role
        {
            let id = self.next_id;
            if leading.renewals.ask(id) {
                self.next_id += 1;
                return Some(RegistrarOutput::Confirm { id });
            }
            if let Some(commands) = leading.proposals.take(id) {
                self.next_id += 1;
                return Some(RegistrarOutput::Propose { id, commands });
            }
        }
        self.outputs.pop_front()
    }

    fn send(&mut self, to: NodeId, message: LockMessage) {
        self.outputs
            .push_back(RegistrarOutput::Send { to, message });
    }
}

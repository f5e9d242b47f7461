//! Beside the table of the leading voter: sessions by the clock, and who has to be told what.

use alloc::vec::Vec;

use super::table::Applied;
use super::{LockCommand, LockMessage, Quorum, Table, Timings};
use crate::id::NodeId;
use crate::time::Timestamp;

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
pub struct Registrar {}

impl Registrar {
    /// One that does not lead.
    #[must_use]
    pub fn new(_timings: Timings) -> Self {
        todo!()
    }

    /// This node leads now, and all entries of earlier leaders are in `table`: the time of every
    /// session begins anew.
    pub fn lead(&mut self, _now: Timestamp, _table: &Table) {
        todo!()
    }

    /// Another node leads, or nobody does. Proposals under way are forgotten.
    pub fn follow(&mut self) {
        todo!()
    }

    /// Takes a message to the leader. `is_member`: the sender belongs to the group.
    pub fn handle_message(
        &mut self,
        _now: Timestamp,
        _table: &Table,
        _from: NodeId,
        _message: LockMessage,
    ) {
        todo!()
    }

    /// An entry was applied while this node leads: its own with the id of the proposal, or somebody
    /// else's. `table` has it.
    pub fn on_applied(
        &mut self,
        _now: Timestamp,
        _table: &Table,
        _id: Option<u64>,
        _applied: Applied,
    ) {
        todo!()
    }

    /// A proposal came to nothing, or nobody knows; whoever asked will ask again.
    pub fn on_failed(&mut self, _now: Timestamp, _id: u64, _quorum: Option<Quorum>) {
        todo!()
    }

    /// The answer to a `Confirm`: a quorum has confirmed, after the question was asked, that this node
    /// leads; or too few answered.
    pub fn on_confirmed(
        &mut self,
        _now: Timestamp,
        _table: &Table,
        _id: u64,
        _result: Result<(), Quorum>,
    ) {
        todo!()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, _now: Timestamp) {
        todo!()
    }

    /// When to call [`Self::handle_timeout`].
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        todo!()
    }

    /// The next output; `None`: drained.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<RegistrarOutput> {
        todo!()
    }
}

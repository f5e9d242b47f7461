//! A machine with its clock, and the Roda process on it.

use std::time::Duration;

use roda_proto::token::{Agent, Registrar, SessionId, Table, Timings};
use roda_proto::{NodeId, Timestamp};

use super::clock::Clock;
use super::world::Happening;

/// A machine.
pub struct Node {
    /// Its name.
    pub id: NodeId,
    /// Its clock.
    pub clock: Clock,
    /// Its session time.
    pub timings: Timings,
    /// Whether it votes.
    pub is_voter: bool,
    /// What runs on it, if anything does.
    pub process: Option<Process>,
    /// How often a process was started.
    pub lives: u64,
    /// What happens while the process is stopped, for when it goes on.
    pub paused: Option<Vec<Happening>>,
    /// The table and how many entries are in it, while no process runs.
    pub stored: (Table, usize),
    /// What its author wrote last.
    pub written: u64,
}

/// A Roda process; all of it is gone when it ends.
pub struct Process {
    /// Which one of its node.
    pub life: u64,
    /// The node's side.
    pub agent: Agent,
    /// The leader's side.
    pub registrar: Registrar,
    /// The replica of the lock table; unused where the node does not vote.
    pub table: Table,
    /// How many entries are in it.
    pub applied: usize,
    /// The term in which it leads, as far as it knows.
    pub leads: Option<u64>,
    /// Whom it takes for the leader.
    pub leader: Option<usize>,
    /// The agent's session.
    pub session: Option<SessionId>,
    /// Until when that is valid, as told after the last thing that happened.
    pub valid_until: Option<Timestamp>,
    /// When it wakes up next.
    pub timer: Option<Timestamp>,
    /// It is being stopped.
    pub is_closing: bool,
}

impl Node {
    /// A machine on which nothing runs.
    #[must_use]
    pub fn new(index: usize, session: Duration, clock: Clock, is_voter: bool) -> Self {
        Self {
            id: id_of(index),
            clock,
            timings: Timings::new(session),
            is_voter,
            process: None,
            lives: 0,
            paused: None,
            stored: (Table::new(), 0),
            written: 0,
        }
    }

    /// Starts a process.
    pub fn start(&mut self, boot: u64) {
        self.lives += 1;
        let (table, applied) = std::mem::take(&mut self.stored);
        self.process = Some(Process {
            life: self.lives,
            agent: Agent::new(self.id, boot, self.timings),
            registrar: Registrar::new(self.timings),
            table,
            applied,
            leads: None,
            leader: None,
            session: None,
            valid_until: None,
            timer: None,
            is_closing: false,
        });
    }

    /// Ends the process; what it had on its disk stays.
    pub fn end(&mut self) {
        if let Some(process) = self.process.take() {
            self.stored = (process.table, process.applied);
        }
        self.paused = None;
    }

    /// Whether its process runs and is not stopped.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.process.is_some() && self.paused.is_none()
    }

    /// The process, if it is this one.
    pub fn living(&mut self, life: u64) -> Option<&mut Process> {
        self.process.as_mut().filter(|process| process.life == life)
    }
}

impl Process {
    /// When it wants to be woken by the clock of its node.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let agent = self.agent.next_deadline();
        let registrar = self.registrar.next_deadline();
        agent.into_iter().chain(registrar).min()
    }
}

/// The name of a node.
#[must_use]
pub fn id_of(index: usize) -> NodeId {
    NodeId([u8::try_from(index + 1).unwrap_or(u8::MAX); NodeId::LEN])
}

/// The node of a name.
#[must_use]
pub fn index_of(id: NodeId) -> usize {
    usize::from(id.0[0]) - 1
}

//! What can happen.

use std::time::Duration;

use roda_proto::Seq;
use roda_proto::token::{LockMessage, Quorum};

use super::World;
use crate::invariants::Check;
use crate::token::client::Job;
use crate::token::options::FaultOptions;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A process or a machine dies.
    Crash,
    /// A process is stopped.
    Pause,
    /// One direction between two nodes dies, or heals.
    Cut,
    /// The network splits in two, or heals.
    Split,
    /// A connection breaks.
    Reset,
    /// Another voter leads.
    Election,
    /// An operator takes a lock away.
    Force,
    /// A process is asked to end.
    Stop,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Crash,
        Self::Pause,
        Self::Cut,
        Self::Split,
        Self::Reset,
        Self::Election,
        Self::Force,
        Self::Stop,
    ];

    /// Mean time between two.
    #[must_use]
    pub const fn period(self, options: &FaultOptions) -> Option<Duration> {
        match self {
            Self::Crash => options.crash,
            Self::Pause => options.pause,
            Self::Cut => options.cut,
            Self::Split => options.split,
            Self::Reset => options.reset,
            Self::Election => options.election,
            Self::Force => options.force,
            Self::Stop => options.stop,
        }
    }
}

/// Something that happens at a moment. `life` names a process of a node: it does not happen to a later one.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A message arrives.
    Arrive {
        /// From where.
        from: usize,
        /// Where.
        to: usize,
        /// At which process.
        life: u64,
        /// On which connection; `None`: within a node.
        link: Option<u64>,
        /// What.
        message: LockMessage,
    },
    /// A process wanted to be woken.
    Timer { node: usize, life: u64 },
    /// A majority may have an entry by now.
    Agree { term: u64, number: u64, tries: u32 },
    /// A leader gives a proposal up.
    Failed { node: usize, life: u64, id: u64 },
    /// A majority may have answered a leader's question.
    Ask {
        node: usize,
        life: u64,
        term: u64,
        id: u64,
    },
    /// The leader gets to know what they said.
    Confirmed {
        node: usize,
        life: u64,
        term: u64,
        id: u64,
        result: Result<(), Quorum>,
    },
    /// A voter gets new entries.
    Learn { node: usize },
    /// A process hears who leads.
    LearnLeader { node: usize, life: u64 },
    /// An elected voter has all entries and begins to lead.
    Lead { node: usize, life: u64, term: u64 },
    /// It is looked whether somebody leads.
    Watch,
    /// Somebody wants locks.
    Request,
    /// Somebody has waited long enough.
    Impatient(Job),
    /// What ran under locks has ended.
    Leave(Job),
    /// A process is told that what ran under locks has ended.
    Left {
        /// For which request.
        job: Job,
        /// What it wrote.
        wrote: Option<Seq>,
    },
    /// What runs under locks looks whether its process still talks to it.
    Watchdog(Job),
    /// Something goes wrong.
    Fault(Fault),
    /// A process starts.
    Start { node: usize },
    /// A stopped process goes on.
    Resume { node: usize },
    /// A process that was asked to end is ended if it is not yet.
    End { node: usize, life: u64 },
}

impl Happening {
    /// The process that has to run for this; what is not about one happens anyway.
    const fn process(&self) -> Option<(usize, u64)> {
        match self {
            Self::Arrive { to, life, .. } => Some((*to, *life)),
            Self::Timer { node, life }
            | Self::Failed { node, life, .. }
            | Self::Ask { node, life, .. }
            | Self::Confirmed { node, life, .. }
            | Self::LearnLeader { node, life }
            | Self::Lead { node, life, .. } => Some((*node, *life)),
            Self::Impatient(job) | Self::Left { job, .. } => Some((job.node, job.life)),
            Self::Agree { .. }
            | Self::Learn { .. }
            | Self::Watch
            | Self::Request
            | Self::Leave(_)
            | Self::Watchdog(_)
            | Self::Fault(_)
            | Self::Start { .. }
            | Self::Resume { .. }
            | Self::End { .. } => None,
        }
    }
}

impl World {
    /// Lets something happen, or keeps it for a process that is stopped.
    pub(super) fn happen(&mut self, happening: Happening) -> Check {
        if let Some((node, life)) = happening.process() {
            if self.nodes[node].living(life).is_none() {
                return Ok(());
            }
            if let Some(later) = &mut self.nodes[node].paused {
                later.push(happening);
                return Ok(());
            }
        }
        match happening {
            Happening::Arrive {
                from,
                to,
                link,
                message,
                ..
            } => self.on_arrive(from, to, link, message),
            Happening::Timer { node, .. } => self.on_timer(node),
            Happening::Agree {
                term,
                number,
                tries,
            } => self.on_agree(term, number, tries),
            Happening::Failed { node, id, .. } => self.on_failed(node, id),
            Happening::Ask { node, term, id, .. } => {
                self.on_ask(node, term, id);
                Ok(())
            }
            Happening::Confirmed {
                node,
                term,
                id,
                result,
                ..
            } => self.on_confirmed(node, term, id, result),
            Happening::Learn { node } => self.on_learn(node),
            Happening::LearnLeader { node, .. } => self.on_learn_leader(node),
            Happening::Lead { node, term, .. } => self.on_lead(node, term),
            Happening::Watch => self.on_watch(),
            Happening::Request => self.on_request(),
            Happening::Impatient(job) => self.on_impatient(job),
            Happening::Leave(job) => self.on_leave(job),
            Happening::Left { job, wrote } => self.on_left(job, wrote),
            Happening::Watchdog(job) => self.on_watchdog(job),
            Happening::Fault(fault) => self.on_fault(fault),
            Happening::Start { node } => {
                self.start(node);
                Ok(())
            }
            Happening::Resume { node } => {
                self.resume(node);
                Ok(())
            }
            Happening::End { node, life } => {
                if self.nodes[node].living(life).is_some() {
                    self.crash(node, false);
                }
                Ok(())
            }
        }
    }
}

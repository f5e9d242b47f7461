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

/// Something that happens at a moment. A [`Place`] names a process: it does not happen to a later one.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A message arrives.
    Arrive {
        /// From where.
        from: usize,
        /// At which process.
        at: Place,
        /// On which connection; `None`: on none that could have broken.
        link: Option<u64>,
        /// What.
        message: LockMessage,
    },
    /// A process wanted to be woken.
    Timer(Place),
    /// A majority may have an entry by now.
    Agree {
        /// Of which leader.
        term: u64,
        /// Which.
        number: u64,
        /// How often it had not.
        tries: u32,
    },
    /// A leader gives up the proposal of this name.
    Failed(Place, u64),
    /// A majority may have answered a leader's question.
    Ask(Question),
    /// The leader gets to know what they said.
    Confirmed(Question, Result<(), Quorum>),
    /// A voter gets new entries.
    Learn(usize),
    /// A process hears who leads.
    LearnLeader(Place),
    /// An elected voter has all entries and begins to lead in this term.
    Lead(Place, u64),
    /// It is looked whether somebody leads.
    Watch,
    /// Somebody wants locks.
    Request,
    /// Somebody has waited long enough.
    Impatient(Job),
    /// What ran under locks has ended.
    Leave(Job),
    /// A process is told that what ran under locks has ended, and what it wrote.
    Left(Job, Option<Seq>),
    /// What runs under locks looks whether its process still talks to it.
    Watchdog(Job),
    /// Something goes wrong.
    Fault(Fault),
    /// The process of a node starts.
    Start(usize),
    /// The stopped process of a node goes on.
    Resume(usize),
    /// A process that was asked to end is ended if it is not yet.
    End(Place),
}

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Of which node.
    pub node: usize,
    /// Which of its processes.
    pub life: u64,
}

/// Whether a majority takes a process for the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who asks.
    pub place: Place,
    /// In which term it leads.
    pub term: u64,
    /// Its name there.
    pub id: u64,
}

impl Happening {
    /// The process that has to run for this; what is not about one happens anyway.
    const fn place(&self) -> Option<Place> {
        match self {
            Self::Arrive { at, .. } => Some(*at),
            Self::Timer(place)
            | Self::Failed(place, _)
            | Self::LearnLeader(place)
            | Self::Lead(place, _) => Some(*place),
            Self::Ask(question) | Self::Confirmed(question, _) => Some(question.place),
            Self::Impatient(job) | Self::Left(job, _) => Some(Place {
                node: job.node,
                life: job.life,
            }),
            Self::Agree { .. }
            | Self::Learn(_)
            | Self::Watch
            | Self::Request
            | Self::Leave(_)
            | Self::Watchdog(_)
            | Self::Fault(_)
            | Self::Start(_)
            | Self::Resume(_)
            | Self::End(_) => None,
        }
    }
}

impl World {
    /// Lets something happen, or keeps it for a process that is stopped.
    pub(super) fn happen(&mut self, happening: Happening) -> Check {
        if let Some(Place { node, life }) = happening.place() {
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
                at,
                link,
                message,
            } => return self.on_arrive(from, at.node, link, message),
            Happening::Timer(place) => return self.on_timer(place.node),
            Happening::Agree {
                term,
                number,
                tries,
            } => return self.on_agree(term, number, tries),
            Happening::Failed(place, id) => return self.on_failed(place.node, id),
            Happening::Ask(question) => self.on_ask(question),
            Happening::Confirmed(question, result) => return self.on_confirmed(question, result),
            Happening::Learn(node) => return self.on_learn(node),
            Happening::LearnLeader(place) => return self.on_learn_leader(place.node),
            Happening::Lead(place, term) => return self.on_lead(place.node, term),
            Happening::Watch => return self.on_watch(),
            Happening::Request => return self.on_request(),
            Happening::Impatient(job) => return self.on_impatient(job),
            Happening::Leave(job) => return self.on_leave(job),
            Happening::Left(job, wrote) => return self.on_left(job, wrote),
            Happening::Watchdog(job) => return self.on_watchdog(job),
            Happening::Fault(fault) => return self.on_fault(fault),
            Happening::Start(node) => self.start(node),
            Happening::Resume(node) => self.resume(node),
            Happening::End(Place { node, life }) => {
                if self.nodes[node].living(life).is_some() {
                    self.crash(node, false);
                }
            }
        }
        Ok(())
    }
}

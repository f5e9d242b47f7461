//! All nodes, what connects them, and time.

mod clients;
mod consensus;
mod faults;
mod happening;
mod messages;
mod process;

use std::collections::BTreeMap;
use std::time::Duration;

use roda_proto::Timestamp;
use roda_proto::token::Acquire;

pub use happening::{Fault, Happening, Place, Question};

use super::client::{Clients, Hold, Job};
use super::clock::Clock;
use super::consensus::Consensus;
use super::invariants::{Counts, Invariants};
use super::links::Links;
use super::node::Node;
use super::options::Options;
use crate::invariants::{Check, Violation};
use crate::queue::Queue;
use crate::random::Random;
use crate::trace::Trace;

/// A run that does not end is a fault, too.
const EVENTS_MAX: u64 = 400_000;

/// A group in virtual time.
pub struct World {
    /// What the seed drew.
    pub options: Options,
    pub(super) now: Timestamp,
    queue: Queue<Happening>,
    nodes: Vec<Node>,
    links: Links,
    log: Consensus,
    clients: Clients,
    /// Requests that wait.
    waiting: BTreeMap<Job, Acquire>,
    /// What runs under locks, wherever.
    inside: BTreeMap<Job, Hold>,
    checks: Invariants,
    random: Random,
    trace: Trace,
    is_healed: bool,
}

impl World {
    /// A group in which every node has just started.
    #[must_use]
    pub fn new(seed: u64, options: Options, lines: usize) -> Self {
        let mut random = Random::new(seed, "token world");
        let start = Timestamp::from_micros(1_000_000);
        let mut nodes = Vec::new();
        for (index, session) in options.sessions.iter().enumerate() {
            let origin = Timestamp::from_micros(random.bits() >> 28);
            let clock = Clock::new(options.rates_ppm[index], start, origin);
            nodes.push(Node::new(index, *session, clock, index < options.voters));
        }
        let session = options.session_max();
        let mut world = Self {
            now: start,
            queue: Queue::default(),
            links: Links::new(seed, nodes.len(), options.links),
            nodes,
            log: Consensus::default(),
            clients: Clients::new(seed, options.clients, session),
            waiting: BTreeMap::new(),
            inside: BTreeMap::new(),
            checks: Invariants::default(),
            random,
            trace: Trace::new(lines),
            is_healed: false,
            options,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for node in 0..self.nodes.len() {
            self.start(node);
        }
        self.after(Duration::ZERO, Happening::Watch);
        self.after(Duration::ZERO, Happening::Request);
        for fault in Fault::ALL {
            if let Some(period) = fault.period(&self.options.faults) {
                let wait = self.random.exponential(period);
                self.after(wait, Happening::Fault(fault));
            }
        }
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// An invariant did not hold.
    pub fn run_for(&mut self, time: Duration) -> Check {
        let end = self.now + time;
        while self.queue.next_at().is_some_and(|at| at <= end) {
            self.step()?;
        }
        self.now = end;
        Ok(())
    }

    /// Ends all faults and all new requests.
    ///
    /// # Errors
    /// An invariant did not hold.
    pub fn heal(&mut self) -> Check {
        self.is_healed = true;
        self.links.heal();
        for node in 0..self.nodes.len() {
            self.resume(node);
            if self.nodes[node].process.is_none() {
                self.start(node);
            }
        }
        Ok(())
    }

    /// T8: runs until everyone was served or went away and nothing is left in the table; returns how long
    /// that took.
    ///
    /// # Errors
    /// An invariant did not hold, or somebody waits for too long.
    pub fn come_to_rest(&mut self) -> Result<Duration, Violation> {
        let healed = self.now;
        let limit = healed
            + self
                .checks
                .progress
                .limit(&self.options, self.waiting.len());
        while !self.is_at_rest() {
            if self.now > limit {
                return Err(self.checks.progress.stuck(&self.waiting, &self.inside));
            }
            self.step()?;
        }
        let served = self.now;
        // Then idle tokens are given back, and nothing else is there.
        let limit = served + self.options.session_max() * 5;
        while !self.checks.replay.is_unused() {
            if self.now > limit {
                return Err(self.checks.replay.not_unused());
            }
            self.step()?;
        }
        self.checks.replay.check_end(&self.nodes)?;
        Ok(served.since(healed))
    }

    fn is_at_rest(&self) -> bool {
        self.waiting.is_empty() && self.inside.is_empty()
    }

    fn step(&mut self) -> Check {
        let Some((at, happening)) = self.queue.pop() else {
            return Err(Violation::global("T8", "nothing will ever happen again"));
        };
        self.now = self.now.max(at);
        if self.trace.events() > EVENTS_MAX {
            return Err(Violation::global("T8", "too much happens"));
        }
        self.happen(happening)
    }

    /// Schedules something.
    fn after(&mut self, delay: Duration, what: Happening) {
        self.queue.push(self.now + delay, what);
    }

    /// What a node's clock shows.
    fn local(&self, node: usize) -> Timestamp {
        self.nodes[node].clock.now(self.now)
    }

    /// Hash of all that happened.
    #[must_use]
    pub const fn trace_hash(&self) -> u64 {
        self.trace.hash()
    }

    /// How much happened.
    #[must_use]
    pub const fn trace_events(&self) -> u64 {
        self.trace.events()
    }

    /// What was tried.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.checks.counts
    }

    /// The last lines of the trace.
    #[must_use]
    pub fn into_lines(self) -> Vec<String> {
        self.trace.into_lines()
    }
}

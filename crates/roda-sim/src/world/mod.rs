//! The world: nodes, network and time, moved on one happening at a time.

mod converge;
mod events;
mod faults;
mod hostile;
mod membership;
mod outputs;
mod run;
mod stream;
mod work;

pub use faults::Fault;
pub use hostile::stranger;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use roda_proto::{CommandId, GroupId, InviteToken, Timestamp, Via, WriteId};

use crate::invariants::{Check, Invariants, Violation};
use crate::network::Network;
use crate::node::Node;
use crate::options::Options;
use crate::queue::Queue;
use crate::random::Random;
use crate::trace::Trace;
use hostile::Hostile;
use stream::Stream;

/// A datagram about to arrive.
#[derive(Clone)]
pub struct Arrival {
    /// Who really sent it; `None` for the adversary.
    from: Option<usize>,
    /// What the receiver takes for its origin.
    source: SocketAddr,
    to: usize,
    via: Via,
    payload: Arc<[u8]>,
    place: u64,
    /// Under which number the adversary has kept a copy.
    captured: Option<usize>,
}

enum What {
    Arrive(Arrival),
    Read(Arrival),
    Wake {
        node: usize,
    },
    Synced {
        node: usize,
        boot: u32,
        id: WriteId,
    },
    StreamOpen {
        asker: usize,
        boot: u32,
        address: SocketAddr,
        peer: Option<roda_proto::NodeId>,
    },
    StreamStep {
        stream: u64,
    },
    Start {
        node: usize,
    },
    Found,
    Invite,
    Join {
        joiner: usize,
    },
    Granted {
        joiner: usize,
        admitter: usize,
    },
    SettleIn {
        joiner: usize,
    },
    Introduce {
        node: usize,
        boot: u32,
    },
    Part {
        node: usize,
    },
    Stopped {
        node: usize,
        boot: u32,
    },
    Work,
    Fault(Fault),
    Hostile,
    Look,
}

/// Chance, one stream for each purpose.
struct Chance {
    engines: Random,
    disks: Random,
    work: Random,
    faults: Random,
    streams: Random,
    membership: Random,
}

/// What was counted over the whole group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Datagrams sent, each multicast once.
    pub datagrams: u64,
    /// Their bytes.
    pub bytes: u64,
    /// NACK frames sent.
    pub nacks: u64,
    /// Fragments sent, repairs included.
    pub fragments: u64,
    /// Batches delivered, at all nodes together.
    pub delivered: u64,
    /// Streams opened.
    pub streams: u64,
    /// Commands acknowledged.
    pub done: u64,
    /// Commands refused.
    pub failed: u64,
    /// Times a node lost power.
    pub crashes: u64,
}

/// The world.
pub struct World {
    /// What the run is made of.
    pub options: Options,
    /// Virtual time.
    pub now: Timestamp,
    /// The machines.
    pub nodes: Vec<Node>,
    /// The network between them.
    pub network: Network,
    /// What was counted.
    pub totals: Totals,
    queue: Queue<What>,
    chance: Chance,
    trace: Trace,
    invariants: Invariants,
    hostile: Hostile,
    streams: std::collections::BTreeMap<u64, Stream>,
    streams_opened: u64,
    commands: u64,
    group: Option<GroupId>,
    founding_salt: [u8; 16],
    /// The invite whose publication is asked for.
    offered: Option<InviteToken>,
    /// The invite that is published.
    invite: Option<InviteToken>,
    is_safety_phase: bool,
    appends_left: usize,
}

impl World {
    /// A world of machines that are not set up yet. It keeps the last `lines` of its trace.
    #[must_use]
    pub fn new(seed: u64, options: Options, lines: usize) -> Self {
        let mut identities = Random::new(seed, "identities");
        let count = options.nodes + options.doomed;
        let mut nodes: Vec<Node> = (0..count)
            .map(|index| Node::new(index, identities.bytes()))
            .collect();
        for node in nodes.iter_mut().skip(options.nodes) {
            node.doomed = true;
        }
        let mut clocks = Random::new(seed, "clocks");
        for node in &mut nodes {
            node.clock.offset_ms = around_zero(&mut clocks, options.clock_error_ms);
            node.clock.drift_ppm = around_zero(&mut clocks, options.drift_ppm);
        }
        Self {
            now: Timestamp::from_micros(1_000_000),
            network: Network::new(seed, options.network),
            totals: Totals::default(),
            queue: Queue::default(),
            chance: Chance {
                engines: Random::new(seed, "engines"),
                disks: Random::new(seed, "disks"),
                work: Random::new(seed, "work"),
                faults: Random::new(seed, "faults"),
                streams: Random::new(seed, "streams"),
                membership: Random::new(seed, "membership"),
            },
            trace: Trace::new(lines),
            invariants: Invariants::default(),
            hostile: Hostile::new(seed),
            streams: std::collections::BTreeMap::new(),
            streams_opened: 0,
            commands: 0,
            group: None,
            founding_salt: [0; 16],
            offered: None,
            invite: None,
            is_safety_phase: true,
            appends_left: options.appends,
            nodes,
            options,
        }
    }

    /// Lets `duration` pass.
    ///
    /// # Errors
    /// An invariant did not hold.
    pub fn run_for(&mut self, duration: Duration) -> Check {
        self.run_until(self.now + duration)
    }

    /// Lets time pass until a moment.
    ///
    /// # Errors
    /// An invariant did not hold.
    pub fn run_until(&mut self, end: Timestamp) -> Check {
        while self.queue.next_at().is_some_and(|at| at <= end) {
            self.step()?;
        }
        self.now = end;
        Ok(())
    }

    fn step(&mut self) -> Check {
        let Some((at, what)) = self.queue.pop() else {
            return Ok(());
        };
        self.now = at.max(self.now);
        match what {
            What::Arrive(arrival) => self.arrive(arrival),
            What::Read(arrival) => self.read(&arrival),
            What::Wake { node } => self.wake(node),
            What::Synced { node, boot, id } => self.synced(node, boot, id),
            What::StreamOpen {
                asker,
                boot,
                address,
                peer,
            } => self.stream_open(asker, boot, address, peer),
            What::StreamStep { stream } => self.stream_step(stream),
            What::Start { node } => self.start(node),
            What::Found => self.found(),
            What::Invite => self.publish_invite(),
            What::Join { joiner } => self.ask_to_join(joiner),
            What::Granted { joiner, admitter } => self.granted(joiner, admitter),
            What::SettleIn { joiner } => self.settle_in(joiner),
            What::Introduce { node, boot } => self.introduce(node, boot),
            What::Part { node } => self.part(node),
            What::Stopped { node, boot } => self.stopped(node, boot),
            What::Work => self.work(),
            What::Fault(fault) => self.fault(fault),
            What::Hostile => self.attack(),
            What::Look => self.look(),
        }
    }

    fn after(&mut self, delay: Duration, what: What) {
        self.queue.push(self.now + delay, what);
    }

    fn next_command(&mut self) -> CommandId {
        self.commands += 1;
        CommandId(self.commands)
    }

    fn note(&mut self, node: usize, words: &[u64], line: impl FnOnce() -> String) {
        self.trace.note(self.now, node, words, line);
    }

    /// Hash of all that happened.
    #[must_use]
    pub const fn trace_hash(&self) -> u64 {
        self.trace.hash()
    }

    /// How many things happened.
    #[must_use]
    pub const fn trace_events(&self) -> u64 {
        self.trace.events()
    }

    /// The last lines of a verbose run.
    #[must_use]
    pub fn into_lines(self) -> Vec<String> {
        self.trace.into_lines()
    }

    /// How many hostile datagrams were refused.
    #[must_use]
    pub const fn hostile_refused(&self) -> u64 {
        self.invariants.outsiders.refused()
    }
}

fn around_zero(random: &mut Random, limit: i64) -> i64 {
    let limit = usize::try_from(limit).unwrap_or(0);
    let drawn = random.below(2 * limit + 1);
    i64::try_from(drawn).unwrap_or(0) - i64::try_from(limit).unwrap_or(0)
}

fn store_violation(node: usize, error: &str) -> Violation {
    Violation::at("store", node, error)
}

//! What a run is made of; drawn from its seed.

use std::time::Duration;

use crate::network::{Bursts, LinkFaults};
use crate::random::Random;

/// How a disk behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiskOptions {
    /// Shortest time until a write is durable.
    pub latency_min: Duration,
    /// Mean of what comes on top.
    pub latency_mean: Duration,
    /// How many writes take up to a second.
    pub stall: f64,
}

/// How often things happen to nodes; `None` is never.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FaultOptions {
    /// A node loses power.
    pub crash: Option<Duration>,
    /// A node is stopped properly.
    pub stop: Option<Duration>,
    /// How long a node stays down.
    pub down: Duration,
    /// The network splits in two, or heals.
    pub split: Option<Duration>,
    /// One direction between two nodes dies, or heals.
    pub cut: Option<Duration>,
    /// One direction loses far more than usual, or heals.
    pub weak: Option<Duration>,
    /// Multicast is filtered between two nodes, or heals.
    pub filter: Option<Duration>,
    /// A wall clock jumps.
    pub clock: Option<Duration>,
    /// A node reads slowly, or recovers.
    pub slow: Option<Duration>,
}

/// A run.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Members at the end that stay.
    pub nodes: usize,
    /// Further members that are removed or leave during the run.
    pub doomed: usize,
    /// How long faults happen.
    pub safety: Duration,
    /// How long the group may take to converge after all is healed.
    pub liveness_max: Duration,
    /// Appends during the run.
    pub appends: usize,
    /// Largest body.
    pub body_max: usize,
    /// Topics written to.
    pub topics: usize,
    /// Every link, while faults happen.
    pub network: LinkFaults,
    /// Every link afterwards.
    pub network_after: LinkFaults,
    /// Whether nodes hear their own multicast.
    pub loopback: bool,
    /// Every disk.
    pub disk: DiskOptions,
    /// Faults of nodes.
    pub faults: FaultOptions,
    /// Mean time between hostile datagrams.
    pub adversary: Option<Duration>,
    /// Wall clocks are wrong by up to this at the start.
    pub clock_error_ms: i64,
    /// Wall clocks drift by up to this.
    pub drift_ppm: i64,
    /// How many streams break in the middle.
    pub stream_breaks: f64,
    /// Engine's first guess of the round-trip time.
    pub grtt: Duration,
}

impl Options {
    /// A quiet group of `nodes` without any fault.
    #[must_use]
    pub fn calm(nodes: usize) -> Self {
        Self {
            nodes,
            doomed: 0,
            safety: Duration::from_secs(5),
            liveness_max: Duration::from_secs(120),
            appends: 0,
            body_max: 200,
            topics: 1,
            network: LinkFaults::CLEAN,
            network_after: LinkFaults::CLEAN,
            loopback: false,
            disk: DiskOptions {
                latency_min: Duration::from_micros(500),
                latency_mean: Duration::ZERO,
                stall: 0.0,
            },
            faults: FaultOptions::default(),
            adversary: None,
            clock_error_ms: 0,
            drift_ppm: 0,
            stream_breaks: 0.0,
            grtt: Duration::from_millis(10),
        }
    }

    /// Draws a run. Each kind of fault is there in about half of all runs, so that also its absence
    /// is tried together with all others; rates differ by orders of magnitude.
    #[must_use]
    pub fn draw(seed: u64, nodes: Option<usize>) -> Self {
        let mut random = Random::new(seed, "options");
        let drawn_nodes = random.between(2, 5);
        let mut options = Self::calm(nodes.unwrap_or(drawn_nodes));
        options.doomed = if random.chance(0.4) {
            random.between(1, 2)
        } else {
            0
        };
        options.safety = random.duration(Duration::from_secs(3), Duration::from_secs(30));
        options.appends = random.between(5, 60);
        options.body_max = *random.pick(&[10, 200, 3_000, 32 * 1024]).unwrap_or(&200);
        options.topics = random.between(1, 3);
        options.network = draw_network(&mut random);
        if random.chance(0.5) {
            options.network_after.loss = random.real(0.0, 0.05);
        }
        options.loopback = random.chance(0.3);
        options.disk = draw_disk(&mut random);
        options.faults = draw_faults(&mut random, options.safety);
        options.adversary = draw_period(&mut random, 30, 500);
        if random.chance(0.5) {
            options.clock_error_ms = *random.pick(&[10, 1_000, 100_000]).unwrap_or(&0);
            options.drift_ppm = 200;
        }
        if random.chance(0.5) {
            options.stream_breaks = random.real(0.0, 0.7);
        }
        options
    }
}

fn draw_network(random: &mut Random) -> LinkFaults {
    let mut faults = LinkFaults::CLEAN;
    let half = |random: &mut Random| random.chance(0.5);
    faults.delay_min = random.duration(Duration::from_micros(50), Duration::from_millis(5));
    if half(random) {
        faults.loss = *random.pick(&[0.001, 0.01, 0.1, 0.3]).unwrap_or(&0.0);
    }
    if half(random) {
        faults.bursts = Some(Bursts {
            enter: random.real(0.001, 0.05),
            leave: random.real(0.02, 0.5),
            loss: random.real(0.5, 1.0),
        });
    }
    if half(random) {
        faults.tail_loss = random.real(0.0, 0.7);
    }
    if half(random) {
        faults.control_loss = random.real(0.0, 0.6);
    }
    if half(random) {
        faults.duplicates = random.real(0.0, 0.3);
    }
    if half(random) {
        faults.jitter = random.duration(Duration::from_micros(100), Duration::from_millis(30));
    }
    if half(random) {
        faults.late = random.real(0.0, 0.05);
        faults.late_max = random.duration(Duration::from_millis(50), Duration::from_secs(8));
    }
    faults
}

fn draw_disk(random: &mut Random) -> DiskOptions {
    DiskOptions {
        latency_min: random.duration(Duration::from_micros(10), Duration::from_millis(2)),
        latency_mean: random.duration(Duration::ZERO, Duration::from_millis(20)),
        stall: if random.chance(0.3) { 0.02 } else { 0.0 },
    }
}

fn draw_faults(random: &mut Random, safety: Duration) -> FaultOptions {
    let longest = u64::try_from(safety.as_millis()).unwrap_or(u64::MAX);
    let mut often = || draw_period(random, 500, longest);
    let mut faults = FaultOptions {
        crash: often(),
        stop: often(),
        down: Duration::ZERO,
        split: often(),
        cut: often(),
        weak: often(),
        filter: often(),
        clock: often(),
        slow: often(),
    };
    faults.down = random.duration(Duration::from_millis(10), Duration::from_secs(6));
    faults
}

/// In half of all cases a mean time between two events.
fn draw_period(random: &mut Random, low_ms: u64, high_ms: u64) -> Option<Duration> {
    let period = random.duration(
        Duration::from_millis(low_ms),
        Duration::from_millis(high_ms.max(low_ms)),
    );
    random.chance(0.5).then_some(period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_draws_the_same_run() {
        assert_eq!(Options::draw(3, None), Options::draw(3, None));
        assert_ne!(Options::draw(3, None), Options::draw(4, None));
        assert_eq!(Options::draw(3, Some(9)).nodes, 9);
    }

    #[test]
    fn every_fault_is_drawn_and_left_out_by_some_seed() {
        let runs: Vec<_> = (0..64).map(|seed| Options::draw(seed, None)).collect();
        let some = |with: fn(&Options) -> bool| {
            let count = runs.iter().filter(|run| with(run)).count();
            assert!(count > 5 && count < 59, "{count}");
        };
        some(|run| run.faults.crash.is_some());
        some(|run| run.faults.split.is_some());
        some(|run| run.faults.clock.is_some());
        some(|run| run.adversary.is_some());
        some(|run| run.network.tail_loss > 0.0);
        some(|run| run.doomed > 0);
    }
}

//! What a run is made of; drawn from its seed.

use std::time::Duration;

use crate::random::Random;

/// Whom clients put first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priorities {
    /// All are equal.
    Equal,
    /// Any.
    Mixed,
    /// A few ask with the highest again and again, the others with the lowest.
    Adversarial,
}

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClientOptions {
    /// Locks that there are.
    pub locks: usize,
    /// Mean time from one request in the group to the next.
    pub every: Duration,
    /// Mean time inside.
    pub hold: Duration,
    /// How many stay inside for longer than a session.
    pub long_holds: f64,
    /// How many do not wait for ever.
    pub impatient: f64,
    /// How many want several locks at once.
    pub several: f64,
    /// How many share.
    pub shared: f64,
    /// How many want one of several permits.
    pub permits: f64,
    /// How many leave and ask again at once.
    pub again: f64,
    /// How many end when they are asked to, rather than killed.
    pub obedient: f64,
    /// Whom they put first.
    pub priorities: Priorities,
}

/// How often things go wrong; `None` is never.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FaultOptions {
    /// A node's process or its whole machine dies.
    pub crash: Option<Duration>,
    /// A node is stopped and goes on later.
    pub pause: Option<Duration>,
    /// One direction between two nodes dies, or heals.
    pub cut: Option<Duration>,
    /// The network splits in two, or heals.
    pub split: Option<Duration>,
    /// A connection breaks and is made anew.
    pub reset: Option<Duration>,
    /// Another voter leads.
    pub election: Option<Duration>,
    /// An operator takes a lock away.
    pub force: Option<Duration>,
    /// A node stops properly and starts again.
    pub stop: Option<Duration>,
    /// Mean of how long a node stays down or stopped.
    pub lasts: Duration,
}

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkOptions {
    /// Shortest time.
    pub delay_min: Duration,
    /// Mean of what comes on top.
    pub delay_mean: Duration,
    /// How many messages of a broken connection arrive all the same, out of order.
    pub stale: f64,
    /// How many of those arrive twice.
    pub twice: f64,
    /// Longest time until a connection is made anew.
    pub reconnect: Duration,
}

/// A run.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Session time of each node.
    pub sessions: Vec<Duration>,
    /// By how many millionths each node's clock is too fast.
    pub rates_ppm: Vec<i64>,
    /// How many of the nodes vote: the first ones.
    pub voters: usize,
    /// How long things go wrong.
    pub safety: Duration,
    /// The clients.
    pub clients: ClientOptions,
    /// The network.
    pub links: LinkOptions,
    /// Mean time that a quorum takes.
    pub quorum: Duration,
    /// Everything else that goes wrong.
    pub faults: FaultOptions,
}

/// Clocks run faster or slower than true time by at most a tenth: far more than real ones do.
const RATE_PPM_MAX: usize = 100_000;

impl Options {
    /// Draws a run. Each kind of fault is there in about half of all runs, so that also its absence is
    /// tried together with all others; rates differ by orders of magnitude.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut random = Random::new(seed, "token options");
        let nodes = random.between(1, 5);
        let session = *random.pick(&[500, 1_000, 2_000, 4_000]).unwrap_or(&4_000);
        let session = Duration::from_millis(session);
        let voters = match nodes {
            1 | 2 => 1,
            5 if random.chance(0.5) => 5,
            _ => 3,
        };
        let is_mixed = random.chance(0.2);
        let own_session = |random: &mut Random| match is_mixed {
            true => session * u32::try_from(random.between(1, 3)).unwrap_or(1),
            false => session,
        };
        let sessions = (0..nodes).map(|_| own_session(&mut random)).collect();
        let drifts = random.chance(0.7);
        let rates_ppm = (0..nodes).map(|_| draw_rate(&mut random, drifts)).collect();
        Self {
            sessions,
            rates_ppm,
            voters,
            safety: random.duration(session * 3, session * 8),
            clients: draw_clients(&mut random, session),
            links: draw_links(&mut random, session),
            quorum: random.duration(Duration::from_micros(200), session / 30),
            faults: draw_faults(&mut random, session),
        }
    }

    /// How many nodes there are.
    #[must_use]
    pub const fn nodes(&self) -> usize {
        self.sessions.len()
    }

    /// The longest session time of all nodes.
    #[must_use]
    pub fn session_max(&self) -> Duration {
        self.sessions.iter().copied().max().unwrap_or_default()
    }
}

fn draw_rate(random: &mut Random, drifts: bool) -> i64 {
    if !drifts {
        return 0;
    }
    // Often at the border: there it is decided whether the margins are wide enough.
    let size = if random.chance(0.5) {
        RATE_PPM_MAX
    } else {
        random.below(RATE_PPM_MAX)
    };
    let size = i64::try_from(size).unwrap_or(0);
    if random.chance(0.5) { size } else { -size }
}

fn draw_clients(random: &mut Random, session: Duration) -> ClientOptions {
    let mut share = |most: f64| {
        if random.chance(0.5) {
            random.real(0.0, most)
        } else {
            0.0
        }
    };
    let (long_holds, impatient, several) = (share(0.2), share(0.6), share(0.6));
    let (shared, permits, again) = (share(0.7), share(0.5), share(0.8));
    let drawn = ClientOptions {
        locks: random.between(1, 3),
        every: random.duration(session / 40, session / 3),
        hold: random.duration(session / 2_000, session / 5),
        long_holds,
        impatient,
        several,
        shared,
        permits,
        again,
        obedient: random.real(0.0, 1.0),
        priorities: *random
            .pick(&[
                Priorities::Equal,
                Priorities::Mixed,
                Priorities::Adversarial,
            ])
            .unwrap_or(&Priorities::Equal),
    };
    if random.chance(0.3) {
        eager(random, drawn)
    } else {
        drawn
    }
}

/// Clients that come back again and again for the same short hold: their turns are asked ahead.
fn eager(random: &mut Random, drawn: ClientOptions) -> ClientOptions {
    ClientOptions {
        hold: random.duration(Duration::from_micros(20), Duration::from_millis(5)),
        long_holds: drawn.long_holds / 100.0,
        several: drawn.several / 4.0,
        shared: drawn.shared / 4.0,
        permits: drawn.permits / 4.0,
        again: random.real(0.9, 1.0),
        ..drawn
    }
}

fn draw_links(random: &mut Random, session: Duration) -> LinkOptions {
    LinkOptions {
        delay_min: random.duration(Duration::from_micros(50), Duration::from_millis(2)),
        delay_mean: if random.chance(0.5) {
            random.duration(Duration::from_micros(50), session / 20)
        } else {
            Duration::ZERO
        },
        stale: random.real(0.0, 0.5),
        twice: random.real(0.0, 0.5),
        reconnect: random.duration(Duration::ZERO, session / 4),
    }
}

fn draw_faults(random: &mut Random, session: Duration) -> FaultOptions {
    let mut often = || {
        let period = random.duration(session / 3, session * 5);
        random.chance(0.5).then_some(period)
    };
    let mut faults = FaultOptions {
        crash: often(),
        pause: often(),
        cut: often(),
        split: often(),
        reset: often(),
        election: often(),
        force: often(),
        stop: often(),
        lasts: Duration::ZERO,
    };
    faults.lasts = random.duration(session / 50, session * 2);
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_draws_the_same_run() {
        assert_eq!(Options::draw(3), Options::draw(3));
        assert_ne!(Options::draw(3), Options::draw(4));
    }

    #[test]
    fn every_fault_is_drawn_and_left_out_by_some_seed() {
        let runs: Vec<_> = (0..64).map(Options::draw).collect();
        let some = |with: fn(&Options) -> bool| {
            let count = runs.iter().filter(|run| with(run)).count();
            assert!(count > 5 && count < 59, "{count}");
        };
        some(|run| run.faults.crash.is_some());
        some(|run| run.faults.pause.is_some());
        some(|run| run.faults.split.is_some());
        some(|run| run.faults.election.is_some());
        some(|run| run.clients.several > 0.0);
        some(|run| run.clients.permits > 0.0);
        some(|run| run.voters > 1);
        some(|run| run.clients.again >= 0.9);
    }
}

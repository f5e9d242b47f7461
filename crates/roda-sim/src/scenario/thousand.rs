//! A large group: does a message reach all, and at what price?

use std::time::Duration;

use roda_proto::Timestamp;

use crate::invariants::{RepairReport, Violation, check_repair};
use crate::network::LinkFaults;
use crate::options::Options;
use crate::rfc5401;
use crate::world::World;

/// One-way delay in which a NACK is heard, in units of the round-trip time that engines assume.
const DELAY_GRTT: f64 = 0.5;
const GRTT: Duration = Duration::from_millis(10);
const PAUSE: Duration = Duration::from_millis(400);

/// What a large group did.
#[derive(Clone, Copy, Debug)]
pub struct LargeGroup {
    /// Repair against expectation.
    pub report: RepairReport,
    /// The longest time that a message took to be everywhere.
    pub slowest: Duration,
    /// Datagrams sent by all nodes during the messages.
    pub datagrams: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// Node 0 writes `messages` one after another to a group of `nodes`, each link losing with `loss`.
///
/// # Errors
/// An invariant did not hold, or repair cost more than twice what RFC 5401 lets one expect.
pub fn large_group(
    seed: u64,
    nodes: usize,
    loss: f64,
    messages: u32,
) -> Result<LargeGroup, Violation> {
    let mut options = Options::calm(nodes);
    options.grtt = GRTT;
    options.network.delay_min = GRTT.mul_f64(DELAY_GRTT);
    let mut world = World::new(seed, options, 0);
    world.begin_from_one_disk()?;
    world.run_for(Duration::from_secs(5))?;
    world.network.heal(LinkFaults {
        loss,
        ..world.options.network
    });
    let before = world.totals;
    let mut slowest = Duration::ZERO;
    for number in 0..messages {
        let start = world.now;
        world.append(0, 0, vec![number.to_be_bytes().to_vec()])?;
        slowest = slowest.max(reach_all(&mut world, start)?);
        let rest = (start + PAUSE).since(world.now);
        world.run_for(rest)?;
    }
    let after = world.totals;
    let receivers = nodes - 1;
    let size = f64::from(u32::try_from(receivers).unwrap_or(u32::MAX));
    let report = RepairReport {
        receivers,
        datagrams: messages.into(),
        nacks: after.nacks - before.nacks,
        repairs: (after.fragments - before.fragments).saturating_sub(messages.into()),
        expected: rfc5401::expectation(receivers, loss, DELAY_GRTT, seed),
        nacks_if_all_miss: rfc5401::nacks_if_all_miss(size),
    };
    check_repair(&report)?;
    Ok(LargeGroup {
        report,
        slowest,
        datagrams: after.datagrams - before.datagrams,
        bytes: after.bytes - before.bytes,
    })
}

fn reach_all(world: &mut World, start: Timestamp) -> Result<Duration, Violation> {
    const STEP: Duration = Duration::from_millis(5);
    const LIMIT: Duration = Duration::from_secs(30);
    loop {
        world.run_for(STEP)?;
        if world.missing_entries().is_none() {
            return Ok(world.now.since(start));
        }
        if world.now.since(start) > LIMIT {
            let missing = world.missing_entries().unwrap_or_default();
            return Err(Violation::global("liveness", missing));
        }
    }
}

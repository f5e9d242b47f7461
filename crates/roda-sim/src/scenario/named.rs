//! Small runs for faults that have a name. Each is deterministic and says what it shows.

use std::time::Duration;

use crate::clock::YEAR_MS;
use crate::invariants::{Check, Violation};
use crate::network::{CONTROL_LEN, LinkFaults};
use crate::options::Options;
use crate::world::World;

/// A run with a name.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    /// What it is called on the command line.
    pub name: &'static str,
    /// Runs it.
    pub run: fn(u64) -> Check,
}

/// All of them.
pub const NAMED: &[Named] = &[
    Named {
        name: "calm",
        run: calm,
    },
    Named {
        name: "last-lost",
        run: last_lost,
    },
    Named {
        name: "one-way-loss",
        run: one_way_loss,
    },
    Named {
        name: "author-dies",
        run: author_dies,
    },
    Named {
        name: "newcomer",
        run: newcomer,
    },
    Named {
        name: "laggard",
        run: laggard,
    },
    Named {
        name: "year-ahead",
        run: year_ahead,
    },
    Named {
        name: "control-loss",
        run: control_loss,
    },
    Named {
        name: "unicast-only",
        run: unicast_only,
    },
    Named {
        name: "split",
        run: split,
    },
    Named {
        name: "removed-while-away",
        run: removed_while_away,
    },
    Named {
        name: "idle-beacons",
        run: idle_beacons,
    },
];

const LONG: Duration = Duration::from_secs(30);

fn group(seed: u64, nodes: usize) -> Result<World, Violation> {
    let mut world = World::new(seed, Options::calm(nodes), 0);
    world.begin()?;
    world.converge()?;
    Ok(world)
}

fn say(world: &mut World, node: usize, count: usize) -> Check {
    for number in 0..count {
        world.append(node, 0, vec![vec![0; 10 + number]])?;
        world.run_for(Duration::from_millis(3))?;
    }
    Ok(())
}

/// Converging must not take longer than `limit`.
fn converge_within(world: &mut World, limit: Duration) -> Check {
    let took = world.converge()?;
    if took > limit {
        let detail = format!("took {took:?}, more than {limit:?}");
        return Err(Violation::global("liveness", detail));
    }
    Ok(())
}

fn calm(seed: u64) -> Check {
    let mut world = group(seed, 4)?;
    for node in 0..4 {
        say(&mut world, node, 20)?;
    }
    converge_within(&mut world, Duration::from_secs(10))
}

/// Nothing follows the lost message, so only an announcement of the head can reveal the loss.
fn last_lost(seed: u64) -> Check {
    let mut world = group(seed, 3)?;
    say(&mut world, 0, 3)?;
    world.network.set_cut(0, 1, true);
    world.append(0, 0, vec![b"last".to_vec()])?;
    world.run_for(Duration::from_millis(4))?;
    world.network.set_cut(0, 1, false);
    converge_within(&mut world, Duration::from_secs(10))
}

/// One member hears everyone badly, though everyone hears it well.
fn one_way_loss(seed: u64) -> Check {
    let mut world = group(seed, 4)?;
    let bad = LinkFaults {
        loss: 0.6,
        ..LinkFaults::CLEAN
    };
    for other in 0..3 {
        world.network.set_link(other, 3, bad);
    }
    for node in 0..4 {
        say(&mut world, node, 10)?;
    }
    converge_within(&mut world, LONG)
}

/// The only other holder of an author's last message has to spread it.
fn author_dies(seed: u64) -> Check {
    let mut world = group(seed, 4)?;
    world.network.set_cut(0, 2, true);
    world.network.set_cut(0, 3, true);
    world.append(0, 0, vec![b"testament".to_vec()])?;
    world.run_for(Duration::from_millis(8))?;
    world.power_off(0)?;
    let took = world.converge_without(0)?;
    if took > Duration::from_secs(15) {
        return Err(Violation::global("liveness", format!("took {took:?}")));
    }
    world.heal()?;
    converge_within(&mut world, LONG)
}

/// Who comes late gets all that was said before.
fn newcomer(seed: u64) -> Check {
    let mut options = Options::calm(4);
    options.safety = Duration::from_secs(1);
    let mut world = World::new(seed, options, 0);
    world.network.split(vec![0, 0, 0, 1]);
    world.begin()?;
    world.run_for(Duration::from_secs(2))?;
    for node in 0..3 {
        say(&mut world, node, 50)?;
    }
    world.network.join();
    converge_within(&mut world, LONG)
}

/// Who was away for long comes back without anyone's help.
fn laggard(seed: u64) -> Check {
    let mut world = group(seed, 4)?;
    world.power_off(3)?;
    for node in 0..3 {
        say(&mut world, node, 200)?;
    }
    world.run_for(Duration::from_secs(120))?;
    world.heal()?;
    converge_within(&mut world, LONG)
}

/// Clocks order, they never decide: a wrong one harms nobody's progress.
fn year_ahead(seed: u64) -> Check {
    let mut world = group(seed, 3)?;
    world.nodes[1].clock.jump(YEAR_MS);
    for node in 0..3 {
        say(&mut world, node, 10)?;
    }
    converge_within(&mut world, LONG)?;
    world.nodes[1].clock.jump(-YEAR_MS);
    for node in 0..3 {
        say(&mut world, node, 10)?;
    }
    converge_within(&mut world, LONG)
}

/// Data arrives, NACKs and beacons mostly do not.
fn control_loss(seed: u64) -> Check {
    let mut world = group(seed, 4)?;
    let faults = LinkFaults {
        control_loss: 0.7,
        loss: 0.1,
        ..LinkFaults::CLEAN
    };
    world.network.heal(faults);
    for node in 0..4 {
        for _ in 0..10 {
            world.append(node, 0, vec![vec![0; 2 * CONTROL_LEN]])?;
            world.run_for(Duration::from_millis(3))?;
        }
    }
    converge_within(&mut world, Duration::from_secs(60))
}

/// Multicast does not arrive between two members in either direction.
fn unicast_only(seed: u64) -> Check {
    let mut world = group(seed, 3)?;
    world.network.set_unicast_only(0, 1, true);
    world.network.set_unicast_only(1, 0, true);
    world.run_for(Duration::from_secs(20))?;
    for node in 0..3 {
        say(&mut world, node, 20)?;
    }
    converge_within(&mut world, LONG)
}

/// Two halves write on and come together again.
fn split(seed: u64) -> Check {
    let mut world = group(seed, 4)?;
    world.network.split(vec![0, 0, 1, 1]);
    for node in 0..4 {
        say(&mut world, node, 20)?;
    }
    world.run_for(Duration::from_secs(60))?;
    world.network.join();
    converge_within(&mut world, LONG)
}

/// A member sleeps while another is removed: it comes back although the key it knows is gone.
fn removed_while_away(seed: u64) -> Check {
    let mut options = Options::calm(3);
    options.doomed = 1;
    options.safety = Duration::from_secs(20);
    let mut world = World::new(seed, options, 0);
    world.begin()?;
    world.run_for(Duration::from_secs(5))?;
    world.power_off(2)?;
    world.run_for(Duration::from_secs(200))?;
    say(&mut world, 0, 5)?;
    say(&mut world, 3, 5)?;
    world.run_for(Duration::from_secs(1))?;
    world.heal()?;
    converge_within(&mut world, LONG)
}

/// A quiet group of four sends at most 300 bytes a second each.
fn idle_beacons(seed: u64) -> Check {
    const SECONDS: u64 = 120;
    let mut world = group(seed, 4)?;
    world.run_for(Duration::from_secs(60))?;
    let before = world.totals;
    world.run_for(Duration::from_secs(SECONDS))?;
    let rate = (world.totals.bytes - before.bytes) / SECONDS / 4;
    if rate > 300 {
        let detail = format!("an idle node sends {rate} bytes per second");
        return Err(Violation::global("idle traffic", detail));
    }
    Ok(())
}

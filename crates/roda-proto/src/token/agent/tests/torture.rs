//! Random work under random faults; afterwards everything heals and everyone gets their turn.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use super::super::*;
use super::world::*;

/// Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn index(&mut self, limit: usize) -> usize {
        usize::try_from(self.below(u64::try_from(limit).unwrap())).unwrap()
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn millis(&mut self, limit: u64) -> Duration {
        Duration::from_millis(self.below(limit))
    }
}

const NODES: usize = 4;

/// Where, which, and for what.
type Open = Vec<(usize, RequestId, Acquire)>;

/// Losses, delays, repetitions; and one node that is cut off for a while.
fn faulty(mut dice: Dice, percent: u64, cut_off: Option<usize>) -> Box<dyn FnMut(&Mail) -> Fate> {
    Box::new(move |mail| {
        if cut_off.is_some_and(|at| mail.from == at || mail.to == at) {
            return Fate::Drop;
        }
        if !dice.chance(percent) {
            return Fate::Deliver;
        }
        match dice.below(4) {
            0 => Fate::Drop,
            1 => Fate::Twice(dice.millis(3000)),
            2 => Fate::Delay(dice.millis(9000)),
            _ => Fate::Delay(dice.millis(20)),
        }
    })
}

fn random_wish(dice: &mut Dice) -> Acquire {
    let permits = match dice.below(8) {
        0 | 1 => Permits::SHARED,
        2 => Permits::new(2).unwrap(),
        _ => Permits::EXCLUSIVE,
    };
    let names: &[&str] = match dice.below(6) {
        0 => &["a", "b"],
        1 => &["b", "c", "a"],
        2 => &["b"],
        3 => &["c"],
        _ => &["a"],
    };
    wish(names, permits)
}

/// One thing that a client does.
fn act(world: &mut World, dice: &mut Dice, open: &mut Open) {
    if open.len() < 12 && dice.chance(50) {
        let at = dice.index(NODES);
        let wish = random_wish(dice);
        open.push((at, world.ask(at, wish.clone()), wish));
        return;
    }
    if open.is_empty() {
        return;
    }
    let chosen = dice.index(open.len());
    let (at, request) = (open[chosen].0, open[chosen].1);
    if world.is_inside(at, request) || is_lost(world, at, request) {
        world.release(at, request);
        let (_, _, wish) = open.swap_remove(chosen);
        if dice.chance(70) {
            // Who comes back again and again gets its turns asked ahead.
            open.push((at, world.ask(at, wish.clone()), wish));
        }
    } else if dice.chance(10) {
        world.cancel(at, request);
        open.swap_remove(chosen);
    }
}

fn is_lost(world: &World, at: usize, request: RequestId) -> bool {
    let killed = |(_, state): &(Timestamp, HoldState)| matches!(state, HoldState::Kill(_));
    world.holds(at, request).last().is_some_and(killed)
}

/// One thing that goes wrong, or right again.
fn disturb(world: &mut World, dice: &mut Dice, open: &mut Open) {
    match dice.below(12) {
        0 => {
            let at = dice.index(NODES);
            world.restart(at);
            open.retain(|(of, ..)| *of != at);
        }
        1 => {
            let to = dice.index(NODES);
            let keep = dice.chance(50);
            world.change_leader(to, keep);
        }
        2 => {
            let quorum = Quorum {
                reachable: 1,
                voters: 3,
            };
            world.quorum = dice.chance(50).then_some(quorum);
        }
        3 | 4 => {
            let cut_off = dice.chance(60).then(|| dice.index(NODES));
            world.rule = faulty(dice.clone(), 30, cut_off);
            dice.next();
        }
        5 => world.commit = dice.millis(100) + HOP,
        _ => world.rule = faulty(dice.clone(), 5, None),
    }
}

/// Everyone who is inside leaves, until nobody is left.
fn heal(world: &mut World, open: &mut Open, seed: u64) {
    world.rule = Box::new(|_| Fate::Deliver);
    world.quorum = None;
    world.commit = HOP;
    for _round in 0..60 {
        world.run(Duration::from_millis(500));
        let done: Vec<_> = open
            .iter()
            .map(|(at, request, _)| (*at, *request))
            .filter(|(at, request)| world.is_inside(*at, *request) || is_lost(world, *at, *request))
            .collect();
        for (at, request) in &done {
            world.release(*at, *request);
        }
        open.retain(|(at, request, _)| !done.contains(&(*at, *request)));
    }
    assert!(open.is_empty(), "seed {seed}: never inside: {open:?}");
    world.run(Duration::from_secs(20));
    assert!(
        world.agents.iter().all(|agent| agent.errands.is_empty()),
        "seed {seed}: commands without effect"
    );
    let left = world.table.status(&[]);
    assert!(left.is_empty(), "seed {seed}: {left:?}");
}

fn torture(seed: u64) {
    let mut dice = Dice(seed);
    let mut world = World::new(NODES);
    let mut open = Vec::new();
    for _step in 0..400 {
        for _act in 0..dice.below(4) {
            act(&mut world, &mut dice, &mut open);
        }
        if dice.chance(8) {
            disturb(&mut world, &mut dice, &mut open);
        }
        let time = match dice.below(10) {
            0 => dice.millis(2500),
            1..4 => dice.millis(100),
            _ => dice.millis(5),
        };
        world.run(time);
        world.forget_sent();
    }
    heal(&mut world, &mut open, seed);
}

#[test]
fn whatever_goes_wrong_nobody_is_inside_with_another_and_afterwards_everyone_gets_a_turn() {
    let seeds = std::env::var("RODA_TOKEN_SEEDS").map_or(300, |seeds| seeds.parse().unwrap());
    for seed in 0..seeds {
        torture(seed);
    }
}

//! What must hold after any commands whatever.

use std::vec::Vec;

use proptest::prelude::*;

use super::kit::*;
use super::world::{Step, World, subset};
use crate::token::{AGING, Fence, LockCommand, SessionId, Table};

fn step() -> impl Strategy<Value = Step> {
    let permits = prop_oneof![
        4 => Just(1_u32),
        3 => Just(u32::MAX),
        1 => 2_u32..4,
    ];
    let priority = prop_oneof![Just(0_u8), Just(9), 0_u8..=9];
    let locks = prop_oneof![3 => Just(1_u8), 2 => 1_u8..16];
    let held = prop_oneof![4 => Just(SHORT), 1 => Just(LONG)];
    let any = any::<usize>;
    let any_bool = proptest::bool::ANY;
    prop_oneof![
        1 => (1_u8..5, 0_u64..3).prop_map(|(node, boot)| Step::Open { node, boot }),
        9 => (any(), locks, permits, priority, any_bool).prop_map(|drawn| {
            let (session, locks, permits, priority, is_ahead) = drawn;
            Step::Acquire { session, locks, permits, priority, is_ahead }
        }),
        6 => any().prop_map(|grant| Step::Enter { grant }),
        6 => any().prop_map(|grant| Step::Leave { grant }),
        4 => (any(), held).prop_map(|(grant, held_millis)| Step::Release { grant, held_millis }),
        2 => any().prop_map(|request| Step::Cancel { request }),
        1 => (any(), prop::bool::weighted(0.3)).prop_map(|(session, close)| Step::End { session, close }),
        1 => (0_u8..4).prop_map(|lock| Step::Force { lock }),
        1 => any().prop_map(|command| Step::Replay { command }),
    ]
}

fn opened() -> World {
    let mut world = World::default();
    for node in 1..4 {
        world.step(&Step::Open { node, boot: 0 });
    }
    world
}

fn written(table: &Table) -> Vec<u8> {
    minicbor::to_vec(table).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn nobody_is_crowded_forgotten_or_overtaken_beyond_the_bound(
        steps in prop::collection::vec(step(), 1..150),
        pick_last: bool,
    ) {
        let mut world = opened();
        for step in &steps {
            world.step(step);
        }
        let table = &world.kit.table;
        let back: Table = minicbor::decode(&written(table)).unwrap();
        prop_assert!(back == *table);
        world.drain(pick_last);
    }

    #[test]
    fn tables_that_were_told_the_same_are_the_same_also_when_read_back_on_the_way(
        steps in prop::collection::vec(step(), 1..80),
        at in 0_usize..80,
    ) {
        let mut world = opened();
        let mut commands = Vec::new();
        for step in &steps {
            world.step(step);
        }
        commands.extend_from_slice(world.history());
        let (mut one, mut other) = (Table::new(), Table::new());
        for (number, command) in commands.iter().enumerate() {
            let command = core::slice::from_ref(command);
            if number == at {
                other = minicbor::decode(&written(&other)).unwrap();
            }
            prop_assert!(one.apply(command) == other.apply(command));
        }
        prop_assert!(one == other);
        prop_assert_eq!(written(&one), written(&world.kit.table));
    }

    #[test]
    fn a_damaged_table_is_refused_or_sound(
        steps in prop::collection::vec(step(), 1..40),
        more in prop::collection::vec(step(), 1..20),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut world = opened();
        for step in &steps {
            world.step(step);
        }
        let mut bytes = written(&world.kit.table);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let Ok(mut table) = minicbor::decode::<Table>(&bytes) else {
            return Ok(());
        };
        prop_assert_eq!(table.check(), Ok(()));
        for step in &more {
            world.step(step);
        }
        table.apply(world.history());
        prop_assert_eq!(table.check(), Ok(()));
    }

    /// Whatever the others ask for, again and again, a request of the lowest priority comes in time.
    #[test]
    fn no_priority_keeps_a_waiter_out(
        victim_locks in 1_u8..16,
        number in prop_oneof![Just(1_u32), Just(u32::MAX), Just(2)],
        others in prop::collection::vec((1_u8..16, 5_u8..=9, prop_oneof![3 => Just(1_u32), 1 => Just(u32::MAX)]), 2..6),
    ) {
        let mut kit = Kit::with_sessions(8);
        let mut request = 100;
        for (session, &(locks, priority, permits_of)) in (2..).zip(&others) {
            request += 1;
            kit.done(acquire_as(session, request, &subset(locks), permits(permits_of), priority));
        }
        kit.done(acquire_as(1, 1, &subset(victim_locks), permits(number), 0));
        // Per lock: to the top, then whoever came earlier; each round is one release at least.
        let rounds = 4 * (AGING * 9 + 8);
        for _ in 0..rounds {
            if !kit.view(1).grants.is_empty() {
                return Ok(());
            }
            for (session, &(locks, priority, permits_of)) in (2..).zip(&others) {
                let live = kit.view(session).grants.into_iter().find(|grant| grant.after.is_empty());
                if let Some(grant) = live {
                    request += 1;
                    let again = acquire_as(session, request, &subset(locks), permits(permits_of), priority);
                    kit.apply(&[release(session, grant.fence, LONG), again]);
                    kit.check();
                }
            }
        }
        prop_assert!(false, "still waiting");
    }
}

#[test]
fn commands_of_nobody_do_nothing() {
    let mut kit = Kit::with_sessions(1);
    let before = kit.table.clone();
    let session = SessionId(7);
    kit.one(acquire(7, 1, "a"));
    kit.one(cancel(7, 1));
    kit.one(release(7, Fence(1), SHORT));
    kit.one(LockCommand::Close { session });
    kit.one(LockCommand::Expire { session });
    assert!(before == kit.table);
}

use super::super::*;
use super::world::*;

#[test]
fn several_locks_come_together_and_whoever_wants_one_of_them_waits() {
    let mut world = World::new(3);
    let both = world.ask(0, wish(&["a", "b"], Permits::EXCLUSIVE));
    world.settle();
    let a = world.acquire(1, "a");
    let b = world.acquire(2, "b");
    world.settle();
    assert!(world.is_inside(0, both) && !world.is_inside(1, a) && !world.is_inside(2, b));
    world.release(0, both);
    world.run(HOP);
    assert!(world.is_inside(1, a) && world.is_inside(2, b));
    let both = world.ask(0, wish(&["b", "a"], Permits::EXCLUSIVE));
    world.settle();
    world.release(1, a);
    world.settle();
    assert!(!world.is_inside(0, both), "one token of two is not enough");
    world.release(2, b);
    world.settle();
    assert!(world.is_inside(0, both));
}

#[test]
fn requests_that_overlap_do_not_block_each_other_for_good() {
    let mut world = World::new(3);
    let names = [["a", "b"], ["b", "c"], ["c", "a"]];
    for _round in 0..20 {
        let asked: [RequestId; 3] =
            core::array::from_fn(|at| world.ask(at, wish(&names[at], Permits::EXCLUSIVE)));
        for _turn in 0..3 {
            world.settle();
            let at = (0..3).find(|at| world.is_inside(*at, asked[*at])).unwrap();
            world.release(at, asked[at]);
        }
    }
}

#[test]
fn readers_are_inside_together_and_a_writer_alone() {
    let mut world = World::new(4);
    let readers: [RequestId; 3] =
        core::array::from_fn(|at| world.ask(at, wish(&["a"], Permits::SHARED)));
    world.settle();
    assert!((0..3).all(|at| world.is_inside(at, readers[at])));
    let writer = world.acquire(3, "a");
    world.settle();
    let late = world.ask(0, wish(&["a"], Permits::SHARED));
    world.settle();
    assert!(!world.is_inside(3, writer) && !world.is_inside(0, late));
    for (at, reader) in readers.into_iter().enumerate() {
        assert!(!world.is_inside(3, writer));
        world.release(at, reader);
        world.run(HOP);
    }
    assert!(world.is_inside(3, writer), "by three tokens");
    world.settle();
    world.release(3, writer);
    world.run(HOP);
    assert!(world.is_inside(0, late));
}

#[test]
fn a_semaphore_lets_so_many_in() {
    let mut world = World::new(4);
    let two = Permits::new(2).unwrap();
    let asked: [RequestId; 4] = core::array::from_fn(|at| {
        let request = world.ask(at, wish(&["a"], two));
        world.settle();
        request
    });
    let inside = |world: &World| (0..4).filter(|at| world.is_inside(*at, asked[*at])).count();
    assert_eq!(inside(&world), 2);
    world.release(0, asked[0]);
    world.settle();
    assert_eq!(inside(&world), 2);
    assert!(world.is_inside(2, asked[2]), "in the order of asking");
}

//! What locks remember, and how much of everything there may be.

use std::format;
use std::string::String;
use std::vec::Vec;

use super::kit::*;
use crate::id::{AuthorId, Seq};
use crate::token::{
    FRONTIER_AUTHORS_MAX, Frontier, LOCKS_MAX, LOCKS_PER_REQUEST_MAX, LockCommand, LockOutcome,
    LockRefusal, REQUESTS_PER_SESSION_MAX, SESSIONS_MAX, SessionId, Table, WAITERS_PER_LOCK_MAX,
};

fn leave_having_written(kit: &mut Kit, session: u64, entries: &[(u8, u64)]) {
    let fence = kit.fence(session);
    kit.done(LockCommand::Release {
        session: SessionId(session),
        fence,
        frontier: frontier(entries),
        held_millis: LONG,
    });
}

#[test]
fn the_next_holder_learns_what_was_written_on_all_its_locks() {
    let mut kit = Kit::with_sessions(3);
    kit.ask(1, "a");
    kit.ask(2, "b");
    leave_having_written(&mut kit, 1, &[(2, 7), (1, 5)]);
    leave_having_written(&mut kit, 2, &[(2, 9)]);
    kit.ask(3, "a,b");
    assert_eq!(kit.grant(3).frontier, frontier(&[(1, 5), (2, 9)]));
}

#[test]
fn what_was_written_is_known_on_locks_that_only_an_earlier_holder_had() {
    let mut kit = Kit::with_sessions(3);
    kit.ask(1, "a,b");
    kit.ask(2, "a");
    leave_having_written(&mut kit, 2, &[(1, 3)]);
    kit.ask(3, "b");
    assert_eq!(kit.grant(3).frontier, frontier(&[(1, 3)]));
}

#[test]
fn a_frontier_keeps_the_newest_authors_when_there_are_too_many() {
    let author = |n: usize| {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&u64::try_from(n).unwrap().to_be_bytes());
        (AuthorId(bytes), Seq(1))
    };
    let mut old = Frontier((0..FRONTIER_AUTHORS_MAX).map(author).collect());
    let newer = Frontier(std::vec![author(9999), author(0)]);
    old.merge(&newer);
    assert_eq!(old.0.len(), FRONTIER_AUTHORS_MAX);
    assert!(old.is_canonical() && old.0.contains(&author(9999)) && old.0.contains(&author(0)));
    assert!(!old.0.contains(&author(1)));
    let mut unsorted = frontier(&[(2, 1), (1, 4), (2, 3)]);
    unsorted.merge(&Frontier::default());
    assert_eq!(unsorted, frontier(&[(1, 4), (2, 3)]));
}

#[test]
fn every_limit_is_kept_and_nothing_beyond_it_is_queued() {
    let mut kit = Kit::with_sessions(2);
    let many: Vec<String> = (0..=LOCKS_PER_REQUEST_MAX)
        .map(|n| format!("l{n}"))
        .collect();
    kit.refused(acquire(1, 1, &many.join(",")), LockRefusal::BadRequest);
    kit.refused(acquire(1, 2, "a,b,a"), LockRefusal::BadRequest);
    kit.done(acquire(1, 3, &many[1..].join(",")));
    let mut table = Table::new();
    for number in 0..=u64::try_from(SESSIONS_MAX).unwrap() {
        let open = LockCommand::Open {
            node: node(1),
            boot: number,
            session_millis: 1,
        };
        let outcome = table.apply(&[open]).outcomes.remove(0);
        let is_opened = outcome == LockOutcome::Opened(SessionId(number + 1));
        assert_eq!(is_opened, number < u64::try_from(SESSIONS_MAX).unwrap());
    }
    let full = [LockOutcome::Refused(LockRefusal::Full)];
    let count = u64::try_from(REQUESTS_PER_SESSION_MAX).unwrap();
    for request in 1..=count {
        assert_eq!(
            table.apply(&[acquire(1, request, "a")]).outcomes,
            [LockOutcome::Done]
        );
    }
    assert_eq!(table.apply(&[acquire(1, count + 1, "b")]).outcomes, full);
    // All but the two that are inside and next wait.
    let left = WAITERS_PER_LOCK_MAX + 2 - REQUESTS_PER_SESSION_MAX;
    for number in 0..left {
        let session = 2 + u64::try_from(number / REQUESTS_PER_SESSION_MAX).unwrap();
        let request = 1 + u64::try_from(number % REQUESTS_PER_SESSION_MAX).unwrap();
        assert_eq!(
            table.apply(&[acquire(session, request, "a")]).outcomes,
            [LockOutcome::Done]
        );
    }
    assert_eq!(
        table.locks[&names("a")[0]].queue.len(),
        WAITERS_PER_LOCK_MAX
    );
    assert_eq!(table.apply(&[acquire(5, 3, "a")]).outcomes, full);
    assert_eq!(
        table.apply(&[acquire(5, 3, "a")]).outcomes,
        [LockOutcome::Refused(LockRefusal::Over)]
    );
    assert_eq!(table.check(), Ok(()));
}

#[test]
fn beyond_the_limit_the_lock_that_was_left_longest_ago_is_forgotten() {
    let mut kit = Kit::with_sessions(2);
    kit.ask(1, "a,b");
    leave_having_written(&mut kit, 1, &[(1, 1)]);
    assert_eq!(kit.line("a"), "free");
    let table = &mut kit.table;
    for number in 2..LOCKS_MAX {
        let number = u64::try_from(number).unwrap();
        table.apply(&[acquire(1, number, &format!("x{number}"))]);
        let Some(&fence) = table.grants.keys().next() else {
            panic!("not granted")
        };
        table.apply(&[LockCommand::Release {
            session: SessionId(1),
            fence,
            frontier: frontier(&[(1, number)]),
            held_millis: LONG,
        }]);
    }
    assert_eq!(table.locks.len(), LOCKS_MAX);
    table.apply(&[acquire(2, 1, "a,y")]);
    let has = |name: &str| table.locks.contains_key(&names(name)[0]);
    assert!(has("a") && has("y") && has("x2") && !has("b"));
    assert_eq!(table.locks.len(), LOCKS_MAX);
    assert_eq!(table.check(), Ok(()));
}

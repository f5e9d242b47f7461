//! Every rule, as a sentence.

use std::vec::Vec;

use super::kit::*;
use crate::token::{
    AGING, Change, FENCE_BLOCK, FENCE_START_MAX, Fence, LockCommand, LockOutcome, LockRefusal,
    Permits, RequestId, SUCCESSORS_MAX, SessionCause, SessionId,
};

fn set(fences: &[Fence]) -> std::collections::BTreeSet<Fence> {
    fences.iter().copied().collect()
}

#[test]
fn a_free_lock_is_granted_at_once_and_the_next_is_chosen_ahead() {
    let mut kit = Kit::with_sessions(3);
    kit.ask(1, "a");
    kit.ask(2, "a");
    kit.ask(3, "a");
    assert_eq!(kit.line("a"), "1 | 2 | 3");
    assert_eq!(kit.grant(1).heirs[0].fence, kit.fence(2));
    assert_eq!(kit.grant(2).after, set(&[kit.fence(1)]));
    kit.leave(1, LONG);
    assert_eq!(kit.line("a"), "2 | 3 | ");
    kit.leave(2, LONG);
    kit.leave(3, LONG);
    assert_eq!(kit.line("a"), "free");
    assert!(kit.table.locks.is_empty());
}

#[test]
fn the_same_boot_gets_the_same_session_and_a_new_boot_a_new_one() {
    let mut kit = Kit::with_sessions(1);
    kit.ask(1, "a");
    assert_eq!(kit.one(open(1)), LockOutcome::Opened(SessionId(1)));
    let reboot = LockCommand::Open {
        node: node(1),
        boot: 2,
        session_millis: u32::MAX,
    };
    assert_eq!(kit.one(reboot), LockOutcome::Opened(SessionId(2)));
    assert_eq!(kit.line("a"), "1 |  | ", "what ran may still run");
    let times: Vec<u128> = kit.table.sessions().map(|s| s.2.as_millis()).collect();
    assert_eq!(times, [500, 60_000]);
    kit.done(LockCommand::Expire {
        session: SessionId(1),
    });
    assert_eq!(kit.one(open(1)), LockOutcome::Opened(SessionId(3)));
}

#[test]
fn fences_start_where_they_are_told_and_never_go_back() {
    let mut kit = Kit::with_sessions(2);
    let start = |fence| LockCommand::Start { fence };
    kit.done(start(Fence(1000)));
    kit.done(start(Fence(10)));
    kit.refused(start(Fence(FENCE_START_MAX.0 + 1)), LockRefusal::BadRequest);
    kit.ask(1, "a");
    assert_eq!(kit.fence(1), Fence(1000));
}

#[test]
fn only_a_single_exclusive_lock_brings_a_block_of_fences() {
    let mut kit = Kit::with_sessions(4);
    let last = |kit: &Kit, session| kit.grant(session).last_fence.0;
    kit.ask(1, "a");
    assert_eq!(last(&kit, 1), FENCE_BLOCK);
    kit.ask(2, "b,c");
    assert_eq!(last(&kit, 2), FENCE_BLOCK + 1);
    kit.ask_as(3, "d", Permits::SHARED, 0);
    kit.ask_as(4, "e", permits(2), 0);
    assert_eq!(kit.grant(4).fence, kit.grant(4).last_fence);
}

#[test]
fn readers_are_inside_together_and_a_writer_waits_for_all_of_them() {
    let mut kit = Kit::with_sessions(5);
    kit.ask_as(1, "a", Permits::SHARED, 0);
    kit.ask_as(2, "a", Permits::SHARED, 0);
    kit.ask(3, "a");
    assert_eq!(kit.grant(3).after, set(&[kit.fence(1), kit.fence(2)]));
    kit.ask_as(4, "a", Permits::SHARED, 0);
    kit.ask_as(5, "a", Permits::SHARED, 0);
    assert_eq!(
        kit.line("a"),
        "1 2 | 3 | 4 5",
        "a reader does not pass the writer"
    );
    kit.leave(2, LONG);
    assert_eq!(kit.grant(3).after, set(&[kit.fence(1)]));
    kit.leave(1, LONG);
    assert_eq!(kit.line("a"), "3 | 4 | 5");
    kit.leave(3, LONG);
    assert_eq!(kit.line("a"), "4 5 |  | ");
}

#[test]
fn a_semaphore_lets_in_as_many_as_the_strictest_allows_and_chooses_nobody_ahead() {
    let mut kit = Kit::with_sessions(5);
    kit.ask_as(1, "a", permits(3), 0);
    kit.ask_as(2, "a", permits(2), 0);
    kit.ask_as(3, "a", permits(3), 0);
    kit.ask(4, "a");
    kit.ask_as(5, "a", permits(9), 0);
    assert_eq!(kit.line("a"), "1 2 |  | 3 4 5");
    kit.leave(2, LONG);
    assert_eq!(kit.line("a"), "1 3 |  | 4 5");
    kit.leave(1, LONG);
    assert_eq!(kit.line("a"), "3 |  | 4 5");
    kit.leave(3, LONG);
    assert_eq!(kit.line("a"), "4 |  | 5");
}

#[test]
fn short_holds_make_the_chain_of_successors_long_and_a_long_one_cuts_it() {
    let mut kit = Kit::with_sessions(40);
    for session in 1..=40 {
        kit.ask(session, "a");
    }
    for (session, depth) in (1..).zip([2, 4, 8, SUCCESSORS_MAX, SUCCESSORS_MAX]) {
        kit.leave(session, SHORT);
        let status = kit.table.status(&names("a")).remove(0);
        let frozen = status.holders.iter().filter(|holder| !holder.is_live);
        assert_eq!(frozen.count(), depth);
    }
    kit.leave(6, LONG - 1);
    kit.leave(7, LONG);
    let before = kit.table.grants.len();
    kit.leave(8, LONG);
    assert_eq!(
        kit.table.grants.len(),
        before - 1,
        "those chosen stay, nobody joins"
    );
}

#[test]
fn leaving_shows_that_all_before_have_left() {
    let mut kit = Kit::with_sessions(4);
    kit.ask(1, "a");
    kit.ask(2, "a");
    kit.leave(1, SHORT);
    for session in [1, 3, 4] {
        kit.done(acquire(session, 10 + session, "a"));
    }
    assert_eq!(kit.line("a"), "2 | 1 3 | 4");
    let first = kit.fence(2);
    kit.leave(3, SHORT);
    assert_eq!(kit.line("a"), "4 |  | ");
    kit.done(release(2, first, SHORT));
    assert_eq!(
        kit.line("a"),
        "4 |  | ",
        "its own release comes late and counts no more"
    );
}

#[test]
fn a_chosen_one_that_gives_up_leaves_the_order_of_the_others() {
    let mut kit = Kit::with_sessions(5);
    for session in 1..=5 {
        kit.ask(session, "a");
    }
    kit.leave(1, SHORT);
    assert_eq!(kit.line("a"), "2 | 3 4 | 5");
    kit.done(cancel(3, 3));
    assert_eq!(kit.line("a"), "2 | 4 5 | ");
    assert_eq!(kit.grant(4).after, set(&[kit.fence(2)]));
    assert_eq!(kit.grant(2).heirs[0].fence, kit.fence(4));
    assert_eq!(kit.grant(5).after, set(&[kit.fence(4)]));
}

#[test]
fn when_a_chosen_writer_gives_up_those_behind_it_still_wait_for_the_readers_before_it() {
    let mut kit = Kit::with_sessions(5);
    kit.ask_as(1, "a", Permits::SHARED, 0);
    kit.ask_as(5, "a", Permits::SHARED, 0);
    kit.leave(5, SHORT);
    kit.ask(2, "a");
    kit.ask_as(3, "a", Permits::SHARED, 0);
    assert_eq!(kit.line("a"), "1 | 2 3 | ");
    kit.done(cancel(2, 2));
    kit.ask(4, "a");
    let (first, second) = (kit.fence(1), kit.fence(3));
    // The second reader could be inside with the first, but its token must mean that both have left.
    assert_eq!(kit.grant(3).after, set(&[first]));
    assert_eq!(kit.grant(4).after, set(&[first, second]));
}

#[test]
fn a_session_that_ends_takes_all_its_requests_along() {
    let mut kit = Kit::with_sessions(3);
    kit.ask(1, "a");
    kit.ask(2, "a");
    kit.ask(3, "a");
    kit.done(acquire(1, 11, "b"));
    kit.done(acquire(1, 12, "a"));
    kit.changes.clear();
    let expire = LockCommand::Expire {
        session: SessionId(1),
    };
    kit.done(expire.clone());
    assert_eq!(kit.line("a"), "2 | 3 | ");
    assert_eq!(kit.line("b"), "free");
    let ended = Change::Ended {
        session: SessionId(1),
        node: node(1),
        cause: SessionCause::Expired,
    };
    assert_eq!(kit.changes[0], ended);
    kit.done(expire);
    kit.refused(acquire(1, 13, "c"), LockRefusal::NoSession);
    assert_eq!(kit.table.view(SessionId(1)), None);
}

#[test]
fn a_request_for_several_locks_waits_for_all_and_holds_its_place_on_each() {
    let mut kit = Kit::with_sessions(5);
    kit.ask(1, "a");
    kit.ask(2, "a");
    kit.ask(3, "a,b");
    kit.ask(4, "b");
    assert_eq!(
        kit.line("b"),
        " |  | 3 4",
        "a lock behind a place on another stays free for it"
    );
    kit.leave(1, LONG);
    assert_eq!(kit.line("b"), " | 3 | 4");
    kit.leave(2, LONG);
    assert_eq!(kit.line("a"), "3 |  | ");
    assert_eq!(kit.line("b"), "3 | 4 | ");
    kit.ask(5, "b,a");
    kit.leave(3, LONG);
    kit.leave(4, LONG);
    assert_eq!(
        (kit.line("a"), kit.line("b")),
        ("5 |  | ".into(), "5 |  | ".into())
    );
}

#[test]
fn requests_for_the_same_locks_in_any_order_do_not_block_each_other() {
    let mut kit = Kit::with_sessions(3);
    kit.ask(1, "a,b");
    kit.ask(2, "b,c");
    kit.ask(3, "c,a");
    for session in 1..=3 {
        kit.leave(session, LONG);
    }
    assert!(kit.table.grants.is_empty());
}

#[test]
fn a_release_by_somebody_else_is_refused() {
    let mut kit = Kit::with_sessions(2);
    kit.ask(1, "a");
    let theirs = release(2, kit.fence(1), LONG);
    kit.refused(theirs, LockRefusal::NotAllowed);
}

#[test]
fn a_request_that_is_over_is_not_queued_again() {
    let mut kit = Kit::with_sessions(2);
    kit.ask(1, "a");
    kit.ask(1, "a");
    kit.leave(1, LONG);
    kit.refused(acquire(1, 1, "a"), LockRefusal::Over);
    kit.done(cancel(2, 7));
    kit.refused(acquire(2, 7, "a"), LockRefusal::Over);
    assert_eq!(kit.line("a"), "free");
}

#[test]
fn force_revokes_whoever_is_inside_and_nobody_else() {
    let mut kit = Kit::with_sessions(2);
    let [lock] = names("a").try_into().unwrap();
    let force = LockCommand::Force {
        lock,
        by: node(2),
        upto: Fence(u64::MAX),
    };
    kit.refused(force.clone(), LockRefusal::NotHeld);
    kit.ask(1, "a");
    kit.ask(2, "a");
    kit.changes.clear();
    kit.done(force.clone());
    kit.done(force);
    assert!(kit.grant(1).is_revoked && !kit.grant(2).is_revoked);
    assert_eq!(kit.changes.len(), 1);
    assert_eq!(
        kit.line("a"),
        "1! | 2 | ",
        "it is free once the holder has stopped"
    );
}

#[test]
fn an_exclusive_grant_is_wanted_as_long_as_somebody_waits() {
    let mut kit = Kit::with_sessions(4);
    kit.ask(1, "a");
    assert!(!kit.grant(1).is_wanted);
    kit.ask(2, "a");
    assert!(kit.grant(1).is_wanted && !kit.grant(2).is_wanted);
    kit.ask(3, "a");
    assert!(kit.grant(2).is_wanted, "somebody waits behind it");
    kit.done(cancel(3, 3));
    assert!(!kit.grant(2).is_wanted);
    kit.done(cancel(2, 2));
    assert!(!kit.grant(1).is_wanted);
}

#[test]
fn an_entry_makes_one_notice_for_each_session_it_concerns() {
    let mut kit = Kit::with_sessions(3);
    kit.ask(1, "a");
    let applied = kit.apply(&[acquire(2, 2, "a"), acquire(3, 3, "a"), acquire(3, 4, "b")]);
    let sessions: Vec<u64> = applied.notices.iter().map(|(_, n)| n.session.0).collect();
    assert_eq!(sessions, [1, 2, 3]);
    assert_eq!(applied.notices[2].1.queued, [RequestId(3)]);
    assert_eq!(applied.notices[2].1.grants.len(), 1);
    let fence = kit.fence(1);
    let applied = kit.apply(&[release(1, fence, LONG), acquire(1, 5, "a")]);
    assert_eq!(applied.notices[0].1.gone, [fence]);
    assert_eq!(applied.notices[0].1.queued, [RequestId(5)]);
    let applied = kit.apply(&[cancel(1, 5)]);
    assert_eq!(applied.notices[0].1.dropped, [RequestId(5)]);
    kit.check();
}

#[test]
fn the_bound_is_reached_and_not_passed() {
    let mut kit = Kit::with_sessions(3);
    kit.ask(1, "a");
    kit.done(acquire_as(2, 100, "a", Permits::EXCLUSIVE, 9));
    kit.ask(3, "a");
    let status = kit.table.status(&names("a")).remove(0);
    let bound = status.waiters[0].bound;
    assert_eq!(bound, AGING * 9 + 1);
    let mut passed = 0;
    let mut inside = 1;
    while kit.line("a") != "3 |  | " && passed <= bound {
        // The other one always asks again with the highest priority before it leaves.
        let other = 3 - inside;
        let again = acquire_as(inside, 200 + passed, "a", Permits::EXCLUSIVE, 9);
        let live = kit
            .view(inside)
            .grants
            .into_iter()
            .find(|g| g.after.is_empty());
        let Some(live) = live else { break };
        kit.apply(&[again, release(inside, live.fence, LONG)]);
        kit.check();
        passed += 1;
        inside = other;
    }
    assert_eq!(
        passed,
        bound + 1,
        "the holder, and then as many as the bound says"
    );
    assert!(kit.view(3).grants[0].after.is_empty());
}

#[test]
fn what_is_asked_ahead_does_not_follow_a_grant_of_its_own_session() {
    let mut kit = Kit::with_sessions(3);
    kit.ask(1, "a");
    kit.done(ahead(acquire(1, 11, "a")));
    assert_eq!(kit.line("a"), "1 |  | 1", "its client could not be back");
    kit.ask(2, "a");
    assert_eq!(kit.line("a"), "1 | 2 | 1");
    kit.leave(1, SHORT);
    assert_eq!(kit.line("a"), "2 | 1 | ", "now it follows another");
    kit.ask(3, "a");
    kit.leave(2, SHORT);
    assert_eq!(kit.line("a"), "1 | 3 | ");
}

#[test]
fn what_is_asked_ahead_is_chosen_once_the_grant_of_its_session_is_left() {
    let mut kit = Kit::with_sessions(1);
    kit.ask(1, "a");
    kit.done(ahead(acquire(1, 11, "a")));
    kit.leave(1, SHORT);
    assert_eq!(kit.line("a"), "1 |  | ");
}

#[test]
fn a_request_that_a_client_made_is_not_passed_by_what_its_session_asked_ahead() {
    let mut kit = Kit::with_sessions(2);
    kit.ask(1, "a");
    kit.done(ahead(acquire(1, 11, "a")));
    kit.done(acquire(1, 12, "a"));
    kit.ask(2, "a");
    assert_eq!(kit.line("a"), "1 |  | 1 1 2");
    kit.leave(1, LONG);
    assert_eq!(kit.line("a"), "1 | 1 | 2");
}

#[test]
fn behind_each_grant_of_its_session_what_was_asked_ahead_is_passed_once() {
    let mut kit = Kit::with_sessions(4);
    kit.ask(1, "a");
    kit.done(ahead(acquire(1, 11, "a")));
    kit.ask(2, "a");
    kit.ask(3, "a");
    assert_eq!(kit.line("a"), "1 | 2 | 1 3");
    let two = kit.view(2).grants[0].request;
    kit.done(cancel(2, two.0));
    assert_eq!(kit.line("a"), "1 | 1 | 3");
}

#[test]
fn only_one_lock_for_one_alone_is_asked_for_ahead() {
    let mut kit = Kit::with_sessions(1);
    let shared = acquire_as(1, 1, "a", Permits::SHARED, 0);
    kit.refused(ahead(shared), LockRefusal::BadRequest);
    kit.refused(ahead(acquire(1, 2, "a,b")), LockRefusal::BadRequest);
}

#[test]
fn sessions_are_told_how_many_requests_are_enough_while_holds_are_short() {
    let mut kit = Kit::with_sessions(3);
    let share = |kit: &Kit, session: u64| {
        let grants = kit.view(session).grants;
        grants.iter().map(|grant| grant.share).collect::<Vec<u8>>()
    };
    kit.ask(1, "a");
    kit.ask(2, "a");
    for (turn, request) in (0..4).zip(10_u64..) {
        assert_eq!(share(&kit, 1), [0], "not known to be short");
        let session = turn % 2 + 1;
        kit.leave(session, SHORT);
        kit.done(acquire(session, request, "a"));
    }
    assert_eq!(share(&kit, 1), [8]);
    kit.ask(3, "a");
    kit.done(acquire(3, 14, "a"));
    assert_eq!(share(&kit, 1), [6], "by sessions, not by requests");
    kit.leave(1, LONG);
    kit.leave(2, SHORT);
    assert_eq!(share(&kit, 3), [0, 0]);
}

//! What the rules are for.

use std::vec::Vec;

use super::kit::*;
use crate::id::Seq;
use crate::job::{FactKind, JobState, OnCrash, Outcome, StateKind, attempts};
use crate::time::{Hlc, WallTime};
use crate::token::Fence;

fn kit(tries_max: u16, on_crash: OnCrash) -> Kit {
    Kit::new(options(tries_max, on_crash))
}

fn kind(kit: &Kit) -> StateKind {
    kit.job().state().kind()
}

#[test]
fn a_claim_under_an_old_fence_is_void_with_all_that_is_said_of_it() {
    let mut kit = kit(5, OnCrash::Resume);
    let early = kit.next_claim(2, 4);
    kit.claim(1, 5);
    kit.say(2, early);
    let of = attempt(4, 1);
    let (outcome, millis) = (Outcome::Done, 1);
    kit.say(
        2,
        FactKind::End {
            worker: worker(2),
            attempt: of,
            outcome,
            millis,
            next: None,
        },
    );
    assert!(
        matches!(kit.job().state(), JobState::Running(running) if running.claim.author == author(1))
    );
    assert_eq!(kit.job().first_attempt(), Some(of));
    let listed = attempts(&kit.facts);
    let voids: Vec<bool> = listed.iter().map(|attempt| attempt.is_void).collect();
    assert_eq!(voids, [true, false]);
    assert_eq!(listed[0].end, None);
}

#[test]
fn what_a_dead_worker_wrote_beyond_what_was_seen_of_it_does_not_count() {
    let mut kit = kit(5, OnCrash::Resume);
    let claim = kit.claim(1, 5);
    kit.say(1, kit.save_of(b"seen"));
    let unseen = kit.say(1, kit.save_of(b"not seen"));
    kit.say(1, kit.end_of(1, Outcome::Done));
    assert_eq!(kind(&kit), StateKind::Done);
    let lose = kit.say(2, kit.loss_of(1, 9, unseen.seq.0 - 1));
    let job = kit.job();
    assert_eq!(
        job.state(),
        JobState::Waiting {
            not_before: WallTime(0)
        }
    );
    assert_eq!((job.ended(), job.checkpoints().len()), (Some(lose), 1));
    kit.claim(2, 6);
    // Under a smaller fence of the worker's lock somebody had seen less.
    kit.say(
        3,
        FactKind::Lose {
            worker: worker(1),
            fence: Fence(8),
            attempt: attempt(5, 1),
            last: claim.seq,
            next: None,
        },
    );
    assert_eq!(kit.job().checkpoints().len(), 1);
    assert_eq!(kind(&kit), StateKind::Running);
}

#[test]
fn a_job_that_was_done_is_not_claimed_again() {
    let mut kit = kit(5, OnCrash::Resume);
    kit.claim(1, 5);
    kit.say(1, kit.end_of(1, Outcome::Done));
    kit.claim(2, 6);
    assert_eq!(kind(&kit), StateKind::Done);
    let after = kit.facts[2].place;
    let claim = |after| FactKind::Claim {
        worker: worker(2),
        attempt: attempt(7, 3),
        after: Some(after),
        generation: 0,
    };
    kit.say(
        2,
        FactKind::End {
            worker: worker(2),
            attempt: attempt(6, 2),
            outcome: Outcome::Again,
            millis: 0,
            next: None,
        },
    );
    let end = kit.facts[3].place;
    kit.say(3, claim(end));
    assert_eq!(
        kind(&kit),
        StateKind::Done,
        "nor after an attempt that was void"
    );
    kit.facts.pop();
    kit.say(3, claim(after));
    assert_eq!(
        kind(&kit),
        StateKind::Running,
        "a claim is no end: it continues nothing known"
    );
}

#[test]
fn tries_are_counted_anew_after_progress() {
    let mut kit = kit(2, OnCrash::Resume);
    for round in 0..5_u8 {
        kit.claim(1, 5);
        kit.say(1, kit.save_of(&[round]));
        kit.say(1, kit.end_of(1, failed(1, 0)));
        assert_eq!(kit.job().tries(), 1);
    }
    kit.claim(1, 5);
    kit.say(1, kit.save_of(&[4]));
    kit.say(1, kit.end_of(1, failed(9, 0)));
    assert_eq!(
        kit.job().state(),
        JobState::Dead { code: Some(9) },
        "the same state is no progress"
    );
}

#[test]
fn a_job_that_crashes_dies_unless_it_gets_on() {
    for on_crash in [OnCrash::Resume, OnCrash::Retry] {
        let mut idle = kit(2, on_crash);
        let mut busy = idle.clone();
        for round in 0..2_u8 {
            idle.claim(1, 5);
            idle.say(2, idle.loss_of(1, 9, 1000));
            busy.claim(1, 5);
            busy.say(1, busy.save_of(&[round]));
            busy.say(2, busy.loss_of(1, 9, 1000));
        }
        assert_eq!(idle.job().state(), JobState::Dead { code: None });
        let is_alive = kind(&busy) == StateKind::Waiting;
        assert_eq!(
            is_alive,
            on_crash == OnCrash::Resume,
            "who begins anew makes no progress"
        );
        assert_eq!(
            busy.job().checkpoints().is_empty(),
            on_crash == OnCrash::Retry
        );
    }
}

#[test]
fn a_cancelled_job_that_runs_ends_cancelled_or_done() {
    let outcomes = [
        (Outcome::Done, StateKind::Done),
        (failed(1, 5), StateKind::Cancelled),
        (Outcome::Again, StateKind::Cancelled),
        (Outcome::Returned, StateKind::Cancelled),
        (Outcome::Cancelled, StateKind::Cancelled),
        (Outcome::CutOff { code: Some(9) }, StateKind::Cancelled),
    ];
    for (outcome, expected) in outcomes {
        let mut kit = kit(5, OnCrash::Resume);
        kit.claim(1, 5);
        kit.say(2, FactKind::Cancel { generation: 0 });
        kit.say(1, kit.end_of(1, outcome));
        assert_eq!(kind(&kit), expected, "{outcome:?}");
    }
}

#[test]
fn a_retry_is_of_one_generation_and_so_is_a_cancel() {
    let mut kit = kit(1, OnCrash::Resume);
    kit.claim(1, 5);
    kit.say(1, kit.end_of(1, failed(1, 0)));
    kit.say(2, FactKind::Retry { generation: 0 });
    kit.say(3, FactKind::Retry { generation: 0 });
    kit.say(3, FactKind::Cancel { generation: 0 });
    let job = kit.job();
    assert_eq!(
        (job.generation(), job.tries(), kind(&kit)),
        (1, 0, StateKind::Waiting)
    );
    kit.claim(1, 5);
    kit.say(2, FactKind::Cancel { generation: 1 });
    kit.say(1, kit.end_of(1, Outcome::Cancelled));
    assert_eq!(kind(&kit), StateKind::Cancelled);
}

#[test]
fn a_purge_takes_what_waits_and_was_pushed_or_retried_before() {
    let mut kit = kit(1, OnCrash::Resume);
    kit.claim(1, 5);
    kit.say(2, FactKind::Purge);
    assert_eq!(kind(&kit), StateKind::Running);
    kit.say(1, kit.end_of(1, failed(1, 0)));
    assert_eq!(kind(&kit), StateKind::Dead);
    kit.say(2, FactKind::Retry { generation: 0 });
    assert_eq!(kind(&kit), StateKind::Waiting);
    let retried = kit.facts.len() - 1;
    kit.say(2, FactKind::Purge);
    assert_eq!(kind(&kit), StateKind::Cancelled);
    kit.facts[retried].hlc = Hlc(u64::MAX);
    assert_eq!(kind(&kit), StateKind::Waiting);
    assert_eq!(kit.job().attempt().map(|last| last.number), Some(1));
    assert_eq!(kit.facts[0].place.seq, Seq(1));
}

#[test]
fn a_recurring_job_waits_for_its_next_time_after_each_round() {
    let mut kit = Kit::new(recurring(2, OnCrash::Resume));
    let due = |kit: &Kit| match kit.job().state() {
        JobState::Waiting { not_before } => Some(not_before.0),
        _ => None,
    };
    assert_eq!(due(&kit), Some(100));
    kit.claim(1, 5);
    kit.say(1, kit.save_of(b"half"));
    kit.say(1, kit.round_end_of(1, failed(3, 150), 200));
    assert_eq!(due(&kit), Some(150), "a try is left in this round");
    assert_eq!(kit.job().checkpoints().len(), 1);
    kit.claim(1, 5);
    kit.say(1, kit.round_end_of(1, failed(4, 250), 300));
    let job = kit.job();
    assert_eq!(due(&kit), Some(300), "the round is over, not the job");
    assert_eq!((job.tries(), job.checkpoints().len()), (0, 0));
    let last = job.recurrence().and_then(|recurrence| recurrence.last);
    let last = last.map(|last| (last.is_dead, last.code));
    assert_eq!(last, Some((true, Some(4))));
    kit.claim(2, 6);
    kit.say(2, kit.round_end_of(2, Outcome::Done, 400));
    let job = kit.job();
    assert_eq!(
        job.recurrence().map(|recurrence| recurrence.rounds),
        Some(2)
    );
    assert_eq!(due(&kit), Some(400));
    kit.claim(1, 7);
    kit.say(1, kit.end_of(1, Outcome::Done));
    assert_eq!(kind(&kit), StateKind::Done, "the calendar has no more");
}

#[test]
fn a_round_that_dies_with_its_worker_is_over_as_well() {
    for (on_crash, expected) in [
        (OnCrash::Resume, StateKind::Waiting),
        (OnCrash::Retry, StateKind::Waiting),
        (OnCrash::Hold, StateKind::Held),
    ] {
        let mut kit = Kit::new(recurring(1, on_crash));
        kit.claim(1, 5);
        kit.say(2, kit.round_loss_of(1, 1000, 500));
        assert_eq!(kind(&kit), expected, "{on_crash:?}");
        let job = kit.job();
        let rounds = job.recurrence().map(|recurrence| recurrence.rounds);
        let is_over = expected == StateKind::Waiting;
        assert_eq!(rounds, Some(u32::from(is_over)), "{on_crash:?}");
    }
}

#[test]
fn who_cancels_a_recurring_job_ends_it_in_any_round() {
    let mut kit = Kit::new(recurring(1, OnCrash::Resume));
    kit.claim(1, 5);
    kit.say(2, FactKind::Cancel { generation: 0 });
    kit.say(1, kit.round_end_of(1, Outcome::Done, 500));
    assert_eq!(kind(&kit), StateKind::Cancelled);
    assert_eq!(kit.job().recurrence().map(|job| job.rounds), Some(1));
    kit.say(2, FactKind::Retry { generation: 0 });
    assert_eq!(
        kit.job().state(),
        JobState::Waiting {
            not_before: WallTime(0)
        }
    );
    kit.claim(1, 5);
    kit.say(1, kit.round_end_of(1, Outcome::Done, 700));
    assert_eq!(kind(&kit), StateKind::Waiting);
    kit.say(2, FactKind::Purge);
    assert_eq!(kind(&kit), StateKind::Cancelled);
}

#[test]
fn a_job_that_does_not_recur_is_done_whatever_its_end_says() {
    let mut kit = kit(5, OnCrash::Resume);
    kit.claim(1, 5);
    kit.say(1, kit.round_end_of(1, Outcome::Done, 500));
    kit.claim(2, 6);
    assert_eq!(kind(&kit), StateKind::Done);
}

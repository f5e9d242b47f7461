//! Duplicates, order, priority, pauses, delays, and what is taken back.

use roda_proto::job::{
    CronExpr, JobEntry, JobState, OnCrash, Outcome, PushOptions, StateKind, push_hash,
};
use roda_proto::token::Priority;
use roda_proto::{Seq, WallTime};

use super::kit::*;

#[test]
fn of_pushes_with_one_key_the_canonical_first_is_run_unless_another_was_claimed() {
    let mut kit = Kit::new();
    let first = kit.push(0, keyed("a"));
    let second = kit.push(1, keyed("a"));
    let other = kit.push(1, keyed("b"));
    assert_eq!(kit.state(second), JobState::Duplicate(first));
    assert_eq!(kit.ready(), [first, other]);
    let hash = push_hash(b"work", &keyed("a"));
    let found = kit.reader().push_by_key(&queue(), &key("a").unwrap());
    assert_eq!(found.unwrap(), Some((first, hash)));
    assert_eq!(
        kit.reader()
            .push_by_key(&queue(), &key("c").unwrap())
            .unwrap(),
        None
    );
    kit.claim(2, second);
    assert_eq!(kit.state(first), JobState::Duplicate(second));
    assert_eq!(kit.kind(second), StateKind::Running);
    kit.end(2, second, Outcome::Done);
    assert_eq!(kit.kind(second), StateKind::Done);
    let third = kit.push(0, keyed("a"));
    assert_eq!(kit.state(third), JobState::Duplicate(second));
    kit.verify();
    // The claim never counted: now the first push is the one.
    kit.void(2, 0);
    assert_eq!(kit.state(second), JobState::Duplicate(first));
    assert_eq!(kit.kind(first), StateKind::Waiting);
    kit.verify();
    kit.void(0, 0);
    assert_eq!(kit.kind(second), StateKind::Waiting);
    assert_eq!(kit.ready(), [second, other]);
    kit.verify();
}

#[test]
fn jobs_with_one_order_key_run_one_at_a_time_in_the_order_of_their_pushes() {
    let mut kit = Kit::new();
    let jobs = [0, 1, 0, 1].map(|by| kit.push(by, ordered("a")));
    let other = kit.push(0, ordered("b"));
    assert_eq!(kit.ready(), [jobs[0], other]);
    kit.claim(2, jobs[0]);
    assert_eq!(kit.ready(), [other]);
    kit.end(2, jobs[0], failed(1, 500));
    assert_eq!(kit.ready(), [jobs[0], other], "it is still the first");
    kit.claim(2, jobs[0]);
    kit.end(2, jobs[0], failed(1, NOW.0 + 1));
    assert_eq!(
        kit.ready(),
        [other],
        "and the others wait until it may be tried again"
    );
    let cancelled = vec![(jobs[0], 0), (jobs[1], 0)];
    kit.say(0, &JobEntry::Cancel { jobs: cancelled });
    assert_eq!(kit.ready(), [jobs[2], other]);
    kit.claim(2, jobs[2]);
    let jobs_retried = vec![(jobs[1], 0)];
    kit.say(0, &JobEntry::Retry { jobs: jobs_retried });
    assert_eq!(
        kit.ready(),
        [other],
        "one that is first again waits for the one that runs"
    );
    kit.end(2, jobs[2], Outcome::Done);
    assert_eq!(kit.ready(), [jobs[1], other]);
    kit.verify();
    kit.void(1, 0);
    assert_eq!(kit.ready(), [other]);
    assert_eq!(kit.reader().queues().unwrap()[0].total(), 3);
    kit.verify();
}

#[test]
fn a_held_job_keeps_its_place_in_the_order() {
    let mut kit = Kit::new();
    let held = kit.push(
        0,
        PushOptions {
            on_crash: OnCrash::Hold,
            ..ordered("a")
        },
    );
    let next = kit.push(0, ordered("a"));
    kit.claim(1, held);
    kit.lose(2, 1, held, Seq(1));
    assert_eq!(kit.kind(held), StateKind::Held);
    assert!(kit.ready().is_empty());
    kit.say(
        0,
        &JobEntry::Cancel {
            jobs: vec![(held, 0)],
        },
    );
    assert_eq!(kit.ready(), [next]);
    kit.verify();
}

#[test]
fn the_shards_to_claim_from_hold_the_most_urgent_jobs_and_what_they_are_to_do() {
    let mut kit = Kit::new();
    for number in 0..40_u64 {
        let options = PushOptions {
            priority: Priority::new(u8::try_from(number % 3).unwrap()).unwrap(),
            not_before: WallTime(if number % 7 == 0 { NOW.0 - number } else { 0 }),
            ..PushOptions::default()
        };
        kit.push(usize::try_from(number % 2).unwrap(), options);
    }
    let reader = kit.reader();
    let mut urgent: Vec<_> = kit.ready().into_iter().map(|id| kit.row(id)).collect();
    urgent.sort_by_key(|row| (std::cmp::Reverse(row.priority), row.pushed));
    for room in [0, 1, 7, 20, 40, 1000] {
        let shards = reader.shards_ready(&queue(), NOW, room).unwrap();
        let mut expected = std::collections::BTreeMap::new();
        for row in urgent.iter().take(room) {
            *expected.entry(row.shard).or_insert(0) += 1;
        }
        assert_eq!(shards, Vec::from_iter(expected));
        let claimable = reader.jobs_to_claim(&queue(), &shards, NOW).unwrap();
        assert_eq!(claimable.len(), room.min(urgent.len()));
        for (row, pushed) in claimable {
            assert_eq!(row, kit.row(row.id));
            assert_eq!(reader.job_payload(row.id).unwrap(), Some(pushed));
        }
    }
    let paused = JobEntry::Pause { paused: true };
    kit.say(0, &paused);
    assert_eq!(reader.shards_ready(&queue(), NOW, 9).unwrap(), []);
    assert!(
        reader
            .jobs_to_claim(&queue(), &[(0, 9), (1, 9)], NOW)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn higher_priorities_come_first_and_then_who_waits_longer() {
    let mut kit = Kit::new();
    // With one key all are in one shard.
    let with = |priority, due| PushOptions {
        priority: Priority::new(priority).unwrap(),
        not_before: WallTime(due),
        ..PushOptions::default()
    };
    let mut expected = Vec::new();
    for priority in [3, 9, 0, 9, 4, 3] {
        expected.push((priority, kit.push(0, with(priority, 0))));
    }
    for (priority, due) in [(9, 5), (9, NOW.0), (3, 45), (9, NOW.0 + 1)] {
        expected.push((priority, kit.push(0, with(priority, due))));
    }
    let late = expected.pop().unwrap().1;
    let reader = kit.reader();
    for shard in 0..roda_proto::job::SHARDS {
        let rows = reader.jobs_ready(&queue(), shard, NOW, 100).unwrap();
        let since = |id| {
            let row = kit.row(id);
            let JobState::Waiting { not_before } = row.state else {
                panic!("{row:?}")
            };
            (not_before.0.max(row.pushed.millis()), row.pushed)
        };
        let found: Vec<_> = rows
            .iter()
            .map(|row| (row.priority.value(), row.id))
            .collect();
        let mut sorted = found.clone();
        sorted.sort_by_key(|(priority, id)| (std::cmp::Reverse(*priority), since(*id)));
        assert_eq!(found, sorted);
        for (at, row) in rows.iter().enumerate() {
            let some = reader.jobs_ready(&queue(), shard, NOW, at + 1).unwrap();
            assert_eq!(some[at], *row, "a limit cuts the end off");
        }
    }
    let mut found = kit.ready();
    found.sort();
    let mut expected: Vec<_> = expected.into_iter().map(|(_, id)| id).collect();
    expected.sort();
    assert_eq!(found, expected);
    assert!(!found.contains(&late));
    let next = |after| reader.next_due(&queue(), WallTime(after)).unwrap();
    assert_eq!(next(NOW.0), Some(WallTime(NOW.0 + 1)));
    assert_eq!(next(0), Some(WallTime(5)));
    assert_eq!(next(NOW.0 + 1), None);
    kit.verify();
}

#[test]
fn of_a_paused_queue_nothing_is_to_be_claimed() {
    let mut kit = Kit::new();
    let job = kit.push(0, PushOptions::default());
    kit.say(1, &JobEntry::Pause { paused: true });
    assert!(kit.ready().is_empty());
    assert!(kit.reader().queue(&queue()).unwrap().unwrap().paused);
    kit.say(0, &JobEntry::Pause { paused: false });
    assert_eq!(kit.ready(), [job]);
    kit.verify();
    // What remains is the pause.
    kit.void(0, 1);
    assert!(kit.ready().is_empty());
    kit.void(1, 0);
    assert_eq!(kit.ready(), [job]);
    kit.verify();
}

#[test]
fn a_purge_cancels_what_waits_and_its_removal_brings_it_back() {
    let mut kit = Kit::new();
    let jobs: Vec<_> = (0..5)
        .map(|_| kit.push(0, PushOptions::default()))
        .collect();
    let ordered = [0, 0].map(|by| kit.push(by, ordered("a")));
    kit.claim(2, jobs[1]);
    kit.claim(2, jobs[2]);
    kit.end(2, jobs[2], Outcome::Done);
    // Retried before it was over: the purge ends one generation only.
    kit.say(
        0,
        &JobEntry::Retry {
            jobs: vec![(jobs[3], 0), (ordered[1], 0)],
        },
    );
    kit.say(1, &JobEntry::Purge);
    let later = kit.push(0, PushOptions::default());
    let kinds: Vec<_> = jobs.iter().map(|job| kit.kind(*job)).collect();
    use StateKind::{Cancelled, Done, Running, Waiting};
    assert_eq!(kinds, [Cancelled, Running, Done, Cancelled, Cancelled]);
    assert_eq!(kit.row(jobs[3]).job.generation(), 1);
    assert_eq!(kit.ready(), [later]);
    kit.verify();
    kit.end(2, jobs[1], Outcome::Again);
    assert_eq!(kit.kind(jobs[1]), Cancelled);
    let stats = kit.reader().queue(&queue()).unwrap().unwrap();
    assert_eq!((stats.count(Waiting), stats.count(Cancelled)), (1, 6));
    kit.say(
        0,
        &JobEntry::Retry {
            jobs: vec![(jobs[0], 0)],
        },
    );
    assert_eq!(
        kit.ready(),
        [jobs[0], later],
        "it was retried after the purge"
    );
    kit.verify();
    kit.void(1, 0);
    assert_eq!(kit.ready().len(), 6);
    kit.verify();
}

#[test]
fn what_is_said_in_another_queue_or_of_an_unknown_job_changes_nothing() {
    let mut kit = Kit::new();
    let job = kit.push(0, PushOptions::default());
    let unknown = id_of(kit.authors[2].id(), 9);
    let jobs = vec![(job, 0), (unknown, 0)];
    kit.say_in(1, "other", &JobEntry::Cancel { jobs });
    assert_eq!(kit.kind(job), StateKind::Waiting);
    assert_eq!(kit.reader().job(unknown).unwrap(), None);
    kit.verify();
    kit.void(1, 0);
    kit.verify();
    let too_long = "q".repeat(101);
    let push = JobEntry::Push {
        payload: Vec::new(),
        options: PushOptions::default(),
    };
    let nowhere = kit.say_in(2, &too_long, &push);
    assert_eq!(kit.reader().job_row(nowhere).unwrap(), None);
    kit.verify();
}

#[test]
fn jobs_are_no_messages() {
    let mut kit = Kit::new();
    kit.push(0, PushOptions::default());
    let reader = kit.reader();
    assert!(reader.topics().unwrap().is_empty());
    let query = roda_store::HistoryQuery::default();
    assert!(crate::world::history(&reader, QUEUE, &query).is_empty());
}

#[test]
fn a_recurring_job_is_ready_again_when_its_next_time_has_come() {
    let mut kit = Kit::new();
    let recurring = PushOptions {
        cron: Some(CronExpr::new("* * * * *").unwrap()),
        not_before: NOW,
        ..PushOptions::default()
    };
    let job = kit.push(0, recurring);
    let ready = |kit: &Kit, now| {
        let reader = kit.reader();
        let mut shards = 0..roda_proto::job::SHARDS;
        shards.any(|shard| {
            !reader
                .jobs_ready(&queue(), shard, now, 9)
                .unwrap()
                .is_empty()
        })
    };
    for round in 0..3 {
        let due = NOW.0 + 60_000 * round;
        assert!(!ready(&kit, WallTime(due - 1)), "round {round}");
        assert!(ready(&kit, WallTime(due)), "round {round}");
        kit.claim(0, job);
        kit.end(0, job, Outcome::Done);
        assert_eq!(kit.kind(job), StateKind::Waiting);
    }
    assert_eq!(kit.row(job).job.recurrence().unwrap().rounds, 3);
    kit.verify();
    kit.say(0, &JobEntry::Purge);
    assert_eq!(kit.state(job), JobState::Cancelled);
}

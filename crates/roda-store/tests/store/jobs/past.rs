//! Jobs that have been over for long take no room in the index, and nobody can tell.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use roda_proto::job::{
    Checkpoint, CronExpr, JobEntry, JobId, JobPrefix, JobState, Outcome, PushOptions, StateKind,
    push_hash,
};
use roda_proto::log::BatchBuilder;
use roda_proto::{Batch, EntryKind, Hlc, Record, Seq, WallTime};
use roda_store::{JobsQuery, Reader, Resolved, Retention, Store, StoreError};
use rusqlite::Connection;

use super::kit::*;
use super::orders::{play, shuffled, steps};
use crate::world::{Author, Home, topic_named};

const DAY: u64 = 24 * 60 * 60 * 1000;
/// All that is over is past.
const ALL: WallTime = WallTime(100 * DAY);

/// Walks through all jobs; how many went.
fn retire(store: &mut Store, now: WallTime) -> usize {
    let (mut jobs, mut from) = (0, None);
    loop {
        let retired = store.retire_jobs(now, from).unwrap();
        jobs += retired.jobs;
        match retired.next {
            Some(next) => from = Some(next),
            None => return jobs,
        }
    }
}

/// All that can be asked about each job that was ever pushed.
fn answers(reader: &Reader, kit: &Kit) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in &kit.batches {
        let id = id_of(batch.author, batch.first.0);
        let Some(info) = reader.job(id).unwrap() else {
            lines.push(format!("{id} unknown"));
            continue;
        };
        let row = reader.job_row(id).unwrap().unwrap();
        let checkpoints = reader.job_checkpoints(id).unwrap();
        let payload = reader.job_payload(id).unwrap();
        let by_key = row
            .key
            .as_ref()
            .map(|key| reader.push_by_key(&row.queue, key).unwrap());
        assert_eq!((&row.state, &row.job), (&info.row.state, &info.row.job));
        lines.push(format!(
            "{id} {:?} {:?} {} {:?} {:?} {:?} {checkpoints:?} {payload:?} {by_key:?}",
            row.state, row.job, row.shard, info.options, info.attempts, info.checkpoints
        ));
        assert_eq!(
            reader.pushed_between(id.author, id.seq, id.seq).unwrap(),
            [id]
        );
    }
    lines.extend(
        reader
            .queues()
            .unwrap()
            .iter()
            .map(|queue| format!("{queue:?}")),
    );
    lines
}

fn listed(reader: &Reader) -> Vec<JobId> {
    let query = JobsQuery {
        limit: 1000,
        ..JobsQuery::default()
    };
    let rows = reader.jobs(&query).unwrap();
    rows.iter().map(|row| row.id).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_member_that_retires_jobs_says_the_same_as_one_that_does_not(
        steps in steps(),
        picks in vec(0..3_usize, 1..30),
        chunk in 1_usize..8,
        voided in 0_usize..3,
        stays in any::<Index>(),
    ) {
        let mut kit = Kit::new();
        play(&mut kit, &steps);
        let home = Home::new();
        let mut store = home.create();
        for some in shuffled(&kit, &picks).chunks(chunk) {
            store.append(some).unwrap();
            retire(&mut store, ALL);
        }
        let other = store.reader().unwrap();
        prop_assert_eq!(answers(&other, &kit), answers(&kit.reader(), &kit));
        prop_assert_eq!(ready(&other), kit.ready());
        prop_assert_eq!(faults(&other), [""; 0]);

        let author = kit.authors[voided].id();
        let above = Seq(stays.index(usize::try_from(kit.authors[voided].next.0).unwrap()) as u64);
        kit.void(voided, above.0);
        store.append(&[Record::Void { author, above }]).unwrap();
        prop_assert_eq!(faults(&other), [""; 0]);
        let stay = |lines: Vec<String>| -> Vec<String> {
            // Queues of which nothing is left are a matter of the order.
            lines.into_iter().filter(|line| !line.ends_with("[0, 0, 0, 0, 0, 0, 0] }")).collect()
        };
        let there = |kit: &mut Kit| {
            kit.batches.retain(|batch| batch.author != author || batch.first <= above);
        };
        there(&mut kit);
        prop_assert_eq!(stay(answers(&other, &kit)), stay(answers(&kit.reader(), &kit)));
        prop_assert_eq!(ready(&other), kit.ready());
    }
}

/// The logs of the authors in batches of so many entries; each entry keeps its place.
fn in_larger_batches(kit: &Kit, lens: &[usize]) -> Vec<Vec<Arc<Batch>>> {
    let mut lens = lens.iter().cycle();
    let logs = [11, 12, 13].map(Author::new).map(|mut author| {
        let id = author.id();
        let single = kit.batches.iter().filter(|batch| batch.author == id);
        let mut rest: VecDeque<&Arc<Batch>> = single.collect();
        let mut log = Vec::new();
        while !rest.is_empty() {
            let mut builder = BatchBuilder::new(author.next);
            for batch in rest.drain(..rest.len().min(*lens.next().unwrap())) {
                let entry = batch.entries().next().unwrap();
                let topic = topic_named(entry.topic.unwrap());
                assert!(builder.fits(Some(&topic), entry.body.len(), 0));
                builder.push(entry.hlc, entry.kind, Some(&topic), entry.body);
            }
            log.push(author.seal(builder));
        }
        log
    });
    logs.into()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..Default::default() })]

    #[test]
    fn where_batches_end_and_when_jobs_become_past_makes_no_difference(
        steps in steps(),
        lens in vec(1..8_usize, 1..30),
        nows in vec(0..800_u64, 1..20),
        voided in 0_usize..3,
        stays in any::<Index>(),
    ) {
        let mut kit = Kit::new();
        play(&mut kit, &steps);
        let logs = in_larger_batches(&kit, &lens);
        let author = kit.authors[voided].id();
        let ends = logs[voided].iter().map(|batch| batch.last);
        let ends: Vec<Seq> = std::iter::once(Seq(0)).chain(ends).collect();
        let above = *stays.get(&ends);
        let at_once = Retention { over: Duration::ZERO, dead: Duration::ZERO };
        let home = Home::new();
        let mut store = home.create();
        for (batch, now) in logs.into_iter().flatten().zip(nows.iter().cycle()) {
            store.append(&[Record::Batch(batch)]).unwrap();
            store.set_retention(&queue(), at_once).unwrap();
            retire(&mut store, WallTime(*now));
        }
        let other = store.reader().unwrap();
        prop_assert_eq!(answers(&other, &kit), answers(&kit.reader(), &kit));
        prop_assert_eq!(ready(&other), kit.ready());
        prop_assert_eq!(faults(&other), [""; 0]);

        kit.void(voided, above.0);
        store.append(&[Record::Void { author, above }]).unwrap();
        kit.batches.retain(|batch| batch.author != author || batch.first <= above);
        prop_assert_eq!(faults(&other), [""; 0]);
        prop_assert_eq!(ready(&other), kit.ready());
        retire(&mut store, ALL);
        prop_assert_eq!(faults(&other), [""; 0]);
        let told = |reader: &Reader| -> Vec<String> {
            // Queues of which nothing is left are a matter of the order.
            let lines = answers(reader, &kit).into_iter();
            lines.filter(|line| !line.ends_with("[0, 0, 0, 0, 0, 0, 0] }")).collect()
        };
        prop_assert_eq!(told(&other), told(&kit.reader()));
    }
}

/// A job that is done.
fn done(kit: &mut Kit, options: PushOptions) -> JobId {
    let job = kit.push(0, options);
    kit.claim(1, job);
    kit.save(1, job, Checkpoint::new(b"x", Some(1), Some(2)));
    kit.end(1, job, Outcome::Done);
    job
}

#[test]
fn a_past_job_is_not_listed_but_found_shown_and_counted() {
    let mut kit = Kit::new();
    let job = done(&mut kit, PushOptions::default());
    let other = kit.push(0, PushOptions::default());
    let before = kit.reader().job(job).unwrap();
    assert_eq!(retire(&mut kit.store, ALL), 1);
    assert_eq!(listed(&kit.reader()), [other]);
    let after = kit.reader().job(job).unwrap();
    assert_eq!(
        before.map(|info| (info.row.state, info.row.job, info.attempts)),
        after.map(|info| (info.row.state, info.row.job, info.attempts))
    );
    let prefix: JobPrefix = job.to_string().parse().unwrap();
    let found = kit.reader().resolve_job(&prefix).unwrap();
    assert_eq!(found, Resolved::One(job));
    let stats = kit.reader().queue(&queue()).unwrap().unwrap();
    assert_eq!((stats.count(StateKind::Done), stats.total()), (1, 2));
    kit.verify();
}

#[test]
fn a_job_is_past_once_nothing_was_said_about_it_for_long_enough() {
    let mut kit = Kit::new();
    let job = done(&mut kit, PushOptions::default());
    let ended = Hlc(4 * (10 << 16)).millis();
    assert_eq!(retire(&mut kit.store, WallTime(7 * DAY + ended)), 0);
    assert_eq!(listed(&kit.reader()), [job]);
    assert_eq!(retire(&mut kit.store, WallTime(7 * DAY + ended + 1)), 1);
    assert_eq!(listed(&kit.reader()), []);
}

/// Says something with a clock of its own choice; the store hears of it at once.
fn say_at(kit: &mut Kit, by: usize, clock: Hlc, entry: &JobEntry) -> JobId {
    let batch = kit.authors[by].write_kind(clock.0, EntryKind::Job, QUEUE, &entry.encode());
    kit.store
        .append(&[Record::Batch(Arc::clone(&batch))])
        .unwrap();
    kit.batches.push(Arc::clone(&batch));
    id_of(batch.author, batch.first.0)
}

#[test]
fn a_job_with_a_clock_far_ahead_does_not_keep_others_in_the_index() {
    let mut kit = Kit::new();
    let a_year_ahead = Hlc::from_millis(400 * DAY);
    let payload = b"work".to_vec();
    let push = JobEntry::Push {
        payload,
        options: PushOptions::default(),
    };
    let ahead = say_at(&mut kit, 2, a_year_ahead, &push);
    let jobs = vec![(ahead, 0)];
    kit.say(0, &JobEntry::Cancel { jobs });
    let job = kit.push(0, PushOptions::default());
    let jobs = vec![(job, 0)];
    kit.say(0, &JobEntry::Cancel { jobs });
    assert_eq!(retire(&mut kit.store, ALL), 1);
    assert_eq!(listed(&kit.reader()), [ahead]);
    kit.verify();
}

#[test]
fn a_list_goes_on_behind_a_job_that_is_past_by_then() {
    let mut kit = Kit::new();
    let oldest = kit.push(0, PushOptions::default());
    let job = done(&mut kit, PushOptions::default());
    let newest = kit.push(1, PushOptions::default());
    let reader = kit.reader();
    let page = |after| {
        let query = JobsQuery {
            after,
            limit: 2,
            ..JobsQuery::default()
        };
        let rows = reader.jobs(&query).unwrap();
        rows.iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(page(None), [newest, job]);
    assert_eq!(page(Some(kit.row(job).cursor())), [oldest]);
    assert_eq!(retire(&mut kit.store, ALL), 1);
    assert_eq!(page(Some(kit.row(job).cursor())), [oldest]);
}

#[test]
fn a_queue_can_have_another_time() {
    let mut kit = Kit::new();
    done(&mut kit, PushOptions::default());
    let reader = kit.reader();
    assert_eq!(
        reader.retention(&queue()).unwrap(),
        Some(Retention::default())
    );
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    let longer = Retention {
        over: 2 * week,
        dead: week,
    };
    assert!(kit.store.set_retention(&queue(), longer).unwrap());
    assert_eq!(reader.retention(&queue()).unwrap(), Some(longer));
    assert_eq!(retire(&mut kit.store, WallTime(13 * DAY)), 0);
    assert_eq!(retire(&mut kit.store, WallTime(15 * DAY)), 1);
    let unknown = topic_named("unknown");
    assert!(!kit.store.set_retention(&unknown, longer).unwrap());
    assert_eq!(reader.retention(&unknown).unwrap(), None);
}

#[test]
fn dead_jobs_have_a_time_of_their_own_and_open_ones_none() {
    let mut kit = Kit::new();
    let dead = kit.push(
        0,
        PushOptions {
            tries_max: 1,
            ..PushOptions::default()
        },
    );
    kit.claim(1, dead);
    kit.end(1, dead, failed(1, 0));
    let waits = kit.push(0, PushOptions::default());
    let runs = kit.push(0, PushOptions::default());
    kit.claim(1, runs);
    assert_eq!(retire(&mut kit.store, WallTime(29 * DAY)), 0);
    assert_eq!(retire(&mut kit.store, ALL), 1);
    assert_eq!(listed(&kit.reader()), [runs, waits]);
    let jobs = vec![(dead, 0)];
    kit.say(2, &JobEntry::Retry { jobs });
    assert_eq!(kit.kind(dead), StateKind::Waiting);
    assert_eq!(kit.ready(), [dead, waits]);
    kit.verify();
}

#[test]
fn the_key_of_a_past_job_is_known_for_good() {
    let mut kit = Kit::new();
    let job = done(&mut kit, keyed("order-4711"));
    assert_eq!(retire(&mut kit.store, ALL), 1);
    let hash = push_hash(b"work", &keyed("order-4711"));
    let found = kit
        .reader()
        .push_by_key(&queue(), &key("order-4711").unwrap());
    assert_eq!(found.unwrap(), Some((job, hash)));
    let none = kit
        .reader()
        .push_by_key(&queue(), &key("order-4712").unwrap());
    assert_eq!(none.unwrap(), None);
    // Another member did not know of it yet.
    let late = kit.push(2, keyed("order-4711"));
    assert_eq!(kit.state(late), JobState::Duplicate(job));
    assert_eq!(kit.state(job), JobState::Done);
    assert_eq!(kit.ready(), []);
    // While there are two, which one it is has to be known.
    assert_eq!(retire(&mut kit.store, ALL), 0);
    kit.verify();
}

#[test]
fn a_late_claim_of_a_past_job_does_not_run_it_again() {
    let mut kit = Kit::new();
    let job = kit.push(0, PushOptions::default());
    let late = kit.row(job).job.next_claim(job);
    kit.claim(1, job);
    kit.end(1, job, Outcome::Done);
    assert_eq!(retire(&mut kit.store, ALL), 1);
    let entry = JobEntry::Claim {
        worker: worker(2),
        fence: roda_proto::token::Fence(0),
        shard: kit.row(job).shard,
        jobs: vec![late],
    };
    kit.say(2, &entry);
    assert_eq!(kit.kind(job), StateKind::Done);
    assert_eq!(kit.ready(), []);
    kit.verify();
}

#[test]
fn the_index_of_past_jobs_is_small() {
    const JOBS: i64 = 400;
    let mut kit = Kit::new();
    for number in 0..JOBS {
        done(&mut kit, keyed(&format!("a key, number {number}")));
    }
    let bytes = "SELECT sum(payload) FROM dbstat WHERE name LIKE 'job%'";
    let before = count(&kit, bytes) / JOBS;
    assert_eq!(retire(&mut kit.store, ALL), 400);
    let after = count(&kit, bytes) / JOBS;
    println!("{before} bytes a job, {after} when it is past");
    assert_eq!(count(&kit, "SELECT count(*) FROM job"), 0);
    assert_eq!(count(&kit, FACTS), 0);
    assert_eq!(count(&kit, "SELECT count(*) FROM job_past"), JOBS);
    assert!(
        after <= 80 && after * 6 < before,
        "{before} bytes a job, then {after}"
    );
}

#[test]
fn verify_finds_what_is_wrong_with_past_jobs() {
    for (sql, fault) in [
        ("DELETE FROM job_past", "not indexed by job"),
        ("UPDATE job_past SET state = 4", "what is left of it"),
        ("UPDATE job_past SET key = 7", "what is left of it"),
        ("UPDATE job_past SET places = X'80'", "what is left of it"),
        ("UPDATE job_past SET places = X'00'", "job"),
        ("UPDATE job_past SET places = X'8182182a01'", "of nobody"),
        (
            "INSERT INTO job_past VALUES (1, 99, 1, 2, NULL, X'80')",
            "rows of no batch",
        ),
        ("UPDATE queue SET done = 9", "count of jobs"),
    ] {
        let mut kit = Kit::new();
        done(&mut kit, keyed("a"));
        assert_eq!(retire(&mut kit.store, ALL), 1);
        kit.verify();
        Connection::open(kit.path())
            .unwrap()
            .execute_batch(sql)
            .unwrap();
        let found = faults(&kit.reader());
        assert!(
            found.iter().any(|found| found.contains(fault)),
            "{sql}: {found:?}"
        );
    }
}

#[test]
fn a_damaged_job_keeps_no_others_in_the_index() {
    let mut kit = Kit::new();
    let jobs = [(); 3].map(|()| done(&mut kit, PushOptions::default()));
    let damage = "UPDATE job SET fold = X'00' WHERE seq = ?1";
    let seq = i64::try_from(jobs[1].seq.0).unwrap();
    Connection::open(kit.path())
        .unwrap()
        .execute(damage, [seq])
        .unwrap();
    assert_eq!(retire(&mut kit.store, ALL), 2);
    assert!(kit.reader().job(jobs[2]).unwrap().is_some());
    assert!(matches!(
        kit.reader().job(jobs[1]),
        Err(StoreError::Damaged(_))
    ));
}

#[test]
fn a_walk_looks_at_no_more_jobs_at_once_than_it_says() {
    let mut kit = Kit::new();
    let jobs = roda_store::RETIRED_AT_ONCE_MAX + 10;
    for _ in 0..jobs {
        let job = kit.push(0, PushOptions::default());
        kit.say(
            0,
            &JobEntry::Cancel {
                jobs: vec![(job, 0)],
            },
        );
    }
    let first = kit.store.retire_jobs(ALL, None).unwrap();
    assert_eq!(first.jobs, roda_store::RETIRED_AT_ONCE_MAX);
    let second = kit.store.retire_jobs(ALL, first.next).unwrap();
    assert_eq!((second.jobs, second.next), (10, None));
}

/// A job that was run so often.
fn recurring(kit: &mut Kit, rounds: u64) -> JobId {
    let job = kit.push(
        0,
        PushOptions {
            cron: Some(CronExpr::new("0 * * * *").unwrap()),
            ..PushOptions::default()
        },
    );
    more_rounds(kit, job, rounds);
    job
}

fn more_rounds(kit: &mut Kit, job: JobId, rounds: u64) {
    for _ in 0..rounds {
        kit.claim(1, job);
        kit.end(1, job, Outcome::Done);
    }
}

fn count(kit: &Kit, select: &str) -> i64 {
    let connection = Connection::open(kit.path()).unwrap();
    connection.query_row(select, [], |row| row.get(0)).unwrap()
}

const FACTS: &str = "SELECT count(*) FROM job_fact";
const PARTS: &str = "SELECT count(*) FROM job_round";

#[test]
fn old_rounds_of_a_recurring_job_are_not_kept_in_the_index() {
    let mut kit = Kit::new();
    let job = recurring(&mut kit, 700);
    let kept = count(&kit, FACTS);
    assert!(
        (256..=2 * (128 + 64)).contains(&kept),
        "{kept} facts of 700 rounds"
    );
    let longest = count(&kit, "SELECT max(length(base)) FROM job_round");
    assert!(longest < 400, "{longest} bytes");
    let bytes = count(
        &kit,
        "SELECT sum(length(base) + length(places)) FROM job_round",
    );
    assert!(bytes < 700 * 2 * 10, "{bytes} bytes");
    let row = kit.row(job);
    assert_eq!(row.job.recurrence().unwrap().rounds, 700);
    let info = kit.reader().job(job).unwrap().unwrap();
    assert_eq!(info.attempts.len(), roda_store::ATTEMPTS_LISTED_MAX);
    assert!(info.attempts.iter().all(|told| !told.attempt.is_void));
    kit.verify();
}

#[test]
fn what_is_said_of_old_rounds_is_weighed_against_all_of_them() {
    let mut kit = Kit::new();
    let job = recurring(&mut kit, 0);
    let first = kit.row(job).job.next_claim(job);
    more_rounds(&mut kit, job, 320);
    assert!(count(&kit, PARTS) > 0);
    let shard = kit.row(job).shard;
    let late = JobEntry::Claim {
        worker: worker(2),
        fence: roda_proto::token::Fence(0),
        shard,
        jobs: vec![first],
    };
    kit.say(2, &late);
    assert_eq!(count(&kit, PARTS), 0);
    kit.verify();
    // The new claim counts for nothing, and the job goes on.
    more_rounds(&mut kit, job, 2);
    assert_eq!(kit.row(job).job.recurrence().unwrap().rounds, 322);
    kit.verify();
}

#[test]
fn a_void_claim_among_the_last_rounds_is_weighed_against_what_they_went_on_from() {
    let mut kit = Kit::new();
    let job = recurring(&mut kit, 320);
    let parts = count(&kit, PARTS);
    assert!(parts > 0);
    let next = kit.row(job).job.next_claim(job);
    more_rounds(&mut kit, job, 1);
    let late = JobEntry::Claim {
        worker: worker(2),
        fence: kit.row(job).job.attempt().unwrap().fence,
        shard: kit.row(job).shard,
        jobs: vec![next],
    };
    kit.say(2, &late);
    more_rounds(&mut kit, job, 3);
    assert_eq!(count(&kit, PARTS), parts);
    kit.verify();
}

#[test]
fn a_recurring_job_of_many_rounds_can_be_cancelled_retired_and_taken_back() {
    let mut kit = Kit::new();
    let job = recurring(&mut kit, 330);
    let other = kit.push(0, PushOptions::default());
    let jobs = vec![(job, kit.row(job).job.generation())];
    kit.say(2, &JobEntry::Cancel { jobs });
    let before = kit.row(job);
    assert_eq!(retire(&mut kit.store, ALL), 1);
    assert_eq!((count(&kit, FACTS), count(&kit, PARTS)), (0, 0));
    assert_eq!(
        (kit.row(job).state, kit.row(job).job),
        (before.state, before.job)
    );
    kit.verify();
    // The cancel never was.
    kit.void(2, 0);
    assert_eq!(kit.kind(job), StateKind::Waiting);
    assert_eq!(kit.row(job).job.recurrence().unwrap().rounds, 330);
    kit.verify();
    more_rounds(&mut kit, job, 130);
    assert!(count(&kit, PARTS) > 0);
    kit.void(1, 300);
    assert_eq!(kit.row(job).job.recurrence().unwrap().rounds, 150);
    assert_eq!(count(&kit, PARTS), 0);
    kit.verify();
    kit.void(0, 0);
    assert!(kit.reader().job(job).unwrap().is_none());
    assert!(kit.reader().job(other).unwrap().is_none());
    kit.verify();
}

#[test]
fn verify_finds_what_is_wrong_with_packed_rounds() {
    for (sql, fault) in [
        ("DELETE FROM job_round", "job"),
        ("UPDATE job_round SET job = 9", "rows of no batch"),
        ("UPDATE job_round SET places = X'80'", "old rounds"),
        ("UPDATE job_round SET base = X'00' WHERE base <> X''", "job"),
        (
            "UPDATE job_round SET base = (SELECT fold FROM job) WHERE base <> X''",
            "old rounds",
        ),
        (
            "DELETE FROM job_fact WHERE hlc = (SELECT max(hlc) FROM job_fact)",
            "is not what is said",
        ),
    ] {
        let mut kit = Kit::new();
        recurring(&mut kit, 192);
        assert!(count(&kit, PARTS) > 0);
        kit.verify();
        Connection::open(kit.path())
            .unwrap()
            .execute_batch(sql)
            .unwrap();
        let found = faults(&kit.reader());
        assert!(
            found.iter().any(|found| found.contains(fault)),
            "{sql}: {found:?}"
        );
    }
}

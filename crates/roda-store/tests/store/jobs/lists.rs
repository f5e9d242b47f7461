//! Lists, one job, and its checkpoints.

use roda_proto::Seq;
use roda_proto::job::{
    Checkpoint, CheckpointState, JobEntry, JobPrefix, JobState, Outcome, PushOptions, StateKind,
};
use roda_store::{ATTEMPTS_LISTED_MAX, JobCursor, JobsQuery, LoadedState, Resolved};

use super::kit::*;

#[test]
fn a_list_goes_on_where_the_one_before_ended() {
    let mut kit = Kit::new();
    let mut jobs = Vec::new();
    for number in 0..20 {
        let payload = Vec::new();
        let options = PushOptions::default();
        let queue = if number % 4 == 0 { "other" } else { QUEUE };
        jobs.push(kit.say_in(number % 3, queue, &JobEntry::Push { payload, options }));
    }
    kit.say(
        0,
        &JobEntry::Cancel {
            jobs: vec![(jobs[1], 0), (jobs[5], 0)],
        },
    );
    let reader = kit.reader();
    for limit in [1, 3, 20, 100] {
        let mut found = Vec::new();
        let mut after: Option<JobCursor> = None;
        loop {
            let query = JobsQuery {
                after,
                limit,
                ..JobsQuery::default()
            };
            let rows = reader.jobs(&query).unwrap();
            let Some(last) = rows.last() else { break };
            after = Some(last.cursor());
            found.extend(rows.iter().map(|row| row.id));
        }
        let expected: Vec<_> = jobs.iter().rev().copied().collect();
        assert_eq!(found, expected, "{limit}");
    }
    let name = queue();
    let query = JobsQuery {
        queue: Some(&name),
        state: Some(StateKind::Cancelled),
        after: None,
        limit: 9,
    };
    let cancelled: Vec<_> = reader
        .jobs(&query)
        .unwrap()
        .iter()
        .map(|row| row.id)
        .collect();
    assert_eq!(cancelled, [jobs[5], jobs[1]]);
    let waiting = JobsQuery {
        state: Some(StateKind::Waiting),
        after: Some(reader.job_row(jobs[7]).unwrap().unwrap().cursor()),
        limit: 4,
        ..JobsQuery::default()
    };
    let waiting: Vec<_> = reader
        .jobs(&waiting)
        .unwrap()
        .iter()
        .map(|row| row.id)
        .collect();
    assert_eq!(waiting, [jobs[6], jobs[4], jobs[3], jobs[2]]);
    let queues = reader.queues().unwrap();
    let totals: Vec<_> = queues
        .iter()
        .map(|queue| (queue.queue.as_str(), queue.total()))
        .collect();
    assert_eq!(totals, [("other", 5), (QUEUE, 15)]);
}

#[test]
fn a_job_tells_of_its_attempts_with_what_they_printed() {
    let mut kit = Kit::new();
    let options = PushOptions {
        tries_max: 0,
        ..keyed("a")
    };
    let job = kit.push(0, options.clone());
    let first = kit.claim(1, job);
    kit.end(1, job, failed(3, 0));
    kit.claim(2, job);
    kit.lose(1, 2, job, Seq(1));
    kit.claim(1, job);
    let info = kit.reader().job(job).unwrap().unwrap();
    assert_eq!((info.options, info.payload_len), (options.clone(), 4));
    assert_eq!(info.row, kit.row(job));
    assert!(matches!(info.row.state, JobState::Running(_)));
    let [one, two, three] = &info.attempts[..] else {
        panic!("{:?}", info.attempts)
    };
    assert_eq!(
        (one.attempt.id, &one.output[..]),
        (first, b"attempt 1".as_slice())
    );
    let end = one.attempt.end.unwrap();
    assert_eq!((end.outcome, end.millis), (Some(failed(3, 0)), Some(7)));
    let end = two.attempt.end.unwrap();
    assert_eq!((end.outcome, two.output.len()), (None, 0));
    assert_eq!(three.attempt.end, None);
    assert!(one.node == three.node && one.node != two.node && one.node != info.pushed_by);
    let loaded = kit.reader().job_payload(job).unwrap().unwrap();
    assert_eq!(
        (loaded.payload, loaded.options),
        (b"work".to_vec(), options)
    );
    let [live] = kit.reader().live_workers().unwrap()[..] else {
        panic!()
    };
    assert_eq!(
        (live.worker, live.author, live.running),
        (worker(1), kit.authors[1].id(), 1)
    );
    assert_eq!(kit.reader().running_of(&worker(1)).unwrap(), [kit.row(job)]);
    assert!(kit.reader().running_of(&worker(2)).unwrap().is_empty());
    kit.verify();
}

#[test]
fn of_many_attempts_the_last_are_told() {
    let mut kit = Kit::new();
    let job = kit.push(0, PushOptions::default());
    for _ in 0..ATTEMPTS_LISTED_MAX + 5 {
        kit.claim(1, job);
        kit.end(1, job, Outcome::Again);
    }
    let info = kit.reader().job(job).unwrap().unwrap();
    assert_eq!(info.attempts.len(), ATTEMPTS_LISTED_MAX);
    assert_eq!(info.attempts[0].attempt.id.number, 6);
    kit.verify();
}

#[test]
fn the_last_two_checkpoints_are_loaded_and_a_wrong_hash_is_told() {
    let mut kit = Kit::new();
    let job = kit.push(0, PushOptions::default());
    let states = |kit: &Kit| {
        let loaded = kit.reader().job_checkpoints(job).unwrap().into_iter();
        loaded.map(|one| one.state).collect::<Vec<_>>()
    };
    assert_eq!(states(&kit), []);
    kit.claim(1, job);
    kit.save(1, job, Checkpoint::new(b"one", Some(1), Some(3)));
    let one = || LoadedState::Whole(b"one".to_vec());
    assert_eq!(states(&kit), [one()]);
    let mut damaged = Checkpoint::new(b"two", Some(2), Some(3));
    damaged.state = CheckpointState::Whole(b"tw0".to_vec());
    kit.save(1, job, damaged);
    assert_eq!(states(&kit), [LoadedState::Damaged, one()]);
    let info = kit.reader().job(job).unwrap().unwrap();
    let done = info
        .checkpoints
        .iter()
        .map(|one| (one.saved.done, one.is_here));
    assert!(done.eq([(Some(2), true), (Some(1), true)]));
    kit.verify();
}

#[test]
fn a_job_is_found_by_the_beginning_of_its_name() {
    let mut kit = Kit::new();
    let job = kit.push(0, PushOptions::default());
    let text = job.to_string();
    let resolve = |text: &str| {
        let prefix: JobPrefix = text.parse().unwrap();
        kit.reader().resolve_job(&prefix).unwrap()
    };
    assert_eq!(resolve(&text), Resolved::One(job));
    assert_eq!(resolve(&format!("{}-1", &text[..4])), Resolved::One(job));
    assert_eq!(resolve(&format!("{}-1", &text[..7])), Resolved::One(job));
    assert_eq!(resolve(&format!("{}-2", &text[..4])), Resolved::None);
    let other = if text.starts_with('0') {
        "1111-1"
    } else {
        "0000-1"
    };
    assert_eq!(resolve(other), Resolved::None);
}

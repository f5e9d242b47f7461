//! Entries as bytes.

use std::vec::Vec;

use proptest::prelude::*;

use super::kit::*;
use crate::error::Rejected;
use crate::id::{Hash, Seq};
use crate::job::{
    BLOB_LEN_MAX, Checkpoint, CheckpointState, Claimed, CronExpr, End, EntryError, JOB_KEY_LEN_MAX,
    JOBS_PER_ENTRY_MAX, JobEntry, JobId, JobKey, Lost, OUTPUT_LEN_MAX, OnCrash, Outcome,
    PAYLOAD_LEN_MAX, Place, PushOptions, STATE_LEN_MAX, StateKind,
};
use crate::log::BODY_LEN_MAX;
use crate::stream;
use crate::time::WallTime;
use crate::token::{Fence, Priority};

fn job() -> impl Strategy<Value = JobId> {
    (any::<u8>(), any::<u64>()).prop_map(|(by, seq)| JobId {
        author: author(by),
        seq: Seq(seq),
    })
}

fn push() -> impl Strategy<Value = JobEntry> {
    let key = || prop::option::of("[a-zç 0-9]{1,20}".prop_map(|key| JobKey::new(&key).unwrap()));
    let on_crash = prop_oneof![
        Just(OnCrash::Resume),
        Just(OnCrash::Retry),
        Just(OnCrash::Hold)
    ];
    let cron = prop::option::of("[*/0-9 ]{1,20}".prop_map(|cron| CronExpr::new(&cron).unwrap()));
    let order_key = (key(), cron);
    let options = (
        key(),
        order_key,
        any::<u64>(),
        0_u8..10,
        any::<u16>(),
        on_crash,
    )
        .prop_map(
            |(key, (order_key, cron), not_before, priority, tries_max, on_crash)| PushOptions {
                key,
                not_before: WallTime(not_before),
                priority: Priority::new(priority).unwrap(),
                tries_max,
                order_key: order_key.filter(|_| cron.is_none()),
                on_crash,
                cron,
            },
        );
    (prop::collection::vec(any::<u8>(), 0..50), options)
        .prop_map(|(payload, options)| JobEntry::Push { payload, options })
}

fn ends() -> impl Strategy<Value = JobEntry> {
    let outcome = prop_oneof![
        Just(Outcome::Done),
        (any::<i32>(), any::<u64>()).prop_map(|(code, at)| failed(code, at)),
        Just(Outcome::Again),
        Just(Outcome::Returned),
        Just(Outcome::Cancelled),
        prop::option::of(any::<i32>()).prop_map(|code| Outcome::CutOff { code }),
    ];
    let output = prop::collection::vec(any::<u8>(), 0..OUTPUT_LEN_MAX);
    let end = (
        job(),
        any::<u64>(),
        any::<u32>(),
        outcome,
        any::<u64>(),
        (output, prop::option::of(any::<u64>())),
    )
        .prop_map(
            |(job, fence, number, outcome, millis, (output, next))| End {
                job,
                attempt: attempt(fence, number),
                outcome,
                millis,
                output,
                next: next.map(WallTime),
            },
        );
    prop::collection::vec(end, 0..20).prop_map(|ends| JobEntry::End {
        worker: worker(1),
        ends,
    })
}

fn claims() -> impl Strategy<Value = JobEntry> {
    let after = prop::option::of(job().prop_map(JobId::place));
    let claimed =
        (job(), any::<u32>(), after, any::<u32>()).prop_map(|(job, number, after, generation)| {
            Claimed {
                job,
                number,
                after,
                generation,
            }
        });
    let jobs = prop::collection::vec(claimed, 0..600);
    (jobs, any::<u64>(), any::<u8>()).prop_map(|(jobs, fence, shard)| JobEntry::Claim {
        worker: worker(1),
        fence: Fence(fence),
        shard,
        jobs,
    })
}

fn entry() -> impl Strategy<Value = JobEntry> {
    let number = any::<Option<u64>>;
    let blob = STATE_LEN_MAX + 1..=BLOB_LEN_MAX;
    let state = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..50).prop_map(CheckpointState::Whole),
        blob.prop_map(|len| CheckpointState::Blob(u32::try_from(len).unwrap())),
    ];
    let save = (job(), any::<u64>(), number(), number(), state).prop_map(
        |(job, fence, done, total, state)| JobEntry::Save {
            job,
            attempt: attempt(fence, 1),
            checkpoint: Checkpoint {
                hash: Hash::ZERO,
                done,
                total,
                state,
            },
        },
    );
    let lost =
        (job(), any::<u64>(), any::<u64>(), number()).prop_map(|(job, fence, last, next)| Lost {
            job,
            attempt: attempt(fence, 2),
            last: Seq(last),
            next: next.map(WallTime),
        });
    let lose = prop::collection::vec(lost, 0..600).prop_map(|lost| JobEntry::Lose {
        worker: worker(2),
        fence: Fence(3),
        lost,
    });
    let named = || prop::collection::vec((job(), any::<u32>()), 0..600);
    prop_oneof![
        push(),
        claims(),
        save,
        ends(),
        lose,
        named().prop_map(|jobs| JobEntry::Cancel { jobs }),
        named().prop_map(|jobs| JobEntry::Retry { jobs }),
        any::<bool>().prop_map(|paused| JobEntry::Pause { paused }),
        Just(JobEntry::Purge),
    ]
}

/// How many jobs an entry names.
fn named(entry: &JobEntry) -> usize {
    match entry {
        JobEntry::Claim { jobs, .. } => jobs.len(),
        JobEntry::End { ends, .. } => ends.len(),
        JobEntry::Lose { lost, .. } => lost.len(),
        JobEntry::Cancel { jobs } | JobEntry::Retry { jobs } => jobs.len(),
        _ => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn entries_come_back_whole_or_in_parts_that_fit(entry in entry()) {
        let jobs = named(&entry);
        if jobs <= JOBS_PER_ENTRY_MAX {
            prop_assert_eq!(&JobEntry::parse(&entry.encode()).unwrap(), &entry);
        } else {
            prop_assert_eq!(JobEntry::parse(&entry.encode()), Err(Rejected::Malformed));
        }
        let bodies = entry.clone().into_bodies().unwrap();
        let parts: Vec<JobEntry> = bodies.iter().map(|body| JobEntry::parse(body).unwrap()).collect();
        prop_assert!(bodies.iter().all(|body| body.len() <= BODY_LEN_MAX));
        prop_assert_eq!(parts.iter().map(named).sum::<usize>(), jobs);
        if bodies.len() == 1 {
            prop_assert_eq!(&parts[0], &entry);
        }
    }

    #[test]
    fn garbage_is_refused_or_means_what_it_says(
        entry in entry(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        garbage in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut bytes = entry.encode();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for bytes in [&bytes[..], &garbage] {
            if let Ok(entry) = JobEntry::parse(bytes) {
                prop_assert_eq!(entry.check(), Ok(()));
                prop_assert_eq!(&JobEntry::parse(&entry.encode()).unwrap(), &entry);
                let _facts = entry.facts();
            }
        }
    }
}

#[test]
fn what_is_beyond_a_limit_is_refused() {
    let push = |len| JobEntry::Push {
        payload: std::vec![0; len],
        options: PushOptions::default(),
    };
    let job = Place {
        author: author(1),
        seq: Seq(1),
    };
    let saved = |state| JobEntry::Save {
        job: job.into(),
        attempt: attempt(1, 1),
        checkpoint: Checkpoint {
            hash: Hash::ZERO,
            done: None,
            total: None,
            state,
        },
    };
    let save = |len| saved(CheckpointState::Whole(std::vec![0; len]));
    let blob = |len| saved(CheckpointState::Blob(len));
    let end = |len| JobEntry::End {
        worker: worker(1),
        ends: Vec::from([End {
            job: job.into(),
            attempt: attempt(1, 1),
            outcome: Outcome::Done,
            millis: 1,
            output: std::vec![0; len],
            next: None,
        }]),
    };
    let cancel = |len| JobEntry::Cancel {
        jobs: std::vec![(job.into(), 0); len],
    };
    for (most, more, error) in [
        (
            push(PAYLOAD_LEN_MAX),
            push(PAYLOAD_LEN_MAX + 1),
            EntryError::Payload(24_577),
        ),
        (
            save(STATE_LEN_MAX),
            save(STATE_LEN_MAX + 1),
            EntryError::State(24_577),
        ),
        (blob(24_577), blob(24_576), EntryError::State(24_576)),
        (
            blob(16_777_216),
            blob(16_777_217),
            EntryError::State(16_777_217),
        ),
        (
            end(OUTPUT_LEN_MAX),
            end(OUTPUT_LEN_MAX + 1),
            EntryError::Output(8_193),
        ),
        (
            cancel(JOBS_PER_ENTRY_MAX),
            cancel(JOBS_PER_ENTRY_MAX + 1),
            EntryError::Jobs(257),
        ),
    ] {
        assert!(most.encode().len() <= BODY_LEN_MAX);
        assert_eq!(JobEntry::parse(&most.encode()), Ok(most));
        assert_eq!(more.check(), Err(error));
        assert_eq!(JobEntry::parse(&more.encode()), Err(Rejected::Malformed));
    }
}

#[test]
fn a_key_beyond_its_limit_or_a_number_out_of_range_does_not_parse() {
    let mut options = PushOptions::default();
    let key = "k".repeat(JOB_KEY_LEN_MAX);
    options.key = Some(JobKey::new(&key).unwrap());
    let payload = Vec::new();
    let sound = JobEntry::Push { payload, options }.encode();
    assert!(JobEntry::parse(&sound).is_ok());
    // The key's length is in the two bytes behind its type.
    let at = sound
        .windows(3)
        .position(|bytes| bytes == [0x79, 1, 0])
        .unwrap();
    let mut longer = sound.clone();
    longer[at + 2] = 1;
    longer.insert(at + 3, b'k');
    assert_eq!(JobEntry::parse(&longer), Err(Rejected::Malformed));
    let unknown = stream::encode(&(99_u32, [0_u32; 0]));
    assert_eq!(JobEntry::parse(&unknown), Err(Rejected::Malformed));
    let followed = [&sound[..], &[0]].concat();
    assert_eq!(JobEntry::parse(&followed), Err(Rejected::Malformed));
}

#[test]
fn the_largest_push_and_save_fit_into_an_entry() {
    let longest = Some(JobKey::new(&"k".repeat(JOB_KEY_LEN_MAX)).unwrap());
    let options = PushOptions {
        key: longest.clone(),
        order_key: longest,
        not_before: WallTime(u64::MAX),
        priority: Priority::MAX,
        tries_max: u16::MAX,
        on_crash: OnCrash::Hold,
        cron: None,
    };
    let payload = std::vec![0; PAYLOAD_LEN_MAX];
    let push = JobEntry::Push { payload, options };
    assert!(push.encode().len() <= BODY_LEN_MAX);
    let all = u64::MAX;
    let save = JobEntry::Save {
        job: Place {
            author: author(1),
            seq: Seq(all),
        }
        .into(),
        attempt: attempt(all, u32::MAX),
        checkpoint: Checkpoint::new(std::vec![0; STATE_LEN_MAX], Some(all), Some(all)),
    };
    assert!(save.encode().len() <= BODY_LEN_MAX);
}

#[test]
fn a_state_is_whole_only_with_its_own_hash_and_a_long_one_is_named() {
    let mut checkpoint = Checkpoint::new(b"state", None, None);
    assert_eq!(checkpoint.clone().into_whole(), Some(b"state".to_vec()));
    checkpoint.hash = Hash::ZERO;
    assert_eq!(checkpoint.into_whole(), None);
    let long = std::vec![7; STATE_LEN_MAX + 1];
    let named = Checkpoint::new(&long, Some(1), Some(2));
    assert_eq!(named.blob(), Some(24_577));
    assert_eq!(named.hash, crate::crypto::content_hash(&long));
    assert_eq!(named.into_whole(), None);
    let longest = Checkpoint::new(&long[1..], None, None);
    assert_eq!(
        (longest.blob(), longest.into_whole().unwrap().len()),
        (None, STATE_LEN_MAX)
    );
}

#[test]
fn of_a_job_named_twice_the_first_mention_counts() {
    let job = Place {
        author: author(1),
        seq: Seq(1),
    }
    .into();
    let facts = JobEntry::Cancel {
        jobs: Vec::from([(job, 4), (job, 5)]),
    }
    .facts();
    assert_eq!(
        facts,
        [(job, crate::job::FactKind::Cancel { generation: 4 })]
    );
    assert!(StateKind::ALL.is_sorted());
}

#[test]
fn a_recurring_job_with_an_order_key_is_no_job() {
    let options = PushOptions {
        cron: Some(CronExpr::new("0 * * * *").unwrap()),
        order_key: Some(JobKey::new("ana").unwrap()),
        ..PushOptions::default()
    };
    let payload = Vec::new();
    let push = JobEntry::Push { payload, options };
    assert_eq!(push.check(), Err(EntryError::RecurringInOrder));
    assert_eq!(JobEntry::parse(&push.encode()), Err(Rejected::Malformed));
}

//! In whatever order entries arrive, members that have the same ones agree.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use roda_proto::job::{
    AttemptId, Checkpoint, CronExpr, JobEntry, JobId, JobKey, JobState, OnCrash, Outcome,
    PushOptions,
};
use roda_proto::token::{Fence, Priority};
use roda_proto::{Batch, Record, Seq, WallTime};

use super::kit::*;
use crate::world::Home;

#[derive(Clone, Debug)]
pub(super) enum Step {
    Push {
        by: usize,
        key: u8,
        order_key: u8,
        priority: u8,
        due: bool,
    },
    /// Claims something that is ready, as it is known to be.
    Claim {
        by: usize,
        which: Index,
    },
    /// Claims anything, after nothing, under an old fence.
    WrongClaim {
        by: usize,
        which: Index,
        fence: u64,
    },
    Save {
        which: Index,
        state: u8,
    },
    End {
        which: Index,
        outcome: Outcome,
    },
    Lose {
        by: usize,
        which: Index,
        unseen: u64,
    },
    Cancel {
        by: usize,
        which: Index,
        generation: u32,
    },
    Retry {
        by: usize,
        which: Index,
        generation: u32,
    },
    Pause(bool),
    Purge {
        by: usize,
    },
    Elsewhere {
        which: Index,
    },
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (by, which) = (0..3_usize, any::<Index>());
    let outcome = prop_oneof![
        2 => Just(Outcome::Done),
        2 => (1..3, 0_u64..2).prop_map(|(code, late)| failed(code, late * 2 * NOW.0)),
        1 => Just(Outcome::Again),
        1 => Just(Outcome::Returned),
        1 => Just(Outcome::Cancelled),
    ];
    let about = (by.clone(), which.clone(), 0_u32..2);
    let step = prop_oneof![
        8 => (by.clone(), 0_u8..6, 0_u8..6, 3_u8..6, any::<bool>()).prop_map(
            |(by, key, order_key, priority, due)| Step::Push { by, key, order_key, priority, due }
        ),
        8 => (by.clone(), which.clone()).prop_map(|(by, which)| Step::Claim { by, which }),
        1 => (by.clone(), which.clone(), 0_u64..9)
            .prop_map(|(by, which, fence)| Step::WrongClaim { by, which, fence }),
        3 => (which.clone(), 0_u8..3).prop_map(|(which, state)| Step::Save { which, state }),
        6 => (which.clone(), outcome).prop_map(|(which, outcome)| Step::End { which, outcome }),
        2 => (by.clone(), which.clone(), 0_u64..3)
            .prop_map(|(by, which, unseen)| Step::Lose { by, which, unseen }),
        2 => about.clone().prop_map(|(by, which, generation)| Step::Cancel { by, which, generation }),
        2 => about.prop_map(|(by, which, generation)| Step::Retry { by, which, generation }),
        1 => any::<bool>().prop_map(Step::Pause),
        1 => by.prop_map(|by| Step::Purge { by }),
        1 => which.prop_map(|which| Step::Elsewhere { which }),
    ];
    vec(step, 1..60)
}

fn options(key: u8, order_key: u8, priority: u8, due: bool) -> PushOptions {
    let text = |number: u8| (number < 2).then(|| JobKey::new(&format!("k{number}")).unwrap());
    let comes_again = order_key >= 2 && priority % 2 == 1;
    PushOptions {
        key: text(key),
        not_before: WallTime(if due { 2 * NOW.0 } else { 0 }),
        priority: Priority::new(priority).unwrap(),
        tries_max: 2,
        order_key: text(order_key),
        on_crash: [OnCrash::Resume, OnCrash::Retry, OnCrash::Hold][usize::from(priority % 3)],
        cron: comes_again.then(|| CronExpr::new("0 * * * *").unwrap()),
    }
}

/// The jobs that run, with the node that runs each.
fn running(kit: &Kit, jobs: &[JobId]) -> Vec<(JobId, usize)> {
    let by = |job: &JobId| match kit.state(*job) {
        JobState::Running(running) => {
            let is_author = |by: &usize| kit.authors[*by].id() == running.claim.author;
            (0..3).find(is_author).map(|by| (*job, by))
        }
        _ => None,
    };
    jobs.iter().filter_map(by).collect()
}

pub(super) fn play(kit: &mut Kit, steps: &[Step]) {
    let mut jobs: Vec<JobId> = Vec::new();
    for step in steps {
        if let Step::Push {
            by,
            key,
            order_key,
            priority,
            due,
        } = step
        {
            jobs.push(kit.push(*by, options(*key, *order_key, *priority, *due)));
        } else if !jobs.is_empty() {
            play_one(kit, &jobs, step);
        }
    }
}

fn play_one(kit: &mut Kit, jobs: &[JobId], step: &Step) {
    let runs = running(kit, jobs);
    let run = |which: &Index| (!runs.is_empty()).then(|| *which.get(&runs));
    match step {
        Step::Push { .. } => {}
        Step::Claim { by, which } => {
            let ready = kit.ready();
            if !ready.is_empty() {
                kit.claim(*by, *which.get(&ready));
            }
        }
        Step::WrongClaim { by, which, fence } => {
            let mut claimed = kit.row(*which.get(jobs)).job.next_claim(*which.get(jobs));
            claimed.after = None;
            let (fence, shard) = (Fence(*fence), 0);
            let (worker, jobs) = (worker(*by), vec![claimed]);
            kit.say(
                *by,
                &JobEntry::Claim {
                    worker,
                    fence,
                    shard,
                    jobs,
                },
            );
        }
        Step::Save { which, state } => {
            if let Some((job, by)) = run(which) {
                let len = if *state == 2 { 30_000 } else { 1 };
                kit.save(by, job, Checkpoint::new(vec![*state; len], None, None));
            }
        }
        Step::End { which, outcome } => {
            if let Some((job, by)) = run(which) {
                kit.end(by, job, *outcome);
            }
        }
        Step::Lose { by, which, unseen } => {
            if let Some((job, dead)) = run(which) {
                let last = kit.authors[dead].next.0 - 1;
                kit.lose(*by, dead, job, Seq(last.saturating_sub(*unseen)));
            }
        }
        Step::Cancel {
            by,
            which,
            generation,
        } => {
            let jobs = several(jobs, which, *generation);
            kit.say(*by, &JobEntry::Cancel { jobs });
        }
        Step::Retry {
            by,
            which,
            generation,
        } => {
            let jobs = several(jobs, which, *generation);
            kit.say(*by, &JobEntry::Retry { jobs });
        }
        Step::Pause(paused) => {
            kit.say(0, &JobEntry::Pause { paused: *paused });
        }
        Step::Purge { by } => {
            kit.say(*by, &JobEntry::Purge);
        }
        Step::Elsewhere { which } => {
            let jobs = vec![(*which.get(jobs), 0)];
            kit.say_in(1, "elsewhere", &JobEntry::Cancel { jobs });
        }
    }
}

fn several(jobs: &[JobId], which: &Index, generation: u32) -> Vec<(JobId, u32)> {
    let first = which.index(jobs.len());
    let other = (first * 7 + 3) % jobs.len();
    vec![
        (jobs[first], generation),
        (jobs[other], generation),
        (jobs[first], 1 - generation),
    ]
}

/// Keeps the order of each author and mixes the authors as `picks` say.
pub(super) fn shuffled(kit: &Kit, picks: &[usize]) -> Vec<Record> {
    let mut logs: Vec<Vec<&Arc<Batch>>> = vec![Vec::new(); 3];
    for batch in kit.batches.iter().rev() {
        let is_author = |by: &usize| kit.authors[*by].id() == batch.author;
        logs[(0..3).find(is_author).unwrap()].push(batch);
    }
    let mut picks = picks.iter().cycle();
    let mut records = Vec::new();
    while records.len() < kit.batches.len() {
        let first = picks.next().unwrap();
        let next = (0..3).find_map(|turn| logs[(first + turn) % 3].pop());
        records.extend(next.cloned().map(Record::Batch));
    }
    records
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn members_agree_on_all_jobs_whatever_came_first(
        steps in steps(),
        picks in vec(0..3_usize, 1..30),
        chunk in 1_usize..20,
        voided in 0_usize..3,
        stays in any::<Index>(),
    ) {
        let mut kit = Kit::new();
        play(&mut kit, &steps);
        let home = Home::new();
        let mut store = home.create();
        for some in shuffled(&kit, &picks).chunks(chunk) {
            store.append(some).unwrap();
        }
        let other = store.reader().unwrap();
        prop_assert_eq!(all(&other), all(&kit.reader()));
        prop_assert_eq!(ready(&other), kit.ready());
        prop_assert_eq!(faults(&other), [""; 0]);
        prop_assert_eq!(faults(&kit.reader()), [""; 0]);

        let author = kit.authors[voided].id();
        let above = Seq(stays.index(usize::try_from(kit.authors[voided].next.0).unwrap()) as u64);
        kit.void(voided, above.0);
        store.append(&[Record::Void { author, above }]).unwrap();
        prop_assert_eq!(faults(&other), [""; 0]);
        prop_assert_eq!(faults(&kit.reader()), [""; 0]);
        prop_assert_eq!(all(&other), all(&kit.reader()));
        prop_assert_eq!(ready(&other), kit.ready());
    }
}

#[test]
fn an_attempt_heard_of_before_its_job_counts_once_the_job_is_there() {
    let mut kit = Kit::new();
    let job = kit.push(0, keyed("a"));
    let attempt = kit.claim(1, job);
    kit.save(1, job, Checkpoint::new(b"x", Some(1), Some(2)));
    kit.end(1, job, Outcome::Done);
    assert_eq!(
        attempt,
        AttemptId {
            fence: Fence(1),
            number: 1
        }
    );
    let home = Home::new();
    let mut store = home.create();
    for batch in kit.batches[1..].iter().chain(&kit.batches[..1]) {
        let reader = store.reader().unwrap();
        assert_eq!(reader.job_row(job).unwrap(), None);
        store.append(&[Record::Batch(Arc::clone(batch))]).unwrap();
    }
    let reader = store.reader().unwrap();
    assert_eq!(all(&reader), all(&kit.reader()));
    assert_eq!(reader.job_row(job).unwrap().unwrap().state, JobState::Done);
    assert_eq!(faults(&reader), [""; 0]);
}

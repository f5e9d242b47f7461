//! Jobs: entries that anybody may have written, and facts in any order.

use roda_proto::job::{
    AttemptId, CronExpr, Fact, FactKind, Job, JobEntry, OnCrash, Outcome, Place, PushOptions,
    WorkerId, attempts, fold,
};
use roda_proto::log::BODY_LEN_MAX;
use roda_proto::stream;
use roda_proto::token::Fence;
use roda_proto::{AuthorId, Hash, Hlc, Seq, WallTime};

use crate::cursor::Cursor;

/// Facts about one job in one input.
const FACTS_MAX: usize = 48;
/// Most bytes of a folded job, and for each fact: an operator's word about a generation that has not come
/// yet is kept.
const JOB_LEN_MAX: usize = 512;
const FACT_LEN_MAX: usize = 24;
const PUSHED: Hlc = Hlc(1 << 16);

/// The body of an entry about jobs.
pub fn job_entry(data: &[u8]) -> bool {
    let Ok(entry) = JobEntry::parse(data) else {
        return false;
    };
    assert_eq!(entry.check(), Ok(()), "what parses is within its limits");
    assert_eq!(JobEntry::parse(&entry.encode()).as_ref(), Ok(&entry));
    let facts = entry.facts();
    let mut jobs: Vec<_> = facts.iter().map(|(job, _)| *job).collect();
    jobs.sort_unstable();
    jobs.dedup();
    assert_eq!(jobs.len(), facts.len(), "an entry says one thing of a job");
    for (_, kind) in &facts {
        assert_eq!(stream::decode(&stream::encode(kind)).as_ref(), Ok(kind));
    }
    let bodies = entry.into_bodies().expect("it is within its limits");
    for body in &bodies {
        assert!(
            body.len() <= BODY_LEN_MAX.max(data.len()),
            "a part fits into an entry"
        );
        assert!(JobEntry::parse(body).is_ok(), "a part is an entry");
    }
    true
}

/// Facts about one job, as decisions: each byte by byte. The job is folded step by step, all at once, in
/// another order, and from a state whose facts are forgotten; all of these agree.
pub fn job_fold(data: &[u8]) -> bool {
    let mut cursor = Cursor::new(data);
    let options = options(&mut cursor);
    let mut facts: Vec<Fact> = Vec::new();
    let mut job = Job::new(PUSHED, &options);
    while let Some(first) = cursor.next()
        && facts.len() < FACTS_MAX
    {
        let fact = fact(&mut cursor, first, &facts, &job);
        facts.push(fact);
        let folded = fold(PUSHED, &options, &facts);
        if job.step(&fact).is_ok() {
            assert_eq!(job, folded, "a step is the fold of one fact more");
        }
        job = folded;
    }
    let bytes = stream::encode(&job);
    let len_max = JOB_LEN_MAX + FACT_LEN_MAX * facts.len();
    assert!(bytes.len() <= len_max, "{} bytes", bytes.len());
    assert_eq!(stream::decode(&bytes).as_ref(), Ok(&job));
    let backwards: Vec<Fact> = facts.iter().rev().copied().collect();
    assert_eq!(fold(PUSHED, &options, &backwards), job);
    assert_eq!(attempts(&backwards), attempts(&facts));
    for cut in facts.iter().filter_map(|fact| fact.kind.attempt()) {
        let is_before = |fact: &Fact| fact.kind.attempt().is_some_and(|attempt| attempt < cut);
        let (first, rest): (Vec<Fact>, Vec<Fact>) =
            facts.iter().copied().partition(|fact| is_before(fact));
        let base = fold(PUSHED, &options, &first);
        if let Some(went_on) = base.continued(&rest) {
            assert_eq!(went_on, job, "what is forgotten makes no difference");
        }
    }
    !facts.is_empty()
}

fn options(cursor: &mut Cursor<'_>) -> PushOptions {
    let number = cursor.number();
    let on_crash = [OnCrash::Resume, OnCrash::Retry, OnCrash::Hold][number % 3];
    let cron = (number & 0x40 != 0).then(|| CronExpr::new("0 * * * *").expect("an expression"));
    PushOptions {
        tries_max: u16::try_from(number / 3 % 4).expect("below 4"),
        on_crash,
        cron,
        ..PushOptions::default()
    }
}

fn fact(cursor: &mut Cursor<'_>, first: u8, known: &[Fact], job: &Job) -> Fact {
    let author = AuthorId([cursor.next().unwrap_or(0) % 3; 16]);
    let worker = WorkerId(author.0);
    // What an honest member would say of the job as it is, or something else about it.
    let is_honest = first & 0x80 != 0;
    let running = job.attempt().filter(|_| is_honest);
    let attempt = running.unwrap_or_else(|| any_attempt(cursor));
    let next = (first & 0x40 != 0).then(|| WallTime(cursor.border()));
    let kind = match first % 8 {
        0 | 1 if is_honest => FactKind::Claim {
            worker,
            attempt: next_attempt(job),
            after: job.ended(),
            generation: job.generation(),
        },
        0 => FactKind::Claim {
            worker,
            attempt,
            after: (!known.is_empty()).then(|| known[cursor.number() % known.len()].place),
            generation: generation(cursor),
        },
        1 | 2 => FactKind::Save {
            attempt,
            hash: Hash([cursor.next().unwrap_or(0) % 3; 32]),
            done: Some(cursor.border()),
            total: None,
            blob: None,
        },
        3 | 4 => FactKind::End {
            worker,
            attempt,
            outcome: outcome(cursor),
            millis: cursor.border(),
            next,
        },
        5 => FactKind::Lose {
            worker: WorkerId([cursor.next().unwrap_or(0) % 3; 16]),
            fence: Fence(cursor.border()),
            attempt,
            last: Seq(cursor.border()),
            next,
        },
        6 => FactKind::Cancel {
            generation: generation(cursor),
        },
        _ if cursor.number() == 0 => FactKind::Purge,
        _ => FactKind::Retry {
            generation: generation(cursor),
        },
    };
    let seq = u64::try_from(known.len()).expect("a few") + 1;
    Fact {
        place: Place {
            author,
            seq: Seq(seq),
        },
        hlc: Hlc(cursor.border()),
        kind,
    }
}

fn next_attempt(job: &Job) -> AttemptId {
    let last = job.attempt();
    AttemptId {
        fence: Fence(last.map_or(1, |last| last.fence.0.saturating_add(1))),
        number: last.map_or(1, |last| last.number.saturating_add(1)),
    }
}

fn any_attempt(cursor: &mut Cursor<'_>) -> AttemptId {
    AttemptId {
        fence: Fence(cursor.border()),
        number: generation(cursor),
    }
}

/// A small number, or the largest.
fn generation(cursor: &mut Cursor<'_>) -> u32 {
    u32::try_from(cursor.border()).unwrap_or(u32::MAX)
}

fn outcome(cursor: &mut Cursor<'_>) -> Outcome {
    match cursor.number() % 6 {
        0 => Outcome::Done,
        1 => Outcome::Again,
        2 => Outcome::Returned,
        3 => Outcome::Cancelled,
        4 => Outcome::CutOff { code: None },
        _ => Outcome::Failed {
            code: 1,
            retry_at: WallTime(cursor.border()),
        },
    }
}

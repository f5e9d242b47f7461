//! Nodes that push and run jobs, and a store that hears of all of it.

use std::sync::Arc;

use roda_proto::job::{
    AttemptId, Checkpoint, End, JobEntry, JobId, JobKey, JobState, Lost, Outcome, PushOptions,
    QueueName, SHARDS, StateKind, WorkerId,
};
use roda_proto::token::Fence;
use roda_proto::{AuthorId, Batch, EntryKind, Record, Seq, WallTime};
use roda_store::{JobRow, JobsQuery, Reader, Store};

use crate::world::{Author, Home, topic_named};

pub(super) const QUEUE: &str = "work";
/// All clocks are below; jobs that have to wait for longer stay waiting.
pub(super) const NOW: WallTime = WallTime(1_000_000);

pub(super) struct Kit {
    home: Home,
    pub(super) store: Store,
    pub(super) authors: Vec<Author>,
    /// All that was written, in order.
    pub(super) batches: Vec<Arc<Batch>>,
    clock: u64,
    fence: u64,
}

impl Kit {
    pub(super) fn new() -> Self {
        let home = Home::new();
        Self {
            store: home.create(),
            home,
            authors: [11, 12, 13].map(Author::new).into(),
            batches: Vec::new(),
            clock: 0,
            fence: 0,
        }
    }

    pub(super) fn reader(&self) -> Reader {
        self.store.reader().unwrap()
    }

    pub(super) fn path(&self) -> std::path::PathBuf {
        self.home.path()
    }

    /// A node writes an entry; the store hears of it at once.
    pub(super) fn say(&mut self, by: usize, entry: &JobEntry) -> JobId {
        self.say_in(by, QUEUE, entry)
    }

    pub(super) fn say_in(&mut self, by: usize, queue: &str, entry: &JobEntry) -> JobId {
        self.clock += 10 << 16;
        let author = &mut self.authors[by];
        let batch = author.write_kind(self.clock, EntryKind::Job, queue, &entry.encode());
        self.store
            .append(&[Record::Batch(Arc::clone(&batch))])
            .unwrap();
        self.batches.push(Arc::clone(&batch));
        JobId {
            author: batch.author,
            seq: batch.first,
        }
    }

    pub(super) fn push(&mut self, by: usize, options: PushOptions) -> JobId {
        let payload = b"work".to_vec();
        self.say(by, &JobEntry::Push { payload, options })
    }

    pub(super) fn next_fence(&mut self) -> Fence {
        self.fence += 1;
        Fence(self.fence)
    }

    /// A node's worker claims a job as the store knows it.
    pub(super) fn claim(&mut self, by: usize, job: JobId) -> AttemptId {
        let fence = self.next_fence();
        let row = self.row(job);
        let claimed = row.job.next_claim(job);
        let entry = JobEntry::Claim {
            worker: worker(by),
            fence,
            shard: row.shard,
            jobs: vec![claimed],
        };
        self.say(by, &entry);
        let number = claimed.number;
        AttemptId { fence, number }
    }

    pub(super) fn end(&mut self, by: usize, job: JobId, outcome: Outcome) {
        let attempt = self.attempt(job);
        let end = End {
            job,
            attempt,
            outcome,
            millis: 7,
            output: format!("attempt {}", attempt.number).into_bytes(),
            next: self.next_round(job),
        };
        let (worker, ends) = (worker(by), vec![end]);
        self.say(by, &JobEntry::End { worker, ends });
    }

    /// When a recurring job is due after this round.
    fn next_round(&self, job: JobId) -> Option<WallTime> {
        let row = self.row(job);
        let recurrence = row.job.recurrence()?;
        Some(WallTime(recurrence.due.0 + 60_000))
    }

    pub(super) fn save(&mut self, by: usize, job: JobId, checkpoint: Checkpoint) {
        let attempt = self.attempt(job);
        let save = JobEntry::Save {
            job,
            attempt,
            checkpoint,
        };
        self.say(by, &save);
    }

    /// A node says that another one's worker is dead, and what it has seen of it.
    pub(super) fn lose(&mut self, by: usize, dead: usize, job: JobId, last: Seq) {
        let fence = self.next_fence();
        let attempt = self.attempt(job);
        let next = self.next_round(job);
        let lost = vec![Lost {
            job,
            attempt,
            last,
            next,
        }];
        let worker = worker(dead);
        self.say(
            by,
            &JobEntry::Lose {
                worker,
                fence,
                lost,
            },
        );
    }

    fn attempt(&self, job: JobId) -> AttemptId {
        let attempt = self.row(job).job.attempt();
        attempt.unwrap_or(AttemptId {
            fence: Fence(0),
            number: 0,
        })
    }

    pub(super) fn row(&self, job: JobId) -> JobRow {
        self.reader().job_row(job).unwrap().unwrap()
    }

    pub(super) fn state(&self, job: JobId) -> JobState {
        self.row(job).state
    }

    pub(super) fn kind(&self, job: JobId) -> StateKind {
        self.state(job).kind()
    }

    pub(super) fn void(&mut self, by: usize, above: u64) {
        let author = self.authors[by].id();
        let above = Seq(above);
        self.store
            .append(&[Record::Void { author, above }])
            .unwrap();
    }

    /// What may be run now, of all shards.
    pub(super) fn ready(&self) -> Vec<JobId> {
        ready(&self.reader())
    }

    pub(super) fn verify(&self) {
        assert_eq!(faults(&self.reader()), [""; 0]);
    }
}

pub(super) fn faults(reader: &Reader) -> Vec<String> {
    reader.verify(|_| {}).unwrap().faults
}

pub(super) fn ready(reader: &Reader) -> Vec<JobId> {
    let queue = queue();
    let of_shard = |shard| reader.jobs_ready(&queue, shard, NOW, 1000).unwrap();
    let mut rows: Vec<JobRow> = (0..SHARDS).flat_map(of_shard).collect();
    // Each shard has its order; among them there is none.
    assert!(rows.is_sorted_by_key(|row| (row.shard, std::cmp::Reverse(row.priority))));
    rows.sort_by_key(|row| (std::cmp::Reverse(row.priority), row.pushed, row.id));
    rows.iter().map(|row| row.id).collect()
}

/// All that is known of jobs, but for what depends on the order in which one heard of them.
pub(super) fn all(reader: &Reader) -> Vec<String> {
    let query = JobsQuery {
        limit: 1000,
        ..JobsQuery::default()
    };
    let rows = reader.jobs(&query).unwrap();
    let mut lines: Vec<String> = rows
        .iter()
        .map(|row| format!("{} {} {:?} {:?}", row.id, row.queue, row.state, row.job))
        .collect();
    lines.sort();
    let queues = reader.queues().unwrap();
    let queues = queues
        .iter()
        .filter(|queue| queue.total() > 0 || queue.paused);
    lines.extend(queues.map(|queue| format!("{queue:?}")));
    lines
}

pub(super) fn queue() -> QueueName {
    topic_named(QUEUE)
}

pub(super) fn worker(by: usize) -> WorkerId {
    WorkerId([u8::try_from(by).unwrap(); 16])
}

pub(super) fn key(text: &str) -> Option<JobKey> {
    Some(JobKey::new(text).unwrap())
}

pub(super) fn keyed(text: &str) -> PushOptions {
    PushOptions {
        key: key(text),
        ..PushOptions::default()
    }
}

pub(super) fn ordered(text: &str) -> PushOptions {
    PushOptions {
        order_key: key(text),
        ..PushOptions::default()
    }
}

pub(super) fn failed(code: i32, at: u64) -> Outcome {
    Outcome::Failed {
        code,
        retry_at: WallTime(at),
    }
}

pub(super) fn id_of(author: AuthorId, seq: u64) -> JobId {
    JobId {
        author,
        seq: Seq(seq),
    }
}

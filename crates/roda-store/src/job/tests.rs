//! What queries cost when there are many jobs.

use std::sync::Arc;
use std::time::Instant;

use roda_proto::crypto::SigningKey;
use roda_proto::job::{
    Claimed, JobEntry, JobId, JobKey, PushOptions, QueueName, SHARDS, StateKind, WorkerId,
};
use roda_proto::log::BatchBuilder;
use roda_proto::token::{Fence, Priority};
use roda_proto::{
    AuthorId, Batch, EntryKind, GroupId, Hash, Hlc, Identity, Incarnation, Record, Seq, WallTime,
};

use super::{JobsQuery, key, list, order, ready, row};
use crate::{Reader, Store};

const JOBS: u64 = 100_000;
const NOW: WallTime = WallTime(1_000_000);

struct Author {
    next: Seq,
    prev: Hash,
}

impl Author {
    /// A batch of entries, each a millisecond after the one before.
    fn batch(&mut self, queue: &QueueName, entries: impl Iterator<Item = JobEntry>) -> Arc<Batch> {
        let mut builder = BatchBuilder::new(self.next);
        for (seq, entry) in (self.next.0..).zip(entries) {
            let body = entry.encode();
            assert!(builder.fits(Some(queue), body.len(), 0));
            builder.push(Hlc::from_millis(seq), EntryKind::Job, Some(queue), &body);
        }
        let key = SigningKey::from_seed(&[1; 32]);
        let batch = builder.seal(&key, Incarnation([1; 8]), self.prev, &[]);
        (self.next, self.prev) = (batch.last.next(), batch.hash);
        Arc::new(batch)
    }
}

/// A tenth of the jobs has to wait, a tenth comes in order, and a thousand run.
fn options(number: u64) -> PushOptions {
    let mut options = PushOptions {
        priority: Priority::new(u8::try_from(number % 10).unwrap()).unwrap(),
        ..PushOptions::default()
    };
    match number / 10 % 10 {
        0 => options.not_before = WallTime(NOW.0 - 50_000 + number),
        1 => options.order_key = Some(JobKey::new(&format!("key {}", number % 50)).unwrap()),
        _ => {}
    }
    options
}

fn filled(store: &mut Store, queue: &QueueName) -> AuthorId {
    let mut author = Author {
        next: Seq(1),
        prev: Hash::ZERO,
    };
    let mut records = Vec::new();
    for first in (0..JOBS).step_by(500) {
        let pushes = (first..first + 500).map(|number| JobEntry::Push {
            payload: b"work".to_vec(),
            options: options(number),
        });
        records.push(Record::Batch(author.batch(queue, pushes)));
    }
    let Record::Batch(first) = &records[0] else {
        unreachable!("only batches")
    };
    let id = first.author;
    // The last thousand of the jobs that neither wait nor have an order.
    let plain = (0..JOBS).filter(|number| number / 10 % 10 > 1);
    let claimed: Vec<Claimed> = plain
        .map(|number| Claimed {
            job: JobId {
                author: id,
                seq: Seq(number + 1),
            },
            number: 1,
            after: None,
            generation: 0,
        })
        .collect();
    let claims = claimed[claimed.len() - 1000..].chunks(100);
    let claims = claims.enumerate().map(|(worker, jobs)| JobEntry::Claim {
        worker: WorkerId([u8::try_from(worker).unwrap(); 16]),
        fence: Fence(1),
        shard: 0,
        jobs: jobs.to_vec(),
    });
    records.push(Record::Batch(author.batch(queue, claims)));
    for some in records.chunks(20) {
        store.append(some).unwrap();
    }
    id
}

fn identity() -> Identity {
    Identity {
        seed: [7; 32].into(),
        incarnation: Incarnation([1; 8]),
        group: GroupId([2; 16]),
        group_name: String::new(),
    }
}

/// How SQLite would run a query: no step may read a whole table, or sort.
fn assert_indexed(reader: &Reader, select: &str, index: &str) {
    let transaction = reader.begin().unwrap();
    let mut statement = transaction
        .prepare(&format!("EXPLAIN QUERY PLAN {select}"))
        .unwrap();
    let steps: Vec<String> = {
        let mut rows = statement.raw_query();
        let mut steps = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            steps.push(row.get(3).unwrap());
        }
        steps
    };
    assert!(
        steps.iter().any(|step| step.ends_with(index)),
        "{select}: {steps:?}"
    );
    // Of what runs, a few, all are asked for: that one is read from end to end.
    let is_bad =
        |step: &String| step.contains("TEMP B-TREE") || (step.starts_with("SCAN") && step != index);
    assert!(!steps.iter().any(is_bad), "{select}: {steps:?}");
}

fn assert_all_indexed(reader: &Reader) {
    for (select, index) in [
        (
            ready::READY,
            "job_ready (queue=? AND shard=? AND priority=?)",
        ),
        (
            ready::READY_CLOCKS,
            "COVERING INDEX job_ready (queue=? AND shard=? AND priority=?)",
        ),
        (
            ready::DELAYED_CLOCKS,
            "job_delayed (queue=? AND shard=? AND priority=? AND due>? AND due<?)",
        ),
        (
            ready::DELAYED,
            "job_delayed (queue=? AND shard=? AND priority=? AND due>? AND due<?)",
        ),
        (
            ready::NEXT_DUE,
            "job_delayed (queue=? AND shard=? AND priority=? AND due>?)",
        ),
        (
            list::LIVE_WORKERS,
            "SCAN job USING COVERING INDEX job_running",
        ),
        (list::RUNNING_OF, "job_running (worker=?)"),
        (
            list::IN_STATE,
            "job_by_state (queue=? AND state=? AND rowid<?)",
        ),
        (
            order::FIRST_IN,
            "job_by_order (queue=? AND order_key=? AND state=?)",
        ),
        (order::UNBLOCKED, "job_in_order (queue=? AND order_key=?)"),
        (
            key::WINNER,
            "job_by_key (queue=? AND key=? AND duplicate=?)",
        ),
        (row::BY_ID, "batch_by_seq (author=? AND first<?)"),
        (row::BY_ID, "SEARCH job USING INTEGER PRIMARY KEY (rowid=?)"),
    ] {
        assert_indexed(reader, select, index);
    }
}

#[test]
fn a_hundred_thousand_jobs_are_found_by_their_indexes() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::create(&directory.path().join("roda.db"), &identity()).unwrap();
    let queue = QueueName::new("work").unwrap();
    let author = filled(&mut store, &queue);
    let reader = store.reader().unwrap();
    assert_all_indexed(&reader);
    let started = Instant::now();
    let mut found = 0;
    for shard in 0..SHARDS {
        let jobs = reader.jobs_ready(&queue, shard, NOW, 50).unwrap();
        assert!(
            jobs.iter()
                .all(|row| row.priority == Priority::MAX && row.shard == shard)
        );
        found += jobs.len();
    }
    assert_eq!(found, 200);
    assert_eq!(reader.live_workers().unwrap().len(), 10);
    assert_eq!(reader.running_of(&WorkerId([3; 16])).unwrap().len(), 100);
    let next = reader.next_due(&queue, NOW).unwrap();
    assert_eq!(next, Some(WallTime(NOW.0 + 1)));
    let stats = reader.queue(&queue).unwrap().unwrap();
    assert_eq!(
        (stats.total(), stats.count(StateKind::Running)),
        (JOBS, 1000)
    );
    let listed = reader
        .jobs(&JobsQuery {
            limit: 100,
            ..JobsQuery::default()
        })
        .unwrap();
    assert_eq!(
        listed[0].id,
        JobId {
            author,
            seq: Seq(JOBS)
        }
    );
    // Without indexes this takes seconds.
    assert!(started.elapsed().as_secs() < 2, "{:?}", started.elapsed());
}

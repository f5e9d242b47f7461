//! Room for blobs.

use std::sync::Arc;

use roda_proto::crypto::{self, SigningKey};
use roda_proto::job::{
    AttemptId, Checkpoint, Claimed, End, JobEntry, JobId, Outcome, PushOptions, QueueName, WorkerId,
};
use roda_proto::log::BatchBuilder;
use roda_proto::token::Fence;
use roda_proto::{EntryKind, GroupId, Hash, Hlc, Identity, Incarnation, Record, Seq, WallTime};

use super::{BlobOrigin, BlobPut};
use crate::Store;

const LEN: usize = 30_000;
/// Room for three own blobs, and for two if one is a copy.
const ROOM: (u64, u64) = (100_000, 70_000);

fn state(number: u8) -> Vec<u8> {
    vec![number; LEN]
}

/// A store with jobs 1 to `jobs`, each of which named the blob of its number; all run but the first, which is dead.
fn store(jobs: u8) -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let identity = Identity {
        seed: [7; 32].into(),
        incarnation: Incarnation([1; 8]),
        group: GroupId([2; 16]),
        group_name: String::new(),
    };
    let mut store = Store::create(&directory.path().join("roda.db"), &identity).unwrap();
    let key = SigningKey::from_seed(&[1; 32]);
    let author = crypto::author_id(&key.public(), &Incarnation([1; 8]));
    let id = |number: u8| JobId {
        author,
        seq: Seq(number.into()),
    };
    let entries = entries(jobs, id);
    let queue = QueueName::new("work").unwrap();
    let mut builder = BatchBuilder::new(Seq(1));
    for (clock, entry) in (1..).zip(&entries) {
        builder.push(
            Hlc::from_millis(clock),
            EntryKind::Job,
            Some(&queue),
            &entry.encode(),
        );
    }
    let batch = builder.seal(&key, Incarnation([1; 8]), Hash::ZERO, &[]);
    store.append(&[Record::Batch(Arc::new(batch))]).unwrap();
    (directory, store)
}

/// What is said of the jobs.
fn entries(jobs: u8, id: impl Fn(u8) -> JobId) -> Vec<JobEntry> {
    let attempt = AttemptId {
        fence: Fence(1),
        number: 1,
    };
    let push = JobEntry::Push {
        payload: Vec::new(),
        options: PushOptions {
            tries_max: 1,
            ..PushOptions::default()
        },
    };
    let mut entries = vec![push; jobs.into()];
    let claimed = (1..=jobs).map(|number| Claimed {
        job: id(number),
        number: 1,
        after: None,
        generation: 0,
    });
    let worker = WorkerId([1; 16]);
    entries.push(JobEntry::Claim {
        worker,
        fence: Fence(1),
        shard: 0,
        jobs: claimed.collect(),
    });
    entries.extend((1..=jobs).map(|number| JobEntry::Save {
        job: id(number),
        attempt,
        checkpoint: Checkpoint::new(state(number), None, None),
    }));
    entries.push(JobEntry::End {
        worker,
        ends: vec![End {
            job: id(1),
            attempt,
            outcome: Outcome::Failed {
                code: 1,
                retry_at: WallTime(0),
            },
            millis: 1,
            next: None,
            output: Vec::new(),
        }],
    });
    entries
}

fn put(store: &mut Store, number: u8, origin: BlobOrigin) -> BlobPut {
    let now = WallTime(1000 + u64::from(number));
    store
        .put_blob_within(&state(number), origin, now, ROOM)
        .unwrap()
}

fn here(store: &Store) -> Vec<u8> {
    let reader = store.reader().unwrap();
    let hash = |number: u8| crypto::content_hash(&state(number));
    (1..10)
        .filter(|number| reader.has_blob(&hash(*number)).unwrap())
        .collect()
}

#[test]
fn own_blobs_have_more_room_than_copies() {
    let (_directory, mut store) = store(5);
    assert_eq!(put(&mut store, 2, BlobOrigin::Copy), BlobPut::Stored);
    assert_eq!(put(&mut store, 3, BlobOrigin::Copy), BlobPut::Stored);
    assert_eq!(put(&mut store, 4, BlobOrigin::Copy), BlobPut::NoRoom);
    assert_eq!(put(&mut store, 4, BlobOrigin::Own), BlobPut::Stored);
    assert_eq!(put(&mut store, 5, BlobOrigin::Own), BlobPut::NoRoom);
    // What is here takes no more room than it has.
    assert_eq!(put(&mut store, 4, BlobOrigin::Own), BlobPut::Stored);
    assert_eq!(here(&store), [2, 3, 4]);
}

#[test]
fn blobs_of_dead_jobs_give_way_to_own_ones_but_not_to_copies() {
    let (_directory, mut store) = store(5);
    assert_eq!(put(&mut store, 1, BlobOrigin::Own), BlobPut::Stored);
    assert_eq!(put(&mut store, 2, BlobOrigin::Own), BlobPut::Stored);
    assert_eq!(put(&mut store, 3, BlobOrigin::Copy), BlobPut::NoRoom);
    assert_eq!(put(&mut store, 3, BlobOrigin::Own), BlobPut::Stored);
    assert_eq!(here(&store), [1, 2, 3]);
    assert_eq!(put(&mut store, 4, BlobOrigin::Own), BlobPut::Stored);
    assert_eq!(here(&store), [2, 3, 4]);
    assert_eq!(put(&mut store, 5, BlobOrigin::Own), BlobPut::NoRoom);
}

//! Writes the database that is kept in `tests/fixtures` for the current schema version:
//! `cargo run -p roda-store --example fixture -- PATH`. A released fixture is never written again.

use std::error::Error;
use std::path::Path;

use roda_proto::crypto::{self, SigningKey};
use roda_proto::job::{AttemptId, Checkpoint, Claimed, JobEntry, JobId, PushOptions, WorkerId};
use roda_proto::log::{BatchBuilder, Hold};
use roda_proto::token::{Fence, Frontier, LockName};
use roda_proto::{
    AuthorId, EntryKind, EpochRecord, GroupId, Hash, Hlc, Identity, Incarnation, NodeId, Record,
    Seq, Topic, WallTime,
};
use roda_store::{BlobOrigin, Contact, Store};

/// The state of a checkpoint that does not fit into an entry.
static BLOB: [u8; 30_000] = [7; 30_000];

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("which path?")?;
    let identity = Identity {
        seed: [7; 32].into(),
        incarnation: Incarnation([1; 8]),
        group: GroupId([2; 16]),
        group_name: "praça".to_owned(),
    };
    let mut store = Store::create(Path::new(&path), &identity)?;
    store.put_blob(&BLOB, BlobOrigin::Own, WallTime(1))?;
    store.append(&records()?)?;
    store.set_meta("nick", "ana")?;
    store.save_contacts(&[Contact {
        node: NodeId([1; 32]),
        datagram: "192.0.2.1:4000".parse()?,
        stream: "192.0.2.1:4001".parse()?,
        heard: WallTime(1),
    }])?;
    store.add_mirror(&Topic::new("room")?, Path::new("/replica"))?;
    Ok(())
}

/// A job that runs and has saved its progress, by an author of its own.
fn job() -> Result<Record, Box<dyn Error>> {
    let queue = Topic::new("work")?;
    let key = SigningKey::from_seed(&[3; 32]);
    let incarnation = Incarnation([3; 8]);
    let author = crypto::author_id(&key.public(), &incarnation);
    let job = JobId {
        author,
        seq: Seq(1),
    };
    let push = JobEntry::Push {
        payload: b"photo.jpg".to_vec(),
        options: PushOptions::default(),
    };
    let claim = JobEntry::Claim {
        worker: WorkerId([4; 16]),
        fence: Fence(3),
        shard: 0,
        jobs: vec![Claimed {
            job,
            number: 1,
            after: None,
            generation: 0,
        }],
    };
    let save = |state: Vec<u8>| JobEntry::Save {
        job,
        attempt: AttemptId {
            fence: Fence(3),
            number: 1,
        },
        checkpoint: Checkpoint::new(state, Some(7), Some(9)),
    };
    let mut builder = BatchBuilder::new(Seq(1));
    for (seq, entry) in (1..).zip([push, claim, save(b"line 7".to_vec()), save(BLOB.to_vec())]) {
        builder.push(Hlc(seq * 10), EntryKind::Job, Some(&queue), &entry.encode());
    }
    let batch = builder.seal(&key, incarnation, Hash::ZERO, &[]);
    Ok(Record::Batch(batch.into()))
}

/// Two authors: one begins with a control entry, both write three messages in two batches, and a last
/// one under a lock.
fn records() -> Result<Vec<Record>, Box<dyn Error>> {
    let (room, hall) = (Topic::new("room")?, Topic::new("side")?);
    let mut records = vec![
        Record::Epoch(EpochRecord {
            tag: crypto::epoch_tag(&[3; 32]),
            secret: [3; 32].into(),
            created: Hlc(1),
        }),
        Record::Frozen(AuthorId([9; 16])),
        Record::Clock(Hlc(50)),
    ];
    for (author, opening) in [(1, EntryKind::Control), (2, EntryKind::Message)] {
        let opening_topic = (opening == EntryKind::Message).then_some(&hall);
        let key = SigningKey::from_seed(&[author; 32]);
        let clock = |seq: u64| Hlc(seq * 10 + u64::from(author) - 1);
        let mut builder = BatchBuilder::new(Seq(1));
        builder.push(clock(1), opening, opening_topic, b"opening");
        builder.push(clock(2), EntryKind::Message, Some(&room), b"message 2");
        let first = builder.seal(&key, Incarnation([author; 8]), Hash::ZERO, &[]);
        let mut builder = BatchBuilder::new(Seq(3));
        builder.push(clock(3), EntryKind::Message, Some(&room), b"message 3");
        builder.push(clock(4), EntryKind::Message, Some(&room), b"message 4");
        let hold = Hold::new(
            LockName::new("db")?,
            Fence(author.into()),
            Frontier::default(),
        );
        let fenced = hold.entry_body(b"fenced");
        builder.push(clock(5), EntryKind::Fenced, Some(&hall), &fenced);
        let second = builder.seal(&key, Incarnation([author; 8]), first.hash, &[]);
        records.extend([first, second].map(|batch| Record::Batch(batch.into())));
    }
    records.push(job()?);
    Ok(records)
}

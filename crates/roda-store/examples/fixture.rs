//! Writes the database that is kept in `tests/fixtures` for the current schema version:
//! `cargo run -p roda-store --example fixture -- PATH`. A released fixture is never written again.

use std::error::Error;
use std::path::Path;

use roda_proto::crypto::{self, SigningKey};
use roda_proto::log::{BatchBuilder, Hold};
use roda_proto::token::{Fence, Frontier, LockName};
use roda_proto::{
    AuthorId, EntryKind, EpochRecord, GroupId, Hash, Hlc, Identity, Incarnation, NodeId, Record,
    Seq, Topic, WallTime,
};
use roda_store::{Contact, Store};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("which path?")?;
    let identity = Identity {
        seed: [7; 32].into(),
        incarnation: Incarnation([1; 8]),
        group: GroupId([2; 16]),
        group_name: "praça".to_owned(),
    };
    let mut store = Store::create(Path::new(&path), &identity)?;
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
    Ok(records)
}

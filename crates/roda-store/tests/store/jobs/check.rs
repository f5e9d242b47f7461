//! Older databases, and damage to the index.

use std::path::Path;

use roda_proto::job::{Checkpoint, JobEntry, Outcome, PushOptions, StateKind};
use roda_proto::{Seq, crypto};
use roda_store::{Reader, Store, StoreError};
use rusqlite::Connection;

use super::kit::*;
use crate::world::{Home, room};

/// A queue with a bit of everything.
fn busy() -> Kit {
    let mut kit = Kit::new();
    let plain = kit.push(0, PushOptions::default());
    let keyed = [0, 1].map(|by| kit.push(by, keyed("a")));
    let ordered = [0, 1].map(|by| kit.push(by, ordered("b")));
    kit.claim(1, plain);
    kit.save(1, plain, Checkpoint::new(b"x", None, None));
    kit.claim(2, keyed[0]);
    kit.end(2, keyed[0], failed(1, 5));
    kit.claim(2, ordered[0]);
    kit.end(2, ordered[0], Outcome::Done);
    let unknown = id_of(kit.authors[0].id(), 99);
    kit.say(
        0,
        &JobEntry::Cancel {
            jobs: vec![(unknown, 0)],
        },
    );
    kit.say(0, &JobEntry::Pause { paused: true });
    kit
}

#[test]
fn verify_finds_every_kind_of_damage() {
    for (sql, fault) in [
        ("DELETE FROM job WHERE key IS NULL", "not indexed by job"),
        ("DELETE FROM job_fact", "not indexed by job"),
        ("DELETE FROM orphan", "not indexed by job"),
        ("DELETE FROM queue_fact", "not indexed by job"),
        ("UPDATE job_fact SET hlc = hlc + 1", "not indexed by job"),
        ("UPDATE job SET priority = 1", "do not fit its push"),
        (
            "UPDATE job SET key_hash = zeroblob(32) WHERE key = 'a'",
            "do not fit its push",
        ),
        (
            "UPDATE job SET fold = (SELECT fold FROM job WHERE state = 2)",
            "is not what is said",
        ),
        ("UPDATE job SET fold = X'00'", "job"),
        (
            "UPDATE job SET state = 3 WHERE state = 2",
            "do not fit its state",
        ),
        ("UPDATE job SET state = 9", "no such state"),
        (
            "UPDATE job SET worker = zeroblob(16) WHERE state = 1",
            "do not fit its state",
        ),
        (
            "UPDATE job SET due = 8 WHERE due = 5",
            "do not fit its state",
        ),
        (
            "UPDATE job SET began = 8 WHERE due = 5",
            "do not fit its state",
        ),
        (
            "UPDATE job SET blocked = 1 WHERE order_key = 'b'",
            "its turn",
        ),
        (
            "UPDATE job SET blocked = 1 WHERE order_key IS NULL",
            "waits for another",
        ),
        ("UPDATE queue SET waiting = 9", "count of jobs"),
        ("UPDATE queue SET paused = 0", "paused or purged"),
        (
            "INSERT INTO job_fact VALUES (99, zeroblob(16), 1, 1, X'00')",
            "rows of no batch",
        ),
        (
            "INSERT INTO queue_fact VALUES (1, 1, zeroblob(16), 1, 1)",
            "rows of no batch",
        ),
    ] {
        let kit = busy();
        kit.verify();
        let changed = Connection::open(kit.path()).unwrap();
        changed.execute_batch(sql).unwrap();
        let found = faults(&kit.reader());
        let is_found = found.iter().any(|found| found.contains(fault));
        assert!(is_found, "{sql}: {found:?}");
    }
}

#[test]
fn which_push_of_a_key_is_run_is_verified() {
    let kit = busy();
    let sql = "UPDATE job SET duplicate = 1 - duplicate WHERE key = 'a'";
    Connection::open(kit.path())
        .unwrap()
        .execute_batch(sql)
        .unwrap();
    let found = faults(&kit.reader());
    assert!(
        found.iter().any(|found| found.contains("duplicate")),
        "{found:?}"
    );
}

fn fixture() -> Home {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/version-2.db");
    Home::copy_of(&path, &[""])
}

#[test]
fn a_database_of_schema_version_2_opens_with_all_it_holds() {
    let home = fixture();
    let older = Reader::open(&home.path());
    assert!(matches!(older, Err(StoreError::Older { found: 2, .. })));
    let store = Store::open(&home.path()).unwrap();
    let reader = store.reader().unwrap();
    assert_eq!(room(&reader), [2, 2, 3, 3, 4, 4]);
    assert!(reader.queues().unwrap().is_empty());
    assert_eq!(faults(&reader), [""; 0]);
}

#[test]
fn what_version_2_stored_without_understanding_it_is_indexed_by_the_migration() {
    let kit = busy();
    let home = fixture();
    let old = Connection::open(home.path()).unwrap();
    let as_clock = |clock: u64| (clock ^ (1 << 63)).cast_signed();
    // As version 2 did: it took all of this for something unknown, which makes no rows but these.
    for (number, batch) in (100..).zip(&kit.batches) {
        let at = kit.authors.iter().position(|by| by.id() == batch.author);
        let author = 50 + i64::try_from(at.unwrap()).unwrap();
        assert_eq!(
            crypto::content_hash(&batch.bytes()[..batch.bytes().len() - 64]),
            batch.hash
        );
        old.execute(
            "INSERT INTO author VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (number) DO UPDATE SET head_seq = excluded.head_seq,
             head_hash = excluded.head_hash, head_hlc = excluded.head_hlc",
            (
                author,
                batch.author.0,
                batch.node.0,
                batch.incarnation.0,
                batch.last.0,
                batch.hash.0,
                as_clock(batch.hlc_last.0),
            ),
        )
        .unwrap();
        old.execute(
            "INSERT INTO batch VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?8)",
            (
                number,
                author,
                batch.first.0,
                batch.last.0,
                as_clock(batch.hlc_first.0),
                as_clock(batch.hlc_last.0),
                batch.hash.0,
                batch.bytes(),
            ),
        )
        .unwrap();
    }
    drop(old);
    let store = Store::open(&home.path()).unwrap();
    let reader = store.reader().unwrap();
    assert_eq!(all(&reader), all(&kit.reader()));
    assert_eq!(faults(&reader), [""; 0]);
    let stats = reader.queue(&queue()).unwrap().unwrap();
    assert_eq!(
        (stats.total(), stats.count(StateKind::Done), stats.paused),
        (5, 1, true)
    );
    assert_eq!(kit.authors[0].next, Seq(6));
}

//! Damage inside a database is found, and named.

use roda_proto::{Record, Seq};
use roda_store::{HistoryQuery, Reader, Store, StoreError};
use rusqlite::Connection;

use crate::world::{Author, Home, topic_named};

/// A closed database of ten messages, changed by a statement.
fn damaged_by(sql: &str) -> (Home, Author) {
    let home = Home::new();
    let mut store = home.create();
    let mut ana = Author::new(1);
    store.append(&ana.chat(9)).unwrap();
    let batch = ana.write(&[(100, Some("room"), b"x"), (101, None, b"control")]);
    store.append(&[Record::Batch(batch)]).unwrap();
    drop(store);
    let changed = Connection::open(home.path()).unwrap();
    changed.execute_batch(sql).unwrap();
    (home, ana)
}

fn faults_after(sql: &str) -> Vec<String> {
    let (home, _) = damaged_by(sql);
    let mut calls = 0;
    let report = Reader::open(&home.path())
        .unwrap()
        .verify(|_| calls += 1)
        .unwrap();
    assert_eq!(calls, report.batches);
    report.faults
}

#[test]
fn a_sound_database_has_no_faults() {
    assert_eq!(faults_after(""), [""; 0]);
}

#[test]
fn every_kind_of_damage_is_found() {
    let flipped = "CAST(substr(bytes, 1, 145) || X'00' || substr(bytes, 147) AS BLOB)";
    for (sql, fault) in [
        (
            format!("UPDATE batch SET bytes = {flipped} WHERE first = 3"),
            "batch 3 of",
        ),
        (
            "UPDATE batch SET bytes = CAST(substr(bytes, 1, length(bytes) - 1) || X'77' AS BLOB)
             WHERE first = 4"
                .to_owned(),
            "its signature is wrong",
        ),
        (
            "UPDATE batch SET hlc_last = hlc_last + 1 WHERE first = 3".to_owned(),
            "its columns do not fit",
        ),
        (
            "DELETE FROM batch WHERE first = 5".to_owned(),
            "entries before it are missing",
        ),
        (
            "DELETE FROM batch WHERE first = 10".to_owned(),
            "the log ends at 9",
        ),
        ("UPDATE author SET head_hlc = 0".to_owned(), "its head says"),
        (
            "UPDATE author SET node = zeroblob(32)".to_owned(),
            "incarnation is another one",
        ),
        (
            "UPDATE batch SET author = 7 WHERE first = 10".to_owned(),
            "belong to no log",
        ),
        ("DELETE FROM piece WHERE first = 2".to_owned(), "batch 2 of"),
        (
            "UPDATE piece SET count = 2 WHERE first = 2".to_owned(),
            "it is not indexed by topic",
        ),
        (
            "INSERT INTO piece VALUES (1, 0, 99, 0, 1, 1, 1)".to_owned(),
            "rows of no batch",
        ),
        (
            "UPDATE topic SET entries = 3".to_owned(),
            "count of messages",
        ),
        (
            "INSERT INTO epoch VALUES (1, zeroblob(32), 0)".to_owned(),
            "group key 1",
        ),
    ] {
        let faults = faults_after(&sql);
        assert!(
            faults.iter().any(|found| found.contains(fault)),
            "{sql}: {faults:?}"
        );
    }
}

#[test]
fn a_row_that_fails_is_an_error_with_its_key_wherever_it_is_read() {
    let (home, ana) = damaged_by("UPDATE batch SET hash = zeroblob(32) WHERE first = 10");
    let store = Store::open(&home.path()).unwrap();
    let reader = store.reader().unwrap();
    let key = format!("batch 10 of {}", ana.id());
    let names_it = |error: StoreError| {
        assert!(
            matches!(&error, StoreError::Damaged(text) if text.contains(&key)),
            "{error}"
        );
    };
    names_it(store.snapshot().unwrap_err());
    names_it(reader.batch_containing(&ana.id(), Seq(11)).unwrap_err());
    names_it(reader.batches_after(&[], usize::MAX).unwrap_err());
    let room = topic_named("room");
    let mut pages = reader.history(&room, &HistoryQuery::default()).unwrap();
    names_it(pages.next_page(&reader).unwrap_err());
    // What does not touch that row can still be read.
    assert!(
        reader
            .batch_containing(&ana.id(), Seq(9))
            .unwrap()
            .is_some()
    );
}

//! What is on disk at any moment.

use std::fs::{self, OpenOptions};

use roda_proto::Record;
use roda_store::Store;

use crate::world::{Author, Home, room, with_suffix};

#[test]
fn all_that_was_appended_is_in_the_files_of_a_store_that_never_closed() {
    let home = Home::new();
    let mut store = home.create();
    let mut ana = Author::new(1);
    for count in 1..30 {
        store.append(&ana.chat(1)).unwrap();
        let copy = Home::copy_of(&home.path(), &["", "-wal"]);
        let survivor = Store::open(&copy.path()).unwrap();
        assert_eq!(
            room(&survivor.reader().unwrap()),
            (1..=count).collect::<Vec<_>>()
        );
    }
}

/// Enough that some of it was moved from the WAL to the database.
fn fill(store: &mut Store) -> u64 {
    let mut ana = Author::new(1);
    let body = vec![1; 30_000];
    for i in 0..800 {
        let batch = ana.write(&[
            (2 * i + 1, Some("room"), &body),
            (2 * i + 2, Some("room"), &body),
        ]);
        store.append(&[Record::Batch(batch)]).unwrap();
    }
    1600
}

#[test]
fn a_database_that_lost_its_wal_is_a_consistent_prefix() {
    let home = Home::new();
    let mut store = home.create();
    let written = fill(&mut store);
    let copy = Home::copy_of(&home.path(), &[""]);
    let survivor = Store::open(&copy.path()).unwrap();
    survivor.snapshot().unwrap();
    let reader = survivor.reader().unwrap();
    let report = reader.verify(|_| {}).unwrap();
    assert_eq!(report.faults, [""; 0]);
    assert!(report.entries > 0 && report.entries < written);
    assert_eq!(room(&reader), (1..=report.entries).collect::<Vec<_>>());
}

#[test]
fn a_torn_wal_leaves_a_consistent_prefix_that_never_shrinks_as_less_is_torn() {
    let home = Home::new();
    let mut store = home.create();
    store.append(&Author::new(1).chat(40)).unwrap();
    for record in Author::new(2).chat(40) {
        store.append(&[record]).unwrap();
    }
    let len = fs::metadata(with_suffix(&home.path(), "-wal"))
        .unwrap()
        .len();
    let mut before = 0;
    for step in 0..=20 {
        let copy = Home::copy_of(&home.path(), &["", "-wal"]);
        OpenOptions::new()
            .write(true)
            .open(with_suffix(&copy.path(), "-wal"))
            .and_then(|wal| wal.set_len(len * step / 20))
            .unwrap();
        let survivor = Store::open(&copy.path()).unwrap();
        survivor.snapshot().unwrap();
        let report = survivor.reader().unwrap().verify(|_| {}).unwrap();
        assert_eq!(report.faults, [""; 0]);
        assert!(report.entries >= before);
        before = report.entries;
    }
    assert_eq!(before, 80);
}

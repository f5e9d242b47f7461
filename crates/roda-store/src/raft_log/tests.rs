//! What a raft log promises.

use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::StoreError;

const CLUSTER: GroupId = GroupId([1; 16]);

struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("locks.db")
    }

    fn open(&self, fresh: u64) -> Result<RaftLog> {
        RaftLog::open(&self.path(), CLUSTER, fresh)
    }

    /// Does to the file what nobody should.
    fn tamper(&self, sql: &str) {
        let connection = Connection::open(self.path()).unwrap();
        connection.execute_batch(sql).unwrap();
    }
}

fn place(index: u64) -> LogPlace {
    LogPlace {
        term: 1,
        leader: 2,
        index,
    }
}

fn entries(range: Range<u64>) -> LogWrite {
    let entry = |index: u64| LogEntry {
        place: place(index),
        body: index.to_be_bytes().to_vec(),
    };
    LogWrite::Append(range.map(entry).collect())
}

fn indexes(log: &RaftLog, range: Range<u64>) -> Vec<u64> {
    let found = log.entries(range, usize::MAX).unwrap();
    found.iter().map(|entry| entry.place.index).collect()
}

#[test]
fn what_was_written_is_there_after_it_was_opened_again() {
    let home = Home::new();
    let vote = LogVote {
        term: 3,
        leader: u64::MAX >> 1,
        committed: true,
    };
    let snapshot = LogSnapshot {
        head: vec![1],
        state: vec![2; 100_000],
    };
    let node = NodeId([9; 32]);
    let mut log = home.open(7).unwrap();
    log.write(&[
        entries(0..5),
        LogWrite::Vote(vote),
        LogWrite::Committed(place(2)),
        LogWrite::Snapshot(snapshot.clone()),
        LogWrite::Known {
            node,
            raft_id: 8,
            generation: 9,
        },
    ])
    .unwrap();
    drop(log);
    let log = home.open(100).unwrap();
    assert_eq!(log.raft_id(), 7);
    assert_eq!(log.last(), Some(place(4)));
    assert_eq!(log.vote().unwrap(), Some(vote));
    assert_eq!(log.committed().unwrap(), Some(place(2)));
    assert_eq!(log.snapshot().unwrap(), Some(snapshot));
    assert_eq!(log.known().unwrap(), BTreeMap::from([(node, (8, 9))]));
    assert_eq!(indexes(&log, 0..u64::MAX), [0, 1, 2, 3, 4]);
}

#[test]
fn reading_is_limited_by_bytes_but_gives_one_entry() {
    let home = Home::new();
    let mut log = home.open(7).unwrap();
    log.write(&[entries(0..5)]).unwrap();
    let read = |len_max| log.entries(1..5, len_max).unwrap().len();
    assert_eq!(
        (read(0), read(8), read(16), read(31), read(32)),
        (1, 1, 2, 3, 4)
    );
}

#[test]
fn entries_without_their_predecessor_are_refused_as_a_whole() {
    let home = Home::new();
    let mut log = home.open(7).unwrap();
    log.write(&[entries(0..2)]).unwrap();
    let refused = log.write(&[entries(2..3), entries(4..5)]);
    assert!(
        matches!(refused, Err(StoreError::Damaged(_))),
        "{refused:?}"
    );
    assert_eq!(log.last(), Some(place(1)));
    log.write(&[entries(2..3)]).unwrap();
    assert_eq!(indexes(&log, 0..9), [0, 1, 2]);
}

#[test]
fn truncated_entries_are_gone_and_others_take_their_place() {
    let home = Home::new();
    let mut log = home.open(7).unwrap();
    log.write(&[entries(0..5), LogWrite::Truncate(2)]).unwrap();
    assert_eq!(log.last(), Some(place(1)));
    log.write(&[entries(2..4)]).unwrap();
    assert_eq!(indexes(&log, 0..9), [0, 1, 2, 3]);
}

#[test]
fn purged_entries_are_gone_at_once_and_deleted_a_few_at_a_time() {
    let home = Home::new();
    let mut log = home.open(7).unwrap();
    log.write(&[entries(0..1000)]).unwrap();
    log.write(&[LogWrite::Purge(place(989))]).unwrap();
    assert_eq!(indexes(&log, 0..u64::MAX), (990..1000).collect::<Vec<_>>());
    drop(log);
    let mut log = home.open(8).unwrap();
    assert_eq!(log.purged(), Some(place(989)));
    assert_eq!(indexes(&log, 0..u64::MAX), (990..1000).collect::<Vec<_>>());
    for index in 1000..1020 {
        log.write(&[entries(index..index + 1)]).unwrap();
    }
    let count = "SELECT count(*) FROM entry";
    let left: u64 = log
        .connection
        .query_row(count, [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 30);
}

#[test]
fn the_log_goes_on_behind_a_place_it_never_had() {
    let home = Home::new();
    let mut log = home.open(7).unwrap();
    log.write(&[entries(0..3), LogWrite::Purge(place(10))])
        .unwrap();
    assert_eq!(log.last(), Some(place(10)));
    log.write(&[entries(11..12)]).unwrap();
    drop(log);
    let log = home.open(8).unwrap();
    assert_eq!(indexes(&log, 0..u64::MAX), [11]);
}

#[test]
fn another_generation_begins_only_when_the_last_was_noticed() {
    let home = Home::new();
    let first = home.open(7).unwrap().generation();
    let mut log = home.open(8).unwrap();
    assert_eq!(log.generation(), first);
    log.write(&[LogWrite::Noticed]).unwrap();
    drop(log);
    let next = home.open(9).unwrap().generation();
    assert_eq!((first >> 32, next >> 32), (1, 2));
    assert_eq!(
        next & 0xffff_ffff,
        9,
        "random, so that two futures of one state differ"
    );
}

#[test]
fn a_copy_is_empty_and_has_another_id() {
    let home = Home::new();
    let mut log = home.open(7).unwrap();
    log.write(&[entries(0..3)]).unwrap();
    drop(log);
    let path = home.path();
    // Both at once, so that the copy cannot have the inode of the original.
    let copy = home.0.path().join("copy.db");
    fs::copy(&path, &copy).unwrap();
    fs::rename(&copy, &path).unwrap();
    let log = home.open(8).unwrap();
    assert_eq!((log.raft_id(), log.last()), (8, None));
    drop(log);
    let log = home.open(9).unwrap();
    assert_eq!(log.raft_id(), 8, "it stays what it has become");
}

#[test]
fn a_log_that_begins_anew_has_promised_nothing() {
    let home = Home::new();
    let mut log = home.open(7).unwrap();
    let vote = LogVote {
        term: 1,
        leader: 1,
        committed: false,
    };
    log.write(&[
        entries(0..3),
        LogWrite::Purge(place(1)),
        LogWrite::Vote(vote),
    ])
    .unwrap();
    log.renew(8).unwrap();
    assert_eq!((log.raft_id(), log.last(), log.purged()), (8, None, None));
    assert_eq!(log.vote().unwrap(), None);
    log.write(&[entries(0..1)]).unwrap();
    drop(log);
    assert_eq!(home.open(9).unwrap().last(), Some(place(0)));
}

#[test]
fn damage_is_an_error_that_names_the_row() {
    for (sql, names) in [
        ("UPDATE entry SET body = x'00' WHERE place = 1", "entry 1"),
        ("UPDATE entry SET term = 9 WHERE place = 1", "entry 1"),
        ("DELETE FROM entry WHERE place = 1", "before 2"),
    ] {
        let home = Home::new();
        home.open(7).unwrap().write(&[entries(0..3)]).unwrap();
        home.tamper(sql);
        let log = home.open(8).unwrap();
        match log.entries(0..9, usize::MAX) {
            Err(StoreError::Damaged(what)) => assert!(what.contains(names), "{what}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_bent_vote_mark_or_snapshot_is_damage() {
    let home = Home::new();
    let vote = LogVote {
        term: 1,
        leader: 1,
        committed: false,
    };
    let snapshot = LogSnapshot {
        head: vec![1],
        state: vec![2],
    };
    let all = [
        LogWrite::Vote(vote),
        LogWrite::Committed(place(1)),
        LogWrite::Snapshot(snapshot),
    ];
    home.open(7).unwrap().write(&all).unwrap();
    home.tamper(
        "UPDATE vote SET term = 2; UPDATE mark SET place = 2; UPDATE snapshot SET state = x'03'",
    );
    let log = home.open(8).unwrap();
    assert!(matches!(log.vote(), Err(StoreError::Damaged(_))));
    assert!(matches!(log.committed(), Err(StoreError::Damaged(_))));
    assert!(matches!(log.snapshot(), Err(StoreError::Damaged(_))));
}

#[test]
fn a_file_that_is_none_of_ours_is_left_as_it_is() {
    let home = Home::new();
    let contents: [(&[u8], &str); 3] = [
        (b"", "no SQLite database"),
        (b"hello", "no SQLite database"),
        (&[0; 4096], "no SQLite database"),
    ];
    for (bytes, why) in contents {
        fs::write(home.path(), bytes).unwrap();
        match home.open(7) {
            Err(StoreError::Damaged(what)) => assert!(what.contains(why), "{what}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(fs::read(home.path()).unwrap(), bytes);
    }
}

#[test]
fn a_file_cut_short_is_damage() {
    let home = Home::new();
    home.open(7).unwrap().write(&[entries(0..100)]).unwrap();
    let bytes = fs::read(home.path()).unwrap();
    let cut = &bytes[..bytes.len() - 1];
    fs::write(home.path(), cut).unwrap();
    assert!(matches!(home.open(8), Err(StoreError::Damaged(_))));
    assert_eq!(fs::read(home.path()).unwrap(), cut);
}

#[test]
fn a_newer_a_foreign_and_an_open_log_are_refused() {
    let home = Home::new();
    let log = home.open(7).unwrap();
    assert!(matches!(home.open(8), Err(StoreError::AlreadyOpen(_))));
    drop(log);
    let other = RaftLog::open(&home.path(), GroupId([2; 16]), 8);
    assert!(matches!(other, Err(StoreError::OtherGroup(_))));
    home.tamper("PRAGMA user_version = 2");
    let newer = home.open(8);
    assert!(matches!(
        newer,
        Err(StoreError::Newer { found: 2, known: 1 })
    ));
    home.tamper("PRAGMA user_version = 1; PRAGMA application_id = 5");
    assert!(matches!(home.open(8), Err(StoreError::Damaged(_))));
}

#[test]
fn it_is_durable_at_every_commit() {
    let home = Home::new();
    let log = home.open(7).unwrap();
    let ask = |name| {
        let value = log
            .connection
            .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
        value.unwrap()
    };
    assert_eq!(ask("synchronous"), 2_i64.into());
    assert_eq!(ask("journal_mode"), "wal".to_owned().into());
}

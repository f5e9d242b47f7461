//! A database goes into one file and comes back from it, or nothing happens.

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use roda_proto::{Incarnation, Record, WallTime};
use roda_store::{
    Backup, BackupNote, BackupStep, META_LEN_MAX, Reader, Restoration, Store, StoreError,
    VerifyReport, back_up,
};
use rusqlite::Connection;

use crate::world::{Author, Home, room, with_suffix};

const AFTERWARDS: Restoration<'_> = Restoration {
    incarnation: Incarnation([9; 8]),
    meta: &[("restored", "now")],
};

fn note() -> BackupNote {
    BackupNote {
        made: WallTime(1_700_000_000_000),
        settings: "{\"nick\":\"ana\"}".to_owned(),
    }
}

fn quietly(_step: BackupStep) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn save(home: &Home, file: &Path) -> Result<VerifyReport, StoreError> {
    back_up(&home.path(), file, &note(), false, &mut quietly)
}

fn bring_back(file: &Path, home: &Home) -> Result<VerifyReport, StoreError> {
    Backup::open(file)?.restore(&home.path(), &AFTERWARDS, &mut quietly)
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.ends_with(".lock")).collect();
    names.sort();
    names
}

/// A home whose node runs, and a backup of it in a directory with nothing else.
fn backed_up(entries: u64) -> (Home, Store, Home) {
    let (home, elsewhere) = (Home::new(), Home::new());
    let mut store = home.create();
    store.append(&Author::new(1).chat(entries)).unwrap();
    save(&home, &elsewhere.path()).unwrap();
    (home, store, elsewhere)
}

#[test]
fn what_was_committed_when_the_copy_began_is_in_it_and_nothing_later() {
    let home = Home::new();
    let mut store = home.create();
    let mut ana = Author::new(1);
    // More than one step of pages, most of them in the write-ahead log only.
    for batch in ana.chat(40) {
        store.append(&[batch]).unwrap();
    }
    let body = "x".repeat(20_000);
    for clock in 0..400 {
        let batch = ana.write(&[(1000 + clock, Some("room"), body.as_bytes())]);
        store.append(&[Record::Batch(batch)]).unwrap();
    }
    let file = home.directory.path().join("ana.backup");
    let (mut steps, mut later) = (0, Some(ana.write(&[(5000, Some("room"), b"later")])));
    let mut progress = |step| {
        if let BackupStep::Copied { pages, total } = step {
            assert!(pages <= total && total > 256, "{pages} of {total}");
            steps += 1;
            if let Some(batch) = later.take() {
                store.append(&[Record::Batch(batch)]).unwrap();
            }
        }
        ControlFlow::Continue(())
    };
    let report = back_up(&home.path(), &file, &note(), false, &mut progress).unwrap();
    assert!(steps > 2, "{steps}");
    assert_eq!((report.entries, report.faults.len()), (440, 0));
    assert_eq!(room(&store.reader().unwrap()).len(), 441);
    let restored = Home::new();
    assert_eq!(bring_back(&file, &restored).unwrap().entries, 440);
    assert_eq!(room(&Reader::open(&restored.path()).unwrap()).len(), 440);
}

#[test]
fn a_backup_is_one_private_file_and_no_node_starts_on_it() {
    let (_home, _store, elsewhere) = backed_up(3);
    assert_eq!(names(elsewhere.directory.path()), ["roda.db"]);
    let mode = fs::metadata(elsewhere.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(Backup::open(&elsewhere.path()).unwrap().note(), &note());
    let opened = Store::open(&elsewhere.path());
    assert!(matches!(opened, Err(StoreError::Damaged(_))), "{opened:?}");
    assert_eq!(names(elsewhere.directory.path()), ["roda.db"]);
}

#[test]
fn a_restored_database_has_a_life_of_its_own_and_everything_else() {
    let (home, mut store, elsewhere) = backed_up(7);
    store.set_meta("later", "x").unwrap();
    let restored = Home::new();
    bring_back(&elsewhere.path(), &restored).unwrap();
    assert_eq!(names(restored.directory.path()), ["roda.db"]);
    let mode = fs::metadata(restored.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (before, back) = (store.snapshot().unwrap(), {
        let opened = Store::open(&restored.path()).unwrap();
        assert!(!opened.was_copied());
        assert_eq!(opened.meta("restored").unwrap().as_deref(), Some("now"));
        assert_eq!(opened.meta("later").unwrap(), None);
        opened.snapshot().unwrap()
    });
    assert_eq!(back.identity.seed, before.identity.seed);
    assert_eq!(back.identity.group, before.identity.group);
    assert_eq!(back.identity.incarnation, AFTERWARDS.incarnation);
    let rooms = [home.path(), restored.path()].map(|path| room(&Reader::open(&path).unwrap()));
    assert_eq!(rooms[0], rooms[1]);
}

#[test]
fn a_backup_of_an_older_schema_is_made_and_comes_back_with_this_one() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/version-1.db");
    let home = Home::copy_of(&fixture, &[""]);
    let before = fs::read(home.path()).unwrap();
    let file = home.directory.path().join("old.backup");
    save(&home, &file).unwrap();
    assert!(fs::read(home.path()).unwrap() == before, "it was migrated");
    let restored = Home::new();
    bring_back(&file, &restored).unwrap();
    Reader::open(&restored.path()).unwrap();
}

#[test]
fn a_file_is_replaced_only_on_purpose_and_a_directory_never() {
    let (home, mut store, elsewhere) = backed_up(1);
    store.set_meta("second", "x").unwrap();
    let first = fs::read(elsewhere.path()).unwrap();
    let refused = save(&home, &elsewhere.path());
    assert!(matches!(refused, Err(StoreError::AlreadyExists(_))));
    let dangling = elsewhere.directory.path().join("link");
    symlink("/nowhere/at/all", &dangling).unwrap();
    assert!(matches!(
        save(&home, &dangling),
        Err(StoreError::AlreadyExists(_))
    ));
    fs::remove_file(&dangling).unwrap();
    assert!(fs::read(elsewhere.path()).unwrap() == first);
    let file = elsewhere.path();
    back_up(&home.path(), &file, &note(), true, &mut quietly).unwrap();
    let backup = Backup::open(&file).unwrap();
    assert_eq!(backup.meta("second").unwrap().as_deref(), Some("x"));
    let directory = elsewhere.directory.path();
    let refused = back_up(&home.path(), directory, &note(), true, &mut quietly);
    assert!(matches!(refused, Err(StoreError::Io { .. })), "{refused:?}");
    assert_eq!(names(directory), ["roda.db"]);
}

#[test]
fn an_interrupted_backup_or_restoration_leaves_nothing() {
    let (home, _store, elsewhere) = backed_up(3);
    let file = home.directory.path().join("second.backup");
    let stop_at_check = |is_wanted: bool| {
        move |step: BackupStep| match matches!(step, BackupStep::Checked { .. }) == is_wanted {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let before = names(home.directory.path());
    for wanted in [false, true] {
        let ended = back_up(
            &home.path(),
            &file,
            &note(),
            false,
            &mut stop_at_check(wanted),
        );
        assert!(matches!(ended, Err(StoreError::Interrupted)), "{ended:?}");
        assert_eq!(names(home.directory.path()), before);
        let target = Home::new();
        let backup = Backup::open(&elsewhere.path()).unwrap();
        let ended = backup.restore(&target.path(), &AFTERWARDS, &mut stop_at_check(wanted));
        assert!(matches!(ended, Err(StoreError::Interrupted)), "{ended:?}");
        assert_eq!(names(target.directory.path()), [""; 0]);
    }
}

#[test]
fn what_is_no_sound_backup_is_refused_and_leaves_nothing() {
    let (home, store, elsewhere) = backed_up(30);
    let whole = fs::read(elsewhere.path()).unwrap();
    let mut flipped = whole.clone();
    let place = find(&flipped, b"message 17");
    flipped[place] ^= 1;
    let cases: [(&str, Vec<u8>); 6] = [
        ("no SQLite database", Vec::new()),
        ("no SQLite database", b"an encrypted archive".repeat(1000)),
        ("should have", whole[..whole.len() - 1].to_vec()),
        ("should have", whole[..8192 * 2].to_vec()),
        ("another program", Vec::new()),
        ("batch 17", flipped),
    ];
    for (expected, bytes) in cases {
        let (file, target) = (home.directory.path().join("bad"), Home::new());
        fs::write(&file, bytes).unwrap();
        if expected == "another program" {
            let foreign = Connection::open(&file).unwrap();
            foreign.execute_batch("CREATE TABLE a (x)").unwrap();
        }
        match bring_back(&file, &target) {
            Err(StoreError::Damaged(reason)) => {
                assert!(reason.contains(expected), "{expected}: {reason}");
            }
            other => panic!("{expected}: {other:?}"),
        }
        assert_eq!(names(target.directory.path()), [""; 0], "{expected}");
        fs::remove_file(&file).unwrap();
    }
    let of_a_node = Backup::open(store.path());
    let reason = of_a_node.unwrap_err().to_string();
    assert!(reason.contains("the database of a node"), "{reason}");
}

#[test]
fn a_damaged_database_gives_no_backup() {
    let (home, store, _elsewhere) = backed_up(3);
    drop(store);
    let changed = Connection::open(home.path()).unwrap();
    changed
        .execute("DELETE FROM batch WHERE first = 2", [])
        .unwrap();
    drop(changed);
    let elsewhere = Home::new();
    let refused = save(&home, &elsewhere.path());
    assert!(
        matches!(refused, Err(StoreError::Damaged(_))),
        "{refused:?}"
    );
    assert_eq!(names(elsewhere.directory.path()), [""; 0]);
}

#[test]
fn a_newer_backup_is_refused() {
    let (_home, _store, elsewhere) = backed_up(1);
    let newer = Connection::open(elsewhere.path()).unwrap();
    let version = roda_store::SCHEMA_VERSION + 1;
    newer.pragma_update(None, "user_version", version).unwrap();
    drop(newer);
    let refused = Backup::open(&elsewhere.path());
    assert!(
        matches!(refused, Err(StoreError::Newer { .. })),
        "{refused:?}"
    );
}

#[test]
fn nothing_is_restored_over_a_database_or_its_remains() {
    let (home, store, elsewhere) = backed_up(1);
    let refused = bring_back(&elsewhere.path(), &home);
    assert!(matches!(refused, Err(StoreError::AlreadyExists(_))));
    drop(store);
    let remains = Home::new();
    fs::write(with_suffix(&remains.path(), "-wal"), b"somebody's").unwrap();
    let refused = bring_back(&elsewhere.path(), &remains);
    assert!(matches!(refused, Err(StoreError::AlreadyExists(_))));
}

#[test]
fn settings_that_are_too_long_are_refused() {
    let (home, _store, _elsewhere) = backed_up(1);
    let note = BackupNote {
        settings: "x".repeat(roda_store::SETTINGS_LEN_MAX + 1),
        ..note()
    };
    let file = home.directory.path().join("b");
    let refused = back_up(&home.path(), &file, &note, false, &mut quietly);
    assert!(matches!(refused, Err(StoreError::TooMany { .. })));
    let long = "x".repeat(META_LEN_MAX + 1);
    let changes = Restoration {
        meta: &[("key", &long)],
        ..AFTERWARDS
    };
    save(&home, &file).unwrap();
    let target = Home::new();
    let backup = Backup::open(&file).unwrap();
    let refused = backup.restore(&target.path(), &changes, &mut quietly);
    assert!(matches!(refused, Err(StoreError::TooMany { .. })));
    assert_eq!(names(target.directory.path()), [""; 0]);
}

fn find(bytes: &[u8], wanted: &[u8]) -> usize {
    let mut windows = bytes.windows(wanted.len());
    windows.position(|window| window == wanted).unwrap()
}

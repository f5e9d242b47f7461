//! Creating and opening, and files that are not what they should be.

use std::fs;
use std::path::Path;
use std::time::Duration;

use roda_proto::job::{JobKey, QueueName, StateKind};
use roda_proto::{Hlc, Incarnation, Seq};
use roda_store::{JobsQuery, LoadedState, Reader, SCHEMA_VERSION, Store, StoreError};
use rusqlite::Connection;

use crate::world::{Author, Home, identity, room, with_suffix};

#[test]
fn a_second_database_is_not_created_over_the_first_or_its_remains() {
    let home = Home::new();
    home.create().append(&Author::new(1).chat(3)).unwrap();
    let content = fs::read(home.path()).unwrap();
    let again = Store::create(&home.path(), &identity());
    assert!(matches!(again, Err(StoreError::AlreadyExists(path)) if path == home.path()));
    assert_eq!(fs::read(home.path()).unwrap(), content);

    let wal = with_suffix(&home.path(), "-wal");
    fs::write(&wal, "somebody's").unwrap();
    fs::remove_file(home.path()).unwrap();
    let again = Store::create(&home.path(), &identity());
    assert!(matches!(again, Err(StoreError::AlreadyExists(path)) if path == wal));
}

#[test]
fn a_draft_left_by_a_crash_does_not_hinder() {
    let home = Home::new();
    let draft = with_suffix(&home.path(), ".new");
    fs::write(&draft, "half").unwrap();
    fs::write(with_suffix(&draft, "-journal"), "half").unwrap();
    drop(home.create());
    assert!(!draft.exists());
    assert!(Store::open(&home.path()).is_ok());
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_any_of_its_files() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let mut store = home.create();
    store.append(&Author::new(1).chat(1)).unwrap();
    let files: Vec<_> = fs::read_dir(home.directory.path())
        .unwrap()
        .map(|file| file.unwrap())
        .collect();
    assert_eq!(files.len(), 4, "database, WAL, shared memory, lock");
    for file in files {
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file:?}");
    }
}

#[test]
fn one_store_at_a_time() {
    let home = Home::new();
    let store = home.create();
    let second = Store::open(&home.path());
    assert!(matches!(second, Err(StoreError::AlreadyOpen(path)) if path == home.path()));
    assert!(Reader::open(&home.path()).is_ok());
    drop(store);
    assert!(Store::open(&home.path()).is_ok());
}

#[test]
fn where_nothing_is_nothing_is_made() {
    let home = Home::new();
    let missing = Store::open(&home.path());
    assert!(matches!(missing, Err(StoreError::Missing(_))));
    let missing = Reader::open(&home.path());
    assert!(matches!(missing, Err(StoreError::Missing(_))));
    assert_eq!(fs::read_dir(home.directory.path()).unwrap().count(), 0);
}

/// Opens a file with the given content and expects that this changes nothing.
fn open_bytes(content: &[u8]) -> (Result<Store, StoreError>, Result<Reader, StoreError>) {
    let home = Home::new();
    fs::write(home.path(), content).unwrap();
    let opened = (Store::open(&home.path()), Reader::open(&home.path()));
    assert_eq!(fs::read(home.path()).unwrap(), content);
    opened
}

fn sound_bytes() -> Vec<u8> {
    let home = Home::new();
    home.create().append(&Author::new(1).chat(500)).unwrap();
    fs::read(home.path()).unwrap()
}

#[test]
fn what_is_no_database_is_damaged_and_stays_as_it_is() {
    let sound = sound_bytes();
    let mut headless = sound.clone();
    headless[..16].fill(0);
    let mut wrong_page_size = sound.clone();
    wrong_page_size[16] = 0x33;
    for content in [
        b"".as_slice(),
        b"SQLite format 3\0",
        &[0; 100_000],
        &b"any text at all".repeat(1000),
        &headless,
        &wrong_page_size,
        &sound[..99],
        &sound[..5000],
        &sound[..sound.len() / 2],
        &sound[..sound.len() - 1],
    ] {
        let (store, reader) = open_bytes(content);
        let len = content.len();
        assert!(
            matches!(store, Err(StoreError::Damaged(_))),
            "{len}: {store:?}"
        );
        assert!(
            matches!(reader, Err(StoreError::Damaged(_))),
            "{len}: {reader:?}"
        );
    }
    assert!(open_bytes(&sound).0.is_ok());
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let home = Home::new();
    Connection::open(home.path())
        .unwrap()
        .execute_batch("CREATE TABLE t (x)")
        .unwrap();
    let (store, _) = open_bytes(&fs::read(home.path()).unwrap());
    assert!(matches!(store, Err(StoreError::Damaged(text)) if text.contains("another program")));
}

fn set_version(path: &Path, version: u32) {
    let changed = Connection::open(path).unwrap();
    changed
        .pragma_update(None, "user_version", version)
        .unwrap();
}

#[test]
fn a_newer_database_is_left_alone() {
    let home = Home::new();
    drop(home.create());
    set_version(&home.path(), SCHEMA_VERSION + 1);
    let (store, reader) = open_bytes(&fs::read(home.path()).unwrap());
    let newer = |error: Option<StoreError>| {
        let (found, known) = (SCHEMA_VERSION + 1, SCHEMA_VERSION);
        matches!(error, Some(StoreError::Newer { found: f, known: k }) if (f, k) == (found, known))
    };
    assert!(newer(store.err()));
    assert!(newer(reader.err()));
}

#[test]
fn a_newer_version_that_is_only_in_the_wal_counts() {
    let home = Home::new();
    let store = home.create();
    set_version(&home.path(), SCHEMA_VERSION + 1);
    let copy = Home::copy_of(&home.path(), &["", "-wal"]);
    drop(store);
    let before = ["", "-wal"].map(|suffix| fs::read(with_suffix(&copy.path(), suffix)).unwrap());
    let opened = Store::open(&copy.path());
    assert!(matches!(opened, Err(StoreError::Newer { .. })));
    let after = ["", "-wal"].map(|suffix| fs::read(with_suffix(&copy.path(), suffix)).unwrap());
    assert!(before == after);
}

#[test]
fn a_copy_is_noticed_until_it_is_accepted_and_a_renamed_file_is_none() {
    let home = Home::new();
    drop(home.create());
    let renamed = home.directory.path().join("renamed.db");
    fs::rename(home.path(), &renamed).unwrap();
    assert!(!Store::open(&renamed).unwrap().was_copied());

    let copy = Home::copy_of(&renamed, &[""]);
    assert!(Store::open(&copy.path()).unwrap().was_copied());
    let mut store = Store::open(&copy.path()).unwrap();
    store.set_incarnation(Incarnation([5; 8])).unwrap();
    assert!(!store.was_copied());
    drop(store);
    let store = Store::open(&copy.path()).unwrap();
    assert!(!store.was_copied());
    assert_eq!(
        store.snapshot().unwrap().identity.incarnation,
        Incarnation([5; 8])
    );

    let second = Home::copy_of(&renamed, &[""]);
    Store::open(&second.path()).unwrap().accept_place().unwrap();
    let store = Store::open(&second.path()).unwrap();
    assert!(!store.was_copied());
    assert_eq!(
        store.snapshot().unwrap().identity.incarnation,
        Incarnation([1; 8])
    );
}

#[test]
fn a_database_of_schema_version_1_opens_with_all_it_holds() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/version-1.db");
    let home = Home::copy_of(&fixture, &[""]);
    let mut store = Store::open(&home.path()).unwrap();
    assert!(store.was_copied());
    assert_eq!(store.meta("nick").unwrap().as_deref(), Some("ana"));
    assert_eq!(store.contacts().unwrap().len(), 1);
    assert_eq!(store.mirrors().unwrap().len(), 1);
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.identity.group_name, "praça");
    assert_eq!(snapshot.epochs.len(), 1);
    assert_eq!(snapshot.control.len(), 1);
    assert_eq!(snapshot.frozen.len(), 1);
    assert_eq!(snapshot.clock, Hlc(50));
    let heads: Vec<_> = snapshot.heads.iter().map(|head| head.seq).collect();
    assert_eq!(heads, [Seq(4), Seq(4)]);
    let reader = store.reader().unwrap();
    let topics = reader.topics().unwrap();
    assert_eq!((topics[0].entries, topics[0].last), (6, Hlc(41)));
    assert_eq!(room(&reader), [2, 2, 3, 3, 4, 4]);
    assert_eq!(reader.verify(|_| {}).unwrap().faults, [""; 0]);
    store.append(&Author::new(77).chat(1)).unwrap();
}

#[test]
fn a_database_of_schema_version_3_keeps_its_jobs_and_their_progress() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/version-3.db");
    let home = Home::copy_of(&fixture, &[""]);
    let store = Store::open(&home.path()).unwrap();
    let reader = store.reader().unwrap();
    let workers = reader.live_workers().unwrap();
    let running = reader.running_of(&workers[0].worker).unwrap();
    let saved = reader.job_checkpoints(running[0].id).unwrap();
    assert_eq!(saved.len(), 1);
    assert_eq!(saved[0].state, LoadedState::Whole(b"line 7".to_vec()));
    assert_eq!(saved[0].saved.blob, None);
    assert_eq!(reader.verify(|_| {}).unwrap().faults, [""; 0]);
}

#[test]
fn a_database_of_schema_version_4_keeps_its_blobs() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/version-4.db");
    let home = Home::copy_of(&fixture, &[""]);
    let store = Store::open(&home.path()).unwrap();
    let reader = store.reader().unwrap();
    let workers = reader.live_workers().unwrap();
    let running = reader.running_of(&workers[0].worker).unwrap();
    let saved = running[0].job.checkpoints();
    assert_eq!((saved.len(), saved[0].blob), (2, Some(30_000)));
    assert_eq!(reader.blob(&saved[0].hash).unwrap(), Some(vec![7; 30_000]));
    assert_eq!(reader.verify(|_| {}).unwrap().faults, [""; 0]);
}

#[test]
fn a_database_of_schema_version_6_keeps_its_past_jobs_and_old_rounds() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/version-6.db");
    let home = Home::copy_of(&fixture, &[""]);
    let store = Store::open(&home.path()).unwrap();
    let reader = store.reader().unwrap();
    let queue = QueueName::new("work").unwrap();
    let film = JobKey::new("film").unwrap();
    let (past, _) = reader.push_by_key(&queue, &film).unwrap().unwrap();
    assert_eq!(
        reader.job_row(past).unwrap().unwrap().state.kind(),
        StateKind::Done
    );
    let all = JobsQuery {
        limit: 10,
        ..JobsQuery::default()
    };
    let listed = reader.jobs(&all).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].job.recurrence().unwrap().rounds, 300);
    let kept = reader.retention(&queue).unwrap().unwrap();
    assert_eq!(kept.over, Duration::from_secs(2 * 24 * 60 * 60));
    assert_eq!(reader.verify(|_| {}).unwrap().faults, [""; 0]);
}

#[cfg(unix)]
#[test]
fn a_directory_that_cannot_be_written_to_is_said_to_be_so() {
    use std::os::unix::fs::PermissionsExt;
    if is_root() {
        // Permissions do not bind root: run this one test as somebody else.
        return as_nobody("opening::a_directory_that_cannot_be_written_to_is_said_to_be_so");
    }
    let home = Home::new();
    let directory = home.directory.path();
    drop(home.create());
    let content = fs::read(home.path()).unwrap();
    fs::set_permissions(directory, fs::Permissions::from_mode(0o555)).unwrap();
    let opened = Store::open(&home.path());
    let created = Store::create(&directory.join("other.db"), &identity());
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(opened, Err(StoreError::ReadOnly(_))), "{opened:?}");
    assert!(
        matches!(created, Err(StoreError::ReadOnly(_))),
        "{created:?}"
    );

    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o444)).unwrap();
    let opened = Store::open(&home.path());
    assert!(
        matches!(&opened, Err(StoreError::ReadOnly(path)) if *path == home.path()),
        "{opened:?}"
    );
    let lock = with_suffix(&home.path(), ".lock");
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o444)).unwrap();
    let opened = Store::open(&home.path());
    assert!(matches!(opened, Err(StoreError::ReadOnly(path)) if path == home.path()));
    assert_eq!(fs::read(home.path()).unwrap(), content);
}

#[cfg(unix)]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    // A new file belongs to the effective user.
    let home = Home::new();
    fs::metadata(home.directory.path()).unwrap().uid() == 0
}

#[cfg(unix)]
fn as_nobody(test: &str) {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    // The test program may be where only root can read it.
    let home = Home::new();
    let program = home.directory.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(home.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let output = std::process::Command::new(&program)
        .args(["--exact", test])
        .uid(65534)
        .gid(65534)
        .current_dir("/")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

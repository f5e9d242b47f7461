//! Opening the file: lock, header, version gate, settings.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::schema::{APPLICATION_ID, SCHEMA_VERSION};
use crate::settle::settle;
use crate::{Result, StoreError, schema};

/// Older versions can corrupt a database when a checkpoint resets the WAL while another connection
/// writes: <https://sqlite.org/wal.html#walresetbug>.
const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// Measured against 8192: a lone job is stored a tenth faster and writes half as much, 64 producers store
/// 6 % more; sixteen full batches in a commit take a sixth longer, at 340 MB/s. Databases keep the length
/// that they were made with.
pub(crate) const PAGE_LEN: u32 = 4096;
/// Pages in the WAL after which a commit also checkpoints.
const CHECKPOINT_PAGES: u32 = 8192;
/// To what the WAL file shrinks after a burst, or after a reader had kept it from being reset.
const WAL_LEN_KEPT: u32 = 64 << 20;
/// How long to wait for a foreign program (a backup, a shell) that has the database locked.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const STATEMENTS_CACHED: usize = 128;
const HEADER_LEN: usize = 100;

/// Absolute, because this SQLite takes a relative name that starts with `file:` for a URI.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| StoreError::reading(path, error))
}

/// The path with something appended to its last part.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Takes the lock that keeps a second writer out; it is released when the file is dropped.
///
/// The lock file stays for good: removing it would let two processes lock two different files.
pub(crate) fn lock(path: &Path) -> Result<File> {
    let lock_path = beside(path, ".lock");
    let file = private(OpenOptions::new().write(true).create(true).truncate(false))
        .open(&lock_path)
        .map_err(|error| match StoreError::writing(&lock_path, error) {
            StoreError::ReadOnly(_) => StoreError::ReadOnly(path.to_owned()),
            other => other,
        })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::AlreadyOpen(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(StoreError::reading(&lock_path, error)),
    }
}

/// Readable and writable by its owner only: the database holds keys.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Makes a created or renamed file findable after power loss.
pub(crate) fn sync_directory_of(path: &Path) -> Result<()> {
    #[cfg(unix)]
    if let Some(directory) = path.parent() {
        File::open(directory)
            .and_then(|opened| opened.sync_all())
            .map_err(|error| StoreError::writing(directory, error))?;
    }
    Ok(())
}

/// Looks at a database without changing a byte of it, and returns its schema version, never newer
/// than this build's.
pub(crate) fn inspect(path: &Path) -> Result<u32> {
    inspect_as(path, APPLICATION_ID, SCHEMA_VERSION)
}

/// As [`inspect`], for a database of another kind.
pub(crate) fn inspect_as(path: &Path, application: u32, known: u32) -> Result<u32> {
    check_header(path, application)?;
    let connection = open_read_only(path)?;
    // The header in the file may be older than the one in the WAL.
    let found = schema::version(&connection).map_err(|error| error.at(path))?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    if found == 0 {
        return Err(StoreError::Damaged("it has no schema version".to_owned()));
    }
    let tables = "SELECT count(*) FROM sqlite_schema";
    connection.query_row(tables, [], |row| row.get::<_, i64>(0))?;
    Ok(found)
}

/// SQLite would take an empty file for an empty database, and another program's for ours.
fn check_header(path: &Path, application: u32) -> Result<()> {
    let file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => StoreError::Missing(path.to_owned()),
        _ => StoreError::reading(path, error),
    })?;
    let mut header = Vec::with_capacity(HEADER_LEN);
    file.take(HEADER_LEN as u64)
        .read_to_end(&mut header)
        .map_err(|error| StoreError::reading(path, error))?;
    if header.len() < HEADER_LEN || !header.starts_with(b"SQLite format 3\0") {
        return Err(StoreError::Damaged("it is no SQLite database".to_owned()));
    }
    // https://sqlite.org/fileformat2.html#the_database_header
    if header[68..72] != application.to_be_bytes() {
        return Err(StoreError::Damaged(
            "it is a database of another program".to_owned(),
        ));
    }
    check_len(path, &header)
}

/// SQLite notices missing pages but not a last page cut short. While there is a WAL, the file may
/// be shorter than it says: a checkpoint was interrupted, and SQLite will do it again.
fn check_len(path: &Path, header: &[u8]) -> Result<()> {
    let len = |path: &Path| fs::metadata(path).map(|metadata| metadata.len());
    let found = len(path).map_err(|error| StoreError::reading(path, error))?;
    let page_len = u64::from(u16::from_be_bytes([header[16], header[17]]));
    let pages = u32::from_be_bytes([header[28], header[29], header[30], header[31]]);
    let needed = page_len * u64::from(pages);
    if found < needed && !len(&beside(path, "-wal")).is_ok_and(|wal| wal > 0) {
        return Err(StoreError::Damaged(format!(
            "it has {found} bytes and should have {needed}"
        )));
    }
    Ok(())
}

/// A connection that cannot write. Closing it leaves the database as it is.
pub(crate) fn open_read_only(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    open(path, flags).map_err(|error| error.at(path))
}

/// The writing connection, with every setting that durability depends on read back, and all that it
/// finds in the write-ahead log safe from power loss.
pub(crate) fn open_writer(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = open(path, flags)
        .and_then(|connection| prepare_writer(&connection).map(|()| connection))
        .map_err(|error| error.at(path))?;
    // SQLite falls back to reading when it may not write.
    if connection.is_readonly(rusqlite::MAIN_DB)? {
        return Err(StoreError::ReadOnly(path.to_owned()));
    }
    settle(&connection, path).map_err(|error| error.at(path))?;
    Ok(connection)
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let found = rusqlite::version_number();
    if found < SQLITE_VERSION_MIN {
        return Err(StoreError::Unsuitable(format!(
            "its version is {found}, {SQLITE_VERSION_MIN} is needed"
        )));
    }
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    // Else SQLite plans a statement anew for each value that partial indices could depend on.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.execute_batch(
        "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;",
    )?;
    Ok(connection)
}

fn prepare_writer(connection: &Connection) -> Result<()> {
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Unsuitable(format!("journal mode is {mode}")));
    }
    set_durable(connection)?;
    // A key that was forgotten must not stay in a free page.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", WAL_LEN_KEPT)?;
    Ok(())
}

pub(crate) fn set_durable(connection: &Connection) -> Result<()> {
    connection.pragma_update(None, "synchronous", "full")?;
    let level: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    if level != 2 {
        return Err(StoreError::Unsuitable(format!("synchronous is {level}")));
    }
    // On Apple's systems an ordinary fsync does not reach the medium.
    connection.execute_batch("PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;")?;
    Ok(())
}

/// Removes a file and what SQLite keeps beside it.
pub(crate) fn remove_database(path: &Path) -> Result<()> {
    for suffix in ["", "-journal", "-wal", "-shm"] {
        let part = beside(path, suffix);
        match fs::remove_file(&part) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::writing(&part, error));
            }
            _ => {}
        }
    }
    Ok(())
}

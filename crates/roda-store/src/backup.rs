//! Backups: one file that holds what a database held in one moment, written while a node runs.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use roda_proto::WallTime;
use rusqlite::backup::{Backup as Copying, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::schema::{APPLICATION_ID, MIGRATIONS};
use crate::verify::VerifyReport;
use crate::{Reader, Result, StoreError, connection, schema};

/// Marks the file as a backup: "RodB" in ASCII. So neither is taken for the other: no node starts on
/// a backup, and a node's database, which may be in use, is not restored from.
pub(crate) const BACKUP_ID: u32 = u32::from_be_bytes(*b"RodB");
/// Most bytes of settings that a backup carries.
pub const SETTINGS_LEN_MAX: usize = 64 * 1024;
/// Pages that are copied between two reports, 2 MiB.
const PAGES_PER_STEP: i32 = 256;

/// One row that only a backup has. It is not in the schema's version: what it says is for
/// [`Backup`](crate::Backup), not for a node.
const NOTE: &str = "CREATE TABLE backup (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    made     INTEGER NOT NULL,
    settings TEXT NOT NULL
) STRICT";

/// What a backup says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupNote {
    /// When it was made.
    pub made: WallTime,
    /// What the maker keeps outside of the database and wants back; at most [`SETTINGS_LEN_MAX`] bytes.
    pub settings: String,
}

/// How far a backup or its restoration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupStep {
    /// Pages are being copied.
    Copied {
        /// So many are.
        pages: u64,
        /// Of so many.
        total: u64,
    },
    /// The copy is being checked.
    Checked {
        /// So many entries are.
        entries: u64,
    },
}

/// Writes all that the database holds in this moment to `file`, and checks it there. The database may be
/// in use: its writer is not held up, but its write-ahead log can only grow meanwhile. It is brought up
/// to this version's schema in the copy alone.
///
/// `file` is there as a whole when this returns, on disk, readable by its owner only; on any error
/// nothing is left of it, and what was there before still is. The log of votes is not in it.
///
/// # Errors
/// [`StoreError::AlreadyExists`] unless it may `replace` a file; [`StoreError::Damaged`] if what was
/// copied fails the check; [`StoreError::Interrupted`] if `progress` breaks.
pub fn back_up(
    database: &Path,
    file: &Path,
    note: &BackupNote,
    replace: bool,
    progress: &mut dyn FnMut(BackupStep) -> ControlFlow<()>,
) -> Result<VerifyReport> {
    if note.settings.len() > SETTINGS_LEN_MAX {
        return Err(StoreError::TooMany {
            what: "bytes of settings",
            max: SETTINGS_LEN_MAX,
        });
    }
    let (database, file) = (connection::absolute(database)?, connection::absolute(file)?);
    connection::inspect(&database)?;
    refuse_existing(&file, replace)?;
    let source = connection::open_read_only(&database)?;
    let draft = Draft::beside(&file).map_err(|error| match error {
        StoreError::ReadOnly(_draft) => StoreError::ReadOnly(file.clone()),
        other => other,
    })?;
    copy(&source, &draft.path, progress).map_err(|error| error.at(&draft.path))?;
    drop(source);
    make_usable(&draft.path).map_err(|error| error.at(&draft.path))?;
    let report = check(&draft.path, progress)?;
    stamp(&draft.path, note).map_err(|error| error.at(&draft.path))?;
    sync(&draft.path)?;
    // Again, as copying may have taken long.
    refuse_existing(&file, replace)?;
    draft.place_at(&file)?;
    Ok(report)
}

fn refuse_existing(file: &Path, replace: bool) -> Result<()> {
    match fs::symlink_metadata(file) {
        Ok(found) if found.is_dir() => {
            let reason = io::ErrorKind::IsADirectory.into();
            Err(StoreError::reading(file, reason))
        }
        Ok(_) if !replace => Err(StoreError::AlreadyExists(file.to_owned())),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::reading(file, error)),
    }
}

/// A file that is not at its place yet; dropped, it is removed with all that SQLite put beside it.
pub(crate) struct Draft {
    pub(crate) path: PathBuf,
}

impl Draft {
    /// An empty file with a name that nobody has. A killed process leaves it behind.
    pub(crate) fn beside(file: &Path) -> Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = connection::beside(file, &format!(".{}-{number}.part", std::process::id()));
            let opened =
                connection::private(OpenOptions::new().write(true).create_new(true)).open(&path);
            match opened {
                Ok(_file) => return Ok(Self { path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(StoreError::writing(&path, error)),
            }
        }
    }

    /// Gives it its name, on disk when this returns.
    pub(crate) fn place_at(self, file: &Path) -> Result<()> {
        fs::rename(&self.path, file).map_err(|error| StoreError::writing(file, error))?;
        // What `drop` would remove is gone from there.
        connection::sync_directory_of(file)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Whatever made it useless is the error to tell.
        let _removed = connection::remove_database(&self.path);
    }
}

/// Copies one moment of a database into an empty file.
pub(crate) fn copy(
    source: &Connection,
    draft: &Path,
    progress: &mut dyn FnMut(BackupStep) -> ControlFlow<()>,
) -> Result<()> {
    // Without it, each commit of the node meanwhile would begin the copy anew.
    let moment = source.unchecked_transaction()?;
    moment.query_row("SELECT count(*) FROM sqlite_schema", [], |_row| Ok(()))?;
    let mut target = open_draft(draft)?;
    // A draft that a crash interrupts is never looked at; it is synced as a whole in the end.
    target.query_row("PRAGMA journal_mode = off", [], |_row| Ok(()))?;
    target.pragma_update(None, "synchronous", "off")?;
    let copying = Copying::new(source, &mut target)?;
    loop {
        let is_done = match copying.step(PAGES_PER_STEP)? {
            StepResult::More => false,
            StepResult::Done => true,
            // It reads beside writers; only an exclusive lock of a foreign program keeps it out.
            _busy_or_locked => {
                return Err(StoreError::Unsuitable("the database is locked".to_owned()));
            }
        };
        let at = copying.progress();
        let total = u64::try_from(at.pagecount).unwrap_or_default();
        let left = u64::try_from(at.remaining).unwrap_or_default();
        let pages = total.saturating_sub(left);
        if progress(BackupStep::Copied { pages, total }).is_break() {
            return Err(StoreError::Interrupted);
        }
        if is_done {
            break;
        }
    }
    drop(copying);
    close(target)
}

/// Makes one file of a copy, with this version's schema.
pub(crate) fn make_usable(draft: &Path) -> Result<()> {
    let mut opened = open_draft(draft)?;
    // The header came along, and says that there is a write-ahead log.
    set_journal(&opened, "delete")?;
    schema::migrate(&mut opened, &MIGRATIONS)?;
    close(opened)
}

/// Refuses a copy in which anything is wrong.
pub(crate) fn check(
    draft: &Path,
    progress: &mut dyn FnMut(BackupStep) -> ControlFlow<()>,
) -> Result<VerifyReport> {
    let reader = Reader::open(draft)?;
    let entries = |report: &VerifyReport| BackupStep::Checked {
        entries: report.entries,
    };
    let mut report = reader.verify_until(|report| progress(entries(report)))?;
    match report.faults.pop() {
        None => Ok(report),
        Some(last) => {
            let first = report.faults.into_iter().next();
            Err(StoreError::Damaged(first.unwrap_or(last)))
        }
    }
}

fn stamp(draft: &Path, note: &BackupNote) -> Result<()> {
    let mut opened = open_draft(draft)?;
    let transaction = opened.transaction()?;
    transaction.execute_batch(NOTE)?;
    transaction.execute(
        "INSERT INTO backup (one, made, settings) VALUES (1, ?1, ?2)",
        (note.made.0.cast_signed(), &note.settings),
    )?;
    transaction.pragma_update(None, "application_id", BACKUP_ID)?;
    transaction.commit()?;
    close(opened)
}

/// Takes back what makes a backup of a copy.
pub(crate) fn unstamp(opened: &Connection) -> Result<()> {
    opened.execute_batch("DROP TABLE backup")?;
    opened.pragma_update(None, "application_id", APPLICATION_ID)?;
    Ok(())
}

/// Reads the row that only a backup has.
pub(crate) fn note(opened: &Connection) -> Result<BackupNote> {
    let len: i64 = opened.query_row("SELECT octet_length(settings) FROM backup", [], |row| {
        row.get(0)
    })?;
    if usize::try_from(len).map_or(true, |len| len > SETTINGS_LEN_MAX) {
        return Err(StoreError::Damaged("its settings are too long".to_owned()));
    }
    Ok(
        opened.query_row("SELECT made, settings FROM backup", [], |row| {
            Ok(BackupNote {
                made: WallTime(row.get::<_, i64>(0)?.cast_unsigned()),
                settings: row.get(1)?,
            })
        })?,
    )
}

pub(crate) fn open_draft(draft: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(draft, flags)?;
    opened.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;")?;
    Ok(opened)
}

/// Sets the journal mode that the file names, and reads it back.
pub(crate) fn set_journal(opened: &Connection, wanted: &str) -> Result<()> {
    let mode: String =
        opened.pragma_update_and_check(None, "journal_mode", wanted, |row| row.get(0))?;
    if mode == wanted {
        Ok(())
    } else {
        Err(StoreError::Unsuitable(format!("journal mode is {mode}")))
    }
}

pub(crate) fn close(opened: Connection) -> Result<()> {
    opened
        .close()
        .map_err(|(_connection, error)| StoreError::from(error))
}

pub(crate) fn sync(draft: &Path) -> Result<()> {
    let opened = OpenOptions::new().write(true).open(draft);
    opened
        .and_then(|file: File| file.sync_all())
        .map_err(|error| StoreError::writing(draft, error))
}

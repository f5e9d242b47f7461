//! From a backup to a database that a node can start with.

use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use roda_proto::{Identity, Incarnation};
use rusqlite::Connection;

use crate::backup::{self, BACKUP_ID, BackupNote, BackupStep, Draft};
use crate::schema::{APPLICATION_ID, SCHEMA_VERSION};
use crate::verify::VerifyReport;
use crate::{Result, StoreError, connection, place, settings, snapshot, store};

/// Where the header says whose the file is: <https://sqlite.org/fileformat2.html#the_database_header>.
const APPLICATION_ID_AT: usize = 68;

/// A file that [`back_up`](crate::back_up) wrote.
pub struct Backup {
    connection: Connection,
    path: PathBuf,
    note: BackupNote,
}

/// What differs between a restored database and the one that was backed up.
#[derive(Clone, Debug)]
pub struct Restoration<'a> {
    /// The node's new life. It must never have been used: what the old one wrote after the backup is
    /// with others, and the same numbers must not be written again.
    pub incarnation: Incarnation,
    /// Settings to be changed, as by [`Store::set_meta`](crate::Store::set_meta).
    pub meta: &'a [(&'a str, &'a str)],
}

impl Backup {
    /// Opens a backup, which may be on a medium that cannot be written to, and looks what it is.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it is something else or cut short, [`StoreError::Newer`] if a newer
    /// version wrote it.
    pub fn open(path: &Path) -> Result<Self> {
        let path = connection::absolute(path)?;
        if is_database_of_a_node(&path)? {
            let what = "it is the database of a node, not a backup of it";
            return Err(StoreError::Damaged(what.to_owned()));
        }
        connection::inspect_as(&path, BACKUP_ID, SCHEMA_VERSION)?;
        let connection = connection::open_read_only(&path)?;
        let note = backup::note(&connection)?;
        Ok(Self {
            connection,
            path,
            note,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says about itself.
    #[must_use]
    pub const fn note(&self) -> &BackupNote {
        &self.note
    }

    /// Who the node is that was backed up.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn identity(&self) -> Result<Identity> {
        snapshot::identity(&self.connection)
    }

    /// The text that [`Store::set_meta`](crate::Store::set_meta) had put under a key.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn meta(&self, key: &str) -> Result<Option<String>> {
        settings::meta(&self.connection, key)
    }

    /// Makes a database of it at `database`, checked, of this version's schema, readable by its owner
    /// only, and on disk when this returns. The backup stays as it is.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if there is a database, or the remains of one;
    /// [`StoreError::Damaged`] names what is wrong with the backup; [`StoreError::Interrupted`] if
    /// `progress` breaks. Nothing is left behind at `database` on any error.
    pub fn restore(
        &self,
        database: &Path,
        changes: &Restoration<'_>,
        progress: &mut dyn FnMut(BackupStep) -> ControlFlow<()>,
    ) -> Result<VerifyReport> {
        let database = connection::absolute(database)?;
        store::refuse_remains(&database)?;
        let _lock = connection::lock(&database)?;
        store::refuse_remains(&database)?;
        let draft = Draft::beside(&database)?;
        let path = &draft.path;
        backup::copy(&self.connection, path, progress).map_err(|error| error.at(path))?;
        let unstamp = || {
            let opened = backup::open_draft(path)?;
            backup::unstamp(&opened)?;
            backup::close(opened)?;
            backup::make_usable(path)
        };
        unstamp().map_err(|error| error.at(path))?;
        let report = backup::check(path, progress)?;
        begin_anew(path, changes).map_err(|error| error.at(path))?;
        backup::sync(path)?;
        draft.place_at(&database)?;
        Ok(report)
    }
}

impl std::fmt::Debug for Backup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backup")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Restoring from a file that a node may be writing to could read half of a commit, and its owner would
/// hold a copy without its write-ahead log for a backup.
fn is_database_of_a_node(path: &Path) -> Result<bool> {
    let opened = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => StoreError::Missing(path.to_owned()),
        _ => StoreError::reading(path, error),
    })?;
    let mut header = Vec::with_capacity(APPLICATION_ID_AT + 4);
    opened
        .take((APPLICATION_ID_AT + 4) as u64)
        .read_to_end(&mut header)
        .map_err(|error| StoreError::reading(path, error))?;
    Ok(header.get(APPLICATION_ID_AT..) == Some(&APPLICATION_ID.to_be_bytes()[..]))
}

fn begin_anew(draft: &Path, changes: &Restoration<'_>) -> Result<()> {
    let place = place::of(draft)?;
    let mut opened = backup::open_draft(draft)?;
    let transaction = opened.transaction()?;
    transaction.execute(
        "UPDATE identity SET incarnation = ?1, place = ?2",
        (changes.incarnation.0, place),
    )?;
    for (key, value) in changes.meta {
        settings::put_meta(&transaction, key, value)?;
    }
    transaction.commit()?;
    // Recorded in the header, so that even the first opening finds a database in WAL mode.
    backup::set_journal(&opened, "wal")?;
    backup::close(opened)
}

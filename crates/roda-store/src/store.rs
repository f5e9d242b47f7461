//! The one writer.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use roda_proto::{EpochRecord, Identity, Incarnation, Snapshot};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, ffi};

use crate::schema::{APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION};
use crate::{Reader, Result, StoreError, append, connection, place, schema, settings, snapshot};

/// The one writer of a database. While it lives, no other process can open a second one.
///
/// Every write is one transaction: on disk as a whole, safe from power loss, when the method returns
/// `Ok`, and not at all when it returns an error (but see [`StoreError::Uncertain`]).
pub struct Store {
    pub(crate) connection: Connection,
    path: PathBuf,
    copied: bool,
    // Once true it stays true: only opening again tells what is on disk.
    uncertain: bool,
    // A forgotten key may still stand in the WAL.
    pub(crate) erase_pending: bool,
    // Declared last: it must outlive the connection.
    _lock: File,
}

impl Store {
    /// Makes a database at `path`, readable by its owner only, and opens it.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if there is one, or the remains of one; nothing is left behind
    /// at `path` on any error.
    pub fn create(path: &Path, identity: &Identity) -> Result<Self> {
        Self::create_with(path, identity, &[], &[])
    }

    /// As [`Self::create`], with group keys and settings ([`Self::set_meta`]) in it from the first moment on: no
    /// crash leaves a database without them.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_with(
        path: &Path,
        identity: &Identity,
        keys: &[EpochRecord],
        meta: &[(&str, &str)],
    ) -> Result<Self> {
        let path = connection::absolute(path)?;
        refuse_remains(&path)?;
        let lock = connection::lock(&path)?;
        refuse_remains(&path)?;
        // Built beside its place, so that a half-made database never stands there.
        let draft = connection::beside(&path, ".new");
        connection::remove_database(&draft)?;
        if let Err(error) = write_draft(&draft, identity, keys, meta) {
            // The first error is the one to tell.
            let _removed = connection::remove_database(&draft);
            return Err(error.at(&draft));
        }
        fs::rename(&draft, &path).map_err(|error| StoreError::writing(&path, error))?;
        connection::sync_directory_of(&path)?;
        Self::open_locked(path, lock)
    }

    /// Opens the database at `path`; migrates it if it was written by an older version.
    ///
    /// # Errors
    /// [`StoreError::Newer`] and [`StoreError::Damaged`] leave the file as it is.
    pub fn open(path: &Path) -> Result<Self> {
        let path = connection::absolute(path)?;
        // Before the lock, whose file would otherwise be made where no database is.
        if !exists(&path)? {
            return Err(StoreError::Missing(path));
        }
        let lock = connection::lock(&path)?;
        Self::open_locked(path, lock)
    }

    fn open_locked(path: PathBuf, lock: File) -> Result<Self> {
        let found = connection::inspect(&path)?;
        let mut connection = connection::open_writer(&path)?;
        if found < SCHEMA_VERSION {
            schema::migrate(&mut connection, &MIGRATIONS).map_err(|error| error.at(&path))?;
        }
        let recorded: String =
            connection.query_row("SELECT place FROM identity", [], |row| row.get(0))?;
        let copied = recorded != place::of(&path)?;
        Ok(Self {
            connection,
            path,
            copied,
            uncertain: false,
            erase_pending: false,
            _lock: lock,
        })
    }

    /// Keeps a new incarnation, and takes this file for the original from now on.
    ///
    /// # Errors
    /// As for every write.
    pub fn set_incarnation(&mut self, incarnation: Incarnation) -> Result<()> {
        let place = place::of(&self.path)?;
        self.write(|transaction| {
            transaction.execute(
                "UPDATE identity SET incarnation = ?1, place = ?2",
                (incarnation.0, place),
            )?;
            Ok(())
        })?;
        self.copied = false;
        Ok(())
    }

    /// Takes this file for the original from now on, under the same incarnation. Only right if
    /// the original is gone and wrote nothing after it was copied; otherwise
    /// [`Self::set_incarnation`].
    ///
    /// # Errors
    /// As for every write.
    pub fn accept_place(&mut self) -> Result<()> {
        let place = place::of(&self.path)?;
        self.write(|transaction| {
            transaction.execute("UPDATE identity SET place = ?1", [place])?;
            Ok(())
        })?;
        self.copied = false;
        Ok(())
    }

    /// Whether this file is a copy of the one that was created or last accepted: cloned, restored
    /// from a backup or moved to another file system. The original may have gone on, so the node
    /// needs a new incarnation.
    #[must_use]
    pub const fn was_copied(&self) -> bool {
        self.copied
    }

    /// Where the database is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All that the engine needs to go on. Every row is checked again.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names the row that fails.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let transaction = self.connection.unchecked_transaction()?;
        snapshot::read(&transaction)
    }

    /// A reader of the same database.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn reader(&self) -> Result<Reader> {
        Reader::open(&self.path)
    }

    /// One transaction around `work`, on disk when this returns.
    pub(crate) fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let done = transact(&mut self.connection, &mut self.uncertain, work);
        done.map_err(|error| error.at(&self.path))
    }

    /// Moves all of the WAL into the database and empties it, so that what was deleted is gone
    /// from there too. A reader at work prevents that; then the next write tries again.
    pub(crate) fn erase(&mut self) {
        let emptied = self
            .connection
            .busy_timeout(Duration::ZERO)
            .and_then(|()| {
                let truncate = "PRAGMA wal_checkpoint(TRUNCATE)";
                self.connection
                    .query_row(truncate, [], |row| row.get::<_, i64>(0))
            })
            .is_ok_and(|busy| busy == 0);
        let restored = self.connection.busy_timeout(connection::BUSY_TIMEOUT);
        self.erase_pending = !emptied;
        if !emptied || restored.is_err() {
            tracing::debug!("a forgotten key stays in the write-ahead log for now");
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// One transaction around `work`, on disk when this returns. `uncertain` is raised when nobody knows
/// what is, and then nothing more is written.
pub(crate) fn transact<T>(
    connection: &mut Connection,
    uncertain: &mut bool,
    work: impl FnOnce(&Transaction<'_>) -> Result<T>,
) -> Result<T> {
    if *uncertain {
        return Err(StoreError::Uncertain);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let worked = work(&transaction);
    let result = match worked {
        Ok(value) => commit(transaction).map(|()| value),
        Err(error) => {
            drop(transaction);
            Err(error)
        }
    };
    *uncertain = matches!(result, Err(StoreError::Uncertain)) || !connection.is_autocommit();
    result
}

/// A full disk or a foreign lock leaves a commit undone, and it can be tried again. After any other
/// failure the pages may be on disk although SQLite rolled back in memory.
pub(crate) fn commit(transaction: Transaction<'_>) -> Result<()> {
    use ffi::ErrorCode::{DatabaseBusy, DiskFull};
    transaction
        .commit()
        .map_err(|error| match error.sqlite_error_code() {
            Some(DatabaseBusy | DiskFull) => StoreError::from(error),
            _ => {
                tracing::error!(%error, "a commit failed");
                StoreError::Uncertain
            }
        })
}

/// A database without its WAL, or a WAL without its database, is somebody's data as well: put
/// beside a new database, SQLite would even replay that WAL into it.
pub(crate) fn refuse_remains(path: &Path) -> Result<()> {
    for suffix in ["", "-wal", "-journal"] {
        let part = connection::beside(path, suffix);
        if exists(&part)? {
            return Err(StoreError::AlreadyExists(part));
        }
    }
    Ok(())
}

pub(crate) fn exists(path: &Path) -> Result<bool> {
    path.try_exists()
        .map_err(|error| StoreError::reading(path, error))
}

fn write_draft(
    path: &Path,
    identity: &Identity,
    keys: &[EpochRecord],
    meta: &[(&str, &str)],
) -> Result<()> {
    connection::private(OpenOptions::new().write(true).create_new(true))
        .open(path)
        .map_err(|error| StoreError::writing(path, error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "page_size", connection::PAGE_LEN)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection::set_durable(&connection)?;
    schema::migrate(&mut connection, &MIGRATIONS)?;
    connection.execute(
        "INSERT INTO identity (one, seed, incarnation, group_id, group_name, place)
         VALUES (1, ?1, ?2, ?3, ?4, ?5)",
        (
            identity.seed.as_slice(),
            identity.incarnation.0,
            identity.group.0,
            &identity.group_name,
            place::of(path)?,
        ),
    )?;
    for key in keys {
        append::put_epoch(&connection, key)?;
    }
    for (key, value) in meta {
        settings::put_meta(&connection, key, value)?;
    }
    // Recorded in the header, so that even the first opening finds a database in WAL mode.
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection
        .close()
        .map_err(|(_connection, error)| StoreError::from(error))
}

#[cfg(test)]
mod tests {
    use roda_proto::GroupId;

    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let identity = Identity {
            seed: [7; 32].into(),
            incarnation: Incarnation([1; 8]),
            group: GroupId([2; 16]),
            group_name: String::new(),
        };
        let store = Store::create(&directory.path().join("roda.db"), &identity).unwrap();
        (directory, store)
    }

    /// Lets the database grow by so many pages only.
    fn limit_pages(store: &Store, more: u32) {
        let count = |name| {
            let value = store
                .connection
                .pragma_query_value(None, name, |row| row.get(0));
            value.unwrap_or(0_u32)
        };
        let limit = count("page_count") + more;
        let set = format!("PRAGMA max_page_count = {limit}");
        store.connection.query_row(&set, [], |_| Ok(())).unwrap();
    }

    #[test]
    fn what_did_not_fit_on_a_full_disk_can_be_written_once_there_is_room() {
        let (_directory, mut store) = store();
        let value = "x".repeat(crate::META_LEN_MAX);
        limit_pages(&store, 2);
        let full = (0..20)
            .map(|key| store.set_meta(&key.to_string(), &value))
            .find(Result::is_err);
        assert!(matches!(full, Some(Err(StoreError::DiskFull))), "{full:?}");
        assert_eq!(store.meta("19").unwrap(), None);
        limit_pages(&store, 100);
        store.set_meta("19", &value).unwrap();
    }

    #[test]
    fn after_a_commit_of_unknown_outcome_nothing_more_is_written() {
        let (_directory, mut store) = store();
        // A deferred constraint is the one way to fail in COMMIT itself without a broken disk.
        let outcome = store.write(|transaction| {
            transaction.execute_batch(
                "CREATE TABLE parent (x INTEGER PRIMARY KEY);
                 CREATE TABLE child (x REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
                 INSERT INTO child VALUES (1)",
            )?;
            Ok(())
        });
        assert!(matches!(outcome, Err(StoreError::Uncertain)));
        let next = store.set_meta("key", "value");
        assert!(matches!(next, Err(StoreError::Uncertain)));
        let path = store.path().to_owned();
        drop(store);
        Store::open(&path)
            .unwrap()
            .set_meta("key", "value")
            .unwrap();
    }

    #[test]
    fn an_error_inside_a_transaction_undoes_it_and_the_next_one_works() {
        let (_directory, mut store) = store();
        let outcome: Result<()> = store.write(|transaction| {
            transaction.execute("INSERT INTO meta VALUES ('key', 'value')", [])?;
            Err(StoreError::UnknownRecord)
        });
        assert!(matches!(outcome, Err(StoreError::UnknownRecord)));
        assert_eq!(store.meta("key").unwrap(), None);
        store.set_meta("key", "value").unwrap();
    }
}

//! Why the store could not do something, split by who must act.

use std::io;
use std::path::{Path, PathBuf};

use roda_proto::{AuthorId, Seq};
use rusqlite::ffi;

/// Why the store could not do something. Nothing was written, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is a database (or a part of one) already where one was to be created.
    #[error("{0} already exists")]
    AlreadyExists(PathBuf),
    /// There is no database to open.
    #[error("there is no database at {0}")]
    Missing(PathBuf),
    /// Another process, or another [`Store`](crate::Store) of this one, has it open.
    #[error("{0} is already open")]
    AlreadyOpen(PathBuf),
    /// Written by a newer version of Roda; the file was not touched.
    #[error("the database has schema version {found}, this version of Roda knows {known}")]
    Newer {
        /// Version of the file.
        found: u32,
        /// Greatest version this build knows.
        known: u32,
    },
    /// A reader does not migrate: open the database with [`Store`](crate::Store) once.
    #[error("the database has schema version {found} and was not migrated to {known} yet")]
    Older {
        /// Version of the file.
        found: u32,
        /// Version this build reads.
        known: u32,
    },
    /// The file is no database of Roda, or its content contradicts itself. It was not touched.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// The log of locks is that of another group; it was not touched.
    #[error("{0} belongs to another group")]
    OtherGroup(PathBuf),
    /// No space left. Once there is, the same call may be repeated.
    #[error("the disk is full")]
    DiskFull,
    /// The file, its directory or the whole file system cannot be written to.
    #[error("cannot write to {0}")]
    ReadOnly(PathBuf),
    /// The operating system refused a file operation.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Anything else that SQLite reports, among it I/O errors and a lock held by a foreign program.
    #[error("sqlite: {0}")]
    Sqlite(#[source] rusqlite::Error),
    /// SQLite did not accept a setting that durability depends on.
    #[error("sqlite does not do what is needed: {0}")]
    Unsuitable(String),
    /// A commit failed in a way that leaves open whether it is on disk. The store refuses every
    /// further write; drop it, open it again and look.
    #[error("the last write may or may not be on disk; the database must be opened again")]
    Uncertain,
    /// The batch is not the next one of its author. A bug of the caller.
    #[error("batch of {author} starts at {found}, the next entry is {expected}")]
    Gap {
        /// Whose log.
        author: AuthorId,
        /// What had to come.
        expected: Seq,
        /// What came.
        found: Seq,
    },
    /// The batch does not continue the author's log: it names another predecessor, or its clock is
    /// not greater. A bug of the caller.
    #[error("batch of {author} at {seq} does not continue the log")]
    Broken {
        /// Whose log.
        author: AuthorId,
        /// First entry of the batch.
        seq: Seq,
    },
    /// Whoever watched the progress of a long operation wanted it to end. Nothing of it is left.
    #[error("interrupted")]
    Interrupted,
    /// A record of a kind that this version cannot store. A bug of the caller.
    #[error("unknown kind of record")]
    UnknownRecord,
    /// More than the store keeps.
    #[error("{what}: at most {max}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        max: usize,
    },
}

impl StoreError {
    /// Says which path cannot be written, where SQLite only says that something cannot.
    pub(crate) fn at(self, path: &Path) -> Self {
        let Self::Sqlite(error) = &self else {
            return self;
        };
        match error.sqlite_error_code() {
            Some(ffi::ErrorCode::ReadOnly) => Self::ReadOnly(path.to_owned()),
            Some(ffi::ErrorCode::CannotOpen) => cannot_open(path).unwrap_or(self),
            _ => self,
        }
    }

    /// Of a file operation that creates or writes.
    pub(crate) fn writing(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly(path.to_owned())
            }
            _ => Self::reading(path, source),
        }
    }

    /// Of a file operation that only looks.
    pub(crate) fn reading(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use ffi::ErrorCode::{DatabaseCorrupt, DiskFull, NotADatabase};
        match (&error, error.sqlite_error()) {
            (_, Some(cause)) => match cause.code {
                DatabaseCorrupt | NotADatabase => Self::Damaged(error.to_string()),
                DiskFull => Self::DiskFull,
                // The shared-memory file could not grow; only a full disk does that.
                _ if cause.extended_code == ffi::SQLITE_IOERR_SHMSIZE => Self::DiskFull,
                _ => Self::Sqlite(error),
            },
            (
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::QueryReturnedNoRows,
                None,
            ) => Self::Damaged(error.to_string()),
            _ => Self::Sqlite(error),
        }
    }
}

/// SQLite cannot tell a directory in which nothing can be created from other reasons; trying can.
fn cannot_open(path: &Path) -> Option<StoreError> {
    let probe = crate::connection::beside(path, ".probe");
    match std::fs::File::create_new(&probe) {
        Ok(_created) => {
            // A probe left behind harms nothing: it is never read.
            let _removed = std::fs::remove_file(&probe);
            None
        }
        Err(error) => match StoreError::writing(path, error) {
            StoreError::Io { .. } => None,
            telling => Some(telling),
        },
    }
}

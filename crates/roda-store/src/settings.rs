//! What the runtime keeps beside the log: settings, contacts, mirrors.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use roda_proto::{NodeId, Topic, WallTime};
use rusqlite::{Connection, OptionalExtension, Row};

use crate::{Result, Store, StoreError};

/// Most contacts kept; beyond it the one heard longest ago is forgotten.
pub const CONTACTS_MAX: usize = 1024;
/// Most mirrors of one node.
pub const MIRRORS_MAX: usize = 1024;
/// Longest key or value of a setting, in bytes.
pub const META_LEN_MAX: usize = 4096;

/// Where a member was last heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Who.
    pub node: NodeId,
    /// Where its datagrams came from.
    pub datagram: SocketAddr,
    /// Where its stream listens.
    pub stream: SocketAddr,
    /// When.
    pub heard: WallTime,
}

impl Store {
    /// Keeps a small text under a key, instead of what was there. On disk when this returns.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] if either is longer than [`META_LEN_MAX`].
    pub fn set_meta(&mut self, key: &str, value: &str) -> Result<()> {
        self.write(|transaction| put_meta(transaction, key, value))
    }

    /// Keeps where members were heard, instead of what was known of each. On disk when this returns.
    ///
    /// # Errors
    /// As for every write.
    pub fn save_contacts(&mut self, contacts: &[Contact]) -> Result<()> {
        self.write(|transaction| {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO contact (node, datagram, stream, heard) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (node) DO UPDATE SET
                 datagram = excluded.datagram, stream = excluded.stream, heard = excluded.heard",
            )?;
            for contact in contacts {
                insert.execute((
                    contact.node.0,
                    contact.datagram.to_string(),
                    contact.stream.to_string(),
                    contact.heard.0.cast_signed(),
                ))?;
            }
            transaction.execute(
                "DELETE FROM contact WHERE node IN
                 (SELECT node FROM contact ORDER BY heard DESC, node LIMIT -1 OFFSET ?1)",
                [CONTACTS_MAX],
            )?;
            Ok(())
        })
    }

    /// Remembers that `path` is to be kept a replica of `topic`. On disk when this returns `true`;
    /// `false` says that the path is a replica of another topic, and nothing changed.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] if there are [`MIRRORS_MAX`] already.
    pub fn add_mirror(&mut self, topic: &Topic, path: &Path) -> Result<bool> {
        let path = path_to_sql(path)?;
        self.write(|transaction| {
            let select = "SELECT topic FROM mirror WHERE path = ?1";
            let known: Option<String> = transaction
                .query_row(select, [path], |row| row.get(0))
                .optional()?;
            if let Some(known) = known {
                return Ok(known == topic.as_str());
            }
            let count: usize =
                transaction.query_row("SELECT count(*) FROM mirror", [], |row| row.get(0))?;
            if count >= MIRRORS_MAX {
                return Err(StoreError::TooMany {
                    what: "mirrors",
                    max: MIRRORS_MAX,
                });
            }
            let insert = "INSERT INTO mirror (path, topic) VALUES (?1, ?2)";
            transaction.execute(insert, (path, topic.as_str()))?;
            Ok(true)
        })
    }

    /// Forgets a mirror; `false` if there was none. On disk when this returns.
    ///
    /// # Errors
    /// As for every write.
    pub fn remove_mirror(&mut self, path: &Path) -> Result<bool> {
        let path = path_to_sql(path)?;
        self.write(|transaction| {
            let removed = transaction.execute("DELETE FROM mirror WHERE path = ?1", [path])?;
            Ok(removed > 0)
        })
    }

    /// The text under a key.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn meta(&self, key: &str) -> Result<Option<String>> {
        meta(&self.connection, key)
    }

    /// Where members were heard, latest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn contacts(&self) -> Result<Vec<Contact>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT node, datagram, stream, heard FROM contact ORDER BY heard DESC, node",
        )?;
        let mut rows = statement.query([])?;
        let mut contacts = Vec::new();
        while let Some(row) = rows.next()? {
            contacts.push(contact(row)?);
        }
        Ok(contacts)
    }

    /// All mirrors, by path.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn mirrors(&self) -> Result<Vec<(Topic, PathBuf)>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT topic, path FROM mirror ORDER BY path")?;
        let mut rows = statement.query([])?;
        let mut mirrors = Vec::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            let topic = Topic::new(&name)
                .map_err(|error| StoreError::Damaged(format!("mirror: {error}")))?;
            mirrors.push((topic, path_from_sql(row.get(1)?)?));
        }
        Ok(mirrors)
    }
}

pub(crate) fn put_meta(connection: &Connection, key: &str, value: &str) -> Result<()> {
    if key.len().max(value.len()) > META_LEN_MAX {
        return Err(StoreError::TooMany {
            what: "bytes of a setting",
            max: META_LEN_MAX,
        });
    }
    connection.execute(
        "INSERT INTO meta (key, value) VALUES (?1, ?2)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )?;
    Ok(())
}

pub(crate) fn meta(connection: &Connection, key: &str) -> Result<Option<String>> {
    let mut statement = connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    Ok(statement.query_row([key], |row| row.get(0)).optional()?)
}

fn contact(row: &Row<'_>) -> Result<Contact> {
    let address = |column: usize| -> Result<SocketAddr> {
        let text: String = row.get(column)?;
        text.parse()
            .map_err(|error| StoreError::Damaged(format!("contact: {error}")))
    };
    Ok(Contact {
        node: NodeId(row.get(0)?),
        datagram: address(1)?,
        stream: address(2)?,
        heard: WallTime(row.get::<_, i64>(3)?.cast_unsigned()),
    })
}

/// A path need not be valid Unicode.
#[cfg(unix)]
fn path_to_sql(path: &Path) -> Result<&[u8]> {
    Ok(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))
}

#[cfg(unix)]
fn path_from_sql(column: Vec<u8>) -> Result<PathBuf> {
    let path: std::ffi::OsString = std::os::unix::ffi::OsStringExt::from_vec(column);
    Ok(path.into())
}

#[cfg(not(unix))]
fn path_to_sql(path: &Path) -> Result<&[u8]> {
    let text = path.to_str().ok_or_else(|| {
        let invalid = std::io::ErrorKind::InvalidInput.into();
        StoreError::reading(path, invalid)
    })?;
    Ok(text.as_bytes())
}

#[cfg(not(unix))]
fn path_from_sql(column: Vec<u8>) -> Result<PathBuf> {
    let text = String::from_utf8(column)
        .map_err(|error| StoreError::Damaged(format!("mirror: {error}")))?;
    Ok(text.into())
}

//! Blobs: states of checkpoints that are too long for an entry, by their hash.

use roda_proto::job::{JobId, QueueName};
use roda_proto::{AuthorId, Hash, WallTime, crypto};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::columns::{seq_from_sql, seq_to_sql};
use crate::{Reader, Result, Store};

/// Most bytes of all blobs of a node.
pub const BLOBS_LEN_MAX: u64 = 1024 * 1024 * 1024;
/// Most bytes of all blobs beside which a copy of another node's is still stored. The rest is for what
/// this node's own jobs save.
pub const BLOBS_LEN_COPIED_MAX: u64 = BLOBS_LEN_MAX / 2;

/// A blob that no job names is deleted after this time: the entry that was to name it never came to be.
const UNNAMED_MS_MAX: u64 = 10 * 60 * 1000;

/// Why a blob is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobOrigin {
    /// A job of this node saves it; the entry that names it follows.
    Own,
    /// Another node has it as well.
    Copy,
}

/// What became of a blob that was to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobPut {
    /// It survives power loss.
    Stored,
    /// It was a copy, and no job names it (any more).
    NotNamed,
    /// There are so many others: see [`BLOBS_LEN_MAX`].
    NoRoom,
}

/// A blob that a job may go on from, and that is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedBlob {
    /// Which job.
    pub job: JobId,
    /// Of the blob.
    pub hash: Hash,
    /// Its length, as the entry says.
    pub len: u32,
    /// Who wrote the entry, and so had it.
    pub saved_by: AuthorId,
    /// Whether the job's newest checkpoint names it.
    pub is_newest: bool,
}

impl Store {
    /// Stores a blob; on disk when this returns. What was stored under its hash before is replaced: it may
    /// be damaged.
    ///
    /// If room is lacking for an own one, blobs that only dead jobs name are deleted, the oldest first.
    ///
    /// # Errors
    /// As for every write.
    pub fn put_blob(&mut self, bytes: &[u8], origin: BlobOrigin, now: WallTime) -> Result<BlobPut> {
        self.put_blob_within(bytes, origin, now, (BLOBS_LEN_MAX, BLOBS_LEN_COPIED_MAX))
    }

    fn put_blob_within(
        &mut self,
        bytes: &[u8],
        origin: BlobOrigin,
        now: WallTime,
        (own_max, copied_max): (u64, u64),
    ) -> Result<BlobPut> {
        let hash = crypto::content_hash(bytes);
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.write(|transaction| {
            drop_unnamed(transaction, now)?;
            let len_max = match origin {
                BlobOrigin::Own => own_max,
                BlobOrigin::Copy if !is_named(transaction, &hash)? => {
                    return Ok(BlobPut::NotNamed);
                }
                BlobOrigin::Copy => copied_max,
            };
            while len_of_others(transaction, &hash)?.saturating_add(len) > len_max {
                if origin == BlobOrigin::Copy || !drop_of_dead(transaction, &hash)? {
                    return Ok(BlobPut::NoRoom);
                }
            }
            transaction.execute(
                "INSERT INTO blob (hash, len, added) VALUES (?1, ?2, ?3)
                 ON CONFLICT (hash) DO UPDATE SET len = excluded.len, added = excluded.added",
                params![hash.0, len, millis(now)],
            )?;
            transaction.execute(
                "INSERT INTO blob_bytes (hash, bytes) VALUES (?1, ?2)
                 ON CONFLICT (hash) DO UPDATE SET bytes = excluded.bytes",
                params![hash.0, bytes],
            )?;
            Ok(BlobPut::Stored)
        })
    }
}

impl Reader {
    /// A blob, whole; `None` if it is not here, or damaged.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn blob(&self, hash: &Hash) -> Result<Option<Vec<u8>>> {
        let transaction = self.begin()?;
        let bytes = bytes_of(&transaction, hash)?;
        Ok(bytes.filter(|bytes| {
            let is_sound = crypto::content_hash(bytes) == *hash;
            if !is_sound {
                tracing::warn!(%hash, "a checkpoint's blob is damaged");
            }
            is_sound
        }))
    }

    /// Whether a blob is here.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn has_blob(&self, hash: &Hash) -> Result<bool> {
        let transaction = self.begin()?;
        has(&transaction, hash)
    }

    /// Blobs that jobs of a queue which are not over may need here, those of newest checkpoints first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn blobs_wanted(&self, queue: &QueueName, limit: usize) -> Result<Vec<WantedBlob>> {
        let transaction = self.begin()?;
        // Left alone, SQLite would go through all jobs that wait; few have blobs.
        let mut statement = transaction.prepare_cached(
            "SELECT job.author, job.seq, blob_use.hash, blob_use.len, blob_use.saved_by, blob_use.age
             FROM blob_use CROSS JOIN job ON job.number = blob_use.job
             WHERE job.queue = (SELECT number FROM topic WHERE name = ?1)
             AND job.state IN (0, 1, 5)
             AND NOT EXISTS (SELECT 1 FROM blob WHERE blob.hash = blob_use.hash)
             ORDER BY blob_use.age, blob_use.job LIMIT ?2",
        )?;
        let wanted = |row: &Row<'_>| {
            Ok(WantedBlob {
                job: JobId {
                    author: AuthorId(row.get(0)?),
                    seq: seq_from_sql(row.get(1)?),
                },
                hash: Hash(row.get(2)?),
                len: row.get(3)?,
                saved_by: AuthorId(row.get(4)?),
                is_newest: row.get::<_, i64>(5)? == 0,
            })
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let wanted = statement.query_map((queue.as_str(), limit), wanted)?;
        Ok(wanted.collect::<Result<_, _>>()?)
    }
}

/// Whether a blob is here.
pub(crate) fn has(connection: &Connection, hash: &Hash) -> Result<bool> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM blob WHERE hash = ?1")?;
    Ok(statement.exists([hash.0])?)
}

/// Whether a checkpoint of a job that may still be run names it.
pub(crate) fn is_named(connection: &Connection, hash: &Hash) -> Result<bool> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM blob_use WHERE hash = ?1")?;
    Ok(statement.exists([hash.0])?)
}

/// Deletes a blob, if it is here.
pub(crate) fn delete(connection: &Connection, hash: &Hash) -> Result<()> {
    for delete in [
        "DELETE FROM blob WHERE hash = ?1",
        "DELETE FROM blob_bytes WHERE hash = ?1",
    ] {
        connection.prepare_cached(delete)?.execute([hash.0])?;
    }
    Ok(())
}

/// Every blob is what its hash says. Returns the faults.
pub(crate) fn check(connection: &Connection) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let mut statement = connection.prepare("SELECT hash, len FROM blob ORDER BY hash")?;
    let mut rows = statement.query([])?;
    let mut count = 0_u64;
    while let Some(row) = rows.next()? {
        let (hash, len): (Hash, u64) = (Hash(row.get(0)?), row.get(1)?);
        count += 1;
        let bytes = bytes_of(connection, &hash)?;
        let is_sound = bytes.is_some_and(|bytes| {
            u64::try_from(bytes.len()) == Ok(len) && crypto::content_hash(&bytes) == hash
        });
        if !is_sound {
            faults.push(format!("blob {hash}: its bytes are not those of its hash"));
        }
    }
    let select = "SELECT count(*) FROM blob_bytes";
    let stored: u64 = connection.query_row(select, [], |row| row.get(0))?;
    if stored != count {
        faults.push("some bytes belong to no blob".to_owned());
    }
    Ok(faults)
}

fn bytes_of(connection: &Connection, hash: &Hash) -> Result<Option<Vec<u8>>> {
    let select = "SELECT bytes FROM blob_bytes WHERE hash = ?1";
    let mut statement = connection.prepare_cached(select)?;
    Ok(statement.query_row([hash.0], |row| row.get(0)).optional()?)
}

fn len_of_others(transaction: &Transaction<'_>, hash: &Hash) -> Result<u64> {
    let select = "SELECT coalesce(sum(len), 0) FROM blob WHERE hash <> ?1";
    let mut statement = transaction.prepare_cached(select)?;
    Ok(statement.query_row([hash.0], |row| row.get(0))?)
}

fn drop_unnamed(transaction: &Transaction<'_>, now: WallTime) -> Result<()> {
    let before = millis(WallTime(now.0.saturating_sub(UNNAMED_MS_MAX)));
    let mut statement = transaction.prepare_cached(
        "SELECT hash FROM blob WHERE added < ?1
         AND NOT EXISTS (SELECT 1 FROM blob_use WHERE blob_use.hash = blob.hash)",
    )?;
    let unnamed = statement.query_map([before], |row| row.get(0).map(Hash))?;
    for hash in unnamed.collect::<Result<Vec<_>, _>>()? {
        delete(transaction, &hash)?;
    }
    Ok(())
}

/// Deletes the oldest blob that only dead jobs name; `false`: there is none.
fn drop_of_dead(transaction: &Transaction<'_>, but: &Hash) -> Result<bool> {
    let mut statement = transaction.prepare_cached(
        "SELECT hash FROM blob WHERE hash <> ?1
         AND EXISTS (SELECT 1 FROM blob_use WHERE blob_use.hash = blob.hash)
         AND NOT EXISTS (SELECT 1 FROM blob_use JOIN job ON job.number = blob_use.job
                         WHERE blob_use.hash = blob.hash AND job.state <> 3)
         ORDER BY added LIMIT 1",
    )?;
    let oldest = statement.query_row([but.0], |row| row.get(0).map(Hash));
    match oldest.optional()? {
        Some(oldest) => delete(transaction, &oldest).map(|()| true),
        None => Ok(false),
    }
}

fn millis(wall: WallTime) -> i64 {
    seq_to_sql(roda_proto::Seq(wall.0))
}

#[cfg(test)]
mod tests;

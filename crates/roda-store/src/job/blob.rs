//! Which blobs the checkpoints of jobs name.

use roda_proto::Hash;
use roda_proto::job::{Job, SavedAt, StateKind};
use rusqlite::Connection;

use super::row::Stored;
use crate::append::Appending;
use crate::{Result, blob};

/// The checkpoints whose blobs a job may need, the newest first, each with its age. One that is over for
/// good needs none; a dead one may be tried again.
pub(super) fn named(kind: StateKind, job: &Job) -> Vec<(i64, &SavedAt)> {
    match kind {
        StateKind::Waiting | StateKind::Running | StateKind::Held | StateKind::Dead => (0..)
            .zip(job.checkpoints())
            .filter(|(_, saved)| saved.blob.is_some())
            .collect(),
        StateKind::Done | StateKind::Cancelled | StateKind::Duplicate => Vec::new(),
    }
}

/// Whether any checkpoint of a job is a blob.
pub(super) fn has_any(job: &Job) -> bool {
    job.checkpoints().iter().any(|saved| saved.blob.is_some())
}

/// What is written down about a job's blobs: age, hash, length and who saved it.
pub(super) fn written(connection: &Connection, job: i64) -> Result<Vec<Use>> {
    let select = "SELECT age, hash, len, saved_by FROM blob_use WHERE job = ?1 ORDER BY age";
    let mut statement = connection.prepare_cached(select)?;
    let uses = statement.query_map([job], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })?;
    Ok(uses.collect::<Result<_, _>>()?)
}

/// What has to be.
pub(super) fn uses(kind: StateKind, job: &Job) -> Vec<Use> {
    let named = named(kind, job).into_iter();
    let uses = named.map(|(age, saved)| {
        let len = saved.blob.unwrap_or_default();
        (age, saved.hash.0, len, saved.place.author.0)
    });
    uses.collect()
}

/// A row of the table of uses, without its job.
pub(super) type Use = (i64, [u8; 32], u32, [u8; 16]);

impl Appending<'_> {
    /// Writes down which blobs a job names now, and deletes those that nobody names any more.
    pub(super) fn put_blobs(&self, stored: &Stored) -> Result<()> {
        if stored.had_blobs || has_any(&stored.job) {
            self.name_blobs(stored.number, &uses(stored.kind(), &stored.job))?;
        }
        Ok(())
    }

    /// The job is gone.
    pub(super) fn remove_blobs(&self, stored: &Stored) -> Result<()> {
        if stored.had_blobs {
            self.name_blobs(stored.number, &[])?;
        }
        Ok(())
    }

    fn name_blobs(&self, job: i64, uses: &[Use]) -> Result<()> {
        let before = written(self.transaction, job)?;
        if before == uses {
            return Ok(());
        }
        self.run("DELETE FROM blob_use WHERE job = ?1", [job])?;
        for (age, hash, len, saved_by) in uses {
            self.run(
                "INSERT INTO blob_use (job, age, hash, len, saved_by) VALUES (?1, ?2, ?3, ?4, ?5)",
                (job, age, hash, len, saved_by),
            )?;
        }
        for (_, hash, _, _) in before {
            let hash = Hash(hash);
            if !blob::is_named(self.transaction, &hash)? {
                blob::delete(self.transaction, &hash)?;
            }
        }
        Ok(())
    }
}

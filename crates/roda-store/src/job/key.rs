//! Idempotency keys: of several pushes with one key, one is run.

use roda_proto::Hash;
use roda_proto::job::{JobId, JobKey, KeyRival, QueueName, push_hash, winner as winner_of};
use rusqlite::{Connection, OptionalExtension};

use super::past::{self, LoggedPush};
use super::row::{self, Stored, select_job};
use crate::append::Appending;
use crate::columns::seq_from_sql;
use crate::{Reader, Result};

/// The push that is run for a key. While a new one is weighed against it, both.
pub(super) const WINNER: &str =
    select_job!("WHERE job.queue = ?1 AND job.key = ?2 AND job.duplicate = 0");

impl Reader {
    /// The push of a queue that is run for an idempotency key, and its
    /// [`push_hash`](roda_proto::job::push_hash).
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn push_by_key(&self, queue: &QueueName, key: &JobKey) -> Result<Option<(JobId, Hash)>> {
        let transaction = self.begin()?;
        let select = "SELECT author, seq, key_hash FROM job
             WHERE queue = (SELECT number FROM topic WHERE name = ?1) AND key = ?2
             AND duplicate = 0";
        let mut statement = transaction.prepare_cached(select)?;
        let found = statement.query_row((queue.as_str(), key.as_str()), |row| {
            let author = roda_proto::AuthorId(row.get(0)?);
            let seq = seq_from_sql(row.get(1)?);
            Ok((JobId { author, seq }, Hash(row.get(2)?)))
        });
        if let Some(found) = found.optional()? {
            return Ok(Some(found));
        }
        let topic = super::queue::find(&transaction, queue)?;
        let Some((topic, _)) = topic else {
            return Ok(None);
        };
        for job in past::with_key(&transaction, topic, key.as_str())? {
            let LoggedPush {
                payload, options, ..
            } = self.past.push(&transaction, job)?;
            if options.key.as_ref() == Some(key) {
                return Ok(Some((job, push_hash(&payload, &options))));
            }
        }
        Ok(None)
    }
}

/// The push that is run for a key.
pub(super) fn winner(connection: &Connection, queue: i64, key: &str) -> Result<Option<Stored>> {
    row::load(connection, WINNER, (queue, key))
}

/// All pushes with a key.
pub(super) fn rivals(connection: &Connection, queue: i64, key: &str) -> Result<Vec<Stored>> {
    let select = select_job!("WHERE job.queue = ?1 AND job.key = ?2");
    row::load_all(connection, select, (queue, key))
}

/// Which of some pushes with one key is run.
pub(super) fn chosen(rivals: &[Stored]) -> Option<JobId> {
    winner_of(rivals.iter().map(|stored| KeyRival {
        job: stored.id,
        hlc: stored.hlc,
        first_attempt: stored.job.first_attempt(),
    }))
}

impl Appending<'_> {
    /// Finds out whether a job that is new, or was claimed, is the one to be run for its key. Only the
    /// one that was so far can lose that to it, so the others need no look.
    pub(super) fn join_rivals(&mut self, stored: Stored) -> Result<()> {
        let Some(key) = &stored.key else {
            return Ok(());
        };
        let mut rivals = row::load_all(self.transaction, WINNER, (stored.queue, key))?;
        if rivals.iter().all(|rival| rival.id != stored.id) {
            // As it is stored now.
            rivals.extend(self.stored(stored.number)?);
        }
        self.mark_duplicates(rivals)
    }

    /// Finds out anew which push of a key is run.
    pub(super) fn settle_rivals(&mut self, queue: i64, key: &str) -> Result<()> {
        let rivals = rivals(self.transaction, queue, key)?;
        self.mark_duplicates(rivals)
    }

    fn mark_duplicates(&mut self, rivals: Vec<Stored>) -> Result<()> {
        let winner = chosen(&rivals);
        for mut rival in rivals {
            let is_duplicate = Some(rival.id) != winner;
            if rival.is_duplicate != is_duplicate {
                rival.is_duplicate = is_duplicate;
                self.put(&rival)?;
            }
        }
        Ok(())
    }
}

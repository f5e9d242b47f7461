//! What a worker may claim.

use roda_proto::WallTime;
use roda_proto::job::{QueueName, SHARDS};
use roda_proto::token::Priority;
use rusqlite::Connection;

use super::queue;
use super::row::{self, JobRow, Stored, millis_to_sql, select_job};
use crate::{Reader, Result};

/// Jobs that may run at once, of one priority.
pub(super) const READY: &str = select_job!(
    "WHERE job.queue = ?1 AND job.shard = ?2 AND job.priority = ?3
     AND job.state = 0 AND job.blocked = 0 AND job.due = 0
     ORDER BY job.hlc LIMIT ?4"
);
/// Jobs that had to wait for a moment that has come, of one priority.
pub(super) const DELAYED: &str = select_job!(
    "WHERE job.queue = ?1 AND job.shard = ?2 AND job.priority = ?3
     AND job.state = 0 AND job.blocked = 0 AND job.due > 0 AND job.due <= ?5
     ORDER BY job.due LIMIT ?4"
);
/// The next moment for which a job of one priority waits.
pub(super) const NEXT_DUE: &str = "SELECT due FROM job
     WHERE queue = ?1 AND shard = ?2 AND priority = ?3
     AND state = 0 AND blocked = 0 AND due > 0 AND due > ?4
     ORDER BY due LIMIT 1";

impl Reader {
    /// The jobs of a shard that a worker may claim now, at most `limit`, in the order in which they are
    /// to be run: by priority, then by the moment since which they might have been run.
    ///
    /// None of a queue that is paused, and no job behind another one with the same order key. Nothing
    /// here tells whether the reader has seen all claims: that takes the shard's claim lock.
    ///
    /// # Errors
    /// [`StoreError::Damaged`](crate::StoreError::Damaged) names the row that fails.
    pub fn jobs_ready(
        &self,
        queue: &QueueName,
        shard: u8,
        now: WallTime,
        limit: usize,
    ) -> Result<Vec<JobRow>> {
        let transaction = self.begin()?;
        let Some((queue, false)) = queue::find(&transaction, queue)? else {
            return Ok(Vec::new());
        };
        let mut ready = Vec::new();
        for priority in (0..=Priority::MAX.value()).rev() {
            if ready.len() >= limit {
                break;
            }
            let room = limit - ready.len();
            ready.extend(of_priority(
                &transaction,
                (queue, shard, priority),
                now,
                room,
            )?);
        }
        let rows = ready
            .into_iter()
            .map(|stored| stored.into_row(&transaction));
        rows.collect()
    }

    /// The next moment after `now` at which a job of a queue may be run that must not yet; paused or
    /// not.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn next_due(&self, queue: &QueueName, now: WallTime) -> Result<Option<WallTime>> {
        let transaction = self.begin()?;
        let Some((queue, _)) = queue::find(&transaction, queue)? else {
            return Ok(None);
        };
        let mut statement = transaction.prepare_cached(NEXT_DUE)?;
        let mut next: Option<u64> = None;
        for shard in 0..SHARDS {
            for priority in 0..=Priority::MAX.value() {
                let of = (queue, shard, priority, millis_to_sql(now.0));
                let mut rows = statement.query(of)?;
                if let Some(row) = rows.next()? {
                    let due: u64 = row.get(0)?;
                    next = Some(next.map_or(due, |next| next.min(due)));
                }
            }
        }
        Ok(next.map(WallTime))
    }
}

fn of_priority(
    connection: &Connection,
    (queue, shard, priority): (i64, u8, u8),
    now: WallTime,
    limit: usize,
) -> Result<Vec<Stored>> {
    let mut jobs = row::load_all(connection, READY, (queue, shard, priority, limit))?;
    let due = (queue, shard, priority, limit, millis_to_sql(now.0));
    jobs.extend(row::load_all(connection, DELAYED, due)?);
    jobs.sort_by_key(|stored| (since(stored), stored.hlc, stored.id));
    jobs.truncate(limit);
    Ok(jobs)
}

/// Since when a job might have been run, in milliseconds since 1970.
fn since(stored: &Stored) -> u64 {
    use roda_proto::job::JobState;
    match stored.job.state() {
        JobState::Waiting { not_before } => not_before.0.max(stored.hlc.millis()),
        _ => stored.hlc.millis(),
    }
}

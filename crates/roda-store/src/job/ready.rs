//! What a worker may claim.

use std::collections::BTreeMap;

use roda_proto::WallTime;
use roda_proto::job::{JobId, QueueName, SHARDS};
use roda_proto::token::Priority;
use rusqlite::Connection;

use super::info::LoadedPayload;
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
/// The clocks of the same jobs, from the index alone.
pub(super) const READY_CLOCKS: &str = "SELECT hlc FROM job
     WHERE queue = ?1 AND shard = ?2 AND priority = ?3
     AND state = 0 AND blocked = 0 AND due = 0
     ORDER BY hlc LIMIT ?4";
pub(super) const DELAYED_CLOCKS: &str = "SELECT hlc FROM job
     WHERE queue = ?1 AND shard = ?2 AND priority = ?3
     AND state = 0 AND blocked = 0 AND due > 0 AND due <= ?5
     ORDER BY due LIMIT ?4";
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
        let ready = of_shard(&transaction, (queue, shard), now, limit)?;
        row::into_rows(&transaction, ready)
    }

    /// As [`Self::jobs_ready`] for several shards, with so many jobs at most for each, and with what each job
    /// is to do.
    ///
    /// # Errors
    /// [`StoreError::Damaged`](crate::StoreError::Damaged) names the row that fails.
    pub fn jobs_to_claim(
        &self,
        queue: &QueueName,
        shards: &[(u8, usize)],
        now: WallTime,
    ) -> Result<Vec<(JobRow, LoadedPayload)>> {
        let transaction = self.begin()?;
        let Some((queue, false)) = queue::find(&transaction, queue)? else {
            return Ok(Vec::new());
        };
        let mut ready = Vec::new();
        for (shard, limit) in shards {
            ready.extend(of_shard(&transaction, (queue, *shard), now, *limit)?);
        }
        let rows = row::into_rows(&transaction, ready)?;
        let ids: Vec<JobId> = rows.iter().map(|row| row.id).collect();
        let payloads = self.payloads(&transaction, &ids)?;
        Ok(rows.into_iter().zip(payloads).collect())
    }

    /// Which shards to claim how many jobs from, so that they are the `room` most urgent ones of the queue.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn shards_ready(
        &self,
        queue: &QueueName,
        now: WallTime,
        room: usize,
    ) -> Result<Vec<(u8, usize)>> {
        let transaction = self.begin()?;
        let Some((queue, false)) = queue::find(&transaction, queue)? else {
            return Ok(Vec::new());
        };
        let mut counts = BTreeMap::new();
        let mut left = room;
        for priority in (0..=Priority::MAX.value()).rev() {
            let mut clocks: Vec<(i64, u8)> = Vec::new();
            for shard in (0..SHARDS).filter(|_| left > 0) {
                let of = (queue, shard, priority);
                let found = clocks_of(&transaction, of, now, left)?;
                clocks.extend(found.into_iter().map(|clock| (clock, shard)));
            }
            clocks.sort_unstable();
            for (_, shard) in clocks.into_iter().take(left) {
                *counts.entry(shard).or_default() += 1;
                left -= 1;
            }
        }
        Ok(counts.into_iter().collect())
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

/// The jobs of a shard that may be claimed, the most urgent first.
fn of_shard(
    connection: &Connection,
    (queue, shard): (i64, u8),
    now: WallTime,
    limit: usize,
) -> Result<Vec<Stored>> {
    let mut ready = Vec::new();
    for priority in (0..=Priority::MAX.value()).rev() {
        if ready.len() >= limit {
            break;
        }
        let room = limit - ready.len();
        let of = (queue, shard, priority);
        ready.extend(of_priority(connection, of, now, room)?);
    }
    Ok(ready)
}

/// The clocks of the jobs of a shard and a priority that may be claimed.
fn clocks_of(
    connection: &Connection,
    (queue, shard, priority): (i64, u8, u8),
    now: WallTime,
    limit: usize,
) -> Result<Vec<i64>> {
    let mut ready = connection.prepare_cached(READY_CLOCKS)?;
    let clocks = ready.query_map((queue, shard, priority, limit), |row| row.get(0))?;
    let mut clocks: Vec<i64> = clocks.collect::<Result<_, _>>()?;
    let mut delayed = connection.prepare_cached(DELAYED_CLOCKS)?;
    let due = (queue, shard, priority, limit, millis_to_sql(now.0));
    for clock in delayed.query_map(due, |row| row.get(0))? {
        clocks.push(clock?);
    }
    Ok(clocks)
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

//! Moves jobs that have been over for long out of the table of jobs, and back.

use std::time::Duration;

use roda_proto::job::{JobId, Place, QueueName, StateKind};
use roda_proto::{AuthorId, Hlc, WallTime};
use rusqlite::{Connection, OptionalExtension};

use super::past::{self, PastLog};
use super::row::{self, damaged, kind_to_sql};
use super::{queue, rounds};
use crate::append::Appending;
use crate::columns::{clock_from_sql, clock_to_sql, seq_from_sql, seq_to_sql};
use crate::{Reader, Result, Store, StoreError};

/// Jobs that one transaction looks at, at most: no push waits for long.
pub const RETIRED_AT_ONCE_MAX: usize = 256;
/// States in which a job is over, as far as anybody knows. A duplicate is none of them: whether it is one
/// depends on others.
const OVER: [StateKind; 3] = [StateKind::Done, StateKind::Cancelled, StateKind::Dead];

/// For how long jobs of a queue stay in the index once nothing more is said about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// When they are done or cancelled.
    pub over: Duration,
    /// When they are dead: an operator may want to look at them, and try them again.
    pub dead: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            over: 7 * DAY,
            dead: 30 * DAY,
        }
    }
}

/// How far a walk through the jobs has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetireCursor {
    queue: i64,
    state: usize,
    number: i64,
}

/// What a step of that walk did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retired {
    /// So many jobs are past now.
    pub jobs: usize,
    /// Where to go on; `None`: the walk is over.
    pub next: Option<RetireCursor>,
}

/// Jobs of a queue that are in a state, in the order in which they came here.
pub(super) const CANDIDATES: &str = "SELECT number, hlc FROM job
     WHERE queue = ?1 AND state = ?2 AND number > ?3 ORDER BY number LIMIT ?4";

impl Store {
    /// Takes jobs out of the index that have been over for long; what is said about them stays in the
    /// log. Looks at [`RETIRED_AT_ONCE_MAX`] jobs at most. On disk when this returns.
    ///
    /// Which ones, [`Self::set_retention`] says. No answer about a job depends on it, but that lists leave past jobs out.
    ///
    /// # Errors
    /// As for every write.
    pub fn retire_jobs(&mut self, now: WallTime, from: Option<RetireCursor>) -> Result<Retired> {
        self.write(|transaction| retire(transaction, now, from))
    }
}

impl Store {
    /// For how long this node keeps jobs of a queue in its index, instead of [`Retention::default`]. On
    /// disk when this returns; `false` if there is no such queue.
    ///
    /// # Errors
    /// As for every write.
    pub fn set_retention(&mut self, queue: &QueueName, retention: Retention) -> Result<bool> {
        self.write(|transaction| {
            let Some((queue, _)) = queue::find(transaction, queue)? else {
                return Ok(false);
            };
            let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
            transaction.execute(
                "INSERT INTO queue_retention (topic, over, dead) VALUES (?1, ?2, ?3)
                 ON CONFLICT (topic) DO UPDATE SET over = excluded.over, dead = excluded.dead",
                (queue, millis(retention.over), millis(retention.dead)),
            )?;
            Ok(true)
        })
    }
}

impl Reader {
    /// For how long this node keeps jobs of a queue in its index; `None` if there is no such queue.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn retention(&self, queue: &QueueName) -> Result<Option<Retention>> {
        let transaction = self.begin()?;
        let found = queue::find(&transaction, queue)?;
        found
            .map(|(queue, _)| retention(&transaction, queue))
            .transpose()
    }
}

fn retention(connection: &Connection, queue: i64) -> Result<Retention> {
    let select = "SELECT over, dead FROM queue_retention WHERE topic = ?1";
    let mut statement = connection.prepare_cached(select)?;
    let found = statement.query_row([queue], |row| {
        let millis = |column: i64| Duration::from_millis(column.max(0).cast_unsigned());
        Ok(Retention {
            over: millis(row.get(0)?),
            dead: millis(row.get(1)?),
        })
    });
    Ok(found.optional()?.unwrap_or_default())
}

fn retire(connection: &Connection, now: WallTime, from: Option<RetireCursor>) -> Result<Retired> {
    let mut room = RETIRED_AT_ONCE_MAX;
    let mut jobs = 0;
    let mut at = from.unwrap_or(RetireCursor {
        queue: i64::MIN,
        state: OVER.len(),
        number: 0,
    });
    loop {
        let Some(state) = OVER.get(at.state) else {
            let Some(queue) = next_queue(connection, at.queue)? else {
                return Ok(Retired { jobs, next: None });
            };
            (at.queue, at.state, at.number) = (queue, 0, 0);
            continue;
        };
        if room == 0 {
            return Ok(Retired {
                jobs,
                next: Some(at),
            });
        }
        let retention = retention(connection, at.queue)?;
        let kept = match state {
            StateKind::Dead => retention.dead,
            _ => retention.over,
        };
        let kept = u64::try_from(kept.as_millis()).unwrap_or(u64::MAX);
        let limit = Hlc::from_millis(now.0.saturating_sub(kept));
        let found = candidates(connection, at, *state, room)?;
        let is_last = found.len() < room;
        let mut is_late = false;
        for (number, pushed) in found {
            // Most came in the order of their clocks: what follows is later still. One that does not
            // is found on a later walk. A clock that is ahead says nothing about those that follow.
            is_late = pushed >= limit && pushed.millis() <= now.0;
            if is_late {
                break;
            }
            (room, at.number) = (room - 1, number);
            jobs += usize::from(pushed < limit && retire_whole(connection, number, limit)?);
        }
        if is_late || is_last {
            (at.state, at.number) = (at.state + 1, 0);
        }
    }
}

fn next_queue(connection: &Connection, after: i64) -> Result<Option<i64>> {
    let select = "SELECT min(topic) FROM queue WHERE topic > ?1";
    let mut statement = connection.prepare_cached(select)?;
    Ok(statement.query_row([after], |row| row.get(0))?)
}

fn candidates(
    connection: &Connection,
    at: RetireCursor,
    state: StateKind,
    limit: usize,
) -> Result<Vec<(i64, Hlc)>> {
    let mut statement = connection.prepare_cached(CANDIDATES)?;
    let of = (at.queue, kind_to_sql(state), at.number, limit);
    let found = statement.query_map(of, |row| Ok((row.get(0)?, clock_from_sql(row.get(1)?))))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// As [`retire_one`]. A damaged job stays where it is, for whoever verifies the database, and keeps no
/// others in the index.
fn retire_whole(connection: &Connection, number: i64, limit: Hlc) -> Result<bool> {
    match retire_one(connection, number, limit) {
        Err(StoreError::Damaged(reason)) => {
            tracing::warn!(%reason, "a job that is over stays in the index; see roda verify");
            Ok(false)
        }
        retired => retired,
    }
}

/// Makes one job a past one, if it may be. All is read before anything is written.
fn retire_one(connection: &Connection, number: i64, limit: Hlc) -> Result<bool> {
    let Some(stored) = row::by_number(connection, number)? else {
        return Ok(false);
    };
    let Some(mut places) = places_before(connection, number, limit)? else {
        return Ok(false);
    };
    places.extend(rounds::places(connection, stored.id, number)?);
    places.sort_unstable();
    // The blobs of a dead job are for whoever tries it again.
    let has_blobs = connection
        .prepare_cached("SELECT 1 FROM blob_use WHERE job = ?1")?
        .exists([number])?;
    // Which of several with one key is run depends on all of them.
    let has_rivals = match &stored.key {
        Some(key) => super::key::rivals(connection, stored.queue, key)?.len() > 1,
        None => false,
    };
    if stored.is_duplicate || has_blobs || has_rivals {
        return Ok(false);
    }
    let places = past::encode_places(connection, &places)?;
    connection
        .prepare_cached(
            "INSERT INTO job_past (author, seq, queue, state, key, places)
             VALUES ((SELECT number FROM author WHERE id = ?1), ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((
            stored.id.author.0,
            seq_to_sql(stored.id.seq),
            stored.queue,
            kind_to_sql(stored.state),
            stored.key.as_deref().map(past::key_column),
            places,
        ))?;
    for delete in [
        "DELETE FROM job_fact WHERE job = ?1",
        "DELETE FROM job_round WHERE job = ?1",
        "DELETE FROM job WHERE number = ?1",
    ] {
        connection.prepare_cached(delete)?.execute([number])?;
    }
    Ok(true)
}

/// The entries about a job, if all are before a clock.
fn places_before(connection: &Connection, job: i64, limit: Hlc) -> Result<Option<Vec<Place>>> {
    let late = "SELECT 1 FROM job_fact WHERE job = ?1 AND hlc >= ?2";
    let mut statement = connection.prepare_cached(late)?;
    if statement.exists((job, clock_to_sql(limit)))? {
        return Ok(None);
    }
    let select = "SELECT author, seq FROM job_fact WHERE job = ?1 ORDER BY author, seq";
    let mut statement = connection.prepare_cached(select)?;
    let places = statement.query_map([job], |row| {
        Ok(Place {
            author: AuthorId(row.get(0)?),
            seq: seq_from_sql(row.get(1)?),
        })
    })?;
    Ok(Some(places.collect::<Result<_, _>>()?))
}

impl Appending<'_> {
    /// Puts a past job back, just as if it were pushed now and all that was said about it had come
    /// before. Whether there was one in this queue.
    pub(super) fn recall(&mut self, queue: i64, id: JobId) -> Result<bool> {
        if !self.has_past {
            return Ok(false);
        }
        let past = past::find(self.transaction, id)?;
        let Some(past) = past.filter(|past| past.queue == queue) else {
            return Ok(false);
        };
        let log = PastLog::default();
        let push = log.push(self.transaction, id)?;
        for fact in log.facts(self.transaction, id, queue, &past.places)? {
            self.add_orphan(queue, id, &fact)?;
        }
        self.run(
            "DELETE FROM job_past
             WHERE author = (SELECT number FROM author WHERE id = ?1) AND seq = ?2",
            (id.author.0, seq_to_sql(id.seq)),
        )?;
        self.count(queue, past.state, -1);
        let number = self.number_of(id)?;
        let number = number.ok_or_else(|| damaged(id, "no batch holds its push"))?;
        let job = (id, push.hlc);
        self.add_push((queue, number), job, &push.payload, &push.options)?;
        Ok(true)
    }

    /// Puts back whoever may have this key.
    pub(super) fn recall_key(&mut self, queue: i64, key: &str) -> Result<()> {
        if self.has_past {
            for id in past::with_key(self.transaction, queue, key)? {
                self.recall(queue, id)?;
            }
        }
        Ok(())
    }

    /// Puts back whatever a purge may have cancelled.
    pub(super) fn recall_cancelled(&mut self, queue: i64) -> Result<()> {
        if self.has_past {
            for id in past::cancelled(self.transaction, queue)? {
                self.recall(queue, id)?;
            }
        }
        Ok(())
    }
}

//! Queues: whether they are paused, when they were purged, and how many jobs of each state they have.

use std::collections::BTreeSet;

use roda_proto::Hlc;
use roda_proto::job::{JobEntry, QueueName, StateKind};
use rusqlite::{Connection, OptionalExtension, Row};

use super::row::{self, select_job};
use super::said::Said;
use crate::append::Appending;
use crate::columns::{clock_from_sql, clock_to_sql, seq_to_sql};
use crate::{Reader, Result, StoreError};

const KINDS: usize = StateKind::ALL.len();
/// What a row about a whole queue says.
const GOES_ON: i64 = 0;
const PAUSES: i64 = 1;
const PURGES: i64 = 2;

/// A queue and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueStats {
    /// Its name.
    pub queue: QueueName,
    /// Nothing of it is to be claimed now.
    pub paused: bool,
    counts: [u64; KINDS],
}

impl QueueStats {
    /// How many of its jobs are in a state.
    #[must_use]
    pub const fn count(&self, kind: StateKind) -> u64 {
        self.counts[kind as usize]
    }

    /// How many jobs it has had.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn from_row(row: &Row<'_>) -> Result<Self> {
        let mut counts = [0; KINDS];
        for (at, count) in counts.iter_mut().enumerate() {
            *count = row.get(at + 2)?;
        }
        Ok(Self {
            queue: parse_name(&row.get::<_, String>(0)?)?,
            paused: row.get(1)?,
            counts,
        })
    }
}

/// What a transaction changes in a queue.
#[derive(Debug, Default)]
pub(crate) struct QueueChange {
    purged: Hlc,
    /// How many jobs more are in each state.
    counts: [i64; KINDS],
}

macro_rules! select_stats {
    ($rest:literal) => {
        concat!(
            "SELECT topic.name, paused, waiting, running, done, dead, cancelled, held, duplicate ",
            "FROM queue JOIN topic ON topic.number = queue.topic ",
            $rest
        )
    };
}

impl Reader {
    /// All queues, by name.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn queues(&self) -> Result<Vec<QueueStats>> {
        let transaction = self.begin()?;
        let mut statement = transaction.prepare_cached(select_stats!("ORDER BY topic.name"))?;
        let mut rows = statement.query([])?;
        let mut queues = Vec::new();
        while let Some(row) = rows.next()? {
            queues.push(QueueStats::from_row(row)?);
        }
        Ok(queues)
    }

    /// One queue; `None` if nothing was ever said in it about jobs.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn queue(&self, queue: &QueueName) -> Result<Option<QueueStats>> {
        let transaction = self.begin()?;
        let mut statement = transaction.prepare_cached(select_stats!("WHERE topic.name = ?1"))?;
        let found = statement
            .query_row([queue.as_str()], |row| Ok(QueueStats::from_row(row)))
            .optional()?;
        found.transpose()
    }
}

/// The number of a queue and whether it is paused.
pub(super) fn find(connection: &Connection, queue: &QueueName) -> Result<Option<(i64, bool)>> {
    let select = "SELECT queue.topic, queue.paused FROM queue
         JOIN topic ON topic.number = queue.topic WHERE topic.name = ?1";
    Ok(connection
        .prepare_cached(select)?
        .query_row([queue.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

pub(super) fn name(connection: &Connection, queue: i64) -> Result<QueueName> {
    let select = "SELECT name FROM topic WHERE number = ?1";
    let mut statement = connection.prepare_cached(select)?;
    parse_name(&statement.query_row([queue], |row| row.get::<_, String>(0))?)
}

fn parse_name(name: &str) -> Result<QueueName> {
    QueueName::new(name).map_err(|error| StoreError::Damaged(format!("queue: {error}")))
}

/// Whether a queue is paused, and when it was last purged, by all that was said of it.
pub(super) fn folded(connection: &Connection, queue: i64) -> Result<(bool, Hlc)> {
    // The primary key is the canonical order.
    let newest = "SELECT kind FROM queue_fact WHERE topic = ?1 AND kind < 2
         ORDER BY hlc DESC, author DESC, seq DESC LIMIT 1";
    let newest: Option<i64> = connection
        .prepare_cached(newest)?
        .query_row([queue], |row| row.get(0))
        .optional()?;
    let purged = "SELECT max(hlc) FROM queue_fact WHERE topic = ?1 AND kind = 2";
    let purged: Option<i64> = connection
        .prepare_cached(purged)?
        .query_row([queue], |row| row.get(0))?;
    let is_paused = newest == Some(PAUSES);
    Ok((is_paused, purged.map_or(Hlc::ZERO, clock_from_sql)))
}

/// What an entry about a whole queue is in the database.
pub(super) const fn fact_kind(entry: &JobEntry) -> Option<i64> {
    match entry {
        JobEntry::Pause { paused: false } => Some(GOES_ON),
        JobEntry::Pause { paused: true } => Some(PAUSES),
        JobEntry::Purge => Some(PURGES),
        _ => None,
    }
}

impl Appending<'_> {
    /// The number of a queue, which is made if there is none.
    pub(super) fn queue(&mut self, topic: &str) -> Result<i64> {
        let number = self.topic(topic)?.number;
        if !self.queues.contains_key(&number) {
            let never = clock_to_sql(Hlc::ZERO);
            self.run(
                "INSERT INTO queue VALUES (?1, 0, ?2, 0, 0, 0, 0, 0, 0, 0) ON CONFLICT DO NOTHING",
                (number, never),
            )?;
            let purged = self
                .statement("SELECT purged FROM queue WHERE topic = ?1")?
                .query_row([number], |row| row.get(0))?;
            let change = QueueChange {
                purged: clock_from_sql(purged),
                ..QueueChange::default()
            };
            self.queues.insert(number, change);
        }
        Ok(number)
    }

    /// When a queue was last purged.
    pub(super) fn purged(&self, queue: i64) -> Hlc {
        self.queues
            .get(&queue)
            .map_or(Hlc::ZERO, |queue| queue.purged)
    }

    /// Counts jobs that came into a state, or left it.
    pub(super) fn count(&mut self, queue: i64, kind: StateKind, more: i64) {
        self.queues.entry(queue).or_default().counts[kind as usize] += more;
    }

    pub(crate) fn write_counts(&self) -> Result<()> {
        // An older migration has no such table yet, and counts nothing.
        if self.queues.is_empty() {
            return Ok(());
        }
        let mut update = self.statement(
            "UPDATE queue SET waiting = waiting + ?2, running = running + ?3, done = done + ?4,
                    dead = dead + ?5, cancelled = cancelled + ?6, held = held + ?7,
                    duplicate = duplicate + ?8
             WHERE topic = ?1",
        )?;
        for (number, QueueChange { counts, .. }) in &self.queues {
            if counts.iter().any(|more| *more != 0) {
                let [waiting, running, done, dead, cancelled, held, duplicate] = counts;
                update.execute((
                    number, waiting, running, done, dead, cancelled, held, duplicate,
                ))?;
            }
        }
        Ok(())
    }

    pub(super) fn add_queue_fact(&mut self, queue: i64, said: &Said<'_>) -> Result<()> {
        let place = (
            queue,
            clock_to_sql(said.hlc),
            said.place.author.0,
            seq_to_sql(said.place.seq),
            fact_kind(&said.entry),
        );
        let insert = "INSERT INTO queue_fact (topic, hlc, author, seq, kind)
             VALUES (?1, ?2, ?3, ?4, ?5)";
        self.run(insert, place)?;
        if self.refold_queue(queue)? > Hlc::ZERO {
            self.cancel_purged(queue)?;
        }
        Ok(())
    }

    /// Takes back what an entry said about a whole queue. Jobs that it had cancelled are `touched`.
    pub(super) fn remove_queue_fact(
        &mut self,
        queue: i64,
        said: &Said<'_>,
        touched: &mut BTreeSet<i64>,
    ) -> Result<()> {
        let place = (
            queue,
            clock_to_sql(said.hlc),
            said.place.author.0,
            seq_to_sql(said.place.seq),
        );
        let delete = "DELETE FROM queue_fact
             WHERE topic = ?1 AND hlc = ?2 AND author = ?3 AND seq = ?4";
        self.run(delete, place)?;
        let before = self.purged(queue);
        self.refold_queue(queue)?;
        if self.purged(queue) < before {
            self.recall_cancelled(queue)?;
            let mut jobs = self.statement("SELECT number FROM job WHERE queue = ?1")?;
            for number in jobs.query_map([queue], |row| row.get(0))? {
                touched.insert(number?);
            }
        }
        Ok(())
    }

    /// Writes what follows from all that was said about a whole queue. Returns by how much the clock of
    /// its last purge grew.
    fn refold_queue(&mut self, queue: i64) -> Result<Hlc> {
        let (is_paused, purged) = folded(self.transaction, queue)?;
        self.run(
            "UPDATE queue SET paused = ?2, purged = ?3 WHERE topic = ?1",
            (queue, is_paused, clock_to_sql(purged)),
        )?;
        let change = self.queues.entry(queue).or_default();
        let grew = Hlc(purged.0.saturating_sub(change.purged.0));
        change.purged = purged;
        Ok(grew)
    }

    /// Cancels what waits and began before the last purge: a million jobs in one statement.
    fn cancel_purged(&mut self, queue: i64) -> Result<()> {
        let before = (queue, clock_to_sql(self.purged(queue)));
        let cancelled = self
            .statement(
                "UPDATE job SET state = 4, due = 0
                 WHERE queue = ?1 AND state = 0 AND retried = 0 AND began < ?2
                 AND number NOT IN (SELECT job FROM blob_use)",
            )?
            .execute(before)?;
        let cancelled = i64::try_from(cancelled).unwrap_or(i64::MAX);
        self.count(queue, StateKind::Waiting, -cancelled);
        self.count(queue, StateKind::Cancelled, cancelled);
        // To be tried anew: what the purge ends is one generation. And those whose blobs nobody needs now.
        let select = select_job!(
            "WHERE job.queue = ?1 AND job.state = 0 AND job.began < ?2
             AND (job.retried = 1 OR job.number IN (SELECT job FROM blob_use))"
        );
        for stored in row::load_all(self.transaction, select, before)? {
            self.put(&stored)?;
        }
        let waiting = "SELECT DISTINCT order_key FROM job
             WHERE queue = ?1 AND state = 0 AND blocked = 1 AND order_key IS NOT NULL";
        let keys: Vec<String> = self
            .statement(waiting)?
            .query_map([queue], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for key in keys {
            self.let_next(queue, &key)?;
        }
        Ok(())
    }
}

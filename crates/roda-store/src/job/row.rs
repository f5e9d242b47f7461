//! Rows of the table of jobs.

use roda_proto::job::{Fact, Job, JobId, JobKey, JobState, Place, QueueName, StateKind};
use roda_proto::token::Priority;
use roda_proto::{AuthorId, Hlc, Seq, stream};
use rusqlite::{Connection, OptionalExtension, Params, Row};

use super::JobCursor;
use crate::columns::{clock_from_sql, seq_from_sql, seq_to_sql};
use crate::{Result, StoreError};

/// The beginning of a query for jobs. `$rest` continues it; it may name the tables `job` and `queue`.
macro_rules! select_job {
    ($rest:literal) => {
        concat!(
            "SELECT job.number, job.queue, job.author, job.seq, job.hlc, job.shard, job.priority, ",
            "job.state, job.duplicate, job.order_key, job.key, job.fold, queue.purged ",
            "FROM job JOIN queue ON queue.topic = job.queue ",
            $rest
        )
    };
}
pub(crate) use select_job;

/// By the batch that would hold its push: see [`super::number`].
pub(super) const BY_ID: &str = select_job!(
    "WHERE job.number = (
         SELECT batch.number * 65536 + ?2 - batch.first FROM batch
         WHERE batch.author = (SELECT author.number FROM author WHERE author.id = ?1)
         AND batch.first <= ?2 ORDER BY batch.first DESC LIMIT 1)
     AND job.author = ?1 AND job.seq = ?2"
);

/// A job as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) number: i64,
    pub(crate) queue: i64,
    pub(crate) id: JobId,
    pub(crate) hlc: Hlc,
    pub(crate) shard: u8,
    pub(crate) priority: u8,
    /// As the column says it; with `job` changed, another one than that says.
    pub(crate) state: StateKind,
    /// Another push with the same key is run.
    pub(crate) is_duplicate: bool,
    pub(crate) order_key: Option<String>,
    pub(crate) key: Option<String>,
    /// A checkpoint of the job as it was read is a blob.
    pub(crate) had_blobs: bool,
    pub(crate) job: Job,
}

/// A job in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRow {
    /// Its name.
    pub id: JobId,
    /// Its queue.
    pub queue: QueueName,
    /// Clock of its push.
    pub pushed: Hlc,
    /// Which claim lock it takes to run it.
    pub shard: u8,
    /// Higher ones are run first.
    pub priority: Priority,
    /// Its idempotency key.
    pub key: Option<JobKey>,
    /// Its order key.
    pub order_key: Option<JobKey>,
    /// What it is doing; unlike [`Job::state`], this knows duplicates.
    pub state: JobState,
    /// All else that is known of it.
    pub job: Job,
    pub(crate) cursor: JobCursor,
}

impl Stored {
    /// Reads a row of a query made by [`select_job`].
    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self> {
        let id = JobId {
            author: AuthorId(row.get(2)?),
            seq: seq_from_sql(row.get(3)?),
        };
        let fold = row.get_ref(11)?.as_blob().map_err(rusqlite::Error::from)?;
        let mut job: Job = stream::decode(fold).map_err(|rejected| damaged(id, rejected))?;
        job.purge(clock_from_sql(row.get(12)?));
        Ok(Self {
            number: row.get(0)?,
            queue: row.get(1)?,
            id,
            hlc: clock_from_sql(row.get(4)?),
            shard: row.get(5)?,
            priority: row.get(6)?,
            state: kind_from_sql(row.get(7)?).ok_or_else(|| damaged(id, "no such state"))?,
            is_duplicate: row.get(8)?,
            order_key: row.get(9)?,
            key: row.get(10)?,
            had_blobs: super::blob::has_any(&job),
            job,
        })
    }

    /// What the column of its state has to say.
    pub(crate) fn kind(&self) -> StateKind {
        match self.job.state().kind() {
            // What really runs or ran is not hidden.
            kind @ (StateKind::Running | StateKind::Done) => kind,
            _ if self.is_duplicate => StateKind::Duplicate,
            kind => kind,
        }
    }

    /// The job as the rest of the program sees it.
    pub(crate) fn into_row(self, connection: &Connection) -> Result<JobRow> {
        let queue = super::queue::name(connection, self.queue)?;
        self.into_row_of(connection, queue)
    }

    fn into_row_of(self, connection: &Connection, queue: QueueName) -> Result<JobRow> {
        let id = self.id;
        let state = match (self.kind(), &self.key) {
            (StateKind::Duplicate, Some(key)) => {
                let winner = super::key::winner(connection, self.queue, key)?;
                JobState::Duplicate(winner.map_or(id, |winner| winner.id))
            }
            _ => self.job.state(),
        };
        let key = |text: Option<String>| {
            let key = text.map(|text| JobKey::new(&text)).transpose();
            key.map_err(|error| damaged(id, error))
        };
        let priority = Priority::new(self.priority);
        Ok(JobRow {
            id,
            queue,
            pushed: self.hlc,
            shard: self.shard,
            priority: priority.ok_or_else(|| damaged(id, "no such priority"))?,
            key: key(self.key)?,
            order_key: key(self.order_key)?,
            state,
            job: self.job,
            cursor: JobCursor(self.number),
        })
    }
}

/// Jobs as the rest of the program sees them. Those of one queue stand together mostly, so its name is
/// looked up once.
pub(crate) fn into_rows(connection: &Connection, jobs: Vec<Stored>) -> Result<Vec<JobRow>> {
    let mut last: Option<(i64, QueueName)> = None;
    let mut rows = Vec::with_capacity(jobs.len());
    for stored in jobs {
        let name = match &last {
            Some((queue, name)) if *queue == stored.queue => name.clone(),
            _ => {
                let name = super::queue::name(connection, stored.queue)?;
                last = Some((stored.queue, name.clone()));
                name
            }
        };
        rows.push(stored.into_row_of(connection, name)?);
    }
    Ok(rows)
}

pub(crate) fn damaged(job: JobId, what: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("job {job}: {what}"))
}

/// All jobs that a query made by [`select_job`] finds.
pub(crate) fn load_all(
    connection: &Connection,
    select: &str,
    params: impl Params,
) -> Result<Vec<Stored>> {
    let mut statement = connection.prepare_cached(select)?;
    let mut rows = statement.query(params)?;
    let mut jobs = Vec::new();
    while let Some(row) = rows.next()? {
        jobs.push(Stored::from_row(row)?);
    }
    Ok(jobs)
}

/// The first job that a query made by [`select_job`] finds.
pub(crate) fn load(
    connection: &Connection,
    select: &str,
    params: impl Params,
) -> Result<Option<Stored>> {
    let mut statement = connection.prepare_cached(select)?;
    let found = statement.query_row(params, |row| Ok(Stored::from_row(row)));
    found.optional()?.transpose()
}

pub(crate) fn by_id(connection: &Connection, id: JobId) -> Result<Option<Stored>> {
    load(connection, BY_ID, (id.author.0, seq_to_sql(id.seq)))
}

pub(crate) fn by_number(connection: &Connection, number: i64) -> Result<Option<Stored>> {
    load(connection, select_job!("WHERE job.number = ?1"), [number])
}

/// All that is said about a job.
pub(crate) fn facts(connection: &Connection, job: i64) -> Result<Vec<Fact>> {
    let select = "SELECT author, seq, hlc, kind FROM job_fact WHERE job = ?1 ORDER BY author, seq";
    let mut statement = connection.prepare_cached(select)?;
    let mut rows = statement.query([job])?;
    let mut facts = Vec::new();
    while let Some(row) = rows.next()? {
        let place = Place {
            author: AuthorId(row.get(0)?),
            seq: seq_from_sql(row.get(1)?),
        };
        let kind = row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
        let Place { author, seq } = place;
        facts.push(Fact {
            place,
            hlc: clock_from_sql(row.get(2)?),
            kind: stream::decode(kind).map_err(|rejected| {
                StoreError::Damaged(format!(
                    "what entry {seq} of {author} says of a job: {rejected}"
                ))
            })?,
        });
    }
    Ok(facts)
}

/// The numbers of states in the database; the queries of this module and the partial indexes say them.
pub(crate) const fn kind_to_sql(kind: StateKind) -> i64 {
    match kind {
        StateKind::Waiting => 0,
        StateKind::Running => 1,
        StateKind::Done => 2,
        StateKind::Dead => 3,
        StateKind::Cancelled => 4,
        StateKind::Held => 5,
        StateKind::Duplicate => 6,
    }
}

pub(crate) fn kind_from_sql(column: i64) -> Option<StateKind> {
    let mut kinds = StateKind::ALL.into_iter();
    kinds.find(|kind| kind_to_sql(*kind) == column)
}

/// Milliseconds since 1970 as a column; those beyond its range are as far as can be.
pub(crate) fn millis_to_sql(millis: u64) -> i64 {
    seq_to_sql(Seq(millis))
}

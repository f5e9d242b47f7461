//! Lists of jobs, for people and for those who look after workers.

use roda_proto::job::{JobId, QueueName, StateKind, WorkerId};
use roda_proto::{AuthorId, Seq};
use rusqlite::{Connection, Params};

use super::queue;
use super::row::{self, JobRow, Stored, kind_to_sql, select_job};
use crate::columns::{seq_from_sql, seq_to_sql};
use crate::{Reader, Result};

/// Most jobs in one list; there may be more behind the last.
pub const JOBS_LISTED_MAX: usize = 1000;

/// Which jobs to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct JobsQuery<'q> {
    /// Only of this queue.
    pub queue: Option<&'q QueueName>,
    /// Only in this state.
    pub state: Option<StateKind>,
    /// Only those behind this one: go on where another list ended.
    pub after: Option<JobCursor>,
    /// At most so many, and never more than [`JOBS_LISTED_MAX`].
    pub limit: usize,
}

/// Where a job stands in lists of this database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobCursor(pub(super) i64);

/// A worker that runs jobs, by what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveWorker {
    /// Which.
    pub worker: WorkerId,
    /// The author that claims for it: its node.
    pub author: AuthorId,
    /// How many jobs it runs.
    pub running: u64,
}

/// The newest jobs of all queues.
const NEWEST: &str = "SELECT number FROM job WHERE number < ?1 ORDER BY number DESC LIMIT ?2";
/// The newest jobs of a queue in a state, by number only: of all that are found so, few are listed.
pub(super) const IN_STATE: &str = "SELECT number FROM job
     WHERE queue = ?1 AND state = ?2 AND number < ?3
     ORDER BY number DESC LIMIT ?4";
pub(super) const RUNNING_OF: &str =
    select_job!("WHERE job.state = 1 AND job.worker = ?1 ORDER BY job.claimer, job.number");
/// In the batches of these entries. A batch that begins before them may hold some as well.
pub(super) const PUSHED_BETWEEN: &str = "SELECT job.seq FROM batch
     JOIN job ON job.number >= batch.number * 65536
         AND job.number <= batch.number * 65536 + batch.last - batch.first
     WHERE batch.author = (SELECT author.number FROM author WHERE author.id = ?1)
     AND batch.first BETWEEN
         (SELECT coalesce(max(before.first), 0) FROM batch AS before
          WHERE before.author = (SELECT author.number FROM author WHERE author.id = ?1)
          AND before.first <= ?2) AND ?3
     AND job.seq BETWEEN ?2 AND ?3
     UNION ALL
     SELECT seq FROM job_past
     WHERE author = (SELECT author.number FROM author WHERE author.id = ?1)
     AND seq BETWEEN ?2 AND ?3
     ORDER BY seq";
pub(super) const LIVE_WORKERS: &str = "SELECT worker, claimer, count(*) FROM job
     WHERE state = 1 GROUP BY worker, claimer";

impl JobRow {
    /// Its place in lists; what [`JobsQuery::after`] takes.
    #[must_use]
    pub const fn cursor(&self) -> JobCursor {
        self.cursor
    }
}

impl Reader {
    /// Lists jobs, those that came here last first. Past ones are left out: see
    /// [`Store::retire_jobs`](crate::Store::retire_jobs).
    ///
    /// # Errors
    /// [`StoreError::Damaged`](crate::StoreError::Damaged) names the row that fails.
    pub fn jobs(&self, query: &JobsQuery<'_>) -> Result<Vec<JobRow>> {
        let transaction = self.begin()?;
        let limit = query.limit.min(JOBS_LISTED_MAX);
        let before = query.after.map_or(i64::MAX, |after| after.0);
        let queues = match query.queue {
            Some(queue) => {
                let found = queue::find(&transaction, queue)?;
                Some(found.map(|(number, _)| number).into_iter().collect())
            }
            None if query.state.is_some() => Some(all_queues(&transaction)?),
            None => None,
        };
        let numbers = match queues {
            Some(queues) => newest_of(&transaction, queues, query.state, (before, limit))?,
            None => numbers(&transaction, NEWEST, (before, limit))?,
        };
        let mut jobs: Vec<Stored> = Vec::with_capacity(numbers.len());
        for number in numbers {
            jobs.extend(row::by_number(&transaction, number)?);
        }
        row::into_rows(&transaction, jobs)
    }

    /// The jobs that a worker runs, by what is stored.
    ///
    /// # Errors
    /// [`StoreError::Damaged`](crate::StoreError::Damaged) names the row that fails.
    pub fn running_of(&self, worker: &WorkerId) -> Result<Vec<JobRow>> {
        let transaction = self.begin()?;
        let jobs = row::load_all(&transaction, RUNNING_OF, [worker.0])?;
        row::into_rows(&transaction, jobs)
    }

    /// The jobs that an author pushed with entries of this range, in their order.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn pushed_between(&self, author: AuthorId, first: Seq, last: Seq) -> Result<Vec<JobId>> {
        let transaction = self.begin()?;
        let mut statement = transaction.prepare_cached(PUSHED_BETWEEN)?;
        let of = (author.0, seq_to_sql(first), seq_to_sql(last));
        let jobs = statement.query_map(of, |row| {
            let seq = seq_from_sql(row.get(0)?);
            Ok(JobId { author, seq })
        })?;
        Ok(jobs.collect::<Result<_, _>>()?)
    }

    /// The workers that run jobs, by what is stored: all that anybody may have to declare dead.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn live_workers(&self) -> Result<Vec<LiveWorker>> {
        let transaction = self.begin()?;
        let mut statement = transaction.prepare_cached(LIVE_WORKERS)?;
        let workers = statement.query_map([], |row| {
            Ok(LiveWorker {
                worker: WorkerId(row.get(0)?),
                author: AuthorId(row.get(1)?),
                running: row.get(2)?,
            })
        })?;
        Ok(workers.collect::<Result<_, _>>()?)
    }
}

fn all_queues(connection: &Connection) -> Result<Vec<i64>> {
    let mut statement = connection.prepare_cached("SELECT topic FROM queue ORDER BY topic")?;
    let queues = statement.query_map([], |row| row.get(0))?;
    Ok(queues.collect::<Result<_, _>>()?)
}

/// The newest jobs of some queues below a number: of each and each state, merged.
fn newest_of(
    connection: &Connection,
    queues: Vec<i64>,
    state: Option<StateKind>,
    (before, limit): (i64, usize),
) -> Result<Vec<i64>> {
    let mut newest = Vec::new();
    let wanted = |kind: &StateKind| state.is_none_or(|state| state == *kind);
    for queue in queues {
        for kind in StateKind::ALL.into_iter().filter(wanted) {
            let of = (queue, kind_to_sql(kind), before, limit);
            newest.extend(numbers(connection, IN_STATE, of)?);
        }
        // Whatever many queues there are, no more is kept.
        newest.sort_unstable_by_key(|number| std::cmp::Reverse(*number));
        newest.truncate(limit);
    }
    Ok(newest)
}

fn numbers(connection: &Connection, select: &str, params: impl Params) -> Result<Vec<i64>> {
    let mut statement = connection.prepare_cached(select)?;
    let found = statement.query_map(params, |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

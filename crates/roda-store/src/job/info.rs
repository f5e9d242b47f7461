//! One job with all there is to know about it.

use roda_proto::job::{
    Attempt, Checkpoint, End, JobEntry, JobId, JobPrefix, Place, PushOptions, attempts,
};
use roda_proto::{AuthorId, EntryKind, NodeId};
use rusqlite::{Connection, OptionalExtension};

use super::row::{self, JobRow, damaged};
use crate::columns::{seq_from_sql, seq_to_sql};
use crate::{Reader, Result, StoreError, batch_row};

/// Most attempts that [`Reader::job`] tells of: the last ones.
pub const ATTEMPTS_LISTED_MAX: usize = 100;
/// Most jobs that [`Resolved::Several`] names.
const CANDIDATES_MAX: usize = 16;

/// A job, what it was told, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobInfo {
    /// As in lists.
    pub row: JobRow,
    /// The node that pushed it.
    pub pushed_by: NodeId,
    /// Its options.
    pub options: PushOptions,
    /// Bytes of its payload.
    pub payload_len: usize,
    /// Its last attempts in their order, at most [`ATTEMPTS_LISTED_MAX`], void ones among them.
    pub attempts: Vec<AttemptInfo>,
}

/// An attempt at a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptInfo {
    /// What the entries say of it.
    pub attempt: Attempt,
    /// The node that ran it.
    pub node: NodeId,
    /// The end of its output, if it ended and its worker lived to say so.
    pub output: Vec<u8>,
}

/// What a job is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedPayload {
    /// What was pushed.
    pub payload: Vec<u8>,
    /// How it is to be run.
    pub options: PushOptions,
}

/// From where a job can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedCheckpoint {
    /// A checkpoint whose hash is right.
    pub checkpoint: Checkpoint,
    /// The entry that holds it.
    pub place: Place,
    /// Whether it is the newest: the one after it may be damaged.
    pub is_newest: bool,
}

/// Which job somebody means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// None that is stored.
    None,
    /// This one.
    One(JobId),
    /// One of these; there may be more.
    Several(Vec<JobId>),
}

impl Reader {
    /// A job with its attempts; `None` if it is not known.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names the row that fails.
    pub fn job(&self, id: JobId) -> Result<Option<JobInfo>> {
        let transaction = self.begin()?;
        let Some(stored) = row::by_id(&transaction, id)? else {
            return Ok(None);
        };
        let facts = row::facts(&transaction, stored.number)?;
        let mut attempts = attempts(&facts);
        attempts.drain(..attempts.len().saturating_sub(ATTEMPTS_LISTED_MAX));
        let attempts = attempts.into_iter().map(|attempt| {
            Ok(AttemptInfo {
                node: node_of(&transaction, attempt.claim.author)?,
                output: output(&transaction, id, &attempt)?,
                attempt,
            })
        });
        let attempts = attempts.collect::<Result<_>>()?;
        let LoadedPayload { payload, options } = payload(&transaction, id)?;
        Ok(Some(JobInfo {
            pushed_by: node_of(&transaction, id.author)?,
            row: stored.into_row(&transaction)?,
            options,
            payload_len: payload.len(),
            attempts,
        }))
    }

    /// A job as in lists, without its attempts; `None` if it is not known.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names the row that fails.
    pub fn job_row(&self, id: JobId) -> Result<Option<JobRow>> {
        let transaction = self.begin()?;
        let stored = row::by_id(&transaction, id)?;
        stored
            .map(|stored| stored.into_row(&transaction))
            .transpose()
    }

    /// What a job is to do; `None` if it is not known.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names the row that fails.
    pub fn job_payload(&self, id: JobId) -> Result<Option<LoadedPayload>> {
        let transaction = self.begin()?;
        match row::by_id(&transaction, id)? {
            Some(_) => payload(&transaction, id).map(Some),
            None => Ok(None),
        }
    }

    /// The newest checkpoint of a job whose hash is right, of the last two that differ; `None` if it has
    /// none.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names the row that fails.
    pub fn job_checkpoint(&self, id: JobId) -> Result<Option<LoadedCheckpoint>> {
        let transaction = self.begin()?;
        let Some(stored) = row::by_id(&transaction, id)? else {
            return Ok(None);
        };
        for (age, saved) in stored.job.checkpoints().iter().enumerate() {
            if let JobEntry::Save { checkpoint, .. } = entry(&transaction, saved.place)?
                && checkpoint.is_sound()
            {
                return Ok(Some(LoadedCheckpoint {
                    checkpoint,
                    place: saved.place,
                    is_newest: age == 0,
                }));
            }
        }
        Ok(None)
    }

    /// Which job somebody means.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn resolve_job(&self, prefix: &JobPrefix) -> Result<Resolved> {
        let transaction = self.begin()?;
        let (from, to) = prefix.authors();
        let mut authors =
            transaction.prepare_cached("SELECT id FROM author WHERE id BETWEEN ?1 AND ?2")?;
        let mut job = transaction
            .prepare_cached("SELECT author, seq FROM job WHERE author = ?1 AND seq = ?2")?;
        let mut found = Vec::new();
        let mut rows = authors.query((from.0, to.0))?;
        while let Some(row) = rows.next()?
            && found.len() < CANDIDATES_MAX
        {
            let author: [u8; 16] = row.get(0)?;
            let named = job.query_row((author, seq_to_sql(prefix.seq())), |row| {
                Ok(JobId {
                    author: AuthorId(row.get(0)?),
                    seq: seq_from_sql(row.get(1)?),
                })
            });
            found.extend(named.optional()?);
        }
        Ok(match found[..] {
            [] => Resolved::None,
            [one] => Resolved::One(one),
            _ => Resolved::Several(found),
        })
    }
}

fn payload(connection: &Connection, id: JobId) -> Result<LoadedPayload> {
    match entry(connection, id.place())? {
        JobEntry::Push { payload, options } => Ok(LoadedPayload { payload, options }),
        _ => Err(damaged(id, "its entry is no push")),
    }
}

/// What an attempt's worker told of its output.
fn output(connection: &Connection, id: JobId, attempt: &Attempt) -> Result<Vec<u8>> {
    let Some(end) = attempt.end.filter(|end| end.outcome.is_some()) else {
        return Ok(Vec::new());
    };
    let JobEntry::End { ends, .. } = entry(connection, end.place)? else {
        return Ok(Vec::new());
    };
    let is_meant = |end: &End| end.job == id && end.attempt == attempt.id;
    let end = ends.into_iter().find(is_meant);
    Ok(end.map(|end| end.output).unwrap_or_default())
}

/// An entry about jobs, from the log.
fn entry(connection: &Connection, place: Place) -> Result<JobEntry> {
    let Place { author, seq } = place;
    let batch = batch_row::containing(connection, &author, seq)?;
    let found = batch.as_ref().and_then(|batch| {
        let entry = batch.entries().find(|entry| entry.seq == seq)?;
        let is_of_job = entry.kind == EntryKind::Job;
        is_of_job
            .then(|| JobEntry::parse(entry.body).ok())
            .flatten()
    });
    found.ok_or_else(|| {
        StoreError::Damaged(format!("entry {seq} of {author} says nothing about jobs"))
    })
}

fn node_of(connection: &Connection, author: AuthorId) -> Result<NodeId> {
    let mut statement = connection.prepare_cached("SELECT node FROM author WHERE id = ?1")?;
    Ok(NodeId(statement.query_row([author.0], |row| row.get(0))?))
}

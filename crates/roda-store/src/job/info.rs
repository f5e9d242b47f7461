//! One job with all there is to know about it.

use std::collections::BTreeMap;

use roda_proto::job::{
    Attempt, End, JobEntry, JobId, JobPrefix, Place, PushOptions, SavedAt, attempts,
};
use roda_proto::{AuthorId, Entry, EntryKind, NodeId, Seq};
use rusqlite::Connection;

use super::past;
use super::row::{self, JobRow, damaged};

use crate::{Reader, Result, StoreError, blob};

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
    /// Its last checkpoints that differ, the newest first.
    pub checkpoints: Vec<CheckpointInfo>,
}

/// A checkpoint without its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointInfo {
    /// What the fold knows of it.
    pub saved: SavedAt,
    /// The state is in this database.
    pub is_here: bool,
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

/// From where a job may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedCheckpoint {
    /// What the fold knows of it.
    pub saved: SavedAt,
    /// What the job needs to go on.
    pub state: LoadedState,
}

/// The state of a checkpoint, as far as its entry tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadedState {
    /// This, and its hash is right.
    Whole(Vec<u8>),
    /// Its hash is wrong.
    Damaged,
    /// A blob of so many bytes: see [`Reader::blob`].
    Blob(u32),
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
        let Some(stored) = self.past.job(&transaction, id)? else {
            return Ok(None);
        };
        let facts = self.past.facts_of(&transaction, &stored)?;
        let mut attempts = attempts(&facts);
        attempts.drain(..attempts.len().saturating_sub(ATTEMPTS_LISTED_MAX));
        let attempts = attempts.into_iter().map(|attempt| {
            Ok(AttemptInfo {
                node: node_of(&transaction, attempt.claim.author)?,
                output: self.output(&transaction, id, &attempt)?,
                attempt,
            })
        });
        let attempts = attempts.collect::<Result<_>>()?;
        let LoadedPayload { payload, options } = self.payload(&transaction, id)?;
        let checkpoints = stored.job.checkpoints().iter().map(|saved| {
            let is_here = saved.blob.is_none() || blob::has(&transaction, &saved.hash)?;
            Ok(CheckpointInfo {
                saved: *saved,
                is_here,
            })
        });
        let checkpoints = checkpoints.collect::<Result<_>>()?;
        Ok(Some(JobInfo {
            pushed_by: node_of(&transaction, id.author)?,
            row: stored.into_row(&transaction)?,
            options,
            payload_len: payload.len(),
            attempts,
            checkpoints,
        }))
    }

    /// A job as in lists, without its attempts; `None` if it is not known.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names the row that fails.
    pub fn job_row(&self, id: JobId) -> Result<Option<JobRow>> {
        let transaction = self.begin()?;
        let stored = self.past.job(&transaction, id)?;
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
        match self.past.job(&transaction, id)? {
            Some(_) => self.payload(&transaction, id).map(Some),
            None => Ok(None),
        }
    }

    /// The last checkpoints of a job that differ, two at most, the newest first.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names the row that fails.
    pub fn job_checkpoints(&self, id: JobId) -> Result<Vec<LoadedCheckpoint>> {
        let transaction = self.begin()?;
        let Some(stored) = self.past.job(&transaction, id)? else {
            return Ok(Vec::new());
        };
        let mut loaded = Vec::new();
        for saved in stored.job.checkpoints() {
            let JobEntry::Save { checkpoint, .. } = self.entry(&transaction, saved.place)? else {
                return Err(damaged(id, "the entry of a checkpoint holds none"));
            };
            let state = match checkpoint.blob() {
                Some(len) => LoadedState::Blob(len),
                None => checkpoint
                    .into_whole()
                    .map_or(LoadedState::Damaged, LoadedState::Whole),
            };
            loaded.push(LoadedCheckpoint {
                saved: *saved,
                state,
            });
        }
        Ok(loaded)
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
        let mut found = Vec::new();
        let mut rows = authors.query((from.0, to.0))?;
        while let Some(row) = rows.next()?
            && found.len() < CANDIDATES_MAX
        {
            let author: [u8; 16] = row.get(0)?;
            let id = JobId {
                author: AuthorId(author),
                seq: prefix.seq(),
            };
            if row::by_id(&transaction, id)?.is_some() || past::find(&transaction, id)?.is_some() {
                found.push(id);
            }
        }
        Ok(match found[..] {
            [] => Resolved::None,
            [one] => Resolved::One(one),
            _ => Resolved::Several(found),
        })
    }
}

impl Reader {
    fn payload(&self, connection: &Connection, id: JobId) -> Result<LoadedPayload> {
        match self.entry(connection, id.place())? {
            JobEntry::Push { payload, options } => Ok(LoadedPayload { payload, options }),
            _ => Err(damaged(id, "its entry is no push")),
        }
    }

    /// What each of some jobs is to do. Each batch is gone through once for all its jobs.
    pub(super) fn payloads(
        &self,
        connection: &Connection,
        ids: &[JobId],
    ) -> Result<Vec<LoadedPayload>> {
        let mut missing: BTreeMap<(AuthorId, Seq), usize> = BTreeMap::new();
        for (at, id) in ids.iter().enumerate() {
            missing.insert((id.author, id.seq), at);
        }
        let mut payloads: Vec<Option<LoadedPayload>> = vec![None; ids.len()];
        while let Some((&(author, seq), _)) = missing.first_key_value() {
            let batch = self.last_batch.containing(connection, &author, seq)?;
            if let Some(batch) = batch {
                for entry in batch.entries() {
                    if let Some(at) = missing.remove(&(author, entry.seq)) {
                        payloads[at] = pushed_by(&entry);
                    }
                }
            }
            // One that no batch holds is not looked for again.
            missing.remove(&(author, seq));
        }
        let whole = |(payload, id): (Option<LoadedPayload>, &JobId)| {
            payload.ok_or_else(|| damaged(*id, "its entry is no push"))
        };
        payloads.into_iter().zip(ids).map(whole).collect()
    }

    /// What an attempt's worker told of its output.
    fn output(&self, connection: &Connection, id: JobId, attempt: &Attempt) -> Result<Vec<u8>> {
        let Some(end) = attempt.end.filter(|end| end.outcome.is_some()) else {
            return Ok(Vec::new());
        };
        let JobEntry::End { ends, .. } = self.entry(connection, end.place)? else {
            return Ok(Vec::new());
        };
        let is_meant = |end: &End| end.job == id && end.attempt == attempt.id;
        let end = ends.into_iter().find(is_meant);
        Ok(end.map(|end| end.output).unwrap_or_default())
    }

    /// An entry about jobs, from the log.
    fn entry(&self, connection: &Connection, place: Place) -> Result<JobEntry> {
        let Place { author, seq } = place;
        let batch = self.last_batch.containing(connection, &author, seq)?;
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
}

/// What an entry pushes, if that is what it does.
fn pushed_by(entry: &Entry<'_>) -> Option<LoadedPayload> {
    if entry.kind != EntryKind::Job {
        return None;
    }
    match JobEntry::parse(entry.body).ok()? {
        JobEntry::Push { payload, options } => Some(LoadedPayload { payload, options }),
        _ => None,
    }
}

fn node_of(connection: &Connection, author: AuthorId) -> Result<NodeId> {
    let mut statement = connection.prepare_cached("SELECT node FROM author WHERE id = ?1")?;
    Ok(NodeId(statement.query_row([author.0], |row| row.get(0))?))
}

//! Jobs that have been over for long: of each only where it stands in the log.
//!
//! Nothing is lost with a row that is gone: the log has all entries, and the row that is left says which
//! they are. So a past job reads like any other, and whatever is said about one puts it back first.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use roda_proto::job::{Fact, JobEntry, JobId, Place, PushOptions, StateKind, fold, shard_of};
use roda_proto::{AuthorId, Batch, EntryKind, Hlc, crypto, stream};
use rusqlite::{Connection, OptionalExtension};

use super::row::{self, Stored, damaged, kind_from_sql};
use super::{blob, number, queue};
use crate::batch_row;
use crate::columns::{seq_from_sql, seq_to_sql};
use crate::{Result, StoreError};

/// Batches kept while past jobs are read. A push, its claim and its end mostly stand in three; jobs that
/// are read one after the other share them.
const BATCHES_KEPT: usize = 16;

/// A row of the table of past jobs.
#[derive(Debug)]
pub(super) struct Past {
    pub(super) id: JobId,
    pub(super) queue: i64,
    pub(super) state: StateKind,
    pub(super) key: Option<i64>,
    /// The entries that say something about it, in the order of authors and numbers.
    pub(super) places: Vec<Place>,
}

/// A push as it stands in the log.
pub(super) struct LoggedPush {
    pub(super) hlc: Hlc,
    pub(super) payload: Vec<u8>,
    pub(super) options: PushOptions,
}

/// Reads entries about jobs from the log.
#[derive(Default)]
pub(crate) struct PastLog(RefCell<VecDeque<Arc<Batch>>>);

/// What the index keeps of an idempotency key. Keys that share it are told apart by the log.
pub(super) fn key_column(key: &str) -> i64 {
    let hash = crypto::content_hash(key.as_bytes()).0;
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    i64::from_be_bytes(first)
}

const SELECT: &str = "SELECT queue, state, key, places FROM job_past
     WHERE author = (SELECT number FROM author WHERE id = ?1) AND seq = ?2";

/// A past job by its name.
pub(super) fn find(connection: &Connection, id: JobId) -> Result<Option<Past>> {
    let mut statement = connection.prepare_cached(SELECT)?;
    let found = statement.query_row((id.author.0, seq_to_sql(id.seq)), |row| {
        let places: Vec<u8> = row.get(3)?;
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, places))
    });
    let Some((queue, state, key, places)) = found.optional()? else {
        return Ok(None);
    };
    Ok(Some(Past {
        id,
        queue,
        state: kind_from_sql(state).ok_or_else(|| damaged(id, "no such state"))?,
        key,
        places: decode_places(connection, id, &places)?,
    }))
}

/// Past jobs of a queue whose idempotency key may be this one.
pub(super) fn with_key(connection: &Connection, queue: i64, key: &str) -> Result<Vec<JobId>> {
    let select =
        "SELECT author.id, seq FROM job_past JOIN author ON author.number = job_past.author
         WHERE queue = ?1 AND key = ?2";
    ids(connection, select, (queue, key_column(key)))
}

/// Past jobs that a purge of their queue may have cancelled.
pub(super) fn cancelled(connection: &Connection, queue: i64) -> Result<Vec<JobId>> {
    let select =
        "SELECT author.id, seq FROM job_past JOIN author ON author.number = job_past.author
         WHERE queue = ?1 AND state = 4";
    ids(connection, select, [queue])
}

fn ids(connection: &Connection, select: &str, params: impl rusqlite::Params) -> Result<Vec<JobId>> {
    let mut statement = connection.prepare_cached(select)?;
    let jobs = statement.query_map(params, |row| {
        Ok(JobId {
            author: AuthorId(row.get(0)?),
            seq: seq_from_sql(row.get(1)?),
        })
    })?;
    Ok(jobs.collect::<Result<_, _>>()?)
}

/// The column of places: pairs of an author's number in this database and an entry's.
pub(super) fn encode_places(connection: &Connection, places: &[Place]) -> Result<Vec<u8>> {
    let mut number = connection.prepare_cached("SELECT number FROM author WHERE id = ?1")?;
    let mut pairs: Vec<(u64, u64)> = Vec::with_capacity(places.len());
    for place in places {
        let author = number.query_row([place.author.0], |row| row.get(0))?;
        pairs.push((author, place.seq.0));
    }
    Ok(stream::encode(&pairs))
}

pub(super) fn decode_places(
    connection: &Connection,
    id: JobId,
    column: &[u8],
) -> Result<Vec<Place>> {
    let pairs: Vec<(u64, u64)> =
        stream::decode(column).map_err(|rejected| damaged(id, rejected))?;
    let mut author = connection.prepare_cached("SELECT id FROM author WHERE number = ?1")?;
    let places = pairs.into_iter().map(|(number, seq)| {
        let author = author.query_row([number], |row| row.get(0)).optional()?;
        let author = author.ok_or_else(|| damaged(id, "an entry about it is of nobody"))?;
        Ok(Place {
            author: AuthorId(author),
            seq: roda_proto::Seq(seq),
        })
    });
    places.collect()
}

impl PastLog {
    /// The push of a past job.
    pub(super) fn push(&self, connection: &Connection, id: JobId) -> Result<LoggedPush> {
        match self.entry(connection, id.place())? {
            (_, hlc, JobEntry::Push { payload, options }) => Ok(LoggedPush {
                hlc,
                payload,
                options,
            }),
            _ => Err(damaged(id, "its entry is no push")),
        }
    }

    /// What entries say about a job.
    pub(super) fn facts(
        &self,
        connection: &Connection,
        id: JobId,
        queue: i64,
        places: &[Place],
    ) -> Result<Vec<Fact>> {
        let queue = queue::name(connection, queue)?;
        let facts = places.iter().map(|place| {
            let (topic, hlc, entry) = self.entry(connection, *place)?;
            let said = entry.facts().into_iter().find(|(job, _)| *job == id);
            match said {
                Some((_, kind)) if topic == queue.as_str() => Ok(Fact {
                    place: *place,
                    hlc,
                    kind,
                }),
                _ => Err(damaged(id, "an entry that is about it says nothing of it")),
            }
        });
        facts.collect()
    }

    /// A past job as if it were in the table of jobs.
    pub(super) fn stored(&self, connection: &Connection, past: &Past) -> Result<Stored> {
        let LoggedPush { hlc, options, .. } = self.push(connection, past.id)?;
        let mut job = fold(
            hlc,
            &options,
            &self.facts(connection, past.id, past.queue, &past.places)?,
        );
        let (_, purged) = queue::folded(connection, past.queue)?;
        job.purge(purged);
        let text =
            |key: &Option<roda_proto::job::JobKey>| key.as_ref().map(|key| key.as_str().to_owned());
        let number = number::find(connection, past.id)?;
        Ok(Stored {
            number: number.ok_or_else(|| damaged(past.id, "no batch holds its push"))?,
            queue: past.queue,
            id: past.id,
            hlc,
            shard: shard_of(&past.id, &options),
            priority: options.priority.value(),
            state: past.state,
            is_duplicate: false,
            order_key: text(&options.order_key),
            key: text(&options.key),
            had_blobs: blob::has_any(&job),
            job,
        })
    }

    /// A job, past or not.
    pub(crate) fn job(&self, connection: &Connection, id: JobId) -> Result<Option<Stored>> {
        if let Some(stored) = row::by_id(connection, id)? {
            return Ok(Some(stored));
        }
        let past = find(connection, id)?;
        past.map(|past| self.stored(connection, &past)).transpose()
    }

    /// All that is said about a job, past or not.
    pub(super) fn facts_of(&self, connection: &Connection, stored: &Stored) -> Result<Vec<Fact>> {
        match find(connection, stored.id)? {
            Some(past) => self.facts(connection, past.id, past.queue, &past.places),
            None => row::facts(connection, stored.number),
        }
    }

    /// An entry about jobs, with its topic and clock.
    fn entry(&self, connection: &Connection, place: Place) -> Result<(String, Hlc, JobEntry)> {
        let Place { author, seq } = place;
        let batch = self.batch(connection, place)?;
        let found = batch.as_ref().and_then(|batch| {
            let entry = batch.entries().find(|entry| entry.seq == seq)?;
            let (topic, said) = (entry.topic?, JobEntry::parse(entry.body).ok()?);
            (entry.kind == EntryKind::Job).then(|| (topic.to_owned(), entry.hlc, said))
        });
        found.ok_or_else(|| {
            StoreError::Damaged(format!("entry {seq} of {author} says nothing about jobs"))
        })
    }

    fn batch(
        &self,
        connection: &Connection,
        Place { author, seq }: Place,
    ) -> Result<Option<Arc<Batch>>> {
        let holds =
            |batch: &&Arc<Batch>| batch.author == author && batch.first <= seq && seq <= batch.last;
        let known = self.0.borrow().iter().find(holds).cloned();
        if let Some(known) = known
            && batch_row::is_stored(connection, &known)?
        {
            return Ok(Some(known));
        }
        let found = batch_row::containing(connection, &author, seq)?.map(Arc::new);
        if let Some(found) = &found {
            let mut kept = self.0.borrow_mut();
            kept.truncate(BATCHES_KEPT - 1);
            kept.push_front(Arc::clone(found));
        }
        Ok(found)
    }
}

//! Checks the index of jobs against the logs.

use std::collections::BTreeMap;

use roda_proto::job::{Fact, JobEntry, JobId, PushOptions, StateKind, push_hash, shard_of};
use roda_proto::{Batch, stream};
use rusqlite::{Connection, OptionalExtension};

use super::append::StateColumns;
use super::past::{self, Past, PastLog};
use super::rounds;
use super::row::{self, Stored, damaged, kind_from_sql, kind_to_sql, select_job};
use super::said::{Said, said};
use super::{blob, key, queue};
use crate::columns::{clock_from_sql, clock_to_sql, seq_to_sql};
use crate::{Result, StoreError};

/// What the batches seen so far should have put into the index.
#[derive(Default)]
pub(crate) struct JobCheck {
    jobs: u64,
    facts: u64,
    of_queues: u64,
    blob_uses: u64,
    past: u64,
    past_facts: u64,
    past_log: PastLog,
}

impl JobCheck {
    /// What a batch says is in the index. Returns the faults.
    pub(crate) fn batch(&mut self, connection: &Connection, batch: &Batch) -> Vec<String> {
        let mut faults = Vec::new();
        for said in said(batch) {
            if let Err(error) = self.said(connection, &said) {
                faults.push(error.to_string());
            }
        }
        faults
    }

    fn said(&mut self, connection: &Connection, said: &Said<'_>) -> Result<()> {
        let place = said.place;
        let missing = || {
            let (seq, author) = (place.seq, place.author);
            StoreError::Damaged(format!("entry {seq} of {author} is not indexed by job"))
        };
        let select = "SELECT number FROM topic WHERE name = ?1";
        let topic: Option<i64> = connection
            .prepare_cached(select)?
            .query_row([said.topic], |row| row.get(0))
            .optional()?;
        let topic = topic.ok_or_else(missing)?;
        match &said.entry {
            JobEntry::Push { payload, options } => {
                let Some(stored) = row::by_id(connection, place.into())? else {
                    let past = past::find(connection, place.into())?.ok_or_else(missing)?;
                    self.past += 1;
                    return self.retired(connection, topic, &past);
                };
                self.jobs += 1;
                let packed = rounds::facts(connection, &self.past_log, &stored)?;
                self.past_facts += u64::try_from(packed.len()).unwrap_or(u64::MAX);
                self.blob_uses += blobs(connection, &stored)?;
                pushed(
                    connection,
                    topic,
                    said,
                    (&stored, packed),
                    (payload, options),
                )
            }
            JobEntry::Pause { .. } | JobEntry::Purge => {
                let select = "SELECT 1 FROM queue_fact WHERE topic = ?1 AND hlc = ?2
                     AND author = ?3 AND seq = ?4 AND kind = ?5";
                let row = (
                    topic,
                    clock_to_sql(said.hlc),
                    place.author.0,
                    seq_to_sql(place.seq),
                    queue::fact_kind(&said.entry),
                );
                self.of_queues += 1;
                let is_there = connection.prepare_cached(select)?.exists(row)?;
                is_there.then_some(()).ok_or_else(missing)
            }
            _ => {
                for (job, fact) in said.facts() {
                    self.facts += 1;
                    if !is_indexed(connection, topic, job, &fact)? {
                        return Err(missing());
                    }
                }
                Ok(())
            }
        }
    }

    /// What is left of a past job says where all stands that is said about it, and how it ended.
    fn retired(&mut self, connection: &Connection, topic: i64, past: &Past) -> Result<()> {
        // Each is another entry; that none is missing, their number tells.
        let is_sorted = past.places.is_sorted_by(|one, next| one < next);
        self.past_facts += u64::try_from(past.places.len()).unwrap_or(u64::MAX);
        let stored = self.past_log.stored(connection, past)?;
        let key = stored.key.as_deref();
        let has_rivals = match key {
            Some(key) => !key::rivals(connection, topic, key)?.is_empty(),
            None => false,
        };
        let is_right = past.queue == topic
            && is_sorted
            && past.state == stored.kind()
            && past.key == key.map(past::key_column)
            && !has_rivals;
        match is_right {
            true => Ok(()),
            false => Err(damaged(
                past.id,
                "what is left of it is not what is said about it",
            )),
        }
    }

    /// All that should be in the index is; so equal numbers mean that nothing else is. Then what follows
    /// from several jobs together. Returns the faults.
    pub(crate) fn totals(&self, connection: &Connection) -> Vec<String> {
        let mut faults = Vec::new();
        let count = |select: &str| -> Option<u64> {
            connection.query_row(select, [], |row| row.get(0)).ok()
        };
        let facts = "SELECT (SELECT count(*) FROM job_fact) + (SELECT count(*) FROM orphan)";
        for (select, expected) in [
            ("SELECT count(*) FROM job", self.jobs),
            ("SELECT count(*) FROM job_past", self.past),
            (
                "SELECT count(*) FROM job_round WHERE job NOT IN (SELECT number FROM job)",
                0,
            ),
            (facts, self.facts.saturating_sub(self.past_facts)),
            ("SELECT count(*) FROM queue_fact", self.of_queues),
            ("SELECT count(*) FROM blob_use", self.blob_uses),
        ] {
            if count(select) != Some(expected) {
                faults.push("the index by job has rows of no batch".to_owned());
            }
        }
        for check in [queues, keys, orders] {
            if let Err(error) = check(connection) {
                faults.push(error.to_string());
            }
        }
        faults
    }
}

/// What is written down of the blobs that a job names follows from its row. Returns how many it names.
fn blobs(connection: &Connection, stored: &Stored) -> Result<u64> {
    let uses = blob::uses(stored.kind(), &stored.job);
    if blob::written(connection, stored.number)? != uses {
        return Err(damaged(stored.id, "its blobs are not those it names"));
    }
    Ok(u64::try_from(uses.len()).unwrap_or(u64::MAX))
}

/// The row of a job says what follows from its push and from what is said about it.
fn pushed(
    connection: &Connection,
    queue: i64,
    said: &Said<'_>,
    (stored, packed): (&Stored, Vec<Fact>),
    (payload, options): (&[u8], &PushOptions),
) -> Result<()> {
    let fault = |what: &str| Err(damaged(stored.id, what));
    let select = "SELECT key_hash, due, worker, claimer, began, retried FROM job WHERE number = ?1";
    let mut statement = connection.prepare_cached(select)?;
    let (hash, columns, began): (Option<[u8; 32]>, _, (i64, bool)) =
        statement.query_row([stored.number], |row| {
            let columns = StateColumns {
                due: row.get(1)?,
                worker: row.get(2)?,
                claimer: row.get(3)?,
            };
            Ok((row.get(0)?, columns, (row.get(4)?, row.get(5)?)))
        })?;
    let is_pushed_so = stored.queue == queue
        && stored.hlc == said.hlc
        && stored.shard == shard_of(&stored.id, options)
        && stored.priority == options.priority.value()
        && stored.key.as_deref() == options.key.as_ref().map(|key| key.as_str())
        && stored.order_key.as_deref() == options.order_key.as_ref().map(|key| key.as_str())
        && hash == options.key.as_ref().map(|_| push_hash(payload, options).0);
    if !is_pushed_so {
        return fault("its columns do not fit its push");
    }
    let kept = row::facts(connection, stored.number)?;
    let base = rounds::base(connection, stored.id, stored.number)?;
    if base.is_some_and(|base| base != roda_proto::job::fold(said.hlc, options, &packed)) {
        return fault("what its old rounds led to is not what is said about them");
    }
    let mut facts = [kept, packed].concat();
    facts.sort_by_key(|fact| fact.place);
    let is_told_once = facts.is_sorted_by(|one, next| one.place < next.place);
    let (_, purged) = queue::folded(connection, queue)?;
    let mut job = roda_proto::job::fold(said.hlc, options, &facts);
    job.purge(purged);
    if job != stored.job || !is_told_once {
        return fault("its state is not what is said about it");
    }
    let began = (clock_from_sql(began.0), began.1);
    // Only of those that wait somebody wants to know.
    let is_waiting = stored.state == StateKind::Waiting;
    let is_current = !is_waiting || began == (job.began(), job.is_retried());
    if stored.state != stored.kind()
        || columns != StateColumns::of(stored.state, &job)
        || !is_current
    {
        return fault("its columns do not fit its state");
    }
    Ok(())
}

fn is_indexed(connection: &Connection, topic: i64, job: JobId, fact: &Fact) -> Result<bool> {
    let stored = row::by_id(connection, job)?;
    let (author, seq) = (fact.place.author.0, seq_to_sql(fact.place.seq));
    let (hlc, kind) = (clock_to_sql(fact.hlc), stream::encode(&fact.kind));
    if let Some(stored) = stored.filter(|stored| stored.queue == topic) {
        let select = "SELECT 1 FROM job_fact
             WHERE job = ?1 AND author = ?2 AND seq = ?3 AND hlc = ?4 AND kind = ?5";
        let row = (stored.number, author, seq, hlc, kind);
        let is_kept = connection.prepare_cached(select)?.exists(row)?;
        // Packed ones are read where the push is checked; that none is missing, their number tells.
        let packed = "SELECT 1 FROM job_round WHERE job = ?1";
        return Ok(is_kept || connection.prepare_cached(packed)?.exists([stored.number])?);
    }
    // Of a past job all entries are read where its push is checked.
    if past::find(connection, job)?.is_some_and(|past| past.queue == topic) {
        return Ok(true);
    }
    let select = "SELECT 1 FROM orphan WHERE of_author = ?1 AND of_seq = ?2
         AND author = ?3 AND seq = ?4 AND topic = ?5 AND hlc = ?6 AND kind = ?7";
    let row = (
        job.author.0,
        seq_to_sql(job.seq),
        author,
        seq,
        topic,
        hlc,
        kind,
    );
    Ok(connection.prepare_cached(select)?.exists(row)?)
}

/// Counts, pauses and purges.
fn queues(connection: &Connection) -> Result<()> {
    let mut counts: BTreeMap<i64, [u64; StateKind::ALL.len()]> = BTreeMap::new();
    let select = "SELECT queue, state, count(*) FROM
         (SELECT queue, state FROM job UNION ALL SELECT queue, state FROM job_past)
         GROUP BY queue, state";
    let mut statement = connection.prepare(select)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let kind = kind_from_sql(row.get(1)?)
            .ok_or_else(|| StoreError::Damaged("a job has no such state".to_owned()))?;
        counts.entry(row.get(0)?).or_default()[kind as usize] = row.get(2)?;
    }
    let select = "SELECT topic, paused, purged, waiting, running, done, dead, cancelled, held,
                         duplicate FROM queue";
    let mut statement = connection.prepare(select)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let queue = row.get(0)?;
        let counted = counts.remove(&queue).unwrap_or_default();
        for (at, counted) in counted.iter().enumerate() {
            if row.get::<_, u64>(at + 3)? != *counted {
                return Err(StoreError::Damaged(
                    "a queue's count of jobs is wrong".to_owned(),
                ));
            }
        }
        let folded = queue::folded(connection, queue)?;
        if folded != (row.get(1)?, clock_from_sql(row.get(2)?)) {
            return Err(StoreError::Damaged(
                "a queue is not paused or purged as was said".to_owned(),
            ));
        }
    }
    match counts.is_empty() {
        true => Ok(()),
        false => Err(StoreError::Damaged("a job is of no queue".to_owned())),
    }
}

/// Of the pushes with one key all but one are duplicates.
fn keys(connection: &Connection) -> Result<()> {
    let select = "SELECT queue, key FROM job WHERE key IS NOT NULL
         GROUP BY queue, key HAVING count(*) > 1 OR max(duplicate) = 1";
    let mut statement = connection.prepare(select)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let key: String = row.get(1)?;
        let rivals = key::rivals(connection, row.get(0)?, &key)?;
        let winner = key::chosen(&rivals);
        for rival in &rivals {
            if rival.is_duplicate != (Some(rival.id) != winner) {
                return Err(damaged(rival.id, "whether it is a duplicate is wrong"));
            }
        }
    }
    Ok(())
}

/// Of the waiting jobs with one order key at most the first is not blocked, and none without one is.
fn orders(connection: &Connection) -> Result<()> {
    let select = "SELECT 1 FROM job WHERE order_key IS NULL AND blocked = 1";
    if connection.prepare(select)?.exists([])? {
        return Err(StoreError::Damaged(
            "a job without an order key waits for another".to_owned(),
        ));
    }
    let mut by_key: BTreeMap<(i64, String), Vec<(Stored, bool)>> = BTreeMap::new();
    let select = select_job!(
        "WHERE job.order_key IS NOT NULL AND job.state IN (0, 1, 5)
         ORDER BY job.hlc, job.author, job.seq"
    );
    for stored in row::load_all(connection, select, [])? {
        let blocked = "SELECT blocked FROM job WHERE number = ?1";
        let is_blocked = connection
            .prepare_cached(blocked)?
            .query_row([stored.number], |row| row.get(0))?;
        let key = stored.order_key.clone().unwrap_or_default();
        by_key
            .entry((stored.queue, key))
            .or_default()
            .push((stored, is_blocked));
    }
    for jobs in by_key.values() {
        let runs = jobs.iter().any(|(job, _)| job.state == StateKind::Running);
        for (at, (job, is_blocked)) in jobs.iter().enumerate() {
            let is_next = at == 0 && !runs;
            if job.state == StateKind::Waiting && *is_blocked == is_next {
                return Err(damaged(job.id, "whether it is its turn is wrong"));
            }
        }
    }
    debug_assert_eq!(kind_to_sql(StateKind::Held), 5, "as the query says");
    Ok(())
}

//! Takes what batches say about jobs into the index.

use roda_proto::Hlc;
use roda_proto::job::{
    Fact, Job, JobEntry, JobId, JobState, PushOptions, StateKind, push_hash, shard_of,
};
use roda_proto::{Batch, stream};
use rusqlite::params;

use super::number;
use super::row::{self, Stored, kind_to_sql, millis_to_sql};
use super::said::said;
use crate::Result;
use crate::append::Appending;
use crate::columns::{clock_to_sql, seq_to_sql};

impl Appending<'_> {
    /// Takes in what a batch says about jobs; `number` is its own.
    pub(crate) fn add_jobs(&mut self, number: i64, batch: &Batch) -> Result<()> {
        for said in said(batch) {
            let queue = self.queue(said.topic)?;
            match &said.entry {
                JobEntry::Push { payload, options } => {
                    let number = number::of(number, batch.first, said.place.seq);
                    let job = (said.place.into(), said.hlc);
                    self.add_push((queue, number), job, payload, options)?;
                }
                JobEntry::Pause { .. } | JobEntry::Purge => self.add_queue_fact(queue, &said)?,
                _ => {
                    for (job, fact) in said.facts() {
                        self.add_fact(queue, job, &fact)?;
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn add_push(
        &mut self,
        (queue, number): (i64, i64),
        (id, hlc): (JobId, Hlc),
        payload: &[u8],
        options: &PushOptions,
    ) -> Result<()> {
        if let Some(key) = &options.key {
            self.recall_key(queue, key.as_str())?;
        }
        let job = Job::new(hlc, options);
        let key_hash = options.key.as_ref().map(|_| push_hash(payload, options).0);
        let mut insert = self.statement(
            "INSERT INTO job (number, queue, author, seq, hlc, shard, priority, state, due, blocked,
                              duplicate, began, retried, order_key, key, key_hash, fold)
             VALUES (?15, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0, ?10, 0, ?11, ?12, ?13, ?14)",
        )?;
        let text =
            |key: &Option<roda_proto::job::JobKey>| key.as_ref().map(|key| key.as_str().to_owned());
        let (order_key, key) = (text(&options.order_key), text(&options.key));
        insert.execute(params![
            queue,
            id.author.0,
            seq_to_sql(id.seq),
            clock_to_sql(hlc),
            shard_of(&id, options),
            options.priority.value(),
            kind_to_sql(StateKind::Waiting),
            millis_to_sql(options.not_before.0),
            // Whether it is its turn is found out at once.
            order_key.is_some(),
            clock_to_sql(hlc),
            order_key,
            key,
            key_hash,
            stream::encode(&job),
            number,
        ])?;
        self.count(queue, StateKind::Waiting, 1);
        let has_orphans = self.adopt(queue, number, id)?;
        let purged = self.purged(queue);
        let plain = key.is_none() && order_key.is_none();
        if plain && !has_orphans && purged <= hlc {
            return Ok(());
        }
        if let Some(mut stored) = self.stored(number)? {
            if has_orphans {
                self.refold(&mut stored)?;
            }
            self.put(&stored)?;
            self.join_rivals(stored)?;
        }
        Ok(())
    }

    /// Hands a new job what was said about it before it came. Whether there was anything.
    fn adopt(&mut self, queue: i64, number: i64, JobId { author, seq }: JobId) -> Result<bool> {
        if !self.any_orphans()? {
            return Ok(false);
        }
        let select = "SELECT 1 FROM orphan WHERE of_author = ?1 AND of_seq = ?2 AND topic = ?3";
        let of = (author.0, seq_to_sql(seq), queue);
        if !self.statement(select)?.exists(of)? {
            return Ok(false);
        }
        self.run(
            "INSERT INTO job_fact (job, author, seq, hlc, kind)
             SELECT ?4, author, seq, hlc, kind FROM orphan
             WHERE of_author = ?1 AND of_seq = ?2 AND topic = ?3",
            (author.0, seq_to_sql(seq), queue, number),
        )?;
        self.run(
            "DELETE FROM orphan WHERE of_author = ?1 AND of_seq = ?2 AND topic = ?3",
            of,
        )?;
        Ok(true)
    }

    fn add_fact(&mut self, queue: i64, id: JobId, fact: &Fact) -> Result<()> {
        let mut stored = self.job(id)?;
        if stored.is_none() && self.recall(queue, id)? {
            stored = self.job(id)?;
        }
        let Some(mut stored) = stored.filter(|stored| stored.queue == queue) else {
            return self.add_orphan(queue, id, fact);
        };
        self.run(
            "INSERT INTO job_fact (job, author, seq, hlc, kind) VALUES (?1, ?2, ?3, ?4, ?5)",
            (
                stored.number,
                fact.place.author.0,
                seq_to_sql(fact.place.seq),
                clock_to_sql(fact.hlc),
                stream::encode(&fact.kind),
            ),
        )?;
        let first = stored.job.first_attempt();
        if stored.job.step(fact).is_err() {
            self.refold(&mut stored)?;
        }
        let is_claimed = stored.job.first_attempt() != first;
        self.put(&stored)?;
        self.pack_rounds(&stored, fact)?;
        if is_claimed {
            self.join_rivals(stored)?;
        }
        Ok(())
    }

    /// Whether anything at all is known of jobs that are not: mostly not, so that new jobs need no look.
    fn any_orphans(&mut self) -> Result<bool> {
        if let Some(known) = self.has_orphans {
            return Ok(known);
        }
        let found = self.statement("SELECT 1 FROM orphan LIMIT 1")?.exists([])?;
        self.has_orphans = Some(found);
        Ok(found)
    }

    pub(super) fn add_orphan(&mut self, queue: i64, of: JobId, fact: &Fact) -> Result<()> {
        self.has_orphans = Some(true);
        self.run(
            "INSERT INTO orphan (of_author, of_seq, author, seq, topic, hlc, kind)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            (
                of.author.0,
                seq_to_sql(of.seq),
                fact.place.author.0,
                seq_to_sql(fact.place.seq),
                queue,
                clock_to_sql(fact.hlc),
                stream::encode(&fact.kind),
            ),
        )
    }

    /// Folds all facts about a job anew.
    pub(super) fn refold(&self, stored: &mut Stored) -> Result<()> {
        let facts = row::facts(self.transaction, stored.number)?;
        stored.job = match self.folded_on(stored, &facts)? {
            Some(job) => job,
            None => {
                self.unpack(stored)?;
                stored
                    .job
                    .refold(&row::facts(self.transaction, stored.number)?)
            }
        };
        stored.job.purge(self.purged(stored.queue));
        Ok(())
    }

    pub(super) fn stored(&self, number: i64) -> Result<Option<Stored>> {
        row::by_number(self.transaction, number)
    }

    /// Writes what became of a job, and what follows for those that wait for it.
    pub(super) fn put(&mut self, stored: &Stored) -> Result<()> {
        let (kind, job) = (stored.kind(), &stored.job);
        let columns = StateColumns::of(kind, job);
        self.run(
            "UPDATE job SET state = ?2, due = ?3, duplicate = ?4, began = ?5, retried = ?6,
                            worker = ?7, claimer = ?8, fold = ?9
             WHERE number = ?1",
            params![
                stored.number,
                kind_to_sql(kind),
                columns.due,
                stored.is_duplicate,
                clock_to_sql(job.began()),
                job.is_retried(),
                columns.worker,
                columns.claimer,
                stream::encode(job),
            ],
        )?;
        self.put_blobs(stored)?;
        self.count(stored.queue, stored.state, -1);
        self.count(stored.queue, kind, 1);
        match &stored.order_key {
            Some(order_key) if kind != stored.state || kind == StateKind::Waiting => {
                self.let_next(stored.queue, order_key)
            }
            _ => Ok(()),
        }
    }
}

/// What follows from the state of a job that counts as such, as columns: when it is due, its worker and
/// who claimed it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct StateColumns {
    pub(super) due: i64,
    pub(super) worker: Option<[u8; 16]>,
    pub(super) claimer: Option<[u8; 16]>,
}

impl StateColumns {
    pub(super) fn of(kind: StateKind, job: &Job) -> Self {
        match job.state() {
            // Of a duplicate nobody asks when it is due.
            JobState::Waiting { not_before } if kind == StateKind::Waiting => Self {
                due: millis_to_sql(not_before.0),
                ..Self::default()
            },
            JobState::Running(running) => Self {
                worker: Some(running.worker.0),
                claimer: Some(running.claim.author.0),
                due: 0,
            },
            _ => Self::default(),
        }
    }
}

//! Appending records.

use std::collections::{BTreeMap, BTreeSet};

use roda_proto::{AuthorId, Batch, EpochRecord, Hash, Head, Hlc, Record, Seq};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use crate::batch_row::{self, select_batch};
use crate::columns::{clock_from_sql, clock_to_sql, seq_from_sql, seq_to_sql};
use crate::job::{BatchPlace, QueueChange};
use crate::piece::{Piece, pieces};
use crate::{Result, Store, StoreError};

impl Store {
    /// Writes all records or none, in one transaction. When this returns `Ok`, they survive power
    /// loss; so the more records a caller brings at once, the less each costs.
    ///
    /// # Errors
    /// [`StoreError::Gap`] and [`StoreError::Broken`] for a batch that does not continue its
    /// author's log. Nothing was written, unless it is [`StoreError::Uncertain`].
    pub fn append(&mut self, records: &[Record]) -> Result<()> {
        self.write(|transaction| {
            let mut appending = Appending::new(transaction);
            for record in records {
                appending.apply(record)?;
            }
            appending.finish()
        })?;
        let forgets = |record: &Record| matches!(record, Record::ForgetEpoch(_));
        if self.erase_pending || records.iter().any(forgets) {
            self.erase();
        }
        Ok(())
    }
}

/// What one transaction changes in rows that several of its batches share, written once at its end.
pub(crate) struct Appending<'t> {
    pub(crate) transaction: &'t Connection,
    authors: BTreeMap<AuthorId, Author>,
    topics: BTreeMap<String, Topic>,
    /// By number of the topic.
    pub(crate) queues: BTreeMap<i64, QueueChange>,
    /// There is a table of past jobs. A migration indexes them all anew, and before that table is made.
    pub(crate) has_past: bool,
    /// Of each author, the batch in which a job was looked for last.
    pub(crate) pushes: BTreeMap<AuthorId, BatchPlace>,
    /// Whether anything is known of jobs that are not; `None`: nobody has looked yet.
    pub(crate) has_orphans: Option<bool>,
}

struct Author {
    number: i64,
    head: Head,
}

pub(crate) struct Topic {
    pub(crate) number: i64,
    entries_added: i64,
    hlc_last: Hlc,
}

impl<'t> Appending<'t> {
    pub(crate) const fn new(transaction: &'t Connection) -> Self {
        Self {
            transaction,
            authors: BTreeMap::new(),
            topics: BTreeMap::new(),
            queues: BTreeMap::new(),
            has_past: true,
            pushes: BTreeMap::new(),
            has_orphans: None,
        }
    }

    fn apply(&mut self, record: &Record) -> Result<()> {
        match record {
            Record::Batch(batch) => self.batch(batch),
            Record::Epoch(epoch) => put_epoch(self.transaction, epoch),
            Record::ForgetEpoch(tag) => self.run("DELETE FROM epoch WHERE tag = ?1", [tag.0]),
            Record::Void { author, above } => self.void(author, *above),
            Record::Clock(hlc) => self.run(
                "INSERT INTO clock (one, hlc) VALUES (1, ?1)
                 ON CONFLICT (one) DO UPDATE SET hlc = max(hlc, excluded.hlc)",
                [clock_to_sql(*hlc)],
            ),
            Record::Frozen(author) => {
                let insert = "INSERT INTO frozen (author) VALUES (?1) ON CONFLICT DO NOTHING";
                self.run(insert, [author.0])
            }
            _ => Err(StoreError::UnknownRecord),
        }
    }

    /// Writes heads, and counts of topics and queues.
    pub(crate) fn finish(self) -> Result<()> {
        let mut update = self.statement(
            "UPDATE author SET head_seq = ?2, head_hash = ?3, head_hlc = ?4 WHERE number = ?1",
        )?;
        for Author { number, head } in self.authors.values() {
            update.execute(params![
                number,
                seq_to_sql(head.seq),
                head.hash.0,
                clock_to_sql(head.hlc)
            ])?;
        }
        let mut update = self.statement(
            "UPDATE topic SET entries = entries + ?2, hlc_last = max(hlc_last, ?3)
             WHERE number = ?1",
        )?;
        for topic in self.topics.values() {
            let hlc_last = clock_to_sql(topic.hlc_last);
            update.execute((topic.number, topic.entries_added, hlc_last))?;
        }
        self.write_counts()
    }

    fn batch(&mut self, batch: &Batch) -> Result<()> {
        let author = self.author(batch)?;
        continues(&author.head, batch)?;
        author.head.seq = batch.last;
        author.head.hash = batch.hash;
        author.head.hlc = batch.hlc_last;
        let author = author.number;
        let mut insert = self.statement(
            "INSERT INTO batch (author, first, last, hlc_first, hlc_last, control, hash, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        let number = insert.insert(params![
            author,
            seq_to_sql(batch.first),
            seq_to_sql(batch.last),
            clock_to_sql(batch.hlc_first),
            clock_to_sql(batch.hlc_last),
            batch.has_control(),
            batch.hash.0,
            batch.bytes(),
        ])?;
        self.index(author, number, batch)?;
        self.add_jobs(number, batch)
    }

    /// Puts a batch's messages into the indexes.
    pub(crate) fn index(&mut self, author: i64, number: i64, batch: &Batch) -> Result<()> {
        for piece in pieces(batch) {
            self.piece(author, number, &piece)?;
        }
        self.add_holds(author, batch)
    }

    fn piece(&mut self, author: i64, batch: i64, piece: &Piece<'_>) -> Result<()> {
        let topic = self.topic(piece.topic)?;
        topic.entries_added += i64::from(piece.count);
        topic.hlc_last = topic.hlc_last.max(piece.hlc_last);
        let topic = topic.number;
        self.run(
            "INSERT INTO piece (topic, hlc_first, batch, hlc_last, author, first, count)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                topic,
                clock_to_sql(piece.hlc_first),
                batch,
                clock_to_sql(piece.hlc_last),
                author,
                seq_to_sql(piece.first),
                piece.count
            ],
        )
    }

    /// Deletes batch by batch: what a batch left in the index is known from its content.
    fn void(&mut self, id: &AuthorId, above: Seq) -> Result<()> {
        let Some(author) = self.known_author(id)?.map(|author| author.number) else {
            return Ok(());
        };
        let newest = select_batch!("WHERE batch.author = ?1 ORDER BY batch.first DESC LIMIT 1");
        let mut touched = BTreeSet::new();
        let mut jobs = BTreeSet::new();
        let remaining = loop {
            match batch_row::load(self.transaction, newest, [author])? {
                Some(batch) if batch.last > above => {
                    // A past job is put back from what still stands in the log, and the others are found by it.
                    self.remove_jobs(&batch, &mut jobs)?;
                    self.pushes.remove(id);
                    self.delete(author, &batch)?;
                    touched.extend(batch.topics().map(str::to_owned));
                }
                remaining => break remaining,
            }
        };
        for topic in touched {
            self.recount(&topic)?;
        }
        self.refold_all(jobs)?;
        if let Some(author) = self.authors.get_mut(id) {
            let head = &mut author.head;
            (head.seq, head.hash, head.hlc) = remaining
                .map_or((Seq(0), Hash::ZERO, Hlc::ZERO), |batch| {
                    (batch.last, batch.hash, batch.hlc_last)
                });
        }
        Ok(())
    }

    fn delete(&mut self, author: i64, batch: &Batch) -> Result<()> {
        let number: i64 = self
            .statement("SELECT number FROM batch WHERE author = ?1 AND first = ?2")?
            .query_row((author, seq_to_sql(batch.first)), |row| row.get(0))?;
        self.remove_pieces(number, &pieces(batch))?;
        self.remove_holds(author, batch)?;
        self.run("DELETE FROM batch WHERE number = ?1", [number])
    }

    pub(crate) fn remove_pieces(&mut self, batch: i64, pieces: &[Piece<'_>]) -> Result<()> {
        for piece in pieces {
            let topic = self.topic(piece.topic)?.number;
            self.run(
                "DELETE FROM piece WHERE topic = ?1 AND hlc_first = ?2 AND batch = ?3",
                (topic, clock_to_sql(piece.hlc_first), batch),
            )?;
        }
        Ok(())
    }

    /// Counts a topic anew after a deletion. Its row stays, so that a number never changes its
    /// meaning.
    pub(crate) fn recount(&mut self, name: &str) -> Result<()> {
        let Some(topic) = self.known_topic(name)?.map(|topic| topic.number) else {
            return Ok(());
        };
        self.run(
            "UPDATE topic SET (entries, hlc_last) =
             (SELECT coalesce(sum(count), 0), coalesce(max(hlc_last), ?2)
              FROM piece WHERE topic = ?1)
             WHERE number = ?1",
            [topic, clock_to_sql(Hlc::ZERO)],
        )?;
        // What this transaction had added so far was counted with the rest.
        self.topics.remove(name);
        Ok(())
    }

    fn author(&mut self, batch: &Batch) -> Result<&mut Author> {
        if self.known_author(&batch.author)?.is_none() {
            let number = self
                .statement(
                    "INSERT INTO author (id, node, incarnation, head_seq, head_hash, head_hlc)
                     VALUES (?1, ?2, ?3, 0, ?4, ?5)",
                )?
                .insert(params![
                    batch.author.0,
                    batch.node.0,
                    batch.incarnation.0,
                    Hash::ZERO.0,
                    clock_to_sql(Hlc::ZERO)
                ])?;
            let head = Head {
                author: batch.author,
                node: batch.node,
                seq: Seq(0),
                hash: Hash::ZERO,
                hlc: Hlc::ZERO,
            };
            self.authors.insert(batch.author, Author { number, head });
        }
        Ok(self
            .authors
            .get_mut(&batch.author)
            .expect("it was found or inserted just now"))
    }

    fn known_author(&mut self, id: &AuthorId) -> Result<Option<&mut Author>> {
        if !self.authors.contains_key(id) {
            let select = "SELECT number, node, head_seq, head_hash, head_hlc
                          FROM author WHERE id = ?1";
            let found = self
                .statement(select)?
                .query_row([id.0], |row| {
                    let head = Head {
                        author: *id,
                        node: roda_proto::NodeId(row.get(1)?),
                        seq: seq_from_sql(row.get(2)?),
                        hash: Hash(row.get(3)?),
                        hlc: clock_from_sql(row.get(4)?),
                    };
                    let number = row.get(0)?;
                    Ok(Author { number, head })
                })
                .optional()?;
            if let Some(author) = found {
                self.authors.insert(*id, author);
            }
        }
        Ok(self.authors.get_mut(id))
    }

    pub(crate) fn topic(&mut self, name: &str) -> Result<&mut Topic> {
        if self.known_topic(name)?.is_none() {
            let number = self
                .statement("INSERT INTO topic (name, entries, hlc_last) VALUES (?1, 0, ?2)")?
                .insert((name, clock_to_sql(Hlc::ZERO)))?;
            self.topics.insert(name.to_owned(), Topic::new(number));
        }
        Ok(self
            .topics
            .get_mut(name)
            .expect("it was found or inserted just now"))
    }

    fn known_topic(&mut self, name: &str) -> Result<Option<&mut Topic>> {
        if !self.topics.contains_key(name) {
            let found = self
                .statement("SELECT number FROM topic WHERE name = ?1")?
                .query_row([name], |row| row.get(0))
                .optional()?;
            if let Some(number) = found {
                self.topics.insert(name.to_owned(), Topic::new(number));
            }
        }
        Ok(self.topics.get_mut(name))
    }

    pub(crate) fn run(&self, sql: &str, params: impl rusqlite::Params) -> Result<()> {
        self.statement(sql)?.execute(params)?;
        Ok(())
    }

    pub(crate) fn statement(&self, sql: &str) -> Result<CachedStatement<'t>> {
        Ok(self.transaction.prepare_cached(sql)?)
    }
}

impl Topic {
    const fn new(number: i64) -> Self {
        Self {
            number,
            entries_added: 0,
            hlc_last: Hlc::ZERO,
        }
    }
}

/// Keeps a group key.
pub(crate) fn put_epoch(connection: &Connection, epoch: &EpochRecord) -> Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO epoch (tag, secret, created) VALUES (?1, ?2, ?3)
         ON CONFLICT (tag) DO UPDATE SET secret = excluded.secret, created = excluded.created",
    )?;
    insert.execute((
        epoch.tag.0,
        epoch.secret.as_slice(),
        clock_to_sql(epoch.created),
    ))?;
    Ok(())
}

fn continues(head: &Head, batch: &Batch) -> Result<()> {
    let expected = head.seq.next();
    if batch.first != expected {
        return Err(StoreError::Gap {
            author: batch.author,
            expected,
            found: batch.first,
        });
    }
    if batch.prev != head.hash || (head.seq > Seq(0) && batch.hlc_first <= head.hlc) {
        return Err(StoreError::Broken {
            author: batch.author,
            seq: batch.first,
        });
    }
    Ok(())
}

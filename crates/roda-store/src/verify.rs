//! Checking everything that can be checked.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use roda_proto::{AuthorId, Batch, Hash, Hlc, Incarnation, NodeId, Seq, crypto};
use rusqlite::Connection;

use crate::batch_row::{self, select_batch};
use crate::columns::{clock_from_sql, clock_to_sql, seq_from_sql, seq_to_sql};
use crate::job::JobCheck;
use crate::piece::{Piece, pieces};
use crate::{Reader, Result, StoreError, blob, hold};

/// Most faults that a report lists; the last line then says that there are more.
pub const FAULTS_MAX: usize = 1000;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Logs checked.
    pub authors: u64,
    /// Batches checked.
    pub batches: u64,
    /// Entries in them.
    pub entries: u64,
    /// One line per thing found wrong; empty: all is well.
    pub faults: Vec<String>,
}

impl VerifyReport {
    fn fault(&mut self, fault: impl std::fmt::Display) {
        match self.faults.len() {
            FAULTS_MAX.. => {}
            // The last line that fits.
            len if len + 1 == FAULTS_MAX => self.faults.push("and more".to_owned()),
            _ => self.faults.push(fault.to_string()),
        }
    }
}

impl Reader {
    /// Checks SQLite's structures, then every log: each batch parses, its signature and hash are
    /// right, it continues the one before, and the indexes agree; then every blob. Calls `progress` after each batch
    /// with what was found so far. About 0.2 ms per batch.
    ///
    /// It sees one commit throughout; meanwhile a writer's write-ahead log can only grow.
    ///
    /// # Errors
    /// Only if the check cannot begin; what it finds is in the report.
    pub fn verify(&self, mut progress: impl FnMut(&VerifyReport)) -> Result<VerifyReport> {
        self.verify_until(|report| {
            progress(report);
            ControlFlow::Continue(())
        })
    }

    /// As [`Self::verify`], and ends when `progress` breaks.
    ///
    /// # Errors
    /// [`StoreError::Interrupted`] too.
    pub fn verify_until(
        &self,
        mut progress: impl FnMut(&VerifyReport) -> ControlFlow<()>,
    ) -> Result<VerifyReport> {
        let transaction = self.begin()?;
        let mut check = Check {
            connection: &transaction,
            report: VerifyReport::default(),
            topics: BTreeMap::new(),
            pieces: 0,
            holds: 0,
            jobs: JobCheck::default(),
        };
        check.structure();
        check.snapshot();
        match authors(&transaction) {
            Ok(authors) => {
                for author in authors {
                    if check.log(&author, &mut progress).is_break() {
                        return Err(StoreError::Interrupted);
                    }
                    check.report.authors += 1;
                }
                check.totals();
            }
            Err(error) => check.report.fault(error),
        }
        Ok(check.report)
    }
}

struct Check<'c> {
    connection: &'c Connection,
    report: VerifyReport,
    /// Messages found in batches, by topic, and the greatest clock among them.
    topics: BTreeMap<String, (u64, Hlc)>,
    /// Pieces that the batches found should have.
    pieces: u64,
    /// Rows that they should have in the index of holds.
    holds: u64,
    jobs: JobCheck,
}

struct Author {
    number: i64,
    id: AuthorId,
    node: NodeId,
    incarnation: Incarnation,
    head: (Seq, Hash, Hlc),
}

impl Check<'_> {
    fn structure(&mut self) {
        let sql = format!("PRAGMA integrity_check({FAULTS_MAX})");
        let lines = self.connection.prepare(&sql).and_then(|mut statement| {
            let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
            lines.collect::<Result<Vec<_>, _>>()
        });
        match lines {
            Ok(lines) => {
                for line in lines.iter().filter(|line| *line != "ok") {
                    self.report.fault(format_args!("sqlite: {line}"));
                }
            }
            Err(error) => self.report.fault(format_args!("sqlite: {error}")),
        }
    }

    /// Identity and group keys are small, and checked when they are read.
    fn snapshot(&mut self) {
        if let Err(error) = crate::snapshot::read(self.connection) {
            self.report.fault(error);
        }
    }

    fn log(
        &mut self,
        author: &Author,
        progress: &mut impl FnMut(&VerifyReport) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let id = author.id;
        if crypto::author_id(&author.node, &author.incarnation) != id {
            self.report.fault(format_args!(
                "author {id}: the node or incarnation is another one"
            ));
        }
        let mut end = (Seq(0), Hash::ZERO, Hlc::ZERO);
        loop {
            match self.next_batch(author, end.0.next()) {
                Ok(Some((number, batch))) => {
                    self.batch(author, end, number, &batch);
                    end = (batch.last, batch.hash, batch.hlc_last);
                    progress(&self.report)?;
                }
                Ok(None) => break,
                Err(error) => {
                    // What follows cannot be placed behind a batch that does not read.
                    self.report.fault(error);
                    return ControlFlow::Continue(());
                }
            }
        }
        if end != author.head {
            self.report.fault(format_args!(
                "author {id}: the log ends at {}, its head says {}",
                end.0, author.head.0
            ));
        }
        ControlFlow::Continue(())
    }

    /// The first batch from `seq` on, and its number.
    fn next_batch(&self, author: &Author, seq: Seq) -> Result<Option<(i64, Batch)>> {
        let from = (author.number, seq_to_sql(seq));
        let select = select_batch!(
            "WHERE batch.author = ?1 AND batch.first >= ?2 ORDER BY batch.first LIMIT 1"
        );
        let Some(batch) = batch_row::load(self.connection, select, from)? else {
            return Ok(None);
        };
        let number = self
            .connection
            .prepare_cached("SELECT number FROM batch WHERE author = ?1 AND first = ?2")?
            .query_row((author.number, seq_to_sql(batch.first)), |row| row.get(0))?;
        Ok(Some((number, batch)))
    }

    fn batch(&mut self, author: &Author, end: (Seq, Hash, Hlc), number: i64, batch: &Batch) {
        let name = format!("batch {} of {}", batch.first, batch.author);
        if batch.first != end.0.next() {
            self.report
                .fault(format_args!("{name}: entries before it are missing"));
        } else if batch.prev != end.1 || (end.0 > Seq(0) && batch.hlc_first <= end.2) {
            self.report
                .fault(format_args!("{name}: it does not continue the log"));
        }
        if !batch.verify() {
            self.report
                .fault(format_args!("{name}: its signature is wrong"));
        }
        for piece in pieces(batch) {
            if !self
                .is_indexed(author.number, number, &piece)
                .unwrap_or(false)
            {
                self.report
                    .fault(format_args!("{name}: it is not indexed by topic"));
            }
            let (entries, last) = self.topics.entry(piece.topic.to_owned()).or_default();
            *entries += u64::from(piece.count);
            *last = piece.hlc_last.max(*last);
            self.pieces += 1;
        }
        self.holds(author.number, &name, batch);
        for fault in self.jobs.batch(self.connection, batch) {
            self.report.fault(fault);
        }
        self.report.batches += 1;
        self.report.entries += batch.count();
    }

    /// The index names the first entry of each hold, here or in an earlier batch.
    fn holds(&mut self, author: i64, name: &str, batch: &Batch) {
        for first in hold::firsts(batch) {
            match hold::indexed(self.connection, author, &first) {
                Ok(Some((seq, _))) if seq < first.seq => {}
                Ok(Some((seq, seen))) if seq == first.seq && seen == first.hold.seen => {
                    self.holds += 1;
                }
                Ok(_) => self
                    .report
                    .fault(format_args!("{name}: it is not indexed by lock")),
                Err(error) => self.report.fault(error),
            }
        }
    }

    fn is_indexed(&self, author: i64, batch: i64, piece: &Piece<'_>) -> Result<bool> {
        let mut statement = self.connection.prepare_cached(
            "SELECT 1 FROM piece
             WHERE topic = (SELECT number FROM topic WHERE name = ?1) AND hlc_first = ?2
             AND batch = ?3 AND hlc_last = ?4 AND author = ?5 AND first = ?6 AND count = ?7",
        )?;
        Ok(statement.exists((
            piece.topic,
            clock_to_sql(piece.hlc_first),
            batch,
            clock_to_sql(piece.hlc_last),
            author,
            seq_to_sql(piece.first),
            piece.count,
        ))?)
    }

    /// All that should be in the index is; so equal numbers mean that nothing else is.
    fn totals(&mut self) {
        let counted = self.count("SELECT count(*) FROM piece");
        if counted != Some(self.pieces) {
            self.report.fault("the index by topic has rows of no batch");
        }
        let counted = self.count("SELECT count(*) FROM hold");
        if counted != Some(self.holds) {
            self.report.fault("the index by lock has rows of no batch");
        }
        let counted = self.count("SELECT count(*) FROM batch");
        if counted != Some(self.report.batches) {
            self.report.fault("some batches belong to no log");
        }
        for fault in self.jobs.totals(self.connection) {
            self.report.fault(fault);
        }
        match blob::check(self.connection) {
            Ok(faults) => faults
                .into_iter()
                .for_each(|fault| self.report.fault(fault)),
            Err(error) => self.report.fault(error),
        }
        match topics(self.connection) {
            Ok(topics) if topics == self.topics => {}
            Ok(_) => self.report.fault("a topic's count of messages is wrong"),
            Err(error) => self.report.fault(error),
        }
    }

    fn count(&self, select: &str) -> Option<u64> {
        self.connection.query_row(select, [], |row| row.get(0)).ok()
    }
}

fn authors(connection: &Connection) -> Result<Vec<Author>> {
    let mut statement = connection.prepare_cached(
        "SELECT number, id, node, incarnation, head_seq, head_hash, head_hlc FROM author
         WHERE head_seq > 0 OR number IN (SELECT author FROM batch) ORDER BY number",
    )?;
    let authors = statement.query_map([], |row| {
        Ok(Author {
            number: row.get(0)?,
            id: AuthorId(row.get(1)?),
            node: NodeId(row.get(2)?),
            incarnation: Incarnation(row.get(3)?),
            head: (
                seq_from_sql(row.get(4)?),
                Hash(row.get(5)?),
                clock_from_sql(row.get(6)?),
            ),
        })
    })?;
    Ok(authors.collect::<Result<_, _>>()?)
}

fn topics(connection: &Connection) -> Result<BTreeMap<String, (u64, Hlc)>> {
    let mut statement =
        connection.prepare_cached("SELECT name, entries, hlc_last FROM topic WHERE entries > 0")?;
    let topics = statement.query_map([], |row| {
        Ok((row.get(0)?, (row.get(1)?, clock_from_sql(row.get(2)?))))
    })?;
    Ok(topics.collect::<Result<_, _>>()?)
}

//! Recurring jobs: what was said about rounds that are long over is only known by its place.
//!
//! Beside the places stands the state that those rounds had led to. Whatever is said later goes on from
//! there; for anything about the old rounds themselves all of it is read from the log again.

use roda_proto::job::{AttemptId, Fact, FactKind, Job, JobId, Place};
use roda_proto::stream;
use rusqlite::{Connection, OptionalExtension};

use super::past::{self, PastLog};
use super::row::{self, Stored, damaged};
use crate::Result;
use crate::append::Appending;
use crate::columns::{clock_to_sql, seq_to_sql};

/// Attempts at a recurring job whose facts are kept at least; more than are listed.
const ATTEMPTS_KEPT: usize = 128;
/// Attempts that are packed together.
const ATTEMPTS_PACKED: usize = 64;

/// The state that the packed rounds of a job had led to, if any are packed.
pub(super) fn base(connection: &Connection, id: JobId, job: i64) -> Result<Option<Job>> {
    let select = "SELECT base FROM job_round WHERE job = ?1 ORDER BY part DESC LIMIT 1";
    let mut statement = connection.prepare_cached(select)?;
    let base: Option<Vec<u8>> = statement.query_row([job], |row| row.get(0)).optional()?;
    let decode = |base: Vec<u8>| stream::decode(&base).map_err(|rejected| damaged(id, rejected));
    base.map(decode).transpose()
}

/// Where the packed facts of a job stand, in the order of authors and numbers.
pub(super) fn places(connection: &Connection, id: JobId, job: i64) -> Result<Vec<Place>> {
    let select = "SELECT places FROM job_round WHERE job = ?1 ORDER BY part";
    let mut statement = connection.prepare_cached(select)?;
    let mut rows = statement.query([job])?;
    let mut places = Vec::new();
    while let Some(row) = rows.next()? {
        let column: Vec<u8> = row.get(0)?;
        places.extend(past::decode_places(connection, id, &column)?);
    }
    places.sort_unstable();
    Ok(places)
}

/// The packed facts of a job, from the log.
pub(super) fn facts(connection: &Connection, log: &PastLog, stored: &Stored) -> Result<Vec<Fact>> {
    let (id, queue) = (stored.id, stored.queue);
    let places = places(connection, id, stored.number)?;
    log.facts(connection, id, queue, &places)
}

impl Appending<'_> {
    /// After a round of a recurring job: packs the oldest rounds, if there are enough of them.
    pub(super) fn pack_rounds(&self, stored: &Stored, fact: &Fact) -> Result<()> {
        let is_due = stored.job.recurrence().is_some()
            && matches!(fact.kind, FactKind::End { attempt, .. } | FactKind::Lose { attempt, .. }
                if usize::try_from(attempt.number).is_ok_and(|number| number % ATTEMPTS_PACKED == 0));
        if !is_due || !self.has_past || stored.job.is_loose() {
            return Ok(());
        }
        let facts = row::facts(self.transaction, stored.number)?;
        let Some(cut) = first_kept(&facts) else {
            return Ok(());
        };
        let is_old = |fact: &Fact| fact.kind.attempt().is_some_and(|attempt| attempt < cut);
        let (old, kept): (Vec<Fact>, Vec<Fact>) = facts.into_iter().partition(is_old);
        let known = base(self.transaction, stored.id, stored.number)?;
        let base = match known {
            Some(known) => known.continued(&old),
            None => Some(stored.job.refold(&old)),
        };
        // Only if nothing is lost with it.
        let goes_on = base.as_ref().and_then(|base| {
            let mut job = base.continued(&kept)?;
            job.purge(self.purged(stored.queue));
            Some(job)
        });
        match base {
            Some(base) if goes_on.as_ref() == Some(&stored.job) => self.pack(stored, &base, &old),
            _ => Ok(()),
        }
    }

    fn pack(&self, stored: &Stored, base: &Job, old: &[Fact]) -> Result<()> {
        let places: Vec<Place> = old.iter().map(|fact| fact.place).collect();
        self.run(
            "INSERT INTO job_round (job, part, base, places)
             VALUES (?1, (SELECT coalesce(max(part), 0) + 1 FROM job_round WHERE job = ?1), ?2, ?3)",
            (
                stored.number,
                stream::encode(base),
                past::encode_places(self.transaction, &places)?,
            ),
        )?;
        // The newest part's is the one that counts.
        self.run(
            "UPDATE job_round SET base = X'' WHERE job = ?1
             AND part < (SELECT max(part) FROM job_round WHERE job = ?1) AND base <> X''",
            [stored.number],
        )?;
        let mut delete =
            self.statement("DELETE FROM job_fact WHERE job = ?1 AND author = ?2 AND seq = ?3")?;
        for Place { author, seq } in places {
            delete.execute((stored.number, author.0, seq_to_sql(seq)))?;
        }
        Ok(())
    }

    /// Puts all packed facts back: something is said that they have to be weighed against.
    pub(super) fn unpack(&self, stored: &Stored) -> Result<()> {
        if stored.job.recurrence().is_none() || !self.has_past {
            return Ok(());
        }
        for fact in facts(self.transaction, &PastLog::default(), stored)? {
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
        }
        self.run("DELETE FROM job_round WHERE job = ?1", [stored.number])
    }

    /// The job as its packed rounds and the facts that are kept tell it; `None` if only all facts can.
    pub(super) fn folded_on(&self, stored: &Stored, facts: &[Fact]) -> Result<Option<Job>> {
        if stored.job.recurrence().is_none() || !self.has_past {
            return Ok(None);
        }
        let base = base(self.transaction, stored.id, stored.number)?;
        Ok(base.and_then(|base| base.continued(facts)))
    }
}

/// The first of the attempts whose facts are kept, if there are enough before it.
fn first_kept(facts: &[Fact]) -> Option<AttemptId> {
    let is_claim = |fact: &&Fact| matches!(fact.kind, FactKind::Claim { .. });
    let claims = facts.iter().filter(is_claim);
    let mut attempts: Vec<AttemptId> = claims.filter_map(|fact| fact.kind.attempt()).collect();
    attempts.sort_unstable();
    let first = attempts.len().checked_sub(ATTEMPTS_KEPT)?;
    (first >= ATTEMPTS_PACKED).then(|| attempts[first])
}

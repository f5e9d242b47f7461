//! A job's number in this database: it says in which batch its push stands, and where.

use roda_proto::Seq;
use roda_proto::job::JobId;
use rusqlite::{Connection, OptionalExtension};

use super::row::{self, Stored};
use crate::Result;
use crate::append::Appending;
use crate::columns::{seq_from_sql, seq_to_sql};

/// More than a batch has entries; the query [`row::BY_ID`] and a migration say it too.
const PUSHES_MAX: i64 = 1 << 16;

/// Which entries a batch has, and its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchPlace {
    first: Seq,
    last: Seq,
    number: i64,
}

/// The number of the job that entry `seq` pushes, in a batch that begins with `first`.
pub(super) fn of(batch: i64, first: Seq, seq: Seq) -> i64 {
    batch * PUSHES_MAX + seq_to_sql(Seq(seq.0.saturating_sub(first.0)))
}

impl Appending<'_> {
    /// A job by its name.
    pub(super) fn job(&mut self, id: JobId) -> Result<Option<Stored>> {
        let Some(number) = self.number_of(id)? else {
            return Ok(None);
        };
        let stored = row::by_number(self.transaction, number)?;
        Ok(stored.filter(|stored| stored.id == id))
    }

    /// The number of the job that an entry pushes, if it does; `None` if no batch holds it. Those of one batch
    /// are mostly asked for together, so it is looked for once.
    pub(super) fn number_of(&mut self, id: JobId) -> Result<Option<i64>> {
        let known = self.pushes.get(&id.author).copied();
        let holds = |place: &BatchPlace| place.first <= id.seq && id.seq <= place.last;
        let place = match known.filter(holds) {
            Some(place) => place,
            None => {
                let Some(place) = batch_of(self.transaction, id)?.filter(holds) else {
                    return Ok(None);
                };
                self.pushes.insert(id.author, place);
                place
            }
        };
        Ok(Some(of(place.number, place.first, id.seq)))
    }
}

/// The number of the job that an entry pushes, if it does; `None` if no batch holds it.
pub(super) fn find(connection: &Connection, id: JobId) -> Result<Option<i64>> {
    let place = batch_of(connection, id)?.filter(|place| id.seq <= place.last);
    Ok(place.map(|place| of(place.number, place.first, id.seq)))
}

/// The batch that would hold an entry.
fn batch_of(connection: &Connection, id: JobId) -> Result<Option<BatchPlace>> {
    let select = "SELECT first, last, number FROM batch
         WHERE author = (SELECT number FROM author WHERE id = ?1) AND first <= ?2
         ORDER BY first DESC LIMIT 1";
    let mut statement = connection.prepare_cached(select)?;
    let found = statement.query_row((id.author.0, seq_to_sql(id.seq)), |row| {
        Ok(BatchPlace {
            first: seq_from_sql(row.get(0)?),
            last: seq_from_sql(row.get(1)?),
            number: row.get(2)?,
        })
    });
    Ok(found.optional()?)
}

//! Rows of the batch table, checked again whenever they are read.

use std::cell::RefCell;
use std::sync::Arc;

use roda_proto::{AuthorId, Batch, Hash, Seq};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row};

use crate::columns::{clock_from_sql, seq_from_sql, seq_to_sql};
use crate::{Result, StoreError};

/// A query for batches. `$rest` continues it; it may name the tables `batch` and `author`.
macro_rules! select_batch {
    ($rest:literal) => {
        concat!(
            "SELECT author.id, batch.first, batch.last, batch.hlc_first, batch.hlc_last, ",
            "batch.control, batch.hash, batch.bytes ",
            "FROM batch JOIN author ON author.number = batch.author ",
            $rest
        )
    };
}
pub(crate) use select_batch;

/// The batch that a query made by [`select_batch`] finds first.
pub(crate) fn load(
    connection: &Connection,
    select: &str,
    params: impl Params,
) -> Result<Option<Batch>> {
    let mut statement: CachedStatement<'_> = connection.prepare_cached(select)?;
    statement
        .query_row(params, |row| Ok(from_row(row)))
        .optional()?
        .transpose()
}

/// The batch in a row of a query made by [`select_batch`].
pub(crate) fn from_row(row: &Row<'_>) -> Result<Batch> {
    let author = AuthorId(row.get(0)?);
    let first = seq_from_sql(row.get(1)?);
    let damaged = |what: &str| StoreError::Damaged(format!("batch {first} of {author}: {what}"));
    let bytes = row
        .get_ref(7)?
        .as_blob()
        .map_err(|error| damaged(&error.to_string()))?;
    let batch = Batch::parse(bytes).map_err(|rejected| damaged(&rejected.to_string()))?;
    // The hash covers everything but the signature, which only `verify` looks at.
    if batch.hash != Hash(row.get(6)?) {
        return Err(damaged("its hash is another one"));
    }
    let agrees = batch.author == author
        && (batch.first, batch.last) == (first, seq_from_sql(row.get(2)?))
        && (batch.hlc_first, batch.hlc_last)
            == (clock_from_sql(row.get(3)?), clock_from_sql(row.get(4)?))
        && batch.has_control() == row.get::<_, bool>(5)?;
    if agrees {
        Ok(batch)
    } else {
        Err(damaged("its columns do not fit its content"))
    }
}

/// The batch that was read last. Those who ask for one entry after the other mostly find it here.
#[derive(Default)]
pub(crate) struct LastBatch(RefCell<Option<Arc<Batch>>>);

impl LastBatch {
    /// The batch of `author` that holds entry `seq`.
    pub(crate) fn containing(
        &self,
        connection: &Connection,
        author: &AuthorId,
        seq: Seq,
    ) -> Result<Option<Arc<Batch>>> {
        let known = self.0.borrow().clone();
        let known = known
            .filter(|known| known.author == *author && known.first <= seq && seq <= known.last);
        if let Some(known) = known
            && is_stored(connection, &known)?
        {
            return Ok(Some(known));
        }
        let found = containing(connection, author, seq)?.map(Arc::new);
        self.0.borrow_mut().clone_from(&found);
        Ok(found)
    }
}

/// Whether a batch is here still: a removal takes some back.
pub(crate) fn is_stored(connection: &Connection, batch: &Batch) -> Result<bool> {
    let mut statement = connection.prepare_cached(
        "SELECT hash FROM batch
         WHERE author = (SELECT number FROM author WHERE id = ?1) AND first = ?2",
    )?;
    let hash = statement.query_row((batch.author.0, seq_to_sql(batch.first)), |row| row.get(0));
    Ok(hash.optional()?.map(Hash) == Some(batch.hash))
}

/// The batch of `author` that holds entry `seq`.
pub(crate) fn containing(
    connection: &Connection,
    author: &AuthorId,
    seq: Seq,
) -> Result<Option<Batch>> {
    let select = select_batch!(
        "WHERE batch.author = (SELECT number FROM author WHERE id = ?1) AND batch.first <= ?2
         ORDER BY batch.first DESC LIMIT 1"
    );
    let found = load(connection, select, (author.0, seq_to_sql(seq)))?;
    Ok(found.filter(|batch| batch.last >= seq))
}

//! What migrations do beyond SQL: index anew what an older version stored without understanding it.

use std::collections::BTreeSet;

use roda_proto::{Batch, EntryKind};
use rusqlite::{Connection, OptionalExtension};

use crate::append::Appending;
use crate::batch_row::{self, select_batch};
use crate::piece::pieces_of;
use crate::{Result, StoreError, hold};

/// Indexes fenced entries. Reads every batch once.
pub(crate) fn fenced(connection: &Connection) -> Result<()> {
    let mut indexing = Appending::new(connection);
    let mut touched = BTreeSet::new();
    every_batch(connection, |number, author, batch| {
        if hold::firsts(batch).is_empty() {
            return Ok(());
        }
        let were_known = pieces_of(batch, |entry| entry.kind == EntryKind::Message);
        indexing.remove_pieces(number, &were_known)?;
        indexing.index(author, number, batch)?;
        touched.extend(batch.topics().map(str::to_owned));
        Ok(())
    })?;
    for topic in touched {
        indexing.recount(&topic)?;
    }
    indexing.finish()
}

/// Indexes what is said about jobs, where nothing is indexed. Reads every batch once.
pub(crate) fn jobs(connection: &Connection) -> Result<()> {
    let mut indexing = Appending::new(connection);
    indexing.has_past = false;
    every_batch(connection, |number, _author, batch| {
        indexing.add_jobs(number, batch)
    })?;
    indexing.finish()
}

/// Hands over each batch that reads, with its number and its author's, as they were stored.
fn every_batch(
    connection: &Connection,
    mut work: impl FnMut(i64, i64, &Batch) -> Result<()>,
) -> Result<()> {
    let mut done = 0;
    while let Some((number, author)) = next_batch(connection, done)? {
        done = number;
        let select = select_batch!("WHERE batch.number = ?1");
        match batch_row::load(connection, select, [number]) {
            Ok(Some(batch)) => work(number, author, &batch)?,
            Ok(None) => {}
            // Whether to do without it is for who verifies the database, not for a migration.
            Err(StoreError::Damaged(reason)) => {
                tracing::warn!(%reason, "a batch was not indexed anew");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn next_batch(connection: &Connection, after: i64) -> Result<Option<(i64, i64)>> {
    let select = "SELECT number, author FROM batch WHERE number > ?1 ORDER BY number LIMIT 1";
    Ok(connection
        .prepare_cached(select)?
        .query_row([after], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

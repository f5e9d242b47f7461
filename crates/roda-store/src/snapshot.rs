//! What the engine gets back when it starts.

use std::sync::Arc;

use roda_proto::{
    AuthorId, Batch, EpochRecord, EpochTag, GroupId, Hash, Head, Hlc, Identity, Incarnation,
    NodeId, Snapshot, crypto,
};
use rusqlite::{Connection, OptionalExtension, Row};
use zeroize::Zeroizing;

use crate::batch_row::{self, select_batch};
use crate::columns::{clock_from_sql, seq_from_sql, seq_to_sql};
use crate::{Result, StoreError};

pub(crate) fn read(connection: &Connection) -> Result<Snapshot> {
    Ok(Snapshot {
        identity: identity(connection)?,
        epochs: epochs(connection)?,
        control: control(connection)?,
        heads: heads(connection)?,
        clock: clock(connection)?,
        frozen: frozen(connection)?,
    })
}

pub(crate) fn identity(connection: &Connection) -> Result<Identity> {
    let select = "SELECT seed, incarnation, group_id, group_name FROM identity";
    Ok(connection.query_row(select, [], |row| {
        Ok(Identity {
            seed: Zeroizing::new(row.get(0)?),
            incarnation: Incarnation(row.get(1)?),
            group: GroupId(row.get(2)?),
            group_name: row.get(3)?,
        })
    })?)
}

fn epochs(connection: &Connection) -> Result<Vec<EpochRecord>> {
    let mut statement =
        connection.prepare_cached("SELECT tag, secret, created FROM epoch ORDER BY tag")?;
    let epochs: Vec<EpochRecord> = statement
        .query_map([], |row| {
            Ok(EpochRecord {
                tag: EpochTag(row.get(0)?),
                secret: Zeroizing::new(row.get(1)?),
                created: clock_from_sql(row.get(2)?),
            })
        })?
        .collect::<Result<_, _>>()?;
    match epochs
        .iter()
        .find(|epoch| crypto::epoch_tag(&epoch.secret) != epoch.tag)
    {
        Some(wrong) => Err(StoreError::Damaged(format!(
            "group key {}: it is another key",
            wrong.tag
        ))),
        None => Ok(epochs),
    }
}

fn control(connection: &Connection) -> Result<Vec<Arc<Batch>>> {
    let select = select_batch!("WHERE batch.control = 1 ORDER BY batch.number");
    let mut statement = connection.prepare_cached(select)?;
    let mut rows = statement.query([])?;
    let mut control = Vec::new();
    while let Some(row) = rows.next()? {
        control.push(Arc::new(batch_row::from_row(row)?));
    }
    Ok(control)
}

/// Heads, each compared with the batch that it names.
fn heads(connection: &Connection) -> Result<Vec<Head>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, node, head_seq, head_hash, head_hlc, number FROM author
         WHERE head_seq > 0 ORDER BY id",
    )?;
    let mut newest = connection.prepare_cached(
        "SELECT last, hash FROM batch WHERE author = ?1 ORDER BY first DESC LIMIT 1",
    )?;
    let mut rows = statement.query([])?;
    let mut heads = Vec::new();
    while let Some(row) = rows.next()? {
        let head = head(row)?;
        let found = newest.query_row([row.get::<_, i64>(5)?], |batch| {
            Ok((batch.get::<_, i64>(0)?, Hash(batch.get(1)?)))
        });
        if !matches!(found, Ok(found) if found == (seq_to_sql(head.seq), head.hash)) {
            return Err(StoreError::Damaged(format!(
                "author {}: its newest batch does not fit its head",
                head.author
            )));
        }
        heads.push(head);
    }
    Ok(heads)
}

fn head(row: &Row<'_>) -> rusqlite::Result<Head> {
    Ok(Head {
        author: AuthorId(row.get(0)?),
        node: NodeId(row.get(1)?),
        seq: seq_from_sql(row.get(2)?),
        hash: Hash(row.get(3)?),
        hlc: clock_from_sql(row.get(4)?),
    })
}

fn clock(connection: &Connection) -> Result<Hlc> {
    let select = "SELECT hlc FROM clock";
    let found = connection
        .query_row(select, [], |row| row.get(0))
        .optional()?;
    Ok(found.map_or(Hlc::ZERO, clock_from_sql))
}

fn frozen(connection: &Connection) -> Result<Vec<AuthorId>> {
    let mut statement = connection.prepare_cached("SELECT author FROM frozen ORDER BY author")?;
    let authors = statement.query_map([], |row| Ok(AuthorId(row.get(0)?)))?;
    Ok(authors.collect::<Result<_, _>>()?)
}

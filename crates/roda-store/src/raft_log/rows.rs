//! Rows of a raft log and their checksums.

use std::collections::BTreeMap;
use std::ops::Range;

use roda_proto::NodeId;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{LogEntry, LogPlace, LogSnapshot, LogVote};
use crate::{Result, StoreError};

/// Name of the mark behind which the log goes on.
pub(super) const PURGED: &str = "purged";
/// Name of the mark up to which a majority is known to have the log.
pub(super) const COMMITTED: &str = "committed";
/// Most purged rows that one transaction deletes.
pub(super) const SWEEP_MAX: usize = 64;

const SUM_LEN: usize = 16;

/// Adds entries behind `last`, and returns the place of the last of them.
pub(super) fn append(
    connection: &Connection,
    mut last: Option<LogPlace>,
    entries: &[LogEntry],
) -> Result<Option<LogPlace>> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO entry (place, term, leader, sum, body) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for LogEntry { place, body } in entries {
        if let Some(last) = last.filter(|last| last.index.checked_add(1) != Some(place.index)) {
            let (found, after) = (place.index, last.index);
            return Err(damaged(format!("entry {found} does not follow {after}")));
        }
        insert.execute((
            place.index.cast_signed(),
            place.term.cast_signed(),
            place.leader.cast_signed(),
            sum("entry", &numbers(*place), body),
            body,
        ))?;
        last = Some(*place);
    }
    Ok(last.filter(|_| !entries.is_empty()))
}

pub(super) fn truncate(connection: &Connection, from: u64) -> Result<()> {
    let delete = "DELETE FROM entry WHERE place >= ?1";
    connection
        .prepare_cached(delete)?
        .execute([from.cast_signed()])?;
    Ok(())
}

/// Deletes some of the rows up to `upto`, and tells how many.
pub(super) fn sweep(connection: &Connection, upto: u64) -> Result<usize> {
    let mut delete = connection.prepare_cached(
        "DELETE FROM entry WHERE place IN
         (SELECT place FROM entry WHERE place <= ?1 ORDER BY place LIMIT ?2)",
    )?;
    Ok(delete.execute((upto.cast_signed(), SWEEP_MAX))?)
}

pub(super) fn last(connection: &Connection) -> Result<Option<LogPlace>> {
    let read = "SELECT place, term, leader FROM entry ORDER BY place DESC LIMIT 1";
    let row = connection.prepare_cached(read)?.query_row([], place);
    Ok(row.optional()?)
}

pub(super) fn entries(
    connection: &Connection,
    range: Range<u64>,
    len_max: usize,
) -> Result<Vec<LogEntry>> {
    let mut read = connection.prepare_cached(
        "SELECT place, term, leader, sum, body FROM entry
         WHERE place >= ?1 AND place < ?2 ORDER BY place",
    )?;
    // Indexes are far below 2^63, questions may not be.
    let bound = |index: u64| i64::try_from(index).unwrap_or(i64::MAX);
    let mut rows = read.query((bound(range.start), bound(range.end)))?;
    let mut found: Vec<LogEntry> = Vec::new();
    let mut len = 0;
    while let Some(row) = rows.next()? {
        let entry = entry(row)?;
        let index = entry.place.index;
        if found
            .last()
            .is_some_and(|before| before.place.index + 1 != index)
        {
            return Err(damaged(format!("there is no entry before {index}")));
        }
        len += entry.body.len();
        if len > len_max && !found.is_empty() {
            break;
        }
        found.push(entry);
    }
    Ok(found)
}

pub(super) fn vote(connection: &Connection) -> Result<Option<LogVote>> {
    let read = "SELECT term, leader, committed, sum FROM vote";
    let row = connection.prepare_cached(read)?.query_row([], |row| {
        let vote = LogVote {
            term: row.get::<_, i64>(0)?.cast_unsigned(),
            leader: row.get::<_, i64>(1)?.cast_unsigned(),
            committed: row.get(2)?,
        };
        Ok((vote, row.get::<_, Vec<u8>>(3)?))
    });
    let Some((vote, found)) = row.optional()? else {
        return Ok(None);
    };
    check(&found, vote_sum(vote), || "the vote".to_owned())?;
    Ok(Some(vote))
}

pub(super) fn set_vote(connection: &Connection, vote: LogVote) -> Result<()> {
    let write = "INSERT OR REPLACE INTO vote (one, term, leader, committed, sum)
                 VALUES (1, ?1, ?2, ?3, ?4)";
    connection.prepare_cached(write)?.execute((
        vote.term.cast_signed(),
        vote.leader.cast_signed(),
        vote.committed,
        vote_sum(vote),
    ))?;
    Ok(())
}

pub(super) fn mark(connection: &Connection, name: &str) -> Result<Option<LogPlace>> {
    let read = "SELECT place, term, leader, sum FROM mark WHERE name = ?1";
    let row = connection
        .prepare_cached(read)?
        .query_row([name], |row| Ok((place(row)?, row.get::<_, Vec<u8>>(3)?)));
    let Some((place, found)) = row.optional()? else {
        return Ok(None);
    };
    check(&found, sum(name, &numbers(place), &[]), || {
        format!("the mark {name:?}")
    })?;
    Ok(Some(place))
}

pub(super) fn set_mark(connection: &Connection, name: &str, place: LogPlace) -> Result<()> {
    let write = "INSERT OR REPLACE INTO mark (name, place, term, leader, sum)
                 VALUES (?1, ?2, ?3, ?4, ?5)";
    connection.prepare_cached(write)?.execute((
        name,
        place.index.cast_signed(),
        place.term.cast_signed(),
        place.leader.cast_signed(),
        sum(name, &numbers(place), &[]),
    ))?;
    Ok(())
}

pub(super) fn snapshot(connection: &Connection) -> Result<Option<LogSnapshot>> {
    let read = "SELECT sum, head, state FROM snapshot";
    let row = connection.prepare_cached(read)?.query_row([], |row| {
        let snapshot = LogSnapshot {
            head: row.get(1)?,
            state: row.get(2)?,
        };
        Ok((snapshot, row.get::<_, Vec<u8>>(0)?))
    });
    let Some((snapshot, found)) = row.optional()? else {
        return Ok(None);
    };
    check(&found, snapshot_sum(&snapshot), || {
        "the snapshot".to_owned()
    })?;
    Ok(Some(snapshot))
}

pub(super) fn set_snapshot(connection: &Connection, snapshot: &LogSnapshot) -> Result<()> {
    let write = "INSERT OR REPLACE INTO snapshot (one, sum, head, state) VALUES (1, ?1, ?2, ?3)";
    let values = (snapshot_sum(snapshot), &snapshot.head, &snapshot.state);
    connection.prepare_cached(write)?.execute(values)?;
    Ok(())
}

pub(super) fn known(connection: &Connection) -> Result<BTreeMap<NodeId, (u64, u64)>> {
    let mut read = connection.prepare_cached("SELECT node, raft_id, generation FROM known")?;
    let rows = read.query_map([], |row| {
        let (raft_id, generation): (i64, i64) = (row.get(1)?, row.get(2)?);
        let known = (raft_id.cast_unsigned(), generation.cast_unsigned());
        Ok((NodeId(row.get(0)?), known))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn set_known(
    connection: &Connection,
    node: NodeId,
    raft_id: u64,
    generation: u64,
) -> Result<()> {
    let write = "INSERT OR REPLACE INTO known (node, raft_id, generation) VALUES (?1, ?2, ?3)";
    let values = (node.0, raft_id.cast_signed(), generation.cast_signed());
    connection.prepare_cached(write)?.execute(values)?;
    Ok(())
}

fn place(row: &Row<'_>) -> rusqlite::Result<LogPlace> {
    Ok(LogPlace {
        index: row.get::<_, i64>(0)?.cast_unsigned(),
        term: row.get::<_, i64>(1)?.cast_unsigned(),
        leader: row.get::<_, i64>(2)?.cast_unsigned(),
    })
}

fn entry(row: &Row<'_>) -> Result<LogEntry> {
    let place = place(row)?;
    let (found, body): (Vec<u8>, Vec<u8>) = (row.get(3)?, row.get(4)?);
    check(&found, sum("entry", &numbers(place), &body), || {
        format!("entry {}", place.index)
    })?;
    Ok(LogEntry { place, body })
}

const fn numbers(place: LogPlace) -> [u64; 3] {
    [place.term, place.leader, place.index]
}

fn vote_sum(vote: LogVote) -> [u8; SUM_LEN] {
    let numbers = [vote.term, vote.leader, u64::from(vote.committed)];
    sum("vote", &numbers, &[])
}

fn snapshot_sum(snapshot: &LogSnapshot) -> [u8; SUM_LEN] {
    let len = [snapshot.head.len() as u64, 0, 0];
    let parts = [snapshot.head.as_slice(), &snapshot.state];
    sum_of("snapshot", &len, &parts)
}

fn sum(kind: &str, numbers: &[u64; 3], body: &[u8]) -> [u8; SUM_LEN] {
    sum_of(kind, numbers, &[body])
}

fn sum_of(kind: &str, numbers: &[u64; 3], parts: &[&[u8]]) -> [u8; SUM_LEN] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(kind.as_bytes());
    for number in numbers {
        hasher.update(&number.to_be_bytes());
    }
    for part in parts {
        hasher.update(part);
    }
    let mut sum = [0; SUM_LEN];
    sum.copy_from_slice(&hasher.finalize().as_bytes()[..SUM_LEN]);
    sum
}

fn check(found: &[u8], expected: [u8; SUM_LEN], what: impl FnOnce() -> String) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(damaged(format!("{} does not fit its checksum", what())))
}

fn damaged(what: String) -> StoreError {
    StoreError::Damaged(what)
}

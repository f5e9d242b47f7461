//! The index of holds: which fenced entries are late.

use std::collections::{BTreeMap, BTreeSet};

use roda_proto::log::{Hold, fenced};
use roda_proto::token::{Fence, Frontier, LockName};
use roda_proto::{AuthorId, Batch, Seq, Topic, stream};
use rusqlite::{Connection, OptionalExtension, params};

use crate::append::Appending;
use crate::columns::{fence_from_sql, fence_to_sql, seq_from_sql, seq_to_sql};
use crate::history::StoredEntry;
use crate::piece::messages;
use crate::{Reader, Result, StoreError};

/// What a message that was written under a lock is marked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FenceMark {
    /// The lock.
    pub lock: LockName,
    /// The number of the hold.
    pub fence: Fence,
    /// The lock's next holder that wrote to the topic had not seen the message: see
    /// [`roda_proto::log::fenced`]. May become true while entries arrive; never false again, unless
    /// entries of a removed member are taken back.
    pub late: bool,
}

/// A fenced entry of which one wants to know whether it is late.
#[derive(Clone, Copy, Debug)]
pub struct FencedEntry<'a> {
    /// Under which lock.
    pub lock: &'a LockName,
    /// And which fence.
    pub fence: Fence,
    /// Whose log it is in.
    pub author: &'a AuthorId,
    /// Place in the author's log.
    pub seq: Seq,
}

/// The first entry under a hold in one topic of one batch.
#[derive(Debug)]
pub(crate) struct FirstOfHold<'a> {
    pub(crate) topic: &'a str,
    pub(crate) hold: Hold,
    pub(crate) seq: Seq,
}

/// The first entries under each hold of a batch, in order.
pub(crate) fn firsts(batch: &Batch) -> Vec<FirstOfHold<'_>> {
    let mut firsts = Vec::new();
    if !batch.has_fenced() {
        return firsts;
    }
    let mut known: BTreeSet<(&str, LockName, Fence)> = BTreeSet::new();
    for (entry, said) in messages(batch) {
        let Some(hold) = said.hold else { continue };
        if known.insert((said.topic, hold.lock.clone(), hold.fence)) {
            firsts.push(FirstOfHold {
                topic: said.topic,
                hold,
                seq: entry.seq,
            });
        }
    }
    firsts
}

impl Appending<'_> {
    /// Indexes the holds of a batch. What stands there already was written earlier: it stays.
    pub(crate) fn add_holds(&mut self, author: i64, batch: &Batch) -> Result<()> {
        for FirstOfHold { topic, hold, seq } in firsts(batch) {
            let topic = self.topic(topic)?.number;
            self.run(
                "INSERT INTO hold (topic, lock, fence, author, seq, seen)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
                params![
                    topic,
                    hold.lock.as_str(),
                    fence_to_sql(hold.fence),
                    author,
                    seq_to_sql(seq),
                    stream::encode(&hold.seen),
                ],
            )?;
        }
        Ok(())
    }

    /// Takes out what a batch, the newest of its author, had put in.
    pub(crate) fn remove_holds(&mut self, author: i64, batch: &Batch) -> Result<()> {
        for FirstOfHold { topic, hold, seq } in firsts(batch) {
            let topic = self.topic(topic)?.number;
            self.run(
                "DELETE FROM hold
                 WHERE topic = ?1 AND lock = ?2 AND fence = ?3 AND author = ?4 AND seq = ?5",
                params![
                    topic,
                    hold.lock.as_str(),
                    fence_to_sql(hold.fence),
                    author,
                    seq_to_sql(seq),
                ],
            )?;
        }
        Ok(())
    }
}

impl Reader {
    /// The largest fence of a lock under which something was written to a topic.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn newest_fence(&self, topic: &Topic, lock: &LockName) -> Result<Option<Fence>> {
        let transaction = self.begin()?;
        let Some(topic) = topic_number(&transaction, topic)? else {
            return Ok(None);
        };
        let select = "SELECT max(fence) FROM hold WHERE topic = ?1 AND lock = ?2";
        let newest: Option<i64> = transaction
            .prepare_cached(select)?
            .query_row((topic, lock.as_str()), |row| row.get(0))?;
        Ok(newest.map(fence_from_sql))
    }

    /// Which of these entries of a topic are late by what is stored now, one answer for each.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names the row that fails.
    pub fn late(&self, topic: &Topic, entries: &[FencedEntry<'_>]) -> Result<Vec<bool>> {
        let transaction = self.begin()?;
        match topic_number(&transaction, topic)? {
            Some(topic) => late(&transaction, topic, entries),
            None => Ok(vec![false; entries.len()]),
        }
    }
}

/// Marks the late ones of a topic's messages.
pub(crate) fn mark(connection: &Connection, topic: i64, page: &mut [StoredEntry]) -> Result<()> {
    let fenced: Vec<FencedEntry<'_>> = page.iter().filter_map(StoredEntry::fenced).collect();
    if fenced.is_empty() {
        return Ok(());
    }
    let late = late(connection, topic, &fenced)?;
    let marks = page.iter_mut().filter_map(|entry| entry.fence.as_mut());
    for (mark, late) in marks.zip(late) {
        mark.late = late;
    }
    Ok(())
}

fn late(connection: &Connection, topic: i64, entries: &[FencedEntry<'_>]) -> Result<Vec<bool>> {
    let mut by_hold: BTreeMap<(&LockName, Fence), Vec<usize>> = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let hold = by_hold.entry((entry.lock, entry.fence));
        hold.or_default().push(index);
    }
    let mut late = vec![false; entries.len()];
    let mut statement = connection.prepare_cached(
        "SELECT seen FROM hold WHERE topic = ?1 AND lock = ?2 AND fence =
         (SELECT min(fence) FROM hold WHERE topic = ?1 AND lock = ?2 AND fence > ?3)",
    )?;
    for ((lock, fence), indices) in by_hold {
        let mut rows = statement.query((topic, lock.as_str(), fence_to_sql(fence)))?;
        while let Some(row) = rows.next()? {
            let seen = frontier(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?)?;
            for index in &indices {
                let FencedEntry { author, seq, .. } = entries[*index];
                late[*index] |= !fenced::covers(&seen, author, seq);
            }
        }
    }
    Ok(late)
}

/// A row of the index: where the first entry is, and what its holder had seen.
pub(crate) fn indexed(
    connection: &Connection,
    author: i64,
    first: &FirstOfHold<'_>,
) -> Result<Option<(Seq, Frontier)>> {
    let select = "SELECT seq, seen FROM hold
         WHERE topic = (SELECT number FROM topic WHERE name = ?1)
         AND lock = ?2 AND fence = ?3 AND author = ?4";
    let FirstOfHold { topic, hold, .. } = first;
    let params = (topic, hold.lock.as_str(), fence_to_sql(hold.fence), author);
    let row: Option<(i64, Vec<u8>)> = connection
        .prepare_cached(select)?
        .query_row(params, |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    row.map(|(seq, seen)| Ok((seq_from_sql(seq), frontier(&seen)?)))
        .transpose()
}

fn frontier(column: &[u8]) -> Result<Frontier> {
    stream::decode(column)
        .map_err(|_rejected| StoreError::Damaged("hold: a frontier does not parse".to_owned()))
}

fn topic_number(connection: &Connection, topic: &Topic) -> Result<Option<i64>> {
    Ok(connection
        .prepare_cached("SELECT number FROM topic WHERE name = ?1")?
        .query_row([topic.as_str()], |row| row.get(0))
        .optional()?)
}

//! The log of a voter of the lock table: votes, entries, a snapshot, in a database of their own.
//!
//! It is beside the main database, because each entry waits for the disk alone: a burst of messages
//! must not hold up a lock. Blocking, like the rest of this crate.

mod file;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use roda_proto::{GroupId, NodeId};
use rusqlite::Connection;

#[cfg(doc)]
use crate::StoreError;
use crate::{Result, store};

/// A place in the log: an index, and the leader that wrote it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPlace {
    /// When the leader was elected.
    pub term: u64,
    /// The leader's raft id.
    pub leader: u64,
    /// Where in the log.
    pub index: u64,
}

/// What a voter has promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogVote {
    /// The election.
    pub term: u64,
    /// Whom it voted for.
    pub leader: u64,
    /// Whether that one was elected.
    pub committed: bool,
}

/// An entry; what it means is the caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Where it is.
    pub place: LogPlace,
    /// What it holds.
    pub body: Vec<u8>,
}

/// What stands for all entries up to some place; both parts are the caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSnapshot {
    /// What the state belongs to.
    pub head: Vec<u8>,
    /// The state.
    pub state: Vec<u8>,
}

/// One change. See [`RaftLog::write`].
#[derive(Clone, Debug)]
pub enum LogWrite {
    /// Adds entries behind the last.
    Append(Vec<LogEntry>),
    /// Removes the entry at this index and all behind it.
    Truncate(u64),
    /// Forgets all entries up to this place; the log goes on behind it.
    Purge(LogPlace),
    /// Replaces the vote.
    Vote(LogVote),
    /// Remembers what is known to be at a majority.
    Committed(LogPlace),
    /// Replaces the snapshot.
    Snapshot(LogSnapshot),
    /// Another node has remembered this log's generation.
    Noticed,
    /// Remembers another node's log.
    Known {
        /// Whose.
        node: NodeId,
        /// Which log.
        raft_id: u64,
        /// Its generation.
        generation: u64,
    },
}

/// The log of one voter, in one file. While it lives, no other process can open it.
///
/// Everything is in one file so that it is lost, copied or put back to an earlier state as one. After
/// an error in a write nothing is certain; the caller should open it again.
pub struct RaftLog {
    connection: Connection,
    path: PathBuf,
    raft_id: u64,
    generation: u64,
    purged: Option<LogPlace>,
    // Invariant: not before `purged`.
    last: Option<LogPlace>,
    // Rows up to `purged` may still be there.
    sweep_pending: bool,
    uncertain: bool,
    // Declared last: it must outlive the connection.
    _lock: File,
}

impl RaftLog {
    /// Opens the log at `path`, or makes one. If its generation was noticed by another node, it has
    /// the next one then, on disk.
    ///
    /// A new log, and one that turns out to be a copy of another (restored from a backup, for
    /// example), takes the raft id `fresh`, which must be random (at each call), not 0 and less than
    /// 2^63, and is empty: what it promised and acknowledged may be less than what it once did.
    ///
    /// # Errors
    /// [`StoreError::OtherGroup`], [`StoreError::Newer`], [`StoreError::Damaged`] and
    /// [`StoreError::AlreadyOpen`] leave the file as it is.
    pub fn open(path: &Path, cluster: GroupId, fresh: u64) -> Result<Self> {
        let (mut connection, path, lock) = file::open(path, cluster, fresh)?;
        let opened = file::count_opening(&mut connection, &path, fresh);
        let opened = opened.map_err(|error| error.at(&path))?;
        let purged = rows::mark(&connection, rows::PURGED)?;
        let last = rows::last(&connection)?;
        Ok(Self {
            connection,
            path,
            raft_id: opened.raft_id,
            generation: opened.generation,
            purged,
            last: later(last, purged),
            sweep_pending: true,
            uncertain: false,
            _lock: lock,
        })
    }

    /// Makes all changes in order, as one transaction: all of them are on disk, safe from power loss,
    /// when this returns `Ok`, and none of them on an error (but see [`StoreError::Uncertain`]).
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if an entry does not follow the last one; nothing is written then.
    pub fn write(&mut self, changes: &[LogWrite]) -> Result<()> {
        let (mut last, mut purged) = (self.last, self.purged);
        let mut sweep_pending = self.sweep_pending;
        self.transact(|connection| {
            for change in changes {
                match change {
                    LogWrite::Append(entries) => {
                        last = rows::append(connection, last, entries)?.or(last);
                    }
                    LogWrite::Truncate(from) => {
                        rows::truncate(connection, *from)?;
                        last = later(rows::last(connection)?, purged);
                    }
                    LogWrite::Purge(upto) => {
                        rows::set_mark(connection, rows::PURGED, *upto)?;
                        purged = Some(*upto);
                        last = later(last, purged);
                        sweep_pending = true;
                    }
                    LogWrite::Vote(vote) => rows::set_vote(connection, *vote)?,
                    LogWrite::Committed(place) => {
                        rows::set_mark(connection, rows::COMMITTED, *place)?;
                    }
                    LogWrite::Snapshot(snapshot) => rows::set_snapshot(connection, snapshot)?,
                    LogWrite::Noticed => file::set_noticed(connection)?,
                    LogWrite::Known {
                        node,
                        raft_id,
                        generation,
                    } => rows::set_known(connection, *node, *raft_id, *generation)?,
                }
            }
            if let Some(purged) = purged.filter(|_| sweep_pending) {
                // A little each time: deleting ten thousand rows at once would hold up the entries.
                sweep_pending = rows::sweep(connection, purged.index)? == rows::SWEEP_MAX;
            }
            Ok(())
        })?;
        (self.last, self.purged, self.sweep_pending) = (last, purged, sweep_pending);
        Ok(())
    }

    /// Forgets everything, and goes on as another log with the raft id `fresh` (see [`Self::open`]).
    /// On disk when this returns.
    ///
    /// # Errors
    /// As for every write.
    pub fn renew(&mut self, fresh: u64) -> Result<()> {
        self.transact(|connection| file::renew(connection, fresh))?;
        (self.raft_id, self.generation) = (fresh, file::next_generation(0, fresh));
        (self.last, self.purged) = (None, None);
        Ok(())
    }

    /// Whose log it is, among all voters there ever were. Reads nothing.
    #[must_use]
    pub const fn raft_id(&self) -> u64 {
        self.raft_id
    }

    /// Which of its openings this is: the upper half counts, the lower half is random. A log that was
    /// put back to an earlier state has a lesser count, or the same with another lower half. Reads
    /// nothing.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Where it is. Reads nothing.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The last entry, or the last purged one if there is none behind it. Reads nothing.
    #[must_use]
    pub const fn last(&self) -> Option<LogPlace> {
        self.last
    }

    /// The last entry that is gone. Reads nothing.
    #[must_use]
    pub const fn purged(&self) -> Option<LogPlace> {
        self.purged
    }

    /// The last vote.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names what does not fit its checksum; so everywhere below.
    pub fn vote(&self) -> Result<Option<LogVote>> {
        rows::vote(&self.connection)
    }

    /// What is known to be at a majority.
    ///
    /// # Errors
    /// See [`Self::vote`].
    pub fn committed(&self) -> Result<Option<LogPlace>> {
        rows::mark(&self.connection, rows::COMMITTED)
    }

    /// Entries in a range of indexes, in order; only the first few if together they have more than
    /// `len_max` bytes, but at least one. Those that are gone are left out.
    ///
    /// # Errors
    /// See [`Self::vote`]; a gap is damage as well.
    pub fn entries(&self, range: Range<u64>, len_max: usize) -> Result<Vec<LogEntry>> {
        let first = self.purged.map_or(0, |purged| purged.index + 1);
        rows::entries(&self.connection, range.start.max(first)..range.end, len_max)
    }

    /// The snapshot.
    ///
    /// # Errors
    /// See [`Self::vote`].
    pub fn snapshot(&self) -> Result<Option<LogSnapshot>> {
        rows::snapshot(&self.connection)
    }

    /// What was remembered of other nodes' logs: raft id and generation.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn known(&self) -> Result<BTreeMap<NodeId, (u64, u64)>> {
        rows::known(&self.connection)
    }

    fn transact(&mut self, work: impl FnOnce(&Connection) -> Result<()>) -> Result<()> {
        let done = store::transact(&mut self.connection, &mut self.uncertain, |it| work(it));
        done.map_err(|error| error.at(&self.path))
    }
}

impl std::fmt::Debug for RaftLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RaftLog")
            .field("path", &self.path)
            .field("raft_id", &self.raft_id)
            .finish_non_exhaustive()
    }
}

fn later(one: Option<LogPlace>, other: Option<LogPlace>) -> Option<LogPlace> {
    if one.map(|place| place.index) >= other.map(|place| place.index) {
        one
    } else {
        other
    }
}

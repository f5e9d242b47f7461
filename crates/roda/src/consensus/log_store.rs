//! The log as the library wants it: written by a thread of its own, read from memory.

use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::storage::{LogFlushed, LogState, RaftLogStorage};
use openraft::{AnyError, OptionalSend, RaftLogReader, StorageIOError};

use super::ConsensusError;
use super::recent::Recent;
use super::types::{Ballot, ENTRY_LEN_MAX, Entry, Place, StorageError, Types};
use super::writer::{Found, Writer};

/// The log of one node. Clones are the same log.
#[derive(Clone)]
pub(super) struct LogStore {
    recent: Arc<Mutex<Recent>>,
    writer: Writer,
}

impl LogStore {
    /// Goes on with what was found on disk.
    ///
    /// A leader that stopped does not go on as the leader of the same term: it may have forgotten up
    /// to where it had committed, and would answer with an old table. It has to be elected again.
    pub(super) fn new(writer: Writer, found: &Found) -> Self {
        let mut vote = found.vote;
        if let Some(vote) = vote
            .as_mut()
            .filter(|vote| vote.leader_id.node_id == found.raft_id)
        {
            vote.committed = false;
        }
        let recent = Recent::new(found.last, found.purged, vote, found.committed);
        Self {
            recent: Arc::new(Mutex::new(recent)),
            writer,
        }
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(&self, start: u64, end: u64, len_max: usize) -> Result<Vec<Entry>, StorageError> {
        let (missing, mut found) = self.recent().read(start..end, len_max);
        if missing.is_empty() {
            return Ok(found);
        }
        let mut entries = self
            .writer
            .read(missing, len_max)
            .await
            .map_err(|error| StorageIOError::read_logs(cause(error)))?;
        // Cut short by the limit, it must not continue behind a gap.
        if len_max == usize::MAX || entries.is_empty() {
            entries.append(&mut found);
        }
        Ok(entries)
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry>, StorageError> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        self.read(start, end, usize::MAX).await
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, StorageError> {
        self.read(start, end, ENTRY_LEN_MAX).await
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        let recent = self.recent();
        Ok(LogState {
            last_purged_log_id: recent.purged,
            last_log_id: recent.last,
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    /// On disk when this returns.
    async fn save_vote(&mut self, vote: &Ballot) -> Result<(), StorageError> {
        let saved = self.writer.save_vote(*vote).await;
        saved.map_err(|error| StorageIOError::write_vote(cause(error)))?;
        self.recent().vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Ballot>, StorageError> {
        Ok(self.recent().vote)
    }

    /// On disk with the next entries: it only saves work after a start.
    async fn save_committed(&mut self, committed: Option<Place>) -> Result<(), StorageError> {
        self.recent().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<Place>, StorageError> {
        Ok(self.recent().committed)
    }

    /// Readable when this returns, on disk when the callback is called.
    async fn append<I>(
        &mut self,
        entries: I,
        callback: LogFlushed<Types>,
    ) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut entries: Vec<Entry> = entries.into_iter().collect();
        let committed = {
            let mut recent = self.recent();
            // What a snapshot stands for is gone for good.
            let gone = recent.purged.map(|purged| purged.index);
            entries.retain(|entry| Some(entry.log_id.index) > gone);
            // The library waits for one flush before it asks for the next: all but these is on disk.
            if let Some(durable) = recent.last {
                recent.trim(durable);
            }
            recent.append(&entries);
            recent.committed
        };
        self.writer.append(entries, committed, callback);
        Ok(())
    }

    /// On disk when this returns.
    async fn truncate(&mut self, from: Place) -> Result<(), StorageError> {
        self.recent().truncate(from.index);
        let last = self.writer.truncate(from.index).await;
        let last = last.map_err(|error| StorageIOError::write_logs(cause(error)))?;
        self.recent().last = last;
        Ok(())
    }

    /// On disk before anything that is written after it.
    async fn purge(&mut self, upto: Place) -> Result<(), StorageError> {
        self.recent().purge(upto);
        self.writer.purge(upto);
        Ok(())
    }
}

pub(super) fn cause(error: ConsensusError) -> AnyError {
    AnyError::new(&error)
}

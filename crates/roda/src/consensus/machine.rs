//! The table as Raft's state machine: entries are applied to it, snapshots stand for it.

use std::io::Cursor;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minicbor::{Decode, Encode};
use openraft::storage::RaftStateMachine;
use openraft::{
    EntryPayload, OptionalSend, RaftSnapshotBuilder, Snapshot, SnapshotMeta, StorageIOError,
};
use roda_proto::token::Table;
use roda_store::LogSnapshot;
use tokio::sync::mpsc;

use super::AppliedEntry;
use super::log_store::cause;
use super::types::{
    Entry, Place, PlaceForm, RaftPeer, StorageError, StoredMembers, StoredMembersForm,
    TransposeSound, Types, decode, encode,
};
use super::writer::Writer;

pub(super) type Meta = SnapshotMeta<u64, RaftPeer>;

/// Longest name of a snapshot: three numbers.
const SNAPSHOT_ID_LEN_MAX: usize = 80;

/// The table, and how far it is. Clones are the same.
#[derive(Clone)]
pub(super) struct Machine {
    table: Arc<Mutex<Table>>,
    progress: Arc<Mutex<Progress>>,
    /// What is applied before is not told to anybody: it is in the table when the node has started.
    is_live: Arc<AtomicBool>,
    applied: mpsc::Sender<AppliedEntry>,
    writer: Writer,
}

#[derive(Clone, Default)]
struct Progress {
    place: Option<Place>,
    members: StoredMembers,
}

impl Machine {
    /// Begins with the snapshot on disk.
    pub(super) async fn load(
        table: Arc<Mutex<Table>>,
        applied: mpsc::Sender<AppliedEntry>,
        writer: Writer,
    ) -> Result<Self, StorageError> {
        let machine = Self {
            table,
            progress: Arc::default(),
            is_live: Arc::default(),
            applied,
            writer,
        };
        let found = machine.read_snapshot().await?;
        let (table, progress) = match found {
            Some((meta, state)) => {
                let table = decode(&state).ok_or_else(|| unsound("the table of the snapshot"))?;
                (table, Progress::of(&meta))
            }
            None => (Table::new(), Progress::default()),
        };
        *lock(&machine.table) = table;
        *lock(&machine.progress) = progress;
        Ok(machine)
    }

    /// From now on, what is applied is told.
    pub(super) fn go_live(&self) {
        self.is_live.store(true, Ordering::Relaxed);
    }

    /// Index of the last entry in the table.
    pub(super) fn applied_index(&self) -> Option<u64> {
        lock(&self.progress).place.map(|place| place.index)
    }

    async fn read_snapshot(&self) -> Result<Option<(Meta, Vec<u8>)>, StorageError> {
        let found = self.writer.read_snapshot().await;
        let found = found.map_err(|error| StorageIOError::read_snapshot(None, cause(error)))?;
        let Some(LogSnapshot { head, state }) = found else {
            return Ok(None);
        };
        let meta = decode_head(&head).ok_or_else(|| unsound("the head of the snapshot"))?;
        Ok(Some((meta, state)))
    }

    fn apply_one(&self, entry: Entry) -> Option<AppliedEntry> {
        let told = match entry.payload {
            EntryPayload::Blank => None,
            EntryPayload::Normal(proposal) => {
                let applied = lock(&self.table).apply(proposal.commands());
                Some(AppliedEntry {
                    index: entry.log_id.index,
                    id: proposal.id,
                    applied,
                })
            }
            EntryPayload::Membership(members) => {
                let members = StoredMembers::new(Some(entry.log_id), members);
                lock(&self.progress).members = members;
                None
            }
        };
        lock(&self.progress).place = Some(entry.log_id);
        told
    }
}

impl Progress {
    fn of(meta: &Meta) -> Self {
        Self {
            place: meta.last_log_id,
            members: meta.last_membership.clone(),
        }
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<Place>, StoredMembers), StorageError> {
        let progress = lock(&self.progress).clone();
        Ok((progress.place, progress.members))
    }

    /// In memory only: after a start, the log is applied again.
    async fn apply<I>(&mut self, entries: I) -> Result<Vec<()>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut results = Vec::new();
        for entry in entries {
            results.push(());
            let told = self.apply_one(entry);
            if let Some(told) = told.filter(|_| self.is_live.load(Ordering::Relaxed)) {
                // Nobody listens any more: the node stops.
                let _gone = self.applied.send(told).await;
            }
        }
        Ok(results)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            table: lock(&self.table).clone(),
            progress: lock(&self.progress).clone(),
            writer: self.writer.clone(),
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        Ok(Box::default())
    }

    /// On disk when this returns.
    async fn install_snapshot(
        &mut self,
        meta: &Meta,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError> {
        let state = snapshot.into_inner();
        let table = decode(&state).ok_or_else(|| unsound("the table of a received snapshot"))?;
        save(&self.writer, meta, state).await?;
        *lock(&self.table) = table;
        *lock(&self.progress) = Progress::of(meta);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        let found = self.read_snapshot().await?;
        Ok(found.map(|(meta, state)| Snapshot {
            meta,
            snapshot: Box::new(Cursor::new(state)),
        }))
    }
}

/// Writes down the table as it was in one moment.
pub(super) struct Builder {
    table: Table,
    progress: Progress,
    writer: Writer,
}

impl RaftSnapshotBuilder<Types> for Builder {
    /// On disk when this returns.
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError> {
        let table = std::mem::take(&mut self.table);
        let encoding = tokio::task::spawn_blocking(move || encode(&table)).await;
        let state = encoding.map_err(|error| {
            StorageIOError::write_snapshot(None, openraft::AnyError::new(&error))
        })?;
        let id = self.progress.place.map_or_else(String::new, |place| {
            let leader = place.leader_id;
            format!("{}-{}-{}", leader.term, leader.node_id, place.index)
        });
        let meta = Meta {
            last_log_id: self.progress.place,
            last_membership: self.progress.members.clone(),
            snapshot_id: id,
        };
        save(&self.writer, &meta, state.clone()).await?;
        let snapshot = Box::new(Cursor::new(state));
        Ok(Snapshot { meta, snapshot })
    }
}

/// What a snapshot belongs to, as it is written down.
#[derive(Encode, Decode)]
struct HeadForm {
    #[n(0)]
    last: Option<PlaceForm>,
    #[n(1)]
    members: StoredMembersForm,
    #[n(2)]
    id: String,
}

pub(super) fn encode_head(meta: &Meta) -> Vec<u8> {
    encode(&HeadForm {
        last: meta.last_log_id.map(PlaceForm::from),
        members: (&meta.last_membership).into(),
        id: meta.snapshot_id.clone(),
    })
}

/// `None` if it is unsound.
pub(super) fn decode_head(bytes: &[u8]) -> Option<Meta> {
    let form: HeadForm = decode(bytes)?;
    let last_log_id = form.last.map(PlaceForm::into_place).transpose_sound()?;
    let last_membership = form.members.into_stored()?;
    let decided = last_membership.log_id().map(|place| place.index);
    let is_sound =
        form.id.len() <= SNAPSHOT_ID_LEN_MAX && decided <= last_log_id.map(|place| place.index);
    is_sound.then_some(Meta {
        last_log_id,
        last_membership,
        snapshot_id: form.id,
    })
}

async fn save(writer: &Writer, meta: &Meta, state: Vec<u8>) -> Result<(), StorageError> {
    let head = encode_head(meta);
    let saved = writer.save_snapshot(LogSnapshot { head, state }).await;
    Ok(saved.map_err(|error| StorageIOError::write_snapshot(None, cause(error)))?)
}

fn unsound(what: &str) -> StorageError {
    StorageIOError::read_snapshot(None, openraft::AnyError::error(what)).into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

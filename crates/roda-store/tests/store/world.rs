//! Authors that write batches, and databases to put them in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use roda_proto::crypto::SigningKey;
use roda_proto::log::{BatchBuilder, Hold};
use roda_proto::{
    AuthorId, Batch, EntryKind, GroupId, Hash, Hlc, Identity, Incarnation, Record, Seq, Topic,
    crypto,
};
use roda_store::{HistoryQuery, Reader, Store, StoredEntry};
use tempfile::TempDir;

/// Somebody who writes a log.
#[derive(Clone)]
pub(crate) struct Author {
    seed: [u8; 32],
    pub(crate) incarnation: Incarnation,
    pub(crate) next: Seq,
    pub(crate) prev: Hash,
}

impl Author {
    pub(crate) fn new(number: u8) -> Self {
        Self {
            seed: [number; 32],
            incarnation: Incarnation([number; 8]),
            next: Seq(1),
            prev: Hash::ZERO,
        }
    }

    pub(crate) fn id(&self) -> AuthorId {
        crypto::author_id(
            &SigningKey::from_seed(&self.seed).public(),
            &self.incarnation,
        )
    }

    /// The next batch: entries of (clock, topic or none for a control entry, body).
    pub(crate) fn write(&mut self, entries: &[(u64, Option<&str>, &[u8])]) -> Arc<Batch> {
        let mut builder = BatchBuilder::new(self.next);
        for (clock, topic, body) in entries {
            let topic = topic.map(topic_named);
            let kind = match topic {
                Some(_) => EntryKind::Message,
                None => EntryKind::Control,
            };
            builder.push(Hlc(*clock), kind, topic.as_ref(), body);
        }
        self.seal(builder)
    }

    /// The next batch: one entry, written under a lock.
    pub(crate) fn write_fenced(
        &mut self,
        clock: u64,
        topic: &str,
        hold: &Hold,
        body: &[u8],
    ) -> Arc<Batch> {
        self.write_kind(clock, EntryKind::Fenced, topic, &hold.entry_body(body))
    }

    /// The next batch: one entry of any kind.
    pub(crate) fn write_kind(
        &mut self,
        clock: u64,
        kind: EntryKind,
        topic: &str,
        body: &[u8],
    ) -> Arc<Batch> {
        let mut builder = BatchBuilder::new(self.next);
        builder.push(Hlc(clock), kind, Some(&topic_named(topic)), body);
        self.seal(builder)
    }

    pub(crate) fn seal(&mut self, builder: BatchBuilder) -> Arc<Batch> {
        let key = SigningKey::from_seed(&self.seed);
        let batch = builder.seal(&key, self.incarnation, self.prev, &[]);
        (self.next, self.prev) = (batch.last.next(), batch.hash);
        Arc::new(batch)
    }

    /// `count` batches of one message each in topic `room`, at clocks 10, 20, …
    pub(crate) fn chat(&mut self, count: u64) -> Vec<Record> {
        (0..count)
            .map(|_| {
                let seq = self.next.0;
                let body = format!("message {seq}");
                Record::Batch(self.write(&[(seq * 10, Some("room"), body.as_bytes())]))
            })
            .collect()
    }
}

/// A database in a directory of its own, removed in the end.
pub(crate) struct Home {
    pub(crate) directory: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("roda.db")
    }

    pub(crate) fn create(&self) -> Store {
        Store::create(&self.path(), &identity()).unwrap()
    }

    /// A home with a copy of some of another's files.
    pub(crate) fn copy_of(path: &Path, suffixes: &[&str]) -> Self {
        let copy = Self::new();
        for suffix in suffixes {
            std::fs::copy(with_suffix(path, suffix), with_suffix(&copy.path(), suffix)).unwrap();
        }
        copy
    }
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

pub(crate) fn identity() -> Identity {
    Identity {
        seed: [7; 32].into(),
        incarnation: Incarnation([1; 8]),
        group: GroupId([2; 16]),
        group_name: "praça".to_owned(),
    }
}

pub(crate) fn topic_named(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

/// All pages of a query, one after the other.
pub(crate) fn history(reader: &Reader, topic: &str, query: &HistoryQuery) -> Vec<StoredEntry> {
    let mut history = reader.history(&topic_named(topic), query).unwrap();
    let mut entries = Vec::new();
    loop {
        let page = history.next_page(reader).unwrap();
        if page.is_empty() {
            return entries;
        }
        entries.extend(page);
    }
}

/// Sequence numbers of topic `room`.
pub(crate) fn room(reader: &Reader) -> Vec<u64> {
    let entries = history(reader, "room", &HistoryQuery::default());
    entries.iter().map(|entry| entry.seq.0).collect()
}

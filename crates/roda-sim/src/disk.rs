//! A disk in memory that forgets what was not synced, and a store above it that recovers as the
//! real one does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use roda_proto::group::control::Control;
use roda_proto::log::EntryKind;
use roda_proto::{
    AuthorId, Batch, EpochRecord, EpochTag, Head, Hlc, Identity, Record, Seq, Snapshot, WriteId,
};

/// What became durable.
#[derive(Default)]
pub struct Synced {
    /// The records, in order.
    pub records: Vec<Record>,
    /// Batches that a [`Record::Void`] deleted.
    pub voided: Vec<Arc<Batch>>,
}

struct Write {
    id: WriteId,
    records: Vec<Record>,
}

/// What a store holds: the durable part of a node.
#[derive(Clone, Default)]
pub struct Stored {
    epochs: BTreeMap<EpochTag, EpochRecord>,
    batches: BTreeMap<(AuthorId, Seq), Arc<Batch>>,
    control: Vec<Arc<Batch>>,
    heads: BTreeMap<AuthorId, Head>,
    frozen: BTreeSet<AuthorId>,
    clock: Hlc,
}

impl Stored {
    fn apply(&mut self, record: &Record) -> Result<Vec<Arc<Batch>>, String> {
        match record {
            Record::Batch(batch) => self.append(batch)?,
            Record::Epoch(epoch) => {
                self.epochs.insert(epoch.tag, epoch.clone());
            }
            Record::ForgetEpoch(tag) => {
                self.epochs.remove(tag);
            }
            Record::Void { author, above } => return self.void(*author, *above),
            Record::Frozen(author) => {
                self.frozen.insert(*author);
            }
            Record::Clock(clock) => self.clock = self.clock.max(*clock),
            other => return Err(format!("the simulated store does not know {other:?}")),
        }
        Ok(Vec::new())
    }

    fn append(&mut self, batch: &Arc<Batch>) -> Result<(), String> {
        let (seq, hash) = self
            .heads
            .get(&batch.author)
            .map_or((Seq(0), roda_proto::Hash::ZERO), |head| {
                (head.seq, head.hash)
            });
        if batch.first != seq.next() || batch.prev != hash {
            return Err(format!("{batch:?} does not follow entry {seq} of its log"));
        }
        if batch.has_control() {
            self.control.push(Arc::clone(batch));
        }
        self.heads.insert(batch.author, head_of(batch));
        self.batches
            .insert((batch.author, batch.first), Arc::clone(batch));
        Ok(())
    }

    fn void(&mut self, author: AuthorId, above: Seq) -> Result<Vec<Arc<Batch>>, String> {
        let gone: Vec<_> = self.of_author(author, above).cloned().collect();
        if let Some(cut) = gone.iter().find(|batch| batch.first <= above) {
            return Err(format!("voiding above {above} cuts {cut:?} in two"));
        }
        for batch in &gone {
            self.batches.remove(&(author, batch.first));
        }
        self.control
            .retain(|batch| batch.author != author || batch.last <= above);
        let last = self.batches.range((author, Seq(0))..=(author, above));
        match last.last() {
            Some((_, batch)) => self.heads.insert(author, head_of(batch)),
            None => self.heads.remove(&author),
        };
        Ok(gone)
    }

    /// Batches of one author that hold entries above `above`.
    fn of_author(&self, author: AuthorId, above: Seq) -> impl Iterator<Item = &Arc<Batch>> {
        self.batches
            .range((author, Seq(0))..=(author, Seq(u64::MAX)))
            .map(|(_, batch)| batch)
            .filter(move |batch| batch.last > above)
    }

    /// The last entry of an author; 0 if there is none.
    #[must_use]
    pub fn last(&self, author: &AuthorId) -> Seq {
        self.heads.get(author).map_or(Seq(0), |head| head.seq)
    }

    /// Group keys.
    pub fn epochs(&self) -> impl Iterator<Item = &EpochRecord> {
        self.epochs.values()
    }

    /// The body of an entry.
    #[must_use]
    pub fn body(&self, author: AuthorId, seq: Seq) -> Option<Vec<u8>> {
        let mut upto = self.batches.range((author, Seq(0))..=(author, seq));
        let (_, batch) = upto.next_back()?;
        let entry = batch.entries().find(|entry| entry.seq == seq)?;
        Some(entry.body.to_vec())
    }

    /// Whether an author has written that it leaves.
    #[must_use]
    pub fn has_left(&self, author: &AuthorId) -> bool {
        let own = self.control.iter().filter(|batch| batch.author == *author);
        own.flat_map(|batch| batch.entries()).any(|entry| {
            entry.kind == EntryKind::Control
                && matches!(Control::parse(entry.body), Ok(Control::Leave { .. }))
        })
    }

    /// Numbers of the entries of a command that wrote `first..=last`: what changes the group may have
    /// gone between them.
    #[must_use]
    pub fn messages(&self, author: AuthorId, first: Seq, last: Seq) -> Vec<Seq> {
        let batches = self.batches.range((author, Seq(0))..=(author, last));
        let entries = batches.flat_map(|(_, batch)| batch.entries());
        entries
            .filter(|entry| entry.kind == EntryKind::Message)
            .map(|entry| entry.seq)
            .filter(|seq| (first..=last).contains(seq))
            .collect()
    }

    /// The newest batches.
    pub fn heads(&self) -> impl Iterator<Item = &Head> {
        self.heads.values()
    }

    /// All batches, by author and sequence number.
    pub fn batches(&self) -> impl Iterator<Item = &Arc<Batch>> {
        self.batches.values()
    }

    /// Whether exactly this batch is stored.
    #[must_use]
    pub fn holds(&self, batch: &Batch) -> bool {
        self.batches
            .get(&(batch.author, batch.first))
            .is_some_and(|stored| stored.hash == batch.hash)
    }

    /// What someone who has `have` lacks, in canonical order, which is causal too.
    #[must_use]
    pub fn lacking(&self, have: &[(AuthorId, Seq)]) -> Vec<Arc<Batch>> {
        let have: BTreeMap<_, _> = have.iter().copied().collect();
        let mut lacking: Vec<_> = self
            .heads
            .values()
            .map(|head| (head, have.get(&head.author).copied().unwrap_or(Seq(0))))
            .filter(|(head, seq)| head.seq > *seq)
            .flat_map(|(head, seq)| self.of_author(head.author, seq).cloned())
            .collect();
        lacking.sort_by_key(|batch| (batch.hlc_first, batch.author, batch.first));
        lacking
    }
}

fn head_of(batch: &Batch) -> Head {
    Head {
        author: batch.author,
        node: batch.node,
        seq: batch.last,
        hash: batch.hash,
        hlc: batch.hlc_last,
    }
}

/// A node's disk.
pub struct Disk {
    /// Who the node is; written before its engine first runs.
    pub identity: Identity,
    stored: Stored,
    pending: VecDeque<Write>,
}

impl Disk {
    /// A disk that holds an identity and some group keys.
    #[must_use]
    pub fn new(identity: Identity, epochs: Vec<EpochRecord>) -> Self {
        let epochs = epochs.into_iter().map(|epoch| (epoch.tag, epoch));
        Self {
            identity,
            stored: Stored {
                epochs: epochs.collect(),
                ..Stored::default()
            },
            pending: VecDeque::new(),
        }
    }

    /// A disk of another node with the same content.
    #[must_use]
    pub fn cloned_for(&self, identity: Identity) -> Self {
        Self {
            identity,
            stored: self.stored.clone(),
            pending: VecDeque::new(),
        }
    }

    /// Takes a write, which survives a crash only by luck until [`Self::sync`].
    pub fn submit(&mut self, id: WriteId, records: Vec<Record>) {
        self.pending.push_back(Write { id, records });
    }

    /// Makes the oldest write durable and returns its records.
    ///
    /// # Errors
    /// The records do not fit what is stored, or writes were confirmed out of order.
    pub fn sync(&mut self, id: WriteId) -> Result<Synced, String> {
        let write = self
            .pending
            .pop_front()
            .filter(|write| write.id == id)
            .ok_or_else(|| format!("{id:?} is not the oldest write"))?;
        let mut voided = Vec::new();
        for record in &write.records {
            voided.extend(self.stored.apply(record)?);
        }
        Ok(Synced {
            records: write.records,
            voided,
        })
    }

    /// Loses power: the oldest `kept` unsynced writes happen to survive, the others are gone.
    ///
    /// # Errors
    /// As for [`Self::sync`].
    pub fn crash(&mut self, kept: usize) -> Result<Synced, String> {
        let mut survived = Synced::default();
        for _ in 0..kept.min(self.pending.len()) {
            let id = self.pending[0].id;
            let synced = self.sync(id)?;
            survived.records.extend(synced.records);
            survived.voided.extend(synced.voided);
        }
        self.pending.clear();
        Ok(survived)
    }

    /// How many writes are not synced.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.pending.len()
    }

    /// The durable part.
    #[must_use]
    pub const fn stored(&self) -> &Stored {
        &self.stored
    }

    /// What an engine starts from.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            identity: self.identity.clone(),
            epochs: self.stored.epochs.values().cloned().collect(),
            control: self.stored.control.clone(),
            heads: self.stored.heads.values().copied().collect(),
            clock: self.stored.clock,
            frozen: self.stored.frozen.iter().copied().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use roda_proto::crypto::SigningKey;
    use roda_proto::log::BatchBuilder;
    use roda_proto::{Hash, Incarnation, Topic};

    use super::*;

    fn batch(first: u64, prev: Hash) -> Arc<Batch> {
        let topic = Topic::new("t").unwrap();
        let mut builder = BatchBuilder::new(Seq(first));
        for entry in 0..2 {
            builder.push(Hlc(first + entry), EntryKind::Message, Some(&topic), b"x");
        }
        let key = SigningKey::from_seed(&[1; 32]);
        Arc::new(builder.seal(&key, Incarnation([0; 8]), prev, &[]))
    }

    fn disk() -> Disk {
        let identity = Identity {
            seed: [1; 32].into(),
            incarnation: Incarnation([0; 8]),
            group: roda_proto::GroupId([0; 16]),
            group_name: String::new(),
        };
        Disk::new(identity, Vec::new())
    }

    #[test]
    fn a_crash_keeps_a_prefix_of_the_unsynced_writes() {
        let mut disk = disk();
        let one = batch(1, Hash::ZERO);
        let two = batch(3, one.hash);
        let three = batch(5, two.hash);
        for (id, batch) in (0..).zip([&one, &two, &three]) {
            disk.submit(WriteId(id), vec![Record::Batch(Arc::clone(batch))]);
        }
        disk.sync(WriteId(0)).unwrap();
        assert_eq!(disk.crash(1).unwrap().records.len(), 1);
        assert_eq!(disk.stored().last(&one.author), Seq(4));
        assert!(disk.stored().holds(&two) && !disk.stored().holds(&three));
        assert_eq!(disk.snapshot().heads[0].hash, two.hash);
    }

    #[test]
    fn a_gap_and_a_cut_batch_are_refused() {
        let mut disk = disk();
        let one = batch(1, Hash::ZERO);
        disk.submit(WriteId(0), vec![Record::Batch(batch(3, one.hash))]);
        assert!(disk.sync(WriteId(0)).is_err());
        disk.submit(WriteId(1), vec![Record::Batch(Arc::clone(&one))]);
        disk.sync(WriteId(1)).unwrap();
        let void = |above| Record::Void {
            author: one.author,
            above: Seq(above),
        };
        disk.submit(WriteId(2), vec![void(1)]);
        assert!(disk.sync(WriteId(2)).is_err());
        disk.submit(WriteId(3), vec![void(0)]);
        disk.sync(WriteId(3)).unwrap();
        assert_eq!(disk.snapshot().heads, []);
    }

    #[test]
    fn lacking_is_exactly_what_is_above_the_vector() {
        let mut disk = disk();
        let one = batch(1, Hash::ZERO);
        let two = batch(3, one.hash);
        let records = [&one, &two].map(|batch| Record::Batch(Arc::clone(batch)));
        disk.submit(WriteId(0), records.to_vec());
        disk.sync(WriteId(0)).unwrap();
        assert_eq!(disk.stored().lacking(&[]).len(), 2);
        assert_eq!(disk.stored().lacking(&[(one.author, Seq(2))]), [two]);
        assert!(disk.stored().lacking(&[(one.author, Seq(4))]).is_empty());
    }
}

//! An honest member: an engine, what is on its disk, and the checks of what it says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use roda_proto::crypto::{self, SigningKey};
use roda_proto::{
    AuthorId, Batch, Command, CommandId, Config, Engine, EpochRecord, Event, GroupId, Hash, Head,
    Hlc, Identity, Incarnation, Input, Now, Output, Record, Seed, Seq, Snapshot, Via, WriteId,
};
use zeroize::Zeroizing;

use super::{NAME, SEEDS};

/// Outputs after one input; more would be a loop.
const OUTPUTS_MAX: usize = 20_000;
/// Datagrams kept from one input.
const SENT_MAX: usize = 256;

pub(super) struct Host {
    engine: Engine,
    identity: Identity,
    boots: u8,
    commands: u64,
    /// What a restart finds.
    pub(super) durable: Vec<Arc<Batch>>,
    epochs: Vec<EpochRecord>,
    clock: Hlc,
    frozen: Vec<AuthorId>,
    /// Writes are confirmed later.
    pub(super) hold_writes: bool,
    unconfirmed: VecDeque<(WriteId, Vec<Record>)>,
    /// Datagrams since they were last collected.
    pub(super) sent: Vec<Vec<u8>>,
    /// The last entry delivered of each author, in this run of the engine.
    heads: BTreeMap<AuthorId, Seq>,
    delivered: Vec<Arc<Batch>>,
    checked: usize,
    /// Everything this node ever wrote, durable or not.
    written: BTreeSet<Hash>,
}

impl Host {
    pub(super) fn new(index: usize, group: GroupId, epoch: EpochRecord, now: Now) -> Self {
        let identity = Identity {
            seed: Zeroizing::new(SEEDS[index]),
            incarnation: Incarnation([1; 8]),
            group,
            group_name: NAME.to_owned(),
        };
        let epochs = vec![epoch];
        let snapshot = Snapshot {
            identity: identity.clone(),
            epochs: epochs.clone(),
            control: Vec::new(),
            heads: Vec::new(),
            clock: Hlc::ZERO,
            frozen: Vec::new(),
        };
        Self {
            engine: Engine::new(config(), boot_seed(&identity, 0), snapshot, now),
            identity,
            boots: 0,
            commands: 0,
            durable: Vec::new(),
            epochs,
            clock: Hlc::ZERO,
            frozen: Vec::new(),
            hold_writes: false,
            unconfirmed: VecDeque::new(),
            sent: Vec::new(),
            heads: BTreeMap::new(),
            delivered: Vec::new(),
            checked: 0,
            written: BTreeSet::new(),
        }
    }

    pub(super) const fn author(&self) -> AuthorId {
        self.engine.author()
    }

    pub(super) fn epoch_keys(&self) -> Vec<EpochRecord> {
        self.engine.epoch_keys()
    }

    /// Batches delivered so far.
    pub(super) const fn delivered(&self) -> usize {
        self.delivered.len()
    }

    pub(super) fn command(&mut self, now: Now, command: Command) {
        self.commands += 1;
        self.input(now, Input::Command(CommandId(self.commands), command));
    }

    pub(super) fn datagram(&mut self, now: Now, from: usize, payload: &mut [u8]) {
        let last = u8::try_from(from + 1).expect("three members");
        let source = SocketAddr::from(([10, 0, 0, last], 7000));
        let via = Via::Multicast;
        self.input(
            now,
            Input::Datagram {
                source,
                via,
                payload,
            },
        );
    }

    pub(super) fn input(&mut self, now: Now, input: Input<'_>) {
        // Refusals are what is expected of most inputs here.
        let _refused = self.engine.handle_input(now, input);
        self.drain();
        if !self.hold_writes {
            self.confirm_writes(now);
        }
    }

    /// Makes everything durable that waits for it, in order.
    pub(super) fn confirm_writes(&mut self, now: Now) {
        while let Some((id, records)) = self.unconfirmed.pop_front() {
            for record in records {
                self.store(record);
            }
            self.engine
                .handle_input(now, Input::Persisted(id))
                .expect("the own disk is never refused");
            self.drain();
        }
    }

    /// Starts again with what is durable; what waited for the disk is lost.
    pub(super) fn restart(&mut self, now: Now) {
        self.boots += 1;
        self.unconfirmed.clear();
        self.sent.clear();
        let snapshot = self.snapshot();
        self.heads = snapshot
            .heads
            .iter()
            .map(|head| (head.author, head.seq))
            .collect();
        let seed = boot_seed(&self.identity, self.boots);
        self.engine = Engine::new(config(), seed, snapshot, now);
        self.drain();
    }

    fn store(&mut self, record: Record) {
        match record {
            Record::Batch(batch) => self.durable.push(batch),
            Record::Epoch(epoch) => self.epochs.push(epoch),
            Record::ForgetEpoch(tag) => self.epochs.retain(|epoch| epoch.tag != tag),
            Record::Void { author, above } => {
                self.durable
                    .retain(|batch| batch.author != author || batch.last <= above);
                if let Some(head) = self.heads.get_mut(&author) {
                    *head = (*head).min(above);
                }
            }
            Record::Clock(clock) => self.clock = self.clock.max(clock),
            Record::Frozen(author) => self.frozen.push(author),
            _ => {}
        }
    }

    fn snapshot(&self) -> Snapshot {
        let heads: BTreeMap<AuthorId, Head> = self
            .durable
            .iter()
            .map(|batch| {
                let head = Head {
                    author: batch.author,
                    node: batch.node,
                    seq: batch.last,
                    hash: batch.hash,
                    hlc: batch.hlc_last,
                };
                (batch.author, head)
            })
            .collect();
        let control = self.durable.iter().filter(|batch| batch.has_control());
        Snapshot {
            identity: self.identity.clone(),
            epochs: self.epochs.clone(),
            control: control.cloned().collect(),
            heads: heads.into_values().collect(),
            clock: self.clock,
            frozen: self.frozen.clone(),
        }
    }

    fn drain(&mut self) {
        for _ in 0..OUTPUTS_MAX {
            match self.engine.poll_output() {
                Output::Persist { id, records } => {
                    for record in &records {
                        if let Record::Batch(batch) = record
                            && batch.author == self.author()
                        {
                            self.written.insert(batch.hash);
                        }
                    }
                    self.unconfirmed.push_back((id, records));
                }
                Output::Transmit { payload, .. } if self.sent.len() < SENT_MAX => {
                    self.sent.push(payload);
                }
                Output::Event(Event::Delivered(batch)) => self.on_delivered(batch),
                Output::Wait(_) => return,
                _ => {}
            }
        }
        panic!("one input had more than {OUTPUTS_MAX} outputs");
    }

    fn on_delivered(&mut self, batch: Arc<Batch>) {
        let is_durable = self
            .durable
            .iter()
            .any(|durable| durable.hash == batch.hash);
        assert!(is_durable, "{batch:?} was delivered before it was durable");
        let head = self.heads.entry(batch.author).or_default();
        assert_eq!(batch.first, head.next(), "{batch:?} after entry {head:?}");
        *head = batch.last;
        assert!(batch.verify(), "{batch:?} is not signed");
        self.delivered.push(batch);
    }

    /// What was delivered under the other's name was written by it.
    pub(super) fn check_foreign(&mut self, other: &Self) {
        for batch in &self.delivered[self.checked..] {
            assert!(
                batch.author != other.author() || other.written.contains(&batch.hash),
                "{batch:?} was never written by its author"
            );
        }
        self.checked = self.delivered.len();
    }
}

fn config() -> Config {
    Config {
        stream_port: 9,
        ..Config::default()
    }
}

/// No two runs of an engine have the same randomness.
fn boot_seed(identity: &Identity, boot: u8) -> Seed {
    Seed(crypto::sha256(&[&SigningKey::from_seed(&identity.seed).public().0, &[boot]]).0)
}

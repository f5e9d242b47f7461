//! Engines with disks in memory, between which datagrams fly.

use std::collections::{BTreeMap, VecDeque};
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use zeroize::Zeroizing;

use crate::engine::*;
use crate::group::{InviteToken, founding_group_id};
use crate::log::Topic;
use crate::record::{Head, Identity};
use crate::stream::join_proof_message;
use crate::time::WallTime;

pub(super) const START: u64 = 1_700_000_000_000;

#[derive(Default)]
pub(super) struct Disk {
    pub(super) epochs: Vec<EpochRecord>,
    pub(super) batches: Vec<Arc<Batch>>,
    pub(super) clock: Hlc,
}

impl Disk {
    pub(super) fn write(&mut self, records: Vec<Record>) {
        for record in records {
            match record {
                Record::Batch(batch) => self.batches.push(batch),
                Record::Epoch(epoch) => self.epochs.push(epoch),
                Record::ForgetEpoch(tag) => self.epochs.retain(|epoch| epoch.tag != tag),
                Record::Void { author, above } => {
                    self.batches
                        .retain(|batch| batch.author != author || batch.last <= above);
                }
                Record::Clock(clock) => self.clock = self.clock.max(clock),
                Record::Frozen(_) => {}
            }
        }
    }

    pub(super) fn snapshot(&self, identity: Identity) -> Snapshot {
        let mut heads = BTreeMap::new();
        for batch in &self.batches {
            let head = Head {
                author: batch.author,
                node: batch.node,
                seq: batch.last,
                hash: batch.hash,
                hlc: batch.hlc_last,
            };
            heads.insert(batch.author, head);
        }
        Snapshot {
            identity,
            epochs: self.epochs.clone(),
            control: self
                .batches
                .iter()
                .filter(|batch| batch.has_control())
                .cloned()
                .collect(),
            heads: heads.into_values().collect(),
            clock: self.clock,
            frozen: Vec::new(),
        }
    }
}

pub(super) struct Host {
    pub(super) engine: Engine,
    pub(super) disk: Disk,
    pub(super) identity: Identity,
    pub(super) texts: Vec<String>,
    pub(super) done: Vec<CommandId>,
    pub(super) failed: Vec<CommandError>,
    pub(super) stable: Hlc,
    pub(super) catch_up: bool,
    pub(super) expelled: bool,
    /// Writes are kept and not confirmed.
    pub(super) is_disk_slow: bool,
    pub(super) unwritten: Vec<WriteId>,
}

impl Host {
    pub(super) fn node(&self) -> NodeId {
        self.engine.node()
    }
}

/// Everyone's datagrams arrive at once and in order, unless `is_cut` says otherwise.
pub(super) struct Net {
    pub(super) hosts: Vec<Host>,
    pub(super) now: Now,
    pub(super) group: GroupId,
    pub(super) is_cut: fn(usize, usize) -> bool,
    pub(super) wire: Vec<Vec<u8>>,
}

pub(super) fn address(index: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, u8::try_from(index).unwrap()], 7000))
}

pub(super) fn identity(index: usize, group: GroupId) -> Identity {
    let seed = Zeroizing::new([u8::try_from(index + 1).unwrap(); 32]);
    Identity {
        seed,
        incarnation: Incarnation([1; 8]),
        group,
        group_name: "g".to_string(),
    }
}

pub(super) fn config() -> Config {
    Config {
        stream_port: 9,
        ..Config::default()
    }
}

impl Net {
    pub(super) fn new() -> Self {
        let founder = SigningKey::from_seed(&[1; 32]).public();
        let group = founding_group_id(&founder, &[9; 16], "g");
        let now = Now {
            mono: Timestamp::from_micros(1),
            wall: WallTime(START),
        };
        let mut net = Self {
            hosts: Vec::new(),
            now,
            group,
            is_cut: |_, _| false,
            wire: Vec::new(),
        };
        let secret = Zeroizing::new([5; 32]);
        let epoch = EpochRecord {
            tag: crypto::epoch_tag(&secret),
            secret,
            created: Hlc::ZERO,
        };
        net.add(Disk {
            epochs: vec![epoch],
            ..Disk::default()
        });
        net.command(
            0,
            Command::Found {
                salt: [9; 16],
                name: "g".to_string(),
                nick: "n0".to_string(),
            },
        );
        net
    }

    pub(super) fn add(&mut self, disk: Disk) -> usize {
        let index = self.hosts.len();
        let identity = identity(index, self.group);
        let seed = Seed([u8::try_from(index).unwrap() ^ 0x55; 32]);
        let engine = Engine::new(config(), seed, disk.snapshot(identity.clone()), self.now);
        self.hosts.push(Host {
            engine,
            disk,
            identity,
            texts: Vec::new(),
            done: Vec::new(),
            failed: Vec::new(),
            stable: Hlc::ZERO,
            catch_up: false,
            expelled: false,
            is_disk_slow: false,
            unwritten: Vec::new(),
        });
        index
    }

    pub(super) fn group_of(size: usize) -> Self {
        let mut net = Self::new();
        for _ in 1..size {
            net.join();
        }
        net.run(1_000);
        net
    }

    pub(super) fn invite(&mut self, uses: u32) -> InviteToken {
        let group = self.group;
        let seed = Zeroizing::new([3; 16]);
        let token = InviteToken {
            group,
            seed,
            expires: WallTime(START + 1_000_000),
            hints: Vec::new(),
        };
        let invite = token.id();
        self.command(
            0,
            Command::Invite {
                invite,
                uses,
                expires: token.expires,
            },
        );
        token
    }

    pub(super) fn join(&mut self) -> usize {
        let token = self.invite(1_000);
        let index = self.hosts.len();
        let seed = identity(index, self.group).seed;
        let (joiner, admitter) = (
            SigningKey::from_seed(&seed).public(),
            self.hosts[0].engine.node(),
        );
        let proof = token
            .signing_key()
            .sign(&join_proof_message(&self.group, &joiner, &admitter))
            .to_vec();
        let wrap_key = *WrapKey::from_seed(&seed).public();
        self.command(
            0,
            Command::Admit {
                node: joiner,
                invite: token.id(),
                proof,
                wrap_key,
                nick: "n".into(),
            },
        );
        let epochs = self.hosts[0].engine.epoch_keys();
        self.add(Disk {
            epochs,
            ..Disk::default()
        });
        self.catch_up(index, 0);
        self.command(
            index,
            Command::Introduce {
                nick: std::format!("n{index}"),
            },
        );
        index
    }

    pub(super) fn catch_up(&mut self, index: usize, server: usize) {
        let keys = self.hosts[server].engine.epoch_keys();
        let batches = self.hosts[server].disk.batches.clone();

        let _never_refused = self.input(index, Input::Keys(keys));
        for batch in batches {
            let _duplicate = self.input(index, Input::Batch(batch.bytes()));
        }
        let _never_refused = self.input(index, Input::CatchUpEnded { complete: true });
    }

    pub(super) fn restart(&mut self, index: usize) {
        let snapshot = self.hosts[index]
            .disk
            .snapshot(self.hosts[index].identity.clone());
        self.hosts[index].engine = Engine::new(
            config(),
            Seed([u8::try_from(index).unwrap() ^ 0x77; 32]),
            snapshot,
            self.now,
        );
    }

    pub(super) fn command(&mut self, index: usize, command: Command) {
        let before = self.hosts[index].done.len();
        let _never_refused = self.input(index, Input::Command(CommandId(before as u64), command));
        for _ in 0..200 {
            if self.hosts[index].done.len() > before || !self.hosts[index].failed.is_empty() {
                return;
            }
            self.run(10);
        }
        panic!("the command of host {index} has no end");
    }

    pub(super) fn say(&mut self, index: usize, text: &str) {
        let topic = Topic::new("t").unwrap();
        self.command(
            index,
            Command::Append {
                topic,
                bodies: vec![text.as_bytes().to_vec()],
            },
        );
    }

    pub(super) fn input(&mut self, index: usize, input: Input<'_>) -> Result<(), Rejected> {
        let result = self.hosts[index].engine.handle_input(self.now, input);
        let mut datagrams = VecDeque::new();
        self.drain(index, &mut datagrams);
        while let Some((from, to, payload)) = datagrams.pop_front() {
            self.wire.push(payload.clone());
            for target in 0..self.hosts.len() {
                let (is_here, via) = match to {
                    Destination::Group => (target != from, Via::Multicast),
                    Destination::Address(to) => (to == address(target), Via::Unicast),
                };
                if is_here && !(self.is_cut)(from, target) {
                    let mut payload = payload.clone();
                    let input = Input::Datagram {
                        source: address(from),
                        via,
                        payload: &mut payload,
                    };
                    let _refused = self.hosts[target].engine.handle_input(self.now, input);
                    self.drain(target, &mut datagrams);
                }
            }
        }
        result
    }

    pub(super) fn drain(
        &mut self,
        index: usize,
        datagrams: &mut VecDeque<(usize, Destination, Vec<u8>)>,
    ) {
        let host = &mut self.hosts[index];
        loop {
            match host.engine.poll_output() {
                Output::Persist { id, records } => {
                    host.disk.write(records);
                    if host.is_disk_slow {
                        host.unwritten.push(id);
                        continue;
                    }
                    let _never_refused = host.engine.handle_input(self.now, Input::Persisted(id));
                }
                Output::Transmit { to, payload } => datagrams.push_back((index, to, payload)),
                Output::Event(Event::Done { command, .. }) => host.done.push(command),
                Output::Event(Event::Failed { error, .. }) => host.failed.push(error),
                Output::Event(Event::Delivered(batch)) => {
                    let messages = batch.entries().filter_map(|entry| entry.said());
                    host.texts.extend(
                        messages.map(|said| String::from_utf8_lossy(said.body).to_string()),
                    );
                }
                Output::Event(Event::Stable(hlc)) => host.stable = hlc,
                Output::Event(Event::CatchUp { .. }) => host.catch_up = true,
                Output::Event(Event::Expelled) => host.expelled = true,
                Output::Event(_other) => {}
                Output::Wait(_) => break,
            }
        }
    }

    /// Lets time pass; catch-ups are served by whichever host has most.
    pub(super) fn run(&mut self, millis: u64) {
        for _ in 0..millis {
            self.now.mono = self.now.mono + core::time::Duration::from_millis(1);
            self.now.wall = WallTime(self.now.wall.0 + 1);
            for index in 0..self.hosts.len() {
                let _never_refused = self.input(index, Input::Timeout);
                if core::mem::take(&mut self.hosts[index].catch_up) {
                    let server = (0..self.hosts.len())
                        .max_by_key(|host| self.hosts[*host].engine.entries())
                        .unwrap();
                    self.catch_up(index, server);
                }
            }
        }
    }

    pub(super) fn texts(&self, index: usize) -> Vec<&str> {
        self.hosts[index].texts.iter().map(String::as_str).collect()
    }
}

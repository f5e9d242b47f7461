//! Engines wired together without faults; faults are the simulator's work.

mod copies;

use std::collections::{BTreeMap, VecDeque};
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use zeroize::Zeroizing;

use super::*;
use crate::group::control::Control;
use crate::group::{InviteToken, founding_group_id};
use crate::job::JobEntry;
use crate::log::{BODY_LEN_MAX, EntryKind, Hold, Topic};
use crate::record::{Head, Identity};
use crate::stream::join_proof_message;
use crate::time::WallTime;
use crate::token::{Fence, Frontier, LockName};

const START: u64 = 1_700_000_000_000;

#[derive(Default)]
struct Disk {
    epochs: Vec<EpochRecord>,
    batches: Vec<Arc<Batch>>,
    clock: Hlc,
}

impl Disk {
    fn write(&mut self, records: Vec<Record>) {
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

    fn snapshot(&self, identity: Identity) -> Snapshot {
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

struct Host {
    engine: Engine,
    disk: Disk,
    identity: Identity,
    texts: Vec<String>,
    done: Vec<CommandId>,
    failed: Vec<CommandError>,
    stable: Hlc,
    catch_up: bool,
    expelled: bool,
    /// Writes are kept and not confirmed.
    is_disk_slow: bool,
    unwritten: Vec<WriteId>,
}

impl Host {
    fn node(&self) -> NodeId {
        self.engine.node()
    }
}

/// Everyone's datagrams arrive at once and in order, unless `is_cut` says otherwise.
struct Net {
    hosts: Vec<Host>,
    now: Now,
    group: GroupId,
    is_cut: fn(usize, usize) -> bool,
    wire: Vec<Vec<u8>>,
}

fn address(index: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, u8::try_from(index).unwrap()], 7000))
}

fn identity(index: usize, group: GroupId) -> Identity {
    let seed = Zeroizing::new([u8::try_from(index + 1).unwrap(); 32]);
    Identity {
        seed,
        incarnation: Incarnation([1; 8]),
        group,
        group_name: "g".to_string(),
    }
}

fn config() -> Config {
    Config {
        stream_port: 9,
        ..Config::default()
    }
}

impl Net {
    fn new() -> Self {
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

    fn add(&mut self, disk: Disk) -> usize {
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

    fn group_of(size: usize) -> Self {
        let mut net = Self::new();
        for _ in 1..size {
            net.join();
        }
        net.run(1_000);
        net
    }

    fn invite(&mut self, uses: u32) -> InviteToken {
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

    fn join(&mut self) -> usize {
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

    fn catch_up(&mut self, index: usize, server: usize) {
        let keys = self.hosts[server].engine.epoch_keys();
        let batches = self.hosts[server].disk.batches.clone();

        let _never_refused = self.input(index, Input::Keys(keys));
        for batch in batches {
            let _duplicate = self.input(index, Input::Batch(batch.bytes()));
        }
        let _never_refused = self.input(index, Input::CatchUpEnded { complete: true });
    }

    fn restart(&mut self, index: usize) {
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

    fn command(&mut self, index: usize, command: Command) {
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

    fn say(&mut self, index: usize, text: &str) {
        let topic = Topic::new("t").unwrap();
        self.command(
            index,
            Command::Append {
                topic,
                bodies: vec![text.as_bytes().to_vec()],
            },
        );
    }

    fn input(&mut self, index: usize, input: Input<'_>) -> Result<(), Rejected> {
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

    fn drain(&mut self, index: usize, datagrams: &mut VecDeque<(usize, Destination, Vec<u8>)>) {
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
    fn run(&mut self, millis: u64) {
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

    fn texts(&self, index: usize) -> Vec<&str> {
        self.hosts[index].texts.iter().map(String::as_str).collect()
    }
}

#[test]
fn what_one_says_reaches_all_once() {
    let mut net = Net::group_of(4);
    for index in 0..4 {
        net.say(index, &std::format!("hello from {index}"));
    }
    net.run(100);
    for index in 0..4 {
        let mut texts = net.texts(index);
        texts.sort_unstable();
        assert_eq!(
            texts,
            [
                "hello from 0",
                "hello from 1",
                "hello from 2",
                "hello from 3"
            ],
            "host {index}"
        );
        assert_eq!(net.hosts[index].engine.members().len(), 4);
    }
}

fn hold(fence: u64) -> Hold {
    let lock = LockName::new("db").unwrap();
    Hold::new(lock, Fence(fence), Frontier::default())
}

fn say_fenced(net: &mut Net, index: usize, hold: &Hold, body: Vec<u8>) {
    let command = Command::AppendFenced {
        topic: Topic::new("t").unwrap(),
        hold: hold.clone(),
        bodies: vec![body],
    };
    let input = Input::Command(CommandId(50), command);
    net.input(index, input).unwrap();
}

#[test]
fn what_is_said_under_a_lock_reaches_the_others_with_its_hold() {
    let mut net = Net::group_of(2);
    say_fenced(&mut net, 0, &hold(7), b"x".to_vec());
    net.run(100);
    assert_eq!(net.texts(1), ["x"]);
    let stored = net.hosts[1].disk.batches.iter();
    let mut fenced = stored.flat_map(|batch| batch.entries()).filter(|entry| {
        entry.kind == EntryKind::Fenced && entry.said().unwrap().hold == Some(hold(7))
    });
    assert_eq!(fenced.by_ref().count(), 1);
}

#[test]
fn the_limit_of_a_body_holds_with_its_hold() {
    let mut net = Net::group_of(1);
    let overhead = hold(7).entry_body(&[0; 1000]).len() - 1000;
    say_fenced(&mut net, 0, &hold(7), vec![0; BODY_LEN_MAX - overhead]);
    assert!(net.hosts[0].failed.is_empty());
    say_fenced(&mut net, 0, &hold(7), vec![0; BODY_LEN_MAX - overhead + 1]);
    assert_eq!(net.hosts[0].failed, [CommandError::TooLong]);
}

fn say_of_jobs(net: &mut Net, index: usize, bodies: Vec<Vec<u8>>) {
    let topic = Topic::new("t").unwrap();
    let command = Command::AppendJobs { topic, bodies };
    let input = Input::Command(CommandId(51), command);
    net.input(index, input).unwrap();
}

#[test]
fn what_is_said_of_jobs_reaches_the_others_and_is_no_message() {
    let mut net = Net::group_of(2);
    let purge = JobEntry::Purge.encode();
    say_of_jobs(&mut net, 0, Vec::from([purge.clone(), purge]));
    net.run(100);
    assert!(net.texts(1).is_empty());
    let stored = net.hosts[1].disk.batches.iter();
    let entries = stored
        .filter(|batch| batch.has_jobs())
        .flat_map(|batch| batch.entries());
    let of_jobs = entries.filter(|entry| entry.kind == EntryKind::Job);
    let parsed: Vec<_> = of_jobs
        .map(|entry| (entry.topic, JobEntry::parse(entry.body)))
        .collect();
    assert_eq!(parsed.len(), 2);
    assert!(
        parsed
            .iter()
            .all(|found| *found == (Some("t"), Ok(JobEntry::Purge)))
    );
    say_of_jobs(&mut net, 0, Vec::from([std::vec![0; BODY_LEN_MAX + 1]]));
    assert_eq!(net.hosts[0].failed, [CommandError::TooLong]);
}

#[test]
fn an_entry_is_settled_once_it_is_durable_or_can_never_come() {
    let mut net = Net::group_of(3);
    net.is_cut = |from, to| from == 2 || to == 2;
    net.say(0, "a");
    net.run(1_000);
    let (author, seq) = net.hosts[0].engine.head();
    assert!(net.hosts[1].engine.is_settled(&author, seq));
    assert!(!net.hosts[1].engine.is_settled(&author, seq.next()));
    assert!(!net.hosts[2].engine.is_settled(&author, seq));
    // What somebody says who is removed before anyone has heard it never comes.
    net.say(2, "lost");
    let (lost, seq) = net.hosts[2].engine.head();
    let node = net.hosts[2].node();
    assert!(!net.hosts[1].engine.is_settled(&lost, seq));
    net.command(0, Command::Remove { node });
    net.run(1_000);
    assert!(net.hosts[1].engine.is_settled(&lost, seq));
}

#[test]
fn everything_said_becomes_stable_everywhere() {
    let mut net = Net::group_of(3);
    net.say(1, "a");
    net.run(1_000);
    let last = net.hosts[0]
        .disk
        .batches
        .iter()
        .map(|batch| batch.hlc_last)
        .max()
        .unwrap();
    for host in &net.hosts {
        assert!(host.stable >= last, "{:?} < {last:?}", host.stable);
    }
}

#[test]
fn a_message_lost_to_one_is_repaired() {
    let mut net = Net::group_of(3);
    net.is_cut = |from, to| from == 0 && to == 2;
    net.say(0, "lost");
    net.is_cut = |_, _| false;
    net.run(200);
    assert_eq!(net.texts(2), ["lost"]);
}

#[test]
fn the_last_message_of_a_dead_author_is_repaired_by_another() {
    let mut net = Net::group_of(3);
    net.is_cut = |from, to| (from, to) == (0, 2) || (from, to) == (2, 0);
    net.say(0, "last words");
    net.is_cut = |from, to| from == 0 || to == 0;
    net.run(5_000);
    assert_eq!(net.texts(2), ["last words"]);
}

#[test]
fn a_split_heals() {
    let mut net = Net::group_of(4);
    net.is_cut = |from, to| (from < 2) != (to < 2);
    net.say(0, "left");
    net.say(3, "right");
    net.run(10_000);
    net.is_cut = |_, _| false;
    net.run(5_000);
    for index in 0..4 {
        let mut texts = net.texts(index);
        texts.sort_unstable();
        assert_eq!(texts, ["left", "right"], "host {index}");
    }
}

#[test]
fn a_removed_member_reads_and_writes_nothing_more() {
    let mut net = Net::group_of(4);
    let removed = net.hosts[3].engine.node();
    net.command(0, Command::Remove { node: removed });
    net.run(100);
    assert!(net.hosts[3].expelled);
    net.say(1, "secret");
    net.run(3_000);
    assert!(net.hosts[0].failed.is_empty());
    assert_eq!(net.texts(2), ["secret"]);
    assert_eq!(net.texts(3), [""; 0]);
    for index in 0..3 {
        assert_eq!(net.hosts[index].engine.members().len(), 3);
    }
    net.hosts[3].engine.is_expelled = false;
    net.hosts[3].engine.logs.take_deps();
    let topic = Topic::new("t").unwrap();
    net.input(
        3,
        Input::Command(
            CommandId(99),
            Command::Append {
                topic,
                bodies: vec![b"x".to_vec()],
            },
        ),
    )
    .unwrap();
    net.run(1_000);
    assert_eq!(net.texts(0), ["secret"]);
}

#[test]
fn a_member_that_slept_through_a_key_change_comes_back() {
    let mut net = Net::group_of(4);
    net.is_cut = |from, to| from == 2 || to == 2;
    let removed = net.hosts[3].engine.node();
    net.command(0, Command::Remove { node: removed });
    net.say(0, "after");
    net.run(100_000);
    net.is_cut = |_, _| false;
    net.run(20_000);
    assert_eq!(net.texts(2), ["after"]);
    assert_eq!(
        net.hosts[2].engine.epoch_keys()[0].tag,
        net.hosts[0].engine.epoch_keys()[0].tag
    );
}

#[test]
fn after_somebody_left_the_key_changes() {
    let mut net = Net::group_of(3);
    let before = net.hosts[0].engine.epoch_keys()[0].tag;
    net.command(2, Command::Leave);
    net.run(6_000);
    let after = net.hosts[0].engine.epoch_keys()[0].tag;
    assert_ne!(before, after);
    assert_eq!(after, net.hosts[1].engine.epoch_keys()[0].tag);
    assert_eq!(net.hosts[0].engine.members().len(), 2);
}

#[test]
fn nothing_follows_a_leave_and_what_was_said_before_it_counts() {
    let mut net = Net::group_of(3);
    let topic = Topic::new("t").unwrap();
    let bodies = vec![b"last words".to_vec()];
    for (id, command) in [
        (100, Command::Append { topic, bodies }),
        (101, Command::Leave),
    ] {
        net.input(2, Input::Command(CommandId(id), command))
            .unwrap();
    }
    net.run(10_000);
    assert_eq!(net.texts(0), ["last words"]);
    let author = net.hosts[2].engine.author();
    let mut batches = net.hosts[0].disk.batches.iter();
    let last = batches.rfind(|batch| batch.author == author).unwrap();
    let entry = last.entries().last().unwrap();
    assert!(matches!(
        Control::parse(entry.body),
        Ok(Control::Leave { .. })
    ));
    assert!(!net.hosts[0].engine.is_member(&net.hosts[2].node()));
}

#[test]
fn what_a_removal_voids_is_voided_by_the_next_start_if_a_crash_came_between() {
    let mut net = Net::group_of(3);
    net.is_cut = |from, to| from != to && (from == 0 || to == 0);
    net.say(2, "unheard by the remover");
    net.run(1_000);
    let (node, author) = (net.hosts[2].node(), net.hosts[2].engine.author());
    net.command(0, Command::Remove { node });
    net.run(1_000);
    let removal = net.hosts[0].disk.batches.last().unwrap().clone();
    assert!(removal.has_control());
    // The removal reached the disk of another, and nothing after it.
    net.hosts[1].disk.batches.push(removal);
    net.restart(1);
    net.run(1_000);
    assert!(!net.hosts[1].engine.is_member(&node));
    let head = |net: &Net, index: usize| {
        let heads = net.hosts[index].engine.version_vector();
        heads
            .into_iter()
            .find(|(of, _)| *of == author)
            .map(|(_, seq)| seq)
    };
    assert_eq!(head(&net, 1), head(&net, 0));
}

#[test]
fn a_key_is_still_known_to_be_leaked_after_a_restart() {
    let mut net = Net::group_of(3);
    let old = net.hosts[1].engine.epoch_keys()[0].clone();
    let node = net.hosts[2].node();
    net.command(0, Command::Remove { node });
    net.run(10_000);
    net.restart(1);
    net.run(10);
    let engine = &net.hosts[1].engine;
    assert!(engine.membership.is_leaked(&old, &engine.node));
    assert_ne!(engine.epoch_keys()[0].tag, old.tag);
}

#[test]
fn a_stream_goes_on_past_entries_of_one_who_was_removed() {
    let mut net = Net::group_of(3);
    net.is_cut = |from, to| from != to && (from == 0 || to == 0);
    net.say(2, "unheard by the remover");
    net.run(1_000);
    let node = net.hosts[2].node();
    net.command(0, Command::Remove { node });
    let late = net.hosts[2].disk.batches.last().unwrap().clone();
    assert_eq!(net.input(0, Input::Batch(late.bytes())), Ok(()));
    assert!(net.texts(0).is_empty());
}

#[test]
fn an_invite_admits_as_many_as_it_says() {
    let mut net = Net::new();
    let token = net.invite(1);
    for (seed, fails) in [(10, false), (11, true)] {
        let joiner = SigningKey::from_seed(&[seed; 32]).public();
        let admitter = net.hosts[0].engine.node();
        let proof = token
            .signing_key()
            .sign(&join_proof_message(&net.group, &joiner, &admitter))
            .to_vec();
        let admit = Command::Admit {
            node: joiner,
            invite: token.id(),
            proof,
            wrap_key: [1; 32],
            nick: String::new(),
        };
        net.command(0, admit);
        assert_eq!(!net.hosts[0].failed.is_empty(), fails);
    }
    assert_eq!(
        net.hosts[0].failed,
        [CommandError::Refused(Refusal::UsedUp)]
    );
}

#[test]
fn a_restarted_node_goes_on_with_its_log() {
    let mut net = Net::group_of(3);
    net.say(1, "one");
    net.restart(1);
    net.say(1, "two");
    net.run(1_000);
    assert_eq!(net.texts(0), ["one", "two"]);
    assert_eq!(net.texts(2), ["one", "two"]);
}

#[test]
fn datagrams_of_an_earlier_time_do_not_make_a_dead_peer_live() {
    let mut net = Net::group_of(2);
    let replayed = net.wire.clone();
    net.is_cut = |_, _| true;
    net.restart(0);
    net.run(20);
    for mut payload in replayed {
        let input = Input::Datagram {
            source: address(1),
            via: Via::Multicast,
            payload: &mut payload,
        };
        let _refused = net.input(0, input);
    }
    assert!(
        net.hosts[0]
            .engine
            .members()
            .iter()
            .all(|member| member.presence != Presence::Online)
    );
}

#[test]
fn the_same_inputs_give_the_same_outputs() {
    let run = || {
        let mut net = Net::group_of(3);
        net.is_cut = |from, to| (from + to) % 3 == 0;
        net.say(0, "a");
        net.run(500);
        net.wire
    };
    assert!(run() == run());
}

#[test]
fn without_multicast_between_two_they_talk_by_unicast() {
    let mut net = Net::group_of(2);
    let contacts = vec![address(0)];
    let snapshot = net.hosts[1].disk.snapshot(net.hosts[1].identity.clone());
    let config = Config {
        contacts,
        ..config()
    };
    net.hosts[1].engine = Engine::new(config, Seed([1; 32]), snapshot, net.now);
    net.run(100);
    assert!(
        net.hosts[1]
            .engine
            .members()
            .iter()
            .any(|member| member.presence == Presence::Online)
    );
}

#[test]
fn an_invite_ends_with_the_membership_of_who_made_it() {
    let mut net = Net::group_of(2);
    let seed = Zeroizing::new([7; 16]);
    let (group, expires) = (net.group, WallTime(START + 1_000_000));
    let token = InviteToken {
        group,
        seed,
        expires,
        hints: Vec::new(),
    };
    net.command(
        1,
        Command::Invite {
            invite: token.id(),
            uses: 5,
            expires,
        },
    );
    net.run(200);
    let now = net.now;
    assert_eq!(net.hosts[0].engine.check_invite(&token.id(), now), Ok(()));
    let removed = net.hosts[1].engine.node();
    net.command(0, Command::Remove { node: removed });
    let refused = net.hosts[0].engine.check_invite(&token.id(), now);
    assert_eq!(refused, Err(Refusal::UnknownInvite));
}

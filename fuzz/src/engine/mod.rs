//! The engine under a list of operations: two honest members, one that lies, and a bad network.
//!
//! What must hold at every step: nobody panics; a batch is delivered only when it is durable here;
//! each author's entries are delivered in order, without gaps and once; and what is delivered under
//! an honest member's name was written by it.

mod host;
mod liar;

use std::time::Duration;

use roda_proto::crypto::{self, SigningKey, WrapKey};
use roda_proto::group::founding_group_id;
use roda_proto::stream::join_proof_message;
use roda_proto::{
    Command, EpochRecord, GroupId, Hlc, Input, InviteToken, NodeId, Now, Timestamp, Topic, WallTime,
};
use zeroize::Zeroizing;

use crate::cursor::Cursor;
use host::Host;
use liar::Liar;

const START: u64 = 1_700_000_000_000;
const SALT: [u8; 16] = [9; 16];
const NAME: &str = "g";
/// Operations of one run, so that every input ends soon.
const OPERATIONS_MAX: usize = 300;
/// Datagrams that can still be delivered, again or at all.
const WIRE_MAX: usize = 64;
/// Seeds of the three members; the last one lies.
const SEEDS: [[u8; 32]; 3] = [[1; 32], [2; 32], [3; 32]];
const LIAR: usize = 2;

/// Runs the operations that the bytes stand for.
pub fn engine(data: &[u8]) -> bool {
    let mut world = World::new();
    let mut cursor = Cursor::new(data);
    let delivered = |world: &World| world.hosts.iter().map(Host::delivered).sum::<usize>();
    let before = delivered(&world);
    for _ in 0..OPERATIONS_MAX {
        let Some(operation) = cursor.next() else {
            break;
        };
        world.perform(operation, &mut cursor);
    }
    delivered(&world) > before
}

struct World {
    hosts: [Host; 2],
    liar: Liar,
    wire: Vec<(usize, Vec<u8>)>,
    now: Now,
}

impl World {
    /// A group of three; the two honest ones know all about it.
    fn new() -> Self {
        let founder = SigningKey::from_seed(&SEEDS[0]).public();
        let group = founding_group_id(&founder, &SALT, NAME);
        let now = Now {
            mono: Timestamp::from_micros(1),
            wall: WallTime(START),
        };
        let epoch = first_epoch();
        let hosts = [0, 1].map(|index| Host::new(index, group, epoch.clone(), now));
        let mut world = Self {
            hosts,
            liar: Liar::new(&SEEDS[LIAR], group, &epoch),
            wire: Vec::new(),
            now,
        };
        world.found(group, founder);
        world
    }

    fn found(&mut self, group: GroupId, founder: NodeId) {
        let token = InviteToken {
            group,
            seed: Zeroizing::new([4; 16]),
            expires: WallTime(START * 2),
            hints: Vec::new(),
        };
        self.command(
            0,
            Command::Found {
                salt: SALT,
                name: NAME.to_owned(),
                nick: "founder".to_owned(),
            },
        );
        self.command(
            0,
            Command::Invite {
                invite: token.id(),
                uses: 10,
                expires: token.expires,
            },
        );
        for seed in &SEEDS[1..] {
            let node = SigningKey::from_seed(seed).public();
            let message = join_proof_message(&group, &node, &founder);
            self.command(
                0,
                Command::Admit {
                    node,
                    invite: token.id(),
                    proof: token.signing_key().sign(&message).to_vec(),
                    wrap_key: *WrapKey::from_seed(seed).public(),
                    nick: "member".to_owned(),
                },
            );
        }
        self.catch_up(0, 1);
        // Both are past the pause in which they write nothing, and have heard each other.
        for _ in 0..30 {
            self.pass(Duration::from_millis(100));
            for index in 0..self.wire.len() {
                self.deliver(index, 1 - self.wire[index].0, |_unchanged| {});
            }
            self.wire.clear();
        }
    }

    fn perform(&mut self, operation: u8, cursor: &mut Cursor<'_>) {
        match operation % 16 {
            0 | 1 => self.say(usize::from(operation % 2), cursor),
            2 | 3 => {
                let (datagram, target) = (cursor.number(), cursor.number() % 2);
                self.deliver(datagram, target, |_unchanged| {});
            }
            4 => {
                let (datagram, target) = (cursor.number(), cursor.number() % 2);
                let (at, bit) = (cursor.number(), cursor.number() % 8);
                self.deliver(datagram, target, |payload| {
                    let len = payload.len();
                    payload[at % len] ^= 1 << bit;
                });
            }
            5 => {
                let garbage = cursor.bytes();
                self.send_to_all(&garbage);
            }
            6 | 7 => {
                let millis = u64::try_from(cursor.number()).expect("a byte");
                self.pass(Duration::from_millis(millis * 4));
            }
            8 => {
                let frames = cursor.bytes();
                let datagram = self.liar.seal(&frames);
                self.send_to_all(&datagram);
            }
            9 => {
                let frame = self.liar.frame(cursor);
                let datagram = self.liar.seal(&frame);
                self.send_to_all(&datagram);
            }
            10 => {
                let batch = self.liar.batch(cursor, &self.hosts);
                for host in &mut self.hosts {
                    host.input(self.now, Input::Batch(&batch));
                }
                self.collect();
            }
            11 => self.catch_up(cursor.number() % 2, cursor.number() % 2),
            12 => {
                let host = cursor.number() % 2;
                self.hosts[host].hold_writes ^= true;
                self.hosts[host].confirm_writes(self.now);
                self.collect();
            }
            13 => {
                let wall = cursor.number() * 1_000_000;
                self.now.wall = WallTime(START + u64::try_from(wall).expect("a byte"));
            }
            14 => {
                let host = cursor.number() % 2;
                let command = self.liar.command(cursor);
                self.command(host, command);
            }
            _ => self.restart(cursor.number() % 2),
        }
    }

    fn say(&mut self, host: usize, cursor: &mut Cursor<'_>) {
        let count = cursor.number() % 4 + 1;
        let bodies = (0..count)
            .map(|_| vec![b'x'; cursor.number() * 37])
            .collect();
        let topic = Topic::new("t").expect("a valid name");
        self.command(host, Command::Append { topic, bodies });
    }

    fn command(&mut self, host: usize, command: Command) {
        self.hosts[host].command(self.now, command);
        self.collect();
    }

    fn restart(&mut self, host: usize) {
        self.hosts[host].restart(self.now);
        self.collect();
    }

    fn pass(&mut self, time: Duration) {
        self.now.mono = self.now.mono + time;
        self.now.wall.0 += u64::try_from(time.as_millis()).unwrap_or(0);
        for host in &mut self.hosts {
            host.input(self.now, Input::Timeout);
        }
        self.collect();
    }

    /// Everything that one has goes to the other, as over a stream.
    fn catch_up(&mut self, from: usize, to: usize) {
        if from == to {
            return;
        }
        let keys = self.hosts[from].epoch_keys();
        let batches = self.hosts[from].durable.clone();
        let target = &mut self.hosts[to];
        target.input(self.now, Input::Keys(keys));
        for batch in &batches {
            target.input(self.now, Input::Batch(batch.bytes()));
        }
        let complete = true;
        target.input(self.now, Input::CatchUpEnded { complete });
        self.collect();
    }

    fn deliver(&mut self, datagram: usize, target: usize, change: impl FnOnce(&mut [u8])) {
        if self.wire.is_empty() {
            return;
        }
        let (from, payload) = &self.wire[datagram % self.wire.len()];
        let (from, mut payload) = (*from, payload.clone());
        change(&mut payload);
        self.hosts[target].datagram(self.now, from, &mut payload);
        self.collect();
    }

    fn send_to_all(&mut self, datagram: &[u8]) {
        for host in &mut self.hosts {
            host.datagram(self.now, LIAR, &mut datagram.to_vec());
        }
        self.collect();
    }

    /// Puts what was sent on the wire and compares what was delivered with what was written.
    fn collect(&mut self) {
        for index in 0..self.hosts.len() {
            let sent = std::mem::take(&mut self.hosts[index].sent);
            self.wire
                .extend(sent.into_iter().map(|payload| (index, payload)));
        }
        let excess = self.wire.len().saturating_sub(WIRE_MAX);
        self.wire.drain(..excess);
        let [one, other] = &mut self.hosts;
        one.check_foreign(other);
        other.check_foreign(one);
    }
}

fn first_epoch() -> EpochRecord {
    let secret = Zeroizing::new([5; 32]);
    EpochRecord {
        tag: crypto::epoch_tag(&secret),
        secret,
        created: Hlc::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise its lies would be refused at the door, and nothing behind it be tried.
    #[test]
    fn the_liar_is_heard_when_it_follows_the_rules() {
        let mut world = World::new();
        let before = world.hosts[1].delivered();
        // The next batch, a clock close to the others', one message, no dependencies, the right hash.
        let mut cursor = Cursor::new(&[1, 5, 0, 0, 1, 1]);
        world.perform(10, &mut cursor);
        assert_eq!(world.hosts[1].delivered(), before + 1);
    }

    #[test]
    fn datagrams_of_one_reach_the_other() {
        let mut world = World::new();
        let before = world.hosts[1].delivered();
        world.perform(0, &mut Cursor::new(&[0, 1]));
        world.pass(Duration::from_millis(50));
        let datagrams = world.wire.len();
        assert!(datagrams > 0);
        for datagram in 0..datagrams {
            world.deliver(datagram, 1, |_unchanged| {});
        }
        assert!(world.hosts[1].delivered() > before);
    }
}

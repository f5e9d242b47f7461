//! A member that holds the group's key and its own signing key, and follows no rule.

use roda_proto::crypto::SigningKey;
use roda_proto::group::control::{Control, EntryId, Wrap};
use roda_proto::log::batch::BatchBuilder;
use roda_proto::secure::Secure;
use roda_proto::wire::{Beacon, Fragment, Frame, Gap, Nack, Part, Peer};
use roda_proto::{
    AuthorId, Command, EntryKind, EpochRecord, EpochTag, GroupId, Hash, Hlc, Incarnation, InviteId,
    NodeId, SenderTag, Seq, Timestamp, Topic, WallTime, crypto,
};

use super::START;
use super::host::Host;
use crate::cursor::Cursor;

pub(super) struct Liar {
    key: SigningKey,
    author: AuthorId,
    group: GroupId,
    secure: Secure,
    /// Where its log stands, when it does not lie about that.
    next: Seq,
    prev: Hash,
    known: Vec<AuthorId>,
}

const INCARNATION: Incarnation = Incarnation([7; 8]);

impl Liar {
    pub(super) fn new(seed: &[u8; 32], group: GroupId, epoch: &EpochRecord) -> Self {
        let key = SigningKey::from_seed(seed);
        let author = crypto::author_id(&key.public(), &INCARNATION);
        let epochs = vec![epoch.clone()];
        Self {
            author,
            group,
            secure: Secure::new(SenderTag(77), epochs, Timestamp::default()),
            next: Seq(1),
            prev: Hash::ZERO,
            known: vec![author],
            key,
        }
    }

    /// A datagram that opens.
    pub(super) fn seal(&mut self, frames: &[u8]) -> Vec<u8> {
        self.secure.seal(frames).expect("there is a key")
    }

    /// A frame that parses.
    pub(super) fn frame(&self, cursor: &mut Cursor<'_>) -> Vec<u8> {
        let author = self.some_author(cursor);
        let frame = match cursor.number() % 8 {
            0 => Frame::Fragment(Fragment {
                author,
                first: Seq(cursor.border()),
                count: 1,
                len: 5,
                index: 0,
                data: b"wrong",
            }),
            1 => Frame::Nack(self.nack(author, cursor)),
            2 => Frame::Beacon(self.beacon(author, cursor)),
            3 => Frame::Path(cursor.border()),
            4 => Frame::Attach(cursor.border()),
            5 => Frame::Echo(cursor.border()),
            6 => Frame::Peers(vec![Peer {
                ip: [0xff; 16],
                port: 9,
            }]),
            _ => Frame::Bye(author),
        };
        frame.to_vec()
    }

    fn nack(&self, author: AuthorId, cursor: &mut Cursor<'_>) -> Nack {
        let gaps = (0..cursor.number() % 4).map(|_| Gap {
            from: Seq(cursor.border()),
            to: Seq(cursor.border()),
        });
        let gaps = gaps.collect();
        let parts = vec![Part {
            first: Seq(cursor.border()),
            missing: cursor.border(),
        }];
        Nack {
            author,
            round: 3,
            gaps,
            parts,
        }
    }

    fn beacon(&self, author: AuthorId, cursor: &mut Cursor<'_>) -> Beacon {
        Beacon {
            author: Some(if cursor.number().is_multiple_of(2) {
                self.author
            } else {
                author
            }),
            head: Seq(cursor.border()),
            promise: Hlc(cursor.border()),
            frontier: Hlc(cursor.border()),
            digest: cursor.border(),
            stream_port: 9,
            heads: vec![
                (author, Seq(cursor.border())),
                (
                    AuthorId([cursor.number().to_be_bytes()[7]; 16]),
                    Seq(cursor.border()),
                ),
            ],
            asks: vec![SenderTag(cursor.border())],
            answers: vec![SenderTag(cursor.border())],
            wall: START + cursor.border() / 2,
            entries: cursor.border(),
            is_deaf: cursor.number().is_multiple_of(2),
        }
    }

    /// A batch that parses and is signed.
    pub(super) fn batch(&mut self, cursor: &mut Cursor<'_>, hosts: &[Host]) -> Vec<u8> {
        for host in hosts {
            if !self.known.contains(&host.author()) {
                self.known.push(host.author());
            }
        }
        let is_next = !cursor.number().is_multiple_of(4);
        let first = if is_next {
            self.next
        } else {
            Seq(cursor.border().clamp(1, u64::MAX - 10))
        };
        let mut builder = BatchBuilder::new(first);
        let topic = Topic::new("t").expect("a valid name");
        let mut hlc = Hlc::from_millis(START + cursor.border() % (1 << 40));
        for _ in 0..=cursor.number() % 3 {
            hlc = hlc.next();
            if cursor.number().is_multiple_of(2) {
                builder.push(hlc, EntryKind::Message, Some(&topic), b"lie");
            } else {
                let body = self.control(cursor);
                builder.push(hlc, EntryKind::Control, None, &body);
            }
        }
        let deps: Vec<_> = match cursor.number() % 4 {
            0 => vec![(self.some_author(cursor), Seq(cursor.border()))],
            _ => Vec::new(),
        };
        let prev = if cursor.number().is_multiple_of(8) {
            Hash([1; 32])
        } else {
            self.prev
        };
        let batch = builder.seal(&self.key, INCARNATION, prev, &deps);
        if is_next {
            self.next = batch.last.next();
            self.prev = batch.hash;
        }
        batch.bytes().to_vec()
    }

    /// The body of a control entry.
    fn control(&self, cursor: &mut Cursor<'_>) -> Vec<u8> {
        let author = self.some_author(cursor);
        let node = NodeId([cursor.number().to_be_bytes()[7]; 32]);
        let node = if cursor.number().is_multiple_of(2) {
            self.key.public()
        } else {
            node
        };
        let entry = EntryId {
            author,
            seq: Seq(cursor.border()),
        };
        let invite = InviteId(node);
        let control = match cursor.number() % 8 {
            0 => Control::Found {
                salt: [1; 16],
                name: "mine".to_owned(),
            },
            1 => Control::Profile {
                nick: "liar".to_owned(),
                wrap_key: [0; 32],
            },
            2 => Control::Invite {
                invite,
                uses: u32::MAX,
                expires: cursor.border(),
            },
            3 => Control::Admit {
                node,
                wrap_key: [1; 32],
                nick: "friend".to_owned(),
                invite,
                epochs: vec![EpochTag(1)],
            },
            4 => Control::Remove {
                node,
                admissions: vec![entry],
                cuts: vec![(author, Seq(cursor.border()))],
            },
            5 => Control::Leave {
                admissions: vec![entry],
            },
            6 => Control::Rotate {
                epoch: EpochTag(1),
                created: Hlc(cursor.border()),
                wraps: vec![Wrap {
                    node,
                    sealed: cursor.bytes(),
                }],
            },
            _ => return cursor.bytes(),
        };
        control.encode()
    }

    /// Something the application of an honest member might ask for, at the liar's instigation.
    pub(super) fn command(&self, cursor: &mut Cursor<'_>) -> Command {
        match cursor.number() % 6 {
            0 => Command::Introduce {
                nick: "new name".to_owned(),
            },
            1 => Command::Bye,
            2 => Command::Remove {
                node: self.key.public(),
            },
            3 => Command::Invite {
                invite: InviteId(self.key.public()),
                uses: u32::MAX,
                expires: WallTime(cursor.border()),
            },
            4 => Command::Admit {
                node: NodeId([9; 32]),
                invite: InviteId(self.key.public()),
                proof: self.group.0.to_vec(),
                wrap_key: [0; 32],
                nick: "x".repeat(cursor.number()),
            },
            _ => Command::Append {
                topic: Topic::new("t").expect("a valid name"),
                bodies: vec![vec![0; 32 * 1024 + 1]],
            },
        }
    }

    fn some_author(&self, cursor: &mut Cursor<'_>) -> AuthorId {
        self.known[cursor.number() % self.known.len()]
    }
}

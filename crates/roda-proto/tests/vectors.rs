//! The test vectors of `docs/protocol.md`: made here, compared with the fenced blocks of the document.
//!
//! A block opens with ` ```text vector NAME `; its content is hexadecimal, white space and `#` comments aside.
//! A block that opens with ` ```text verbatim NAME ` is compared as text.
#![expect(clippy::unwrap_used, reason = "in a test, to panic is to report")]

#[path = "vectors/jobs.rs"]
mod jobs;
#[path = "vectors/limits.rs"]
mod limits;

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use minicbor::Encode;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use roda_proto::crypto::{self, PacketKey, SigningKey, WrapKey};
use roda_proto::group::control::{Control, EntryId, Wrap, wrap_info};
use roda_proto::log::{BatchBuilder, Hold, Logs};
use roda_proto::secure::Secure;
use roda_proto::stream::{
    self, BlobRequest, EpochKey, JoinRequest, Refusal, Request, Response, SyncRequest,
    join_proof_message,
};
use roda_proto::token::{Fence, Frontier, LockName};
use roda_proto::wire::codec::Writer;
use roda_proto::wire::frame::pad;
use roda_proto::wire::join::{Offer, Probe, group_tag};
use roda_proto::wire::{Beacon, Fragment, Frame, Gap, Header, Nack, Part, Peer};
use roda_proto::{
    AuthorId, Batch, Entry, EntryKind, EpochRecord, EpochTag, GroupId, Hash, Head, Hlc,
    Incarnation, InviteToken, NodeId, SenderTag, Seq, Timestamp, Topic, WallTime,
};
use zeroize::Zeroizing;

const DOCUMENT: &str = include_str!("../../../docs/protocol.md");

const SEED: [u8; 32] = [1; 32];
const INCARNATION: Incarnation = Incarnation([2; 8]);
const SALT: [u8; 16] = [3; 16];
const EPOCH_SECRET: [u8; 32] = [4; 32];
const BOOT: [u8; 16] = [5; 16];
const OTHER: AuthorId = AuthorId([6; 16]);
const INVITE_SEED: [u8; 16] = [7; 16];
const JOINER_SEED: [u8; 32] = [8; 32];
const CLOCK: Hlc = Hlc::from_millis(1_700_000_000_000);

fn key() -> SigningKey {
    SigningKey::from_seed(&SEED)
}

fn node() -> NodeId {
    key().public()
}

fn author() -> AuthorId {
    crypto::author_id(&node(), &INCARNATION)
}

fn group() -> GroupId {
    roda_proto::group::founding_group_id(&node(), &SALT, "roda")
}

fn epoch() -> EpochTag {
    crypto::epoch_tag(&EPOCH_SECRET)
}

fn joiner() -> NodeId {
    SigningKey::from_seed(&JOINER_SEED).public()
}

fn token() -> InviteToken {
    InviteToken {
        group: group(),
        seed: Zeroizing::new(INVITE_SEED),
        expires: WallTime(1_700_000_000_000),
        hints: vec![
            "10.0.0.1:20001".parse().unwrap(),
            "[fd00::1]:20001".parse().unwrap(),
        ],
    }
}

fn batch() -> Batch {
    let topic = Topic::new("log").unwrap();
    let mut builder = BatchBuilder::new(Seq(3));
    builder.push(CLOCK, EntryKind::Message, Some(&topic), b"one");
    builder.push(Hlc(CLOCK.0 + 1), EntryKind::Message, Some(&topic), b"two");
    builder.seal(&key(), INCARNATION, Hash([9; 32]), &[(OTHER, Seq(5))])
}

/// Named bytes, to be found in the document.
#[derive(Default)]
struct Vectors(BTreeMap<&'static str, Vec<u8>>);

impl Vectors {
    fn add(&mut self, name: &'static str, bytes: impl AsRef<[u8]>) {
        let old = self.0.insert(name, bytes.as_ref().to_vec());
        assert!(old.is_none(), "two vectors are called {name}");
    }

    fn add_frame(&mut self, name: &'static str, frame: &Frame<'_>) {
        let bytes = frame.to_vec();
        assert_eq!(
            Frame::parse_all(&bytes).as_deref(),
            Ok(std::slice::from_ref(frame))
        );
        self.add(name, bytes);
    }

    fn add_control(&mut self, name: &'static str, control: &Control) {
        let bytes = control.encode();
        assert_eq!(Control::parse(&bytes).as_ref(), Ok(control));
        self.add(name, bytes);
    }

    fn add_message<T: Encode<()>>(&mut self, name: &'static str, message: &T) {
        let body = stream::encode(message);
        let len = u32::try_from(body.len()).unwrap();
        self.add(name, [&len.to_be_bytes()[..], &body].concat());
    }

    fn add_ids(&mut self) {
        self.add("node-id", node().0);
        self.add("author-id", author().0);
        self.add("group-id", group().0);
        self.add("group-tag", group_tag(&group()));
        self.add("epoch-tag", epoch().0.to_be_bytes());
        self.add("sender-tag", sender().0.to_be_bytes());
        let head = Head {
            author: author(),
            node: node(),
            seq: Seq(4),
            hash: Hash::ZERO,
            hlc: CLOCK,
        };
        let digest = Logs::new(OTHER, &[head], &[]).digest();
        self.add("log-digest", digest.to_be_bytes());
    }

    fn add_datagrams(&mut self) {
        for (name, phase) in [("datagram-key-0", 0_u64), ("datagram-key-1", 1)] {
            let context = [sender().0.to_be_bytes(), phase.to_be_bytes()].concat();
            let key = crypto::derive(&EPOCH_SECRET, b"datagram", &context);
            self.add(name, *key);
        }
        let frames = Frame::Path(0x0102_0304_0506_0708).to_vec();
        let record = EpochRecord {
            tag: epoch(),
            secret: Zeroizing::new(EPOCH_SECRET),
            created: Hlc::ZERO,
        };
        let mut secure = Secure::new(sender(), vec![record], Timestamp::default());
        self.add("datagram-0", secure.seal(&frames).unwrap());
        self.add("datagram-1048576", late_datagram(&frames));
        let probe = Probe {
            group_tag: group_tag(&group()),
            nonce: [0xab; 8],
            invite: token().id(),
            epoch: EpochTag(0),
        };
        self.add("probe-joiner", probe.encode());
        let by_member = Probe::by_member(group_tag(&group()), [0xab; 8], epoch());
        self.add("probe-member", by_member.encode());
        let offer = Offer {
            group_tag: group_tag(&group()),
            nonce: [0xab; 8],
            stream_port: 40_001,
        };
        self.add("offer", offer.encode());
    }

    fn add_frames(&mut self) {
        let fragment = Fragment {
            author: author(),
            first: Seq(3),
            count: 2,
            len: 5,
            index: 0,
            data: b"bytes",
        };
        self.add_frame("frame-fragment", &Frame::Fragment(fragment));
        let nack = Nack {
            author: author(),
            round: 1,
            gaps: vec![Gap {
                from: Seq(3),
                to: Seq(9),
            }],
            parts: vec![Part {
                first: Seq(10),
                missing: 0b110,
            }],
        };
        self.add_frame("frame-nack", &Frame::Nack(nack));
        let beacon = Beacon {
            author: Some(author()),
            head: Seq(4),
            promise: CLOCK,
            frontier: Hlc::from_millis(1_699_999_999_999),
            digest: 0x1122_3344_5566_7788,
            stream_port: 40_001,
            heads: vec![(OTHER, Seq(5))],
            asks: vec![SenderTag(1)],
            answers: vec![SenderTag(2)],
            wall: 1_700_000_000_000,
            entries: 9,
            is_deaf: true,
        };
        self.add_frame("frame-beacon", &Frame::Beacon(beacon));
        self.add_frame("frame-path", &Frame::Path(0x0102_0304_0506_0708));
        self.add_frame("frame-attach", &Frame::Attach(0x0102_0304_0506_0708));
        let peer = Peer {
            ip: std::net::Ipv4Addr::new(10, 0, 0, 1)
                .to_ipv6_mapped()
                .octets(),
            port: 20_001,
        };
        self.add_frame("frame-peers", &Frame::Peers(vec![peer]));
        self.add_frame("frame-bye", &Frame::Bye(author()));
        self.add_frame("frame-echo", &Frame::Echo(0x0102_0304_0506_0708));
        let mut writer = Writer::new();
        pad(&mut writer, 8);
        assert_eq!(Frame::parse_all(writer.as_slice()), Ok(Vec::new()));
        self.add("frame-padding", writer.as_slice());
    }

    fn add_batch(&mut self) {
        let batch = batch();
        assert!(batch.verify());
        self.add("batch", batch.bytes());
        self.add("batch-hash", batch.hash.0);
        let fence = Fence(1_700_000_000 << 20);
        let seen = Frontier(vec![(OTHER, Seq(5))]);
        let hold = Hold::new(LockName::new("db").unwrap(), fence, seen);
        let fenced = hold.entry_body(b"one");
        let entry = Entry {
            seq: Seq(3),
            hlc: CLOCK,
            kind: EntryKind::Fenced,
            topic: Some("log"),
            body: &fenced,
        };
        assert_eq!(entry.said().map(|said| said.hold), Some(Some(hold)));
        self.add("fenced-body", &fenced);
    }

    fn add_controls(&mut self) {
        let wrap_key = *WrapKey::from_seed(&JOINER_SEED).public();
        let admission = EntryId {
            author: author(),
            seq: Seq(4),
        };
        self.add_control(
            "control-found",
            &Control::Found {
                salt: SALT,
                name: "roda".into(),
            },
        );
        self.add_control(
            "control-profile",
            &Control::Profile {
                nick: "ana".into(),
                wrap_key: *WrapKey::from_seed(&SEED).public(),
            },
        );
        self.add_control(
            "control-invite",
            &Control::Invite {
                invite: token().id(),
                uses: 1,
                expires: 1_700_000_000_000,
            },
        );
        self.add_control(
            "control-admit",
            &Control::Admit {
                node: joiner(),
                wrap_key,
                nick: "bia".into(),
                invite: token().id(),
                epochs: vec![epoch()],
            },
        );
        self.add_control(
            "control-remove",
            &Control::Remove {
                node: joiner(),
                admissions: vec![admission],
                cuts: vec![(OTHER, Seq(5))],
            },
        );
        self.add_control(
            "control-leave",
            &Control::Leave {
                admissions: vec![admission],
            },
        );
        self.add_control(
            "control-rotate",
            &Control::Rotate {
                epoch: epoch(),
                created: CLOCK,
                wraps: vec![Wrap {
                    node: joiner(),
                    sealed: wrapped(),
                }],
            },
        );
        self.add("wrap-key", wrap_key);
        self.add("wrap-info", wrap_info(&group(), epoch()));
    }

    fn add_joining(&mut self) {
        let token = token();
        self.add("invite-id", token.id().0.0);
        let message = join_proof_message(&group(), &joiner(), &node());
        let proof = token.signing_key().sign(&message);
        assert!(crypto::verify(&token.id().0, &message, &proof));
        self.add("join-proof-message", &message);
        let join = JoinRequest {
            group: group(),
            invite: token.id(),
            proof: proof.to_vec(),
            wrap_key: *WrapKey::from_seed(&JOINER_SEED).public(),
            nick: "bia".into(),
        };
        self.add_message("stream-join", &Request::Join(join));
        let sync = SyncRequest {
            group: group(),
            have: vec![(author(), Seq(4))],
            epochs: vec![epoch()],
        };
        self.add_message("stream-sync", &Request::Sync(sync));
        let blob = BlobRequest {
            group: group(),
            hash: Hash([0xab; 32]),
        };
        self.add_message("stream-blob", &Request::Blob(blob));
        self.add_message("stream-refused", &Response::Refused(Refusal::Expired));
        let keys = vec![EpochKey {
            secret: EPOCH_SECRET,
            created: CLOCK,
        }];
        self.add_message("stream-keys", &Response::Keys(keys));
        let bytes = batch().bytes().to_vec();
        self.add_message("stream-batch", &Response::Batch(bytes.into()));
        self.add_message("stream-part", &Response::Part(b"part".to_vec().into()));
        self.add_message("stream-done", &Response::Done);
    }
}

fn sender() -> SenderTag {
    crypto::sender_tag(&author(), &BOOT)
}

/// The first datagram of the second key phase, which a run reaches after a million others.
fn late_datagram(frames: &[u8]) -> Vec<u8> {
    let number = 1 << 20;
    let mut writer = Writer::new();
    let header = Header {
        epoch: epoch(),
        sender: sender(),
        number,
    };
    header.write(&mut writer);
    let header_len = writer.len();
    writer.raw(frames);
    let mut datagram = writer.into_vec();
    PacketKey::new(&EPOCH_SECRET, sender(), 1).seal(number, header_len, &mut datagram);
    let record = EpochRecord {
        tag: epoch(),
        secret: Zeroizing::new(EPOCH_SECRET),
        created: Hlc::ZERO,
    };
    let mut receiver = Secure::new(SenderTag(1), vec![record], Timestamp::default());
    let opened = receiver
        .open(Timestamp::default(), &mut datagram.clone())
        .unwrap()
        .map(|opened| opened.body.to_vec());
    assert_eq!(opened.as_deref(), Some(frames));
    datagram
}

fn wrapped() -> Vec<u8> {
    let owner = WrapKey::from_seed(&JOINER_SEED);
    let info = wrap_info(&group(), epoch());
    let mut rng = ChaCha20Rng::from_seed([10; 32]);
    let wrapped = crypto::wrap(owner.public(), &info, &EPOCH_SECRET, &mut rng).unwrap();
    assert_eq!(
        owner.unwrap(&info, &wrapped).as_deref(),
        Some(&EPOCH_SECRET)
    );
    wrapped
}

/// The document's blocks of one kind, by name.
fn blocks(kind: &str) -> BTreeMap<&'static str, String> {
    let mut blocks = BTreeMap::new();
    let mut open: Option<(&str, String)> = None;
    for line in DOCUMENT.lines() {
        match open.take() {
            Some((name, text)) if line == "```" => {
                assert!(blocks.insert(name, text).is_none(), "{name} stands twice");
            }
            Some((name, text)) => open = Some((name, text + line + "\n")),
            None => {
                let name = line
                    .strip_prefix("```text ")
                    .and_then(|info| info.strip_prefix(kind));
                open = name.map(|name| (name.trim(), String::new()));
            }
        }
    }
    blocks
}

fn hex_of(block: &str) -> String {
    let codes = block.lines().map(|line| line.split('#').next().unwrap());
    codes
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .collect()
}

#[test]
fn the_document_shows_the_bytes_that_the_code_makes() {
    let mut vectors = Vectors::default();
    vectors.add_ids();
    vectors.add_datagrams();
    vectors.add_frames();
    vectors.add_batch();
    vectors.add_controls();
    vectors.add_joining();
    vectors.add_jobs();
    let mut documented = blocks("vector");
    let mut wrong = String::new();
    for (name, bytes) in &vectors.0 {
        let made = HEXLOWER.encode(bytes);
        let shown = documented.remove(name).map(|block| hex_of(&block));
        if shown.as_ref() != Some(&made) {
            wrong += &format!("{name}\n   code: {made}\n   docs: {shown:?}\n");
        }
    }
    assert!(
        wrong.is_empty(),
        "docs/protocol.md differs from the code:\n{wrong}"
    );
    assert!(documented.is_empty(), "no code makes these: {documented:?}");
}

#[test]
fn the_document_shows_the_invite_token_as_the_code_prints_it() {
    let shown = blocks("verbatim");
    let joined: String = shown
        .get("invite-token")
        .into_iter()
        .flat_map(|block| block.lines())
        .collect();
    assert_eq!(joined, token().to_string());
    assert_eq!(InviteToken::parse(&joined), Ok(token()));
}

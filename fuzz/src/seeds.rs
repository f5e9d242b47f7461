//! Valid inputs, from which fuzzing starts.

use roda_proto::crypto::SigningKey;
use roda_proto::group::control::{Control, EntryId, Wrap};
use roda_proto::job::{
    AttemptId, Checkpoint, Claimed, CronExpr, End, JobEntry, JobId, JobKey, Lost, Outcome,
    PushOptions, STATE_LEN_MAX, WorkerId,
};
use roda_proto::log::Hold;
use roda_proto::log::batch::BatchBuilder;
use roda_proto::stream::{self, EpochKey, JoinRequest, Refusal, Request, Response, SyncRequest};
use roda_proto::token::{Fence, Frontier, LockName};
use roda_proto::wire::codec::Writer;
use roda_proto::wire::join::{Offer, Probe, group_tag};
use roda_proto::wire::{Beacon, Fragment, Frame, Gap, Header, Nack, Part, Peer};
use roda_proto::{
    AuthorId, Batch, EntryKind, EpochTag, GroupId, Hash, Hlc, Incarnation, InviteId, InviteToken,
    NodeId, SenderTag, Seq, Topic, WallTime,
};
use zeroize::Zeroizing;

const AUTHOR: AuthorId = AuthorId([7; 16]);
const GROUP: GroupId = GroupId([3; 16]);

/// Seeds of [`crate::datagram`].
pub fn datagrams() -> Vec<(&'static str, Vec<u8>)> {
    let mut header = Writer::new();
    Header {
        epoch: EpochTag(5),
        sender: SenderTag(6),
        number: 7,
    }
    .write(&mut header);
    let nack = Frame::Nack(Nack {
        author: AUTHOR,
        round: 1,
        gaps: vec![Gap {
            from: Seq(3),
            to: Seq(9),
        }],
        parts: vec![Part {
            first: Seq(10),
            missing: 0b1000_1111,
        }],
    });
    let beacon = Frame::Beacon(Beacon {
        author: Some(AUTHOR),
        head: Seq(300),
        heads: vec![(AUTHOR, Seq(4)), (AuthorId([8; 16]), Seq(70_000))],
        asks: vec![SenderTag(1)],
        answers: vec![SenderTag(u64::MAX)],
        ..Beacon::default()
    });
    let fragment = Frame::Fragment(Fragment {
        author: AUTHOR,
        first: Seq(1),
        count: 2,
        len: 5,
        index: 0,
        data: b"hello",
    });
    let others = [
        Frame::Path(77),
        Frame::Attach(u64::MAX),
        Frame::Echo(300),
        Frame::Peers(vec![Peer {
            ip: [1; 16],
            port: 9,
        }]),
        Frame::Bye(AUTHOR),
    ];
    let probe = Probe {
        group_tag: group_tag(&GROUP),
        nonce: [2; 8],
        invite: InviteId(NodeId([4; 32])),
        epoch: EpochTag(4),
    };
    let offer = Offer {
        group_tag: group_tag(&GROUP),
        nonce: [2; 8],
        stream_port: 7000,
    };
    vec![
        ("header", header.into_vec()),
        ("nack", nack.to_vec()),
        ("beacon", beacon.to_vec()),
        ("fragment", fragment.to_vec()),
        ("several", others.iter().flat_map(Frame::to_vec).collect()),
        ("probe", probe.encode()),
        ("offer", offer.encode()),
    ]
}

/// Seeds of [`crate::batch`].
pub fn batches() -> Vec<(&'static str, Vec<u8>)> {
    let topics = [topic("roda"), topic("praça-1")];
    let mut one = BatchBuilder::new(Seq(1));
    one.push(Hlc(5), EntryKind::Message, Some(&topics[0]), b"hi");
    let mut many = BatchBuilder::new(Seq(9));
    for number in 0..20_u8 {
        let topic = Some(&topics[usize::from(number % 2)]);
        let hlc = Hlc(1_000 + u64::from(number) * 300);
        many.push(
            hlc,
            EntryKind::Message,
            topic,
            &vec![number; usize::from(number) * 10],
        );
    }
    many.push(Hlc(u64::MAX - 1), EntryKind::Control, None, b"control");
    many.push(Hlc(u64::MAX), EntryKind::Unknown(200), None, b"");
    let deps = [
        (AuthorId([1; 16]), Seq(4)),
        (AuthorId([2; 16]), Seq(u64::MAX)),
    ];
    let mut fenced = BatchBuilder::new(Seq(1));
    for (number, (_name, body)) in (0..).zip(fenced_bodies()) {
        let hlc = Hlc(1_000 + number);
        fenced.push(hlc, EntryKind::Fenced, Some(&topics[0]), &body);
    }
    fenced.push(Hlc(2_000), EntryKind::Fenced, None, b"no topic, no CBOR");
    vec![
        ("one", sealed(one, &[]).bytes().to_vec()),
        ("many", sealed(many, &deps).bytes().to_vec()),
        ("fenced", sealed(fenced, &[]).bytes().to_vec()),
    ]
}

/// Seeds of [`crate::invite`].
pub fn invites() -> Vec<(&'static str, Vec<u8>)> {
    let token = |hints: &[&str]| {
        InviteToken {
            group: GROUP,
            seed: Zeroizing::new([2; 16]),
            expires: WallTime(1_700_000_000_000),
            hints: hints
                .iter()
                .map(|hint| hint.parse().expect("an address"))
                .collect(),
        }
        .to_string()
        .into_bytes()
    };
    vec![
        ("plain", token(&[])),
        ("hints", token(&["10.0.0.1:7000", "[fd00::1]:7001"])),
    ]
}

/// Seeds of [`crate::stream()`].
pub fn stream_messages() -> Vec<(&'static str, Vec<u8>)> {
    let join = Request::Join(JoinRequest {
        group: GROUP,
        invite: InviteId(NodeId([4; 32])),
        proof: vec![5; 64],
        wrap_key: [6; 32],
        nick: "ana".to_owned(),
    });
    let sync = Request::Sync(SyncRequest {
        group: GROUP,
        have: vec![(AUTHOR, Seq(4)), (AuthorId([8; 16]), Seq(u64::MAX))],
        epochs: vec![EpochTag(9)],
    });
    let keys = Response::Keys(vec![EpochKey {
        secret: [1; 32],
        created: Hlc(2),
    }]);
    let batch = Response::Batch(batches().swap_remove(0).1.into());
    vec![
        ("join", stream::encode(&join)),
        ("sync", stream::encode(&sync)),
        (
            "refused",
            stream::encode(&Response::Refused(Refusal::UsedUp)),
        ),
        ("keys", stream::encode(&keys)),
        ("batch", stream::encode(&batch)),
        ("done", stream::encode(&Response::Done)),
    ]
}

/// Seeds of [`crate::control`].
pub fn controls() -> Vec<(&'static str, Vec<u8>)> {
    let node = NodeId([4; 32]);
    let entry = EntryId {
        author: AUTHOR,
        seq: Seq(3),
    };
    let found = Control::Found {
        salt: [1; 16],
        name: "praça".to_owned(),
    };
    let profile = Control::Profile {
        nick: "ana".to_owned(),
        wrap_key: [2; 32],
    };
    let invite = Control::Invite {
        invite: InviteId(node),
        uses: 3,
        expires: 1_700_000_000_000,
    };
    let admit = Control::Admit {
        node,
        wrap_key: [2; 32],
        nick: "bia".to_owned(),
        invite: InviteId(node),
        epochs: vec![EpochTag(7)],
    };
    let remove = Control::Remove {
        node,
        admissions: vec![entry],
        cuts: vec![(AUTHOR, Seq(u64::MAX))],
    };
    let leave = Control::Leave {
        admissions: vec![entry],
    };
    let rotate = Control::Rotate {
        epoch: EpochTag(7),
        created: Hlc(8),
        wraps: vec![Wrap {
            node,
            sealed: vec![5; 80],
        }],
    };
    vec![
        ("found", found.encode()),
        ("profile", profile.encode()),
        ("invite", invite.encode()),
        ("admit", admit.encode()),
        ("remove", remove.encode()),
        ("leave", leave.encode()),
        ("rotate", rotate.encode()),
    ]
}

/// Seeds of [`crate::fenced`].
pub fn fenced_bodies() -> Vec<(&'static str, Vec<u8>)> {
    let body = |fence, seen: &[(AuthorId, Seq)]| {
        let lock = LockName::new("db/praça").expect("a valid name");
        Hold::new(lock, Fence(fence), Frontier(seen.to_vec())).entry_body(b"body")
    };
    let seen = [(AUTHOR, Seq(3)), (AuthorId([8; 16]), Seq(u64::MAX))];
    vec![
        ("first", body(1, &[])),
        ("later", body(1_700_000_000 << 20, &seen)),
    ]
}

/// Seeds of [`crate::engine()`].
pub fn operations() -> Vec<(&'static str, Vec<u8>)> {
    // Say, let time pass, deliver; the second numbers are parameters.
    let talk = [
        0, 0, 1, 1, 0, 2, 2, 0, 1, 2, 1, 1, 2, 2, 1, 6, 50, 2, 3, 0, 2, 4, 1, 6, 255,
    ];
    let lie = [
        9, 0, 2, 0, 5, 7, 7, 7, 1, 5, 9, 1, 1, 3, 1, 2, 10, 1, 9, 0, 0, 1, 0, 1, 3, 8, 3, 4, 5, 6,
    ];
    let crash = [
        12, 0, 0, 1, 9, 15, 0, 12, 0, 6, 255, 6, 255, 0, 0, 5, 11, 0, 1, 15, 1, 6, 200,
    ];
    vec![
        ("talk", talk.to_vec()),
        ("lie", [&talk[..], &lie].concat()),
        ("crash", [&talk[..], &crash, &talk].concat()),
    ]
}

/// Seeds of [`crate::job_entry`].
pub fn job_entries() -> Vec<(&'static str, Vec<u8>)> {
    let job = JobId {
        author: AUTHOR,
        seq: Seq(3),
    };
    let (worker, fence) = (WorkerId([5; 16]), Fence(7));
    let attempt = AttemptId { fence, number: 1 };
    let claim = JobEntry::Claim {
        worker,
        fence,
        shard: 3,
        jobs: vec![Claimed {
            job,
            number: 1,
            after: Some(job.place()),
            generation: 2,
        }],
    };
    let save = |state: &[u8]| JobEntry::Save {
        job,
        attempt,
        checkpoint: Checkpoint::new(state, Some(1), Some(9)),
    };
    let end = JobEntry::End {
        worker,
        ends: vec![End {
            job,
            attempt,
            outcome: Outcome::Failed {
                code: -1,
                retry_at: WallTime(9),
            },
            millis: 12,
            output: b"printed".to_vec(),
            next: Some(WallTime(10)),
        }],
    };
    let lose = JobEntry::Lose {
        worker,
        fence,
        lost: vec![Lost {
            job,
            attempt,
            last: Seq(u64::MAX),
            next: None,
        }],
    };
    let jobs = vec![(job, 0), (job, u32::MAX)];
    let cancel = JobEntry::Cancel { jobs: jobs.clone() };
    let entries = [
        ("claim", claim),
        ("save", save(b"state")),
        ("save-blob", save(&[0; STATE_LEN_MAX + 1])),
        ("end", end),
        ("lose", lose),
        ("cancel", cancel),
        ("retry", JobEntry::Retry { jobs }),
        ("pause", JobEntry::Pause { paused: true }),
        ("purge", JobEntry::Purge),
    ];
    let entries = pushes().into_iter().chain(entries);
    entries
        .map(|(name, entry)| (name, entry.encode()))
        .collect()
}

fn pushes() -> [(&'static str, JobEntry); 3] {
    let push = |options| JobEntry::Push {
        payload: b"photo.jpg".to_vec(),
        options,
    };
    let keyed = PushOptions {
        key: JobKey::new("order 4711").ok(),
        order_key: JobKey::new("praça").ok(),
        ..PushOptions::default()
    };
    let recurring = PushOptions {
        cron: CronExpr::new("30 3 * * MON-FRI").ok(),
        not_before: WallTime(1_700_000_000_000),
        ..PushOptions::default()
    };
    [
        ("push", push(PushOptions::default())),
        ("push-keyed", push(keyed)),
        ("push-recurring", push(recurring)),
    ]
}

/// Seeds of [`crate::job_fold`].
pub fn job_stories() -> Vec<(&'static str, Vec<u8>)> {
    // What is said, by whom, and then what that kind needs; the clock is the last.
    let claim = |clock| [0x80, 0, clock];
    let done = |clock| [0xc3, 0, 200, 0, 5, clock];
    let failed = |clock| [0xc3, 0, 200, 5, 5, 9, clock];
    let rounds = [&[0x46][..], &claim(1), &done(2), &claim(3), &done(4)].concat();
    let tries = [&[0x09][..], &claim(1), &failed(2), &claim(3), &failed(4)].concat();
    let lost = [&[0x03][..], &claim(1), &[0x85, 1, 0, 0, 9, 255], &claim(3)].concat();
    vec![("rounds", rounds), ("tries", tries), ("lost", lost)]
}

/// Seeds of [`crate::seal()`].
pub fn sealing_plans() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("once", vec![0, 20, 1, 1, 0, 0]),
        ("replay", vec![0, 20, 1, 1, 0, 0, 1, 0, 0, 0, 9, 9, 1, 1, 0]),
        ("forge", vec![0, 20, 1, 2, 0, 5, 3, 0, 9, 1, 0, 0, 2, 0, 7]),
    ]
}

fn sealed(builder: BatchBuilder, deps: &[(AuthorId, Seq)]) -> Batch {
    let key = SigningKey::from_seed(&[9; 32]);
    builder.seal(&key, Incarnation([1; 8]), Hash::ZERO, deps)
}

fn topic(name: &str) -> Topic {
    Topic::new(name).expect("a valid name")
}

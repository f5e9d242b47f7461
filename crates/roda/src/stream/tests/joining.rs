//! Joining, from the token to the first batch.

use std::time::Duration;

use roda_proto::group::InviteToken;
use roda_proto::stream::Refusal;
use roda_proto::wire::join::{Offer, Probe, group_tag};
use roda_proto::{Destination, GroupId, WallTime};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::messages::{GROUP, Memory, keys};
use super::{address, identity};
use crate::net::{Net, RecvBatch};
use crate::stream::fetch::{Admission, join_at};
use crate::stream::{Fetched, JoinError, Listener, StreamError, discover, serve};

fn token(hints: Vec<std::net::SocketAddr>) -> InviteToken {
    InviteToken {
        group: GROUP,
        seed: Zeroizing::new([8; 16]),
        expires: WallTime(0),
        hints,
    }
}

/// The network of one test; tests running at once must not hear each other.
fn open(test: u8) -> Net {
    let mut id = [test; 16];
    id[..4].copy_from_slice(&std::process::id().to_be_bytes());
    id[4..8].copy_from_slice(b"join");
    Net::open(&GroupId(id), &["127.0.0.1".to_owned()]).unwrap()
}

/// Answers probes and streams like a member, for as long as it is polled.
async fn member(net: Net, seed: u8, admits: Result<(), Refusal>) {
    let identity = identity(seed);
    let mut listener = Listener::bind(&identity).unwrap();
    let mut memory = Memory::new(identity.node());
    memory.admits = admits;
    let stream_port = listener.port().unwrap();
    let answering = async {
        let mut batch = RecvBatch::new();
        loop {
            let (_via, datagrams) = net.recv(&mut batch).await;
            let probes =
                datagrams.filter_map(|(from, datagram)| Some((from, Probe::parse(datagram)?)));
            for (from, probe) in probes.collect::<Vec<_>>() {
                assert_eq!(probe.group_tag, group_tag(&GROUP));
                assert_eq!(probe.invite, token(vec![]).id());
                let offer = |nonce| Offer {
                    group_tag: probe.group_tag,
                    nonce,
                    stream_port,
                };
                let forged = Offer {
                    stream_port: 1,
                    ..offer([0; 8])
                };
                let offers = [forged.encode(), offer(probe.nonce).encode()];
                net.send(&Destination::Address(from), &offers).await;
            }
        }
    };
    let serving = async {
        loop {
            let stream = listener.accept().await;
            let served = serve(stream, &memory).await;
            assert!(admits.is_err() || served.is_ok(), "{served:?}");
        }
    };
    tokio::join!(answering, serving);
}

async fn join(net: Net, token: InviteToken, time_max: Duration) -> Result<Admission, JoinError> {
    discover(&net, &identity(1), &token, "ana", &[4; 32], time_max).await
}

async fn assert_brings_all(admission: Admission) {
    assert_eq!(admission.keys, keys());
    let (sink, mut source) = mpsc::channel(100);
    admission.fetch(&sink).await.unwrap();
    drop(sink);
    let mut count = 0;
    while let Some(fetched) = source.recv().await {
        assert!(matches!(fetched, Fetched::Batch(_)));
        count += 1;
    }
    assert_eq!(count, 8);
}

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(700);

#[tokio::test]
async fn a_joiner_finds_members_by_multicast_and_goes_on_until_one_admits_it() {
    let members = async {
        tokio::join!(
            member(open(1), 2, Err(Refusal::UnknownInvite)),
            member(open(1), 3, Ok(())),
            member(open(1), 4, Err(Refusal::Busy)),
        )
    };
    let joining = async {
        let admission = join(open(1), token(vec![]), LONG).await.unwrap();
        assert_eq!(admission.peer, identity(3).node());
        assert_brings_all(admission).await;
    };
    tokio::select! {
        _ended = members => unreachable!("members go on"),
        () = joining => {}
    }
}

#[tokio::test]
async fn a_hint_is_enough_where_multicast_does_not_arrive() {
    // Another group's address: no probe arrives but by the hint.
    let far = open(3);
    let hint = far.local_addresses()[0];
    let joining = async {
        let admission = join(open(2), token(vec![hint]), LONG).await.unwrap();
        assert_brings_all(admission).await;
    };
    tokio::select! {
        () = member(far, 2, Ok(())) => unreachable!("a member goes on"),
        () = joining => {}
    }
}

#[tokio::test]
async fn the_most_telling_refusal_is_reported() {
    let members = async {
        tokio::join!(
            member(open(4), 2, Err(Refusal::UnknownInvite)),
            member(open(4), 3, Err(Refusal::UsedUp)),
            member(open(4), 4, Err(Refusal::Busy)),
        )
    };
    tokio::select! {
        _ended = members => unreachable!("members go on"),
        joined = join(open(4), token(vec![]), SHORT) => {
            assert!(matches!(joined, Err(JoinError::Refused(Refusal::UsedUp))));
        }
    }
}

#[tokio::test]
async fn where_nobody_is_nobody_answers() {
    let joined = join(open(5), token(vec![]), Duration::from_millis(250)).await;
    assert!(matches!(joined, Err(JoinError::NobodyAnswered)));
}

#[tokio::test]
async fn a_proof_passed_on_by_another_member_does_not_admit() {
    // The member that checks is not the one to which the joiner proved its right.
    let mut listener = Listener::bind(&identity(2)).unwrap();
    let memory = Memory::new(identity(9).node());
    let at = address(&listener);
    let (joiner, token) = (identity(1), token(vec![]));
    let joining = join_at(&joiner, at, &token, "ana", &[4; 32]);
    let serving = async { serve(listener.accept().await, &memory).await };
    let (joined, served) = tokio::join!(joining, serving);
    for error in [joined.err(), served.err()] {
        assert!(matches!(
            error,
            Some(StreamError::Refused(Refusal::BadProof))
        ));
    }
}

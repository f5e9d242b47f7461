//! Blobs, whole and from peers that lie about them.

use roda_proto::stream::{BLOB_PART_LEN, Refusal, Request, Response};
use roda_proto::{GroupId, Hash, crypto};
use tokio::time;

use super::messages::{GROUP, Memory};
use super::{identity, pair};
use crate::stream::connection::Stream;
use crate::stream::{StreamError, fetch_blob, serve};

const LEN: usize = 2 * BLOB_PART_LEN + 5;

fn blob() -> Vec<u8> {
    (0..LEN).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

/// What comes of a request to a peer that answers with these.
async fn answered(answers: Vec<Response>) -> Result<Vec<u8>, StreamError> {
    let (caller, mut called) = pair().await;
    let answering = async {
        let request = called.recv_request().await.unwrap();
        assert!(matches!(request, Request::Blob(_)));
        for answer in &answers {
            // The asker may have seen enough.
            let sent = called.send_response(answer).await;
            if sent.is_err() || called.flush().await.is_err() {
                break;
            }
        }
        called
    };
    let hash = crypto::content_hash(&blob());
    let fetching = fetch_blob(caller, GROUP, hash, LEN);
    let (fetched, _called) = tokio::join!(fetching, answering);
    fetched
}

fn parts(bytes: &[u8], len: usize) -> Vec<Response> {
    let part = |part: &[u8]| Response::Part(part.to_vec().into());
    bytes.chunks(len).map(part).collect()
}

/// The right answer.
fn right() -> Vec<Response> {
    [parts(&blob(), BLOB_PART_LEN), vec![Response::Done]].concat()
}

async fn served(
    memory: &Memory,
    (caller, called): (Stream, Stream),
    group: GroupId,
    hash: Hash,
) -> Result<Vec<u8>, StreamError> {
    let (fetched, _) = tokio::join!(fetch_blob(caller, group, hash, LEN), serve(called, memory));
    fetched
}

#[tokio::test]
async fn a_member_gets_a_blob_by_its_hash_and_nobody_else_does() {
    let mut memory = Memory::new(identity(2).node());
    memory.blobs = vec![vec![1; 10], blob()];
    let hash = crypto::content_hash(&blob());
    let got = served(&memory, pair().await, GROUP, hash).await;
    assert!(got.unwrap() == blob());
    let refused = |got: Result<Vec<u8>, StreamError>| match got {
        Err(StreamError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    let other = served(&memory, pair().await, GROUP, Hash([9; 32])).await;
    assert_eq!(refused(other), Refusal::NoBlob);
    let other = served(&memory, pair().await, GroupId([6; 16]), hash).await;
    assert_eq!(refused(other), Refusal::OtherGroup);
    memory.members.clear();
    let other = served(&memory, pair().await, GROUP, hash).await;
    assert_eq!(refused(other), Refusal::NotMember);
}

#[tokio::test]
async fn whatever_is_not_exactly_the_blob_is_an_error() {
    assert!(answered(right()).await.unwrap() == blob());
    let mut changed = blob();
    changed[LEN - 1] ^= 1;
    let longer = [blob(), vec![0]].concat();
    let with_done = |bytes: &[u8]| {
        let done = vec![Response::Done];
        [parts(bytes, BLOB_PART_LEN), done].concat()
    };
    for (what, answers) in [
        ("another content", with_done(&changed)),
        ("a byte more", with_done(&longer)),
        ("a byte less", with_done(&blob()[1..])),
        ("nothing", vec![Response::Done]),
        ("small parts", parts(&blob(), 1000)),
        ("large parts", parts(&blob(), BLOB_PART_LEN + 1)),
        ("empty parts", vec![Response::Part(Vec::new().into())]),
        ("without end", parts(&vec![7; 4 * LEN], BLOB_PART_LEN)),
        ("a batch", vec![Response::Batch(blob().into())]),
        ("keys", vec![Response::Keys(Vec::new())]),
    ] {
        let got = answered(answers).await;
        assert!(matches!(got, Err(StreamError::Protocol(_))), "{what}");
    }
}

#[tokio::test]
async fn one_that_sends_a_part_now_and_then_is_left_in_the_end() {
    let (caller, mut called) = pair().await;
    time::pause();
    let len = 100 * BLOB_PART_LEN;
    let fetching = fetch_blob(caller, GROUP, Hash([1; 32]), len);
    let dripping = async {
        let _request = called.recv_request().await.unwrap();
        let part = Response::Part(vec![0; BLOB_PART_LEN].into());
        loop {
            time::sleep(crate::stream::MESSAGE_TIME_MAX / 2).await;
            let sent = called.send_response(&part).await;
            if sent.is_err() || called.flush().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        fetched = fetching => assert!(matches!(fetched, Err(StreamError::TimedOut))),
        () = dripping => unreachable!("it never ends"),
    }
}

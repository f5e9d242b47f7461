//! How much of this node one that does nothing, or too much, can take.

use std::io;

use roda_proto::stream::{Refusal, Response, STREAM_MESSAGE_LEN_MAX};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{self, Instant, timeout};

use super::{address, call, identity, pair};
use crate::stream::{
    HANDSHAKE_TIME_MAX, HANDSHAKES_MAX, Listener, MESSAGE_TIME_MAX, STREAMS_MAX, StreamError,
    connect,
};

#[tokio::test]
async fn the_longest_message_passes_and_a_longer_one_is_refused_by_its_length_alone() {
    let (mut caller, mut called) = pair().await;
    let header_len = 8;
    let longest = vec![7; STREAM_MESSAGE_LEN_MAX - header_len];
    let sending = async {
        called.send_batch(&longest).await.unwrap();
        called.flush().await.unwrap();
    };
    let (received, ()) = tokio::join!(caller.recv_response(), sending);
    assert_eq!(received.unwrap(), Response::Batch(longest.clone().into()));

    let longer = [longest.as_slice(), &[7]].concat();
    let refused = called.send_batch(&longer).await;
    assert!(matches!(refused, Err(StreamError::Protocol(_))));

    let len = u32::try_from(STREAM_MESSAGE_LEN_MAX).unwrap() + 1;
    caller.send_raw(&len.to_be_bytes()).await.unwrap();
    let refused = called.recv_request().await;
    assert!(
        matches!(refused, Err(StreamError::Io(error)) if error.kind() == io::ErrorKind::InvalidData)
    );
}

#[tokio::test]
async fn a_message_that_does_not_parse_or_is_cut_off_is_an_error() {
    let (mut caller, mut called) = pair().await;
    caller.send_raw(&[0, 0, 0, 2, 0xff, 0xff]).await.unwrap();
    let malformed = called.recv_request().await;
    assert!(matches!(malformed, Err(StreamError::Protocol(_))));

    caller.send_raw(&[0, 0, 0, 2, 0xff]).await.unwrap();
    drop(caller);
    let cut_off = called.recv_request().await;
    assert!(
        matches!(cut_off, Err(StreamError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof)
    );
}

#[tokio::test]
async fn a_silent_peer_is_left_after_the_time_for_one_message() {
    let (_caller, mut called) = pair().await;
    time::pause();
    let start = Instant::now();
    let idle = called.recv_request().await;
    assert!(matches!(idle, Err(StreamError::TimedOut)));
    assert_eq!(start.elapsed().as_secs(), MESSAGE_TIME_MAX.as_secs());
}

#[tokio::test]
async fn a_peer_that_trickles_has_no_more_time_than_a_silent_one() {
    let (mut caller, mut called) = pair().await;
    time::pause();
    let start = Instant::now();
    let trickling = async {
        caller.send_raw(&[0, 1, 0, 0]).await.unwrap();
        let mut pace = time::interval(MESSAGE_TIME_MAX / 20);
        loop {
            pace.tick().await;
            caller.send_raw(&[0]).await.unwrap();
        }
    };
    tokio::select! {
        refused = called.recv_request() => assert!(matches!(refused, Err(StreamError::TimedOut))),
        () = trickling => {}
    }
    assert_eq!(start.elapsed().as_secs(), MESSAGE_TIME_MAX.as_secs());
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_left_too() {
    let (_caller, mut called) = pair().await;
    time::pause();
    let batch = vec![0; 200_000];
    let stuck = async {
        loop {
            match called.send_batch(&batch).await {
                Ok(()) => {}
                Err(error) => return error,
            }
        }
    };
    assert!(matches!(stuck.await, StreamError::TimedOut));
}

#[tokio::test]
async fn silent_strangers_are_dropped_and_do_not_keep_others_out_for_long() {
    let mut listener = Listener::bind(&identity(2)).unwrap();
    let mut strangers = Vec::new();
    for _ in 0..2 * HANDSHAKES_MAX {
        strangers.push(TcpStream::connect(address(&listener)).await.unwrap());
    }
    time::pause();
    // The first ones take all places, the others come after them.
    let nobody = timeout(HANDSHAKE_TIME_MAX * 3, listener.accept()).await;
    assert!(nobody.is_err());
    for mut stranger in strangers {
        let closed = stranger.read(&mut [0; 8]).await;
        assert!(!matches!(closed, Ok(1..)));
    }
    time::resume();
    let caller = call(&identity(1), &mut listener).await;
    assert_eq!(caller.unwrap().peer, identity(2).node());
}

#[tokio::test]
async fn one_asker_too_many_is_told_that_this_node_is_busy() {
    let mut listener = Listener::bind(&identity(2)).unwrap();
    let caller = identity(1);
    let mut streams = Vec::new();
    for _ in 0..STREAMS_MAX {
        let calling = connect(&caller, address(&listener), None);
        let (calling, accepted) = tokio::join!(calling, listener.accept());
        streams.push((calling.unwrap(), accepted));
    }
    let address = address(&listener);
    let asking = async {
        let stream = connect(&caller, address, None).await;
        stream.unwrap().recv_response().await.unwrap()
    };
    let answer = tokio::select! {
        _accepted = listener.accept() => panic!("one too many"),
        answer = asking => answer,
    };
    assert_eq!(answer, Response::Refused(Refusal::Busy));
    streams.pop();
    let caller = call(&caller, &mut listener).await;
    assert!(caller.is_ok());
}

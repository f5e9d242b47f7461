//! Streams between two nodes on loopback, and what strangers try.

mod blobs;
mod handshake;
mod joining;
mod limits;
mod messages;

use std::net::{Ipv4Addr, SocketAddr};

use super::connection::Stream;
use super::{Listener, StreamError, TlsIdentity, connect};

pub(super) fn identity(seed: u8) -> TlsIdentity {
    TlsIdentity::new(&[seed; 32]).unwrap()
}

pub(super) fn address(listener: &Listener) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, listener.port().unwrap()))
}

/// Both ends of a stream.
pub(super) async fn pair() -> (Stream, Stream) {
    let (caller, called) = (identity(1), identity(2));
    let mut listener = Listener::bind(&called).unwrap();
    let calling = connect(&caller, address(&listener), Some(called.node()));
    let (calling, accepted) = tokio::join!(calling, listener.accept());
    (calling.unwrap(), accepted)
}

/// What `caller` gets when it calls `listener`, which accepts whoever else may be there meanwhile.
pub(super) async fn call(
    caller: &TlsIdentity,
    listener: &mut Listener,
) -> Result<Stream, StreamError> {
    let mut calling = std::pin::pin!(connect(caller, address(listener), None));
    loop {
        tokio::select! {
            called = &mut calling => return called,
            _accepted = listener.accept() => {}
        }
    }
}

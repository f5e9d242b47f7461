//! Asking on a stream: for admission, or for what is missing.

use std::net::SocketAddr;

use roda_proto::group::InviteToken;
use roda_proto::stream::{
    EpochKey, JoinRequest, Request, Response, SyncRequest, join_proof_message,
};
use roda_proto::{NodeId, Rejected};
use tokio::sync::mpsc;

use super::StreamError;
use super::connection::{Stream, connect};
use super::identity::TlsIdentity;

/// What a stream brings, in the order in which it is to be taken in. Nothing of it is checked yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// Group keys.
    Keys(Vec<EpochKey>),
    /// A batch, signed by its author.
    Batch(Vec<u8>),
}

/// Asks a member for what is missing and hands it to `sink` until all has come.
///
/// Waits while `sink` is full, and the far end with it. Not cancel-safe: dropped, a part has come,
/// which a later request does not ask for again.
///
/// # Errors
/// The far end refuses, breaks the protocol or fails; `sink` may have got a part.
pub(crate) async fn fetch(
    mut stream: Stream,
    request: SyncRequest,
    sink: &mpsc::Sender<Fetched>,
) -> Result<(), StreamError> {
    stream.send_request(&Request::Sync(request)).await?;
    drain(&mut stream, sink).await
}

/// A member's yes, and the stream on which the group's log follows.
pub(crate) struct Admission {
    /// Who admitted this node.
    pub(crate) peer: NodeId,
    /// Where.
    pub(crate) address: SocketAddr,
    /// The group's keys.
    pub(crate) keys: Vec<EpochKey>,
    stream: Stream,
}

impl Admission {
    /// Hands the log to `sink` until all has come; as [`fetch`] does.
    ///
    /// # Errors
    /// The far end breaks the protocol or fails; `sink` may have got a part.
    pub(crate) async fn fetch(mut self, sink: &mpsc::Sender<Fetched>) -> Result<(), StreamError> {
        drain(&mut self.stream, sink).await
    }
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admission")
            .field("peer", &self.peer)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Asks whoever is at `address` for admission.
///
/// Not cancel-safe: dropped, this node may have been admitted; asking again is harmless.
///
/// # Errors
/// [`StreamError::Refused`] if the member says no; otherwise it cannot be reached or fails.
pub(crate) async fn join_at(
    identity: &TlsIdentity,
    address: SocketAddr,
    token: &InviteToken,
    nick: &str,
    wrap_key: &[u8; 32],
) -> Result<Admission, StreamError> {
    let mut stream = connect(identity, address, None).await?;
    let message = join_proof_message(&token.group, &identity.node(), &stream.peer);
    let request = JoinRequest {
        group: token.group,
        invite: token.id(),
        proof: token.signing_key().sign(&message).to_vec(),
        wrap_key: *wrap_key,
        nick: nick.to_owned(),
    };
    stream.send_request(&Request::Join(request)).await?;
    match stream.recv_response().await? {
        Response::Keys(keys) => Ok(Admission {
            peer: stream.peer,
            address,
            keys,
            stream,
        }),
        Response::Refused(refusal) => Err(StreamError::Refused(refusal)),
        Response::Batch(_) | Response::Done | Response::Part(_) => Err(Rejected::Malformed.into()),
    }
}

async fn drain(stream: &mut Stream, sink: &mpsc::Sender<Fetched>) -> Result<(), StreamError> {
    loop {
        let fetched = match stream.recv_response().await? {
            Response::Keys(keys) => Fetched::Keys(keys),
            Response::Batch(batch) => Fetched::Batch(batch.into()),
            Response::Refused(refusal) => return Err(StreamError::Refused(refusal)),
            Response::Done => return Ok(()),
            Response::Part(_) => return Err(Rejected::Malformed.into()),
        };
        let handed = sink.send(fetched).await;
        handed.map_err(|_receiver_gone| StreamError::Stopped)?;
    }
}

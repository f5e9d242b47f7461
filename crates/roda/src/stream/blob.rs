//! Large checkpoints over a stream: asking for one by its hash, and sending it.

use std::time::Duration;

use roda_proto::stream::{BLOB_PART_LEN, BlobRequest, Request, Response};
use roda_proto::{GroupId, Hash, Rejected, crypto};
use tokio::time::timeout;

use super::StreamError;
use super::connection::Stream;
use super::serve::Handler;

/// Longest time for a whole blob, whether it is waited for or sent.
pub(crate) const BLOB_TIME_MAX: Duration = Duration::from_secs(60);

/// Asks a member for a blob of which the hash and the length are known; returns it whole.
///
/// The far end decides nothing: each part has the one length that it has to have, so neither memory
/// nor the number of messages goes beyond what was asked for.
///
/// Cancel-safe: dropped, nothing has changed.
///
/// # Errors
/// [`StreamError::Refused`] if the far end does not have it, or says no; else it sends something else or
/// fails.
pub(crate) async fn fetch_blob(
    mut stream: Stream,
    group: GroupId,
    hash: Hash,
    len: usize,
) -> Result<Vec<u8>, StreamError> {
    let fetching = async {
        let request = Request::Blob(BlobRequest { group, hash });
        stream.send_request(&request).await?;
        let mut blob = Vec::new();
        while blob.len() < len {
            let part_len = BLOB_PART_LEN.min(len - blob.len());
            match stream.recv_response().await? {
                Response::Part(part) if part.len() == part_len => blob.extend_from_slice(&part),
                other => return Err(unexpected(other)),
            }
        }
        match stream.recv_response().await? {
            Response::Done if crypto::content_hash(&blob) == hash => Ok(blob),
            Response::Done => Err(Rejected::Malformed.into()),
            other => Err(unexpected(other)),
        }
    };
    timeout(BLOB_TIME_MAX, fetching)
        .await
        .map_err(|_elapsed| StreamError::TimedOut)?
}

fn unexpected(response: Response) -> StreamError {
    match response {
        Response::Refused(refusal) => StreamError::Refused(refusal),
        Response::Keys(_) | Response::Batch(_) | Response::Part(_) | Response::Done => {
            Rejected::Malformed.into()
        }
    }
}

/// Sends a member the blob that it asks for.
pub(super) async fn answer(
    stream: &mut Stream,
    handler: &impl Handler,
    hash: Hash,
) -> Result<(), StreamError> {
    let allowed = handler.sync_allowed(stream.peer).await;
    allowed.map_err(StreamError::Refused)?;
    let blob = handler.blob(hash).await.map_err(StreamError::Refused)?;
    let sending = async {
        for part in blob.as_ref().chunks(BLOB_PART_LEN) {
            let part = Response::Part(part.to_vec().into());
            stream.send_response(&part).await?;
        }
        stream.send_response(&Response::Done).await?;
        stream.flush().await
    };
    timeout(BLOB_TIME_MAX, sending)
        .await
        .map_err(|_elapsed| StreamError::TimedOut)?
}

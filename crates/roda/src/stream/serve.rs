//! Answering a stream: admitting a joiner, bringing a member up to date.

use std::future::Future;
use std::sync::Arc;

use roda_proto::stream::{
    BlobRequest, EpochKey, JoinRequest, LinkRequest, Refusal, Request, Response, SyncRequest,
};
use roda_proto::{AuthorId, EpochTag, GroupId, Hash, NodeId, Seq};

use super::connection::Stream;
use super::{StreamError, blob};

/// What serving needs of the node.
pub(crate) trait Handler: Send + Sync {
    /// Where a reader of batches stands; its default is the beginning.
    type Cursor: Default + Send;
    /// A blob while it is being sent.
    type Blob: AsRef<[u8]> + Send + Sync;

    /// The group of this node.
    fn group(&self) -> GroupId;

    /// Checks the request of `peer` and admits it; `Ok` once that is durable.
    fn admit(
        &self,
        peer: NodeId,
        request: JoinRequest,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Whether `peer` may have the log and the keys.
    fn sync_allowed(&self, peer: NodeId) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Whether `peer` may send frames.
    fn link_allowed(&self, peer: NodeId) -> Result<(), Refusal>;

    /// Takes the frames of a link until it ends. The caller's own stream listens on `port`.
    fn link(
        &self,
        stream: Stream,
        port: u16,
    ) -> impl Future<Output = Result<(), StreamError>> + Send;

    /// The group keys that are not in `known`.
    fn keys_except(
        &self,
        known: &[EpochTag],
    ) -> impl Future<Output = Result<Vec<EpochKey>, Refusal>> + Send;

    /// The next batches that one who has `have` lacks, in causal order.
    fn batches_after(
        &self,
        have: &[(AuthorId, Seq)],
        cursor: Self::Cursor,
    ) -> impl Future<Output = Result<Page<Self::Cursor>, Refusal>> + Send;

    /// A large checkpoint, whole.
    fn blob(&self, hash: Hash) -> impl Future<Output = Result<Self::Blob, Refusal>> + Send;
}

/// A part of the batches that an asker lacks.
pub(crate) struct Page<Cursor> {
    /// The batches; few enough to be held in memory.
    pub(crate) batches: Vec<Arc<[u8]>>,
    /// Where to go on; `None` at the end.
    pub(crate) next: Option<Cursor>,
}

/// Answers the one request of a stream, and closes it.
///
/// Not cancel-safe: dropped, the far end gets a part of the answer and no `Done`. An admission that
/// was granted stays granted.
///
/// # Errors
/// [`StreamError::Refused`] if this node said no; otherwise the far end or the connection failed.
pub(crate) async fn serve(mut stream: Stream, handler: &impl Handler) -> Result<(), StreamError> {
    let request = stream.recv_request().await?;
    let answered = match request {
        Request::Link(request) => return answer_link(stream, handler, request).await,
        Request::Join(request) => answer_join(&mut stream, handler, request).await,
        Request::Sync(request) => answer_sync(&mut stream, handler, request).await,
        Request::Blob(request) => answer_blob(&mut stream, handler, request).await,
    };
    match answered {
        Ok(()) => stream.close().await,
        Err(StreamError::Refused(refusal)) => {
            stream.refuse(refusal).await?;
            Err(StreamError::Refused(refusal))
        }
        Err(other) => Err(other),
    }
}

/// Listens until the far end has nothing more to say, or is no member any more.
async fn answer_link(
    mut stream: Stream,
    handler: &impl Handler,
    request: LinkRequest,
) -> Result<(), StreamError> {
    let allowed = match check_group(handler, &request.group) {
        Ok(()) => handler.link_allowed(stream.peer),
        Err(_other_group) => Err(Refusal::OtherGroup),
    };
    if let Err(refusal) = allowed {
        stream.refuse(refusal).await?;
        return Err(StreamError::Refused(refusal));
    }
    stream.release_place();
    handler.link(stream, request.stream_port).await
}

async fn answer_join(
    stream: &mut Stream,
    handler: &impl Handler,
    request: JoinRequest,
) -> Result<(), StreamError> {
    check_group(handler, &request.group)?;
    let admitted = handler.admit(stream.peer, request).await;
    admitted.map_err(StreamError::Refused)?;
    send_missing(stream, handler, &[], &[]).await
}

async fn answer_sync(
    stream: &mut Stream,
    handler: &impl Handler,
    request: SyncRequest,
) -> Result<(), StreamError> {
    check_group(handler, &request.group)?;
    let allowed = handler.sync_allowed(stream.peer).await;
    allowed.map_err(StreamError::Refused)?;
    send_missing(stream, handler, &request.have, &request.epochs).await
}

async fn answer_blob(
    stream: &mut Stream,
    handler: &impl Handler,
    request: BlobRequest,
) -> Result<(), StreamError> {
    check_group(handler, &request.group)?;
    blob::answer(stream, handler, request.hash).await
}

fn check_group(handler: &impl Handler, asked: &GroupId) -> Result<(), StreamError> {
    if handler.group() == *asked {
        Ok(())
    } else {
        Err(StreamError::Refused(Refusal::OtherGroup))
    }
}

async fn send_missing(
    stream: &mut Stream,
    handler: &impl Handler,
    have: &[(AuthorId, Seq)],
    epochs: &[EpochTag],
) -> Result<(), StreamError> {
    let keys = handler.keys_except(epochs).await;
    let keys = keys.map_err(StreamError::Refused)?;
    stream.send_response(&Response::Keys(keys)).await?;
    stream.flush().await?;
    let mut cursor = Some(Default::default());
    while let Some(at) = cursor {
        let page = handler.batches_after(have, at).await;
        let page = page.map_err(StreamError::Refused)?;
        for batch in &page.batches {
            stream.send_batch(batch).await?;
        }
        cursor = page.next;
    }
    stream.send_response(&Response::Done).await
}

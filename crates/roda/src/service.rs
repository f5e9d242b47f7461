//! What this node does for others on streams: admit joiners, bring members up to date.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use roda_proto::stream::{EpochKey, JoinRequest, Refusal};
use roda_proto::{AuthorId, Command, EpochTag, GroupId, Hash, NodeId, Seq};
use roda_store::{CATCH_UP_LEN_MAX, Reader};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::driver::Request;
use crate::error::Error;
use crate::job::{Served, Serving};
use crate::link::Links;
use crate::lock::Switchboard;
use crate::stream::{Handler, Listener, Page, Stream, StreamError, serve};
use crate::view::View;

/// Answers streams until the node stops.
pub(crate) async fn run(mut listener: Listener, service: Service) {
    let mut streams = JoinSet::new();
    loop {
        tokio::select! {
            stream = listener.accept() => {
                let service = service.clone();
                streams.spawn(async move {
                    let (peer, address) = (stream.peer, stream.address);
                    if let Err(error) = serve(stream, &service).await {
                        tracing::debug!(peer = %peer.short(), %address, %error, "stream ended");
                    }
                });
            }
            Some(_ended) = streams.join_next() => {}
        }
    }
}

/// Serves one group from its database.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) database: PathBuf,
    pub(crate) view: watch::Receiver<View>,
    /// Weak: a stream under way does not keep the node alive.
    pub(crate) requests: mpsc::WeakSender<Request>,
    pub(crate) links: Links,
    pub(crate) switchboard: Arc<Switchboard>,
    pub(crate) serving: Arc<Serving>,
}

/// Where a reader of batches stands: what the asker has once it took the pages so far.
#[derive(Default)]
pub(crate) struct Cursor {
    reader: Option<Arc<Mutex<Reader>>>,
    have: Option<Vec<(AuthorId, Seq)>>,
}

impl Handler for Service {
    type Cursor = Cursor;
    type Blob = Served;

    fn group(&self) -> GroupId {
        self.view.borrow().group
    }

    async fn admit(&self, peer: NodeId, request: JoinRequest) -> Result<(), Refusal> {
        let JoinRequest {
            invite,
            proof,
            wrap_key,
            nick,
            ..
        } = request;
        let requests = self.requests.upgrade().ok_or(Refusal::Busy)?;
        let (answer, answered) = oneshot::channel();
        let command = Command::Admit {
            node: peer,
            invite,
            proof,
            wrap_key,
            nick,
        };
        requests
            .send(Request::Command(command, answer))
            .await
            .map_err(|_stopped| Refusal::Busy)?;
        match answered.await {
            Ok(Ok(_receipt)) => Ok(()),
            Ok(Err(Error::Refused(refusal))) => Err(refusal),
            Ok(Err(Error::GroupFull)) => Err(Refusal::GroupFull),
            Ok(Err(_)) | Err(_) => Err(Refusal::Busy),
        }
    }

    async fn sync_allowed(&self, peer: NodeId) -> Result<(), Refusal> {
        let view = self.view.borrow();
        if view.is_failed {
            return Err(Refusal::Busy);
        }
        if view.members.iter().any(|member| member.node == peer) {
            Ok(())
        } else {
            Err(Refusal::NotMember)
        }
    }

    fn link_allowed(&self, peer: NodeId) -> Result<(), Refusal> {
        self.links.allows(peer)
    }

    async fn link(&self, stream: Stream, port: u16) -> Result<(), StreamError> {
        self.links.meet(stream.peer, stream.address, port);
        let switchboard = Arc::clone(&self.switchboard);
        self.links.listen(stream, switchboard).await
    }

    async fn keys_except(&self, known: &[EpochTag]) -> Result<Vec<EpochKey>, Refusal> {
        let view = self.view.borrow();
        let unknown = view.keys.iter().filter(|key| !known.contains(&key.tag));
        Ok(unknown
            .map(|key| EpochKey {
                secret: *key.secret,
                created: key.created,
            })
            .collect())
    }

    async fn batches_after(
        &self,
        have: &[(AuthorId, Seq)],
        cursor: Cursor,
    ) -> Result<Page<Cursor>, Refusal> {
        let have = cursor.have.unwrap_or_else(|| have.to_vec());
        let database = self.database.clone();
        let read = move || {
            let reader = match cursor.reader {
                Some(reader) => reader,
                None => Arc::new(Mutex::new(Reader::open(&database)?)),
            };
            let page = {
                let reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
                reader.batches_after(&have, CATCH_UP_LEN_MAX)?
            };
            let next = (!page.batches.is_empty()).then(|| Cursor {
                reader: Some(reader),
                have: Some(page.have),
            });
            Ok::<_, roda_store::StoreError>(Page {
                batches: page.batches,
                next,
            })
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(page)) => Ok(page),
            Ok(Err(error)) => {
                tracing::error!(%error, "cannot read for a peer");
                Err(Refusal::Busy)
            }
            Err(_panicked) => Err(Refusal::Busy),
        }
    }

    async fn blob(&self, hash: Hash) -> Result<Served, Refusal> {
        let transfer = self.serving.begin(hash)?;
        let database = self.database.clone();
        let read = move || Reader::open(&database)?.blob(&hash);
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(Some(bytes))) => Ok(transfer.of(bytes)),
            Ok(Ok(None)) => Err(Refusal::NoBlob),
            Ok(Err(error)) => {
                tracing::error!(%error, "cannot read for a peer");
                Err(Refusal::Busy)
            }
            Err(_panicked) => Err(Refusal::Busy),
        }
    }
}

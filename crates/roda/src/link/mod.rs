//! Links: what members tell each other apart from the log, on streams that stay open.
//!
//! A link goes one way. Whoever has something to say calls, so two nodes that talk have two links, and
//! nobody has to decide which of two simultaneous calls counts. Frames arrive in order while a link
//! lives. When it breaks, those under way are lost: every protocol above asks again.

mod calls;
mod outgoing;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use roda_proto::stream::{CallService, LinkFrame, Refusal};
use roda_proto::token::LockMessage;
use roda_proto::{GroupId, NodeId};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::stream::{Stream, StreamError, TlsIdentity};
use crate::view::View;
use calls::Calls;
use outgoing::Outgoing;

pub(crate) use calls::CallError;

/// Unacknowledged data breaks a link after this time.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// Most frames that wait for one peer; further ones are dropped.
const QUEUE_MAX: usize = 4096;
/// Most questions of one peer that are being answered at once; further ones are dropped.
const ANSWERING_MAX: usize = 256;

/// Where members' streams listen, as far as they were heard.
pub(crate) type Contacts = BTreeMap<NodeId, SocketAddr>;

/// What takes the frames of others.
pub(crate) trait LinkHandler: Send + Sync + 'static {
    /// Something about locks. Must not block.
    fn on_lock(&self, from: NodeId, message: LockMessage);

    /// A question; `None`: no answer.
    fn on_call(
        &self,
        from: NodeId,
        service: CallService,
        body: Vec<u8>,
    ) -> impl Future<Output = Option<Vec<u8>>> + Send;
}

/// All links of a node. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Links {
    shared: Arc<Shared>,
}

struct Shared {
    identity: TlsIdentity,
    group: GroupId,
    /// Where this node's stream listens.
    port: u16,
    contacts: watch::Receiver<Contacts>,
    /// Where members that called said that their streams listen. A member restarted elsewhere is known
    /// by that at once, and by its key for certain.
    met: Mutex<Contacts>,
    view: watch::Receiver<View>,
    outgoing: Mutex<BTreeMap<NodeId, Outgoing>>,
    incoming: Mutex<BTreeMap<NodeId, AbortHandle>>,
    calls: Calls,
}

impl Links {
    pub(crate) fn new(
        identity: TlsIdentity,
        group: GroupId,
        port: u16,
        contacts: watch::Receiver<Contacts>,
        view: watch::Receiver<View>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                identity,
                group,
                port,
                contacts,
                met: Mutex::default(),
                view,
                outgoing: Mutex::default(),
                incoming: Mutex::default(),
                calls: Calls::default(),
            }),
        }
    }

    /// Sends a frame, if the peer can be reached; dials if there is no link yet. Never blocks.
    pub(crate) fn send(&self, to: NodeId, frame: &LinkFrame) {
        let bytes = roda_proto::stream::encode(frame);
        let mut outgoing = lock(&self.shared.outgoing);
        let link = outgoing.entry(to).or_insert_with(|| self.dial(to));
        let Err(bytes) = link.send(bytes) else { return };
        // It had ended, for want of anything to say or because the peer was gone.
        let fresh = self.dial(to);
        // A new queue has room.
        let _has_room = fresh.send(bytes).is_ok();
        *link = fresh;
    }

    /// Asks a question and waits for the reply.
    ///
    /// Cancel-safe: dropped, a reply is ignored.
    ///
    /// # Errors
    /// No reply in time, or the peer does not want to answer.
    pub(crate) async fn call(
        &self,
        to: NodeId,
        service: CallService,
        body: Vec<u8>,
        time: Duration,
    ) -> Result<Vec<u8>, CallError> {
        let pending = self.shared.calls.begin(to);
        let frame = LinkFrame::Call {
            id: pending.id(),
            service,
            body: body.into(),
        };
        self.send(to, &frame);
        match tokio::time::timeout(time, pending.reply()).await {
            Ok(Some(body)) => Ok(body),
            Ok(None) => Err(CallError::Refused),
            Err(_elapsed) => Err(CallError::TimedOut),
        }
    }

    /// A member has called from this address, and listens on this port.
    pub(crate) fn meet(&self, node: NodeId, address: SocketAddr, port: u16) {
        if port != 0 {
            let address = SocketAddr::new(address.ip(), port);
            // Only members get here, so there are no more than a group has.
            lock(&self.shared.met).insert(node, address);
        }
    }

    /// Whether the node was ever heard, so that it can be called.
    pub(crate) fn knows(&self, node: NodeId) -> bool {
        self.shared.contacts.borrow().contains_key(&node)
            || lock(&self.shared.met).contains_key(&node)
    }

    /// Opens a stream to a member, for a request of its own.
    ///
    /// Cancel-safe: dropped, the connection is closed.
    ///
    /// # Errors
    /// It cannot be reached where it was last heard, nor where it said itself.
    pub(crate) async fn call_stream(&self, to: NodeId) -> Result<Stream, StreamError> {
        match outgoing::call(&self.shared, to, 0).await {
            Ok(stream) => Ok(stream),
            Err(_elsewhere) => outgoing::call(&self.shared, to, 1).await,
        }
    }

    /// The group whose members are linked.
    pub(crate) fn group(&self) -> GroupId {
        self.shared.group
    }

    /// Whether frames of a node are wanted.
    pub(crate) fn allows(&self, peer: NodeId) -> Result<(), Refusal> {
        let view = self.shared.view.borrow();
        if view.members.iter().any(|member| member.node == peer) {
            Ok(())
        } else {
            Err(Refusal::NotMember)
        }
    }

    /// Takes the frames of a peer until its link ends, it opens another, or it is no member any more.
    ///
    /// # Errors
    /// Why the link ended.
    pub(crate) async fn listen(
        &self,
        stream: Stream,
        handler: Arc<impl LinkHandler>,
    ) -> Result<(), StreamError> {
        stream.limit_silence(SILENCE_MAX)?;
        let peer = stream.peer;
        let links = self.clone();
        let mut task = JoinSet::new();
        let listening = task.spawn(async move { links.read(stream, handler).await });
        if let Some(older) = lock(&self.shared.incoming).insert(peer, listening) {
            older.abort();
        }
        let mut view = self.shared.view.clone();
        let is_gone = |view: &View| !view.members.iter().any(|member| member.node == peer);
        tokio::select! {
            Some(ended) = task.join_next() => ended.unwrap_or(Err(StreamError::Stopped)),
            _gone = view.wait_for(is_gone) => Err(StreamError::Refused(Refusal::NotMember)),
        }
    }

    async fn read(
        &self,
        mut stream: Stream,
        handler: Arc<impl LinkHandler>,
    ) -> Result<(), StreamError> {
        let peer = stream.peer;
        let mut answering = JoinSet::new();
        loop {
            match stream.recv_frame().await? {
                LinkFrame::Lock(message) => handler.on_lock(peer, message),
                LinkFrame::Reply { id, body } => {
                    let body = body.map(Vec::from);
                    self.shared.calls.end(peer, id, body);
                }
                LinkFrame::Call { id, service, body } => {
                    while answering.try_join_next().is_some() {}
                    if answering.len() >= ANSWERING_MAX {
                        continue;
                    }
                    let (links, handler) = (self.clone(), Arc::clone(&handler));
                    answering.spawn(async move {
                        let body = handler.on_call(peer, service, body.into()).await;
                        let body = body.map(Into::into);
                        links.send(peer, &LinkFrame::Reply { id, body });
                    });
                }
            }
        }
    }

    fn dial(&self, to: NodeId) -> Outgoing {
        Outgoing::start(Arc::clone(&self.shared), to)
    }

    /// Ends all links.
    pub(crate) fn close(&self) {
        lock(&self.shared.outgoing).clear();
        for (_, listening) in std::mem::take(&mut *lock(&self.shared.incoming)) {
            listening.abort();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

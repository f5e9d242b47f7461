//! A topic: append, subscribe, read back.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use roda_proto::log::{BODY_LEN_MAX, Hold};
use roda_proto::token::{Fence, Frontier, LockName};
use roda_proto::{Batch, Command, Topic};
use roda_store::{FenceMark, FencedEntry, Reader, StoreError};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::error::{Error, Result};
use crate::node::Node;
use crate::types::{HistoryQuery, Message, Receipt};

/// A handle on a topic. Cheap to clone.
#[derive(Clone)]
pub struct TopicHandle {
    pub(crate) node: Node,
    pub(crate) topic: Topic,
}

impl TopicHandle {
    /// Appends one message; returns when it survives power loss here. The others get it as soon as
    /// the network carries it.
    ///
    /// Cancel-safe in this sense: dropped, the message may or may not be appended, never half.
    ///
    /// # Errors
    /// [`Error::TooLong`], [`Error::NotMember`], [`Error::DiskFull`] and the like.
    pub async fn append(&self, body: impl Into<Vec<u8>>) -> Result<Receipt> {
        self.append_all(vec![body.into()]).await
    }

    /// Appends several in order; returns when all survive power loss here.
    ///
    /// Dropped, any number of them, from the first on, may be appended.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub async fn append_all(&self, bodies: Vec<Vec<u8>>) -> Result<Receipt> {
        if let Some(long) = bodies.iter().find(|body| body.len() > BODY_LEN_MAX) {
            return Err(Error::TooLong(long.len()));
        }
        self.node
            .command(Command::Append {
                topic: self.topic.clone(),
                bodies,
            })
            .await
    }

    /// Appends several in order, written under a lock; returns when all survive power loss here.
    ///
    /// `fence` is that of the hold, and `seen` the lock's frontier with which it began. A holder that has
    /// lost the lock without knowing it may still get here: nothing is appended if this node knows that a
    /// later holder wrote to the topic. Otherwise such messages are appended, and everyone sees them
    /// marked as late ([`FenceMark::late`]) once a later holder that had not seen them has written.
    ///
    /// Dropped, any number of them, from the first on, may be appended.
    ///
    /// # Errors
    /// [`Error::OldFence`]; else as [`Self::append`]. The limit of a message holds for what is stored,
    /// which is the text with lock, fence and frontier.
    pub async fn append_fenced(
        &self,
        lock: LockName,
        fence: Fence,
        seen: Frontier,
        bodies: Vec<Vec<u8>>,
    ) -> Result<Receipt> {
        let hold = Hold::new(lock, fence, seen);
        if let Some(longest) = bodies.iter().max_by_key(|body| body.len()) {
            let len = hold.entry_body(longest).len();
            if len > BODY_LEN_MAX {
                return Err(Error::TooLong(len));
            }
        }
        let (topic, lock) = (self.topic.clone(), hold.lock.clone());
        let newest = self
            .node
            .read(move |reader| reader.newest_fence(&topic, &lock));
        match newest.await? {
            Some(newest) if newest > fence => Err(Error::OldFence { fence, newest }),
            Some(_) | None => {
                let topic = self.topic.clone();
                self.node
                    .command(Command::AppendFenced {
                        topic,
                        hold,
                        bodies,
                    })
                    .await
            }
        }
    }

    /// Messages delivered from now on, own ones included, in causal order.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        Subscription {
            topic: self.topic.clone(),
            database: self.node.shared.database.clone(),
            batches: self
                .node
                .shared
                .delivered
                .upgrade()
                .map(|delivered| delivered.subscribe()),
            ready: Vec::new().into_iter(),
            waiting: None,
        }
    }

    /// What is stored, in canonical order.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`] if nothing was ever said there.
    pub async fn history(&self, query: HistoryQuery) -> Result<History> {
        let (path, home) = (
            self.node.shared.database.clone(),
            self.node.shared.home.clone(),
        );
        let topic = self.topic.clone();
        let opened = blocking(move || {
            let reader = Reader::open(&path).map_err(|error| Error::store(&home, error))?;
            let known = reader
                .topics()
                .map_err(|error| Error::store(&home, error))?;
            if !known.iter().any(|known| known.topic == topic) {
                return Err(Error::UnknownTopic(topic));
            }
            let query = roda_store::HistoryQuery {
                since: query.since,
                last: query.last,
                ..Default::default()
            };
            let history = reader
                .history(&topic, &query)
                .map_err(|error| Error::store(&home, error))?;
            Ok(Pages {
                reader,
                history,
                topic,
                home,
            })
        });
        Ok(History {
            pages: Arc::new(Mutex::new(opened.await?)),
        })
    }
}

/// Runs what may wait for the disk away from the runtime's threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_panicked_or_cancelled| Error::Stopped)?
}

struct Pages {
    reader: Reader,
    history: roda_store::History,
    topic: Topic,
    home: PathBuf,
}

/// A page-wise reader: it holds little memory however long the history is.
pub struct History {
    pages: Arc<Mutex<Pages>>,
}

impl History {
    /// The next messages, at most a few hundred; none at the end.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn next_page(&mut self) -> Result<Vec<Message>> {
        let pages = Arc::clone(&self.pages);
        blocking(move || {
            let mut pages = pages.lock().unwrap_or_else(PoisonError::into_inner);
            let Pages {
                reader,
                history,
                topic,
                home,
            } = &mut *pages;
            let page = history
                .next_page(reader)
                .map_err(|error| Error::store(home, error))?;
            Ok(page
                .into_iter()
                .map(|entry| message(entry, topic))
                .collect())
        })
        .await
    }
}

pub(crate) fn message(entry: roda_store::StoredEntry, topic: &Topic) -> Message {
    Message {
        author: entry.author,
        node: entry.node,
        seq: entry.seq,
        hlc: entry.hlc,
        topic: topic.clone(),
        body: entry.body,
        fence: entry.fence,
    }
}

/// The subscriber fell so far behind that messages were dropped for it; the history has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the subscriber fell behind")]
pub struct Lagged;

type Receiver = broadcast::Receiver<Arc<Batch>>;
type Received = (std::result::Result<Vec<Message>, RecvError>, Receiver);

/// A stream of messages, also as [`futures_core::Stream`]. It ends when the node stops.
///
/// Whether a message is late ([`FenceMark::late`]) is told as it was known at its delivery.
pub struct Subscription {
    topic: Topic,
    database: PathBuf,
    batches: Option<Receiver>,
    ready: std::vec::IntoIter<Message>,
    waiting: Option<Pin<Box<dyn Future<Output = Received> + Send>>>,
}

impl Subscription {
    /// The next message; `None` when the node has stopped. Cancel-safe.
    ///
    /// # Errors
    /// [`Lagged`] once, each time messages had to be dropped; it goes on with what came later.
    pub async fn next(&mut self) -> Option<std::result::Result<Message, Lagged>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// All messages that are there, at least one; empty when the node has stopped. Cancel-safe.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn next_batch(&mut self) -> std::result::Result<Vec<Message>, Lagged> {
        match self.next().await {
            None => Ok(Vec::new()),
            Some(first) => Ok(std::iter::once(first?)
                .chain(std::mem::take(&mut self.ready))
                .collect()),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<std::result::Result<Message, Lagged>>> {
        loop {
            if let Some(message) = self.ready.next() {
                return Poll::Ready(Some(Ok(message)));
            }
            let mut waiting = match (self.waiting.take(), self.batches.take()) {
                (Some(waiting), _) => waiting,
                (None, Some(receiver)) => {
                    let (topic, database) = (self.topic.clone(), self.database.clone());
                    Box::pin(receive(receiver, topic, database))
                }
                (None, None) => return Poll::Ready(None),
            };
            match waiting.as_mut().poll(cx) {
                Poll::Pending => {
                    self.waiting = Some(waiting);
                    return Poll::Pending;
                }
                Poll::Ready((Ok(messages), receiver)) => {
                    self.batches = Some(receiver);
                    self.ready = messages.into_iter();
                }
                Poll::Ready((Err(RecvError::Lagged(_)), receiver)) => {
                    self.batches = Some(receiver);
                    return Poll::Ready(Some(Err(Lagged)));
                }
                Poll::Ready((Err(RecvError::Closed), _)) => return Poll::Ready(None),
            }
        }
    }
}

impl futures_core::Stream for Subscription {
    type Item = std::result::Result<Message, Lagged>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll(cx)
    }
}

/// The messages of the next batch. If it cannot be told whether they are late, the subscriber has to
/// look into the history, as after falling behind.
async fn receive(mut receiver: Receiver, topic: Topic, database: PathBuf) -> Received {
    let received = match receiver.recv().await {
        Ok(batch) => marked(messages_of(&batch, &topic), topic, database).await,
        Err(error) => Err(error),
    };
    (received, receiver)
}

fn messages_of(batch: &Batch, topic: &Topic) -> Vec<Message> {
    if !batch.topics().any(|name| name == topic.as_str()) {
        return Vec::new();
    }
    let mark = |hold: Hold| FenceMark {
        lock: hold.lock,
        fence: hold.fence,
        late: false,
    };
    let said = batch.entries().filter_map(|entry| {
        let said = entry.said().filter(|said| said.topic == topic.as_str())?;
        Some(Message {
            author: batch.author,
            node: batch.node,
            seq: entry.seq,
            hlc: entry.hlc,
            topic: topic.clone(),
            body: said.body.to_vec(),
            fence: said.hold.map(mark),
        })
    });
    said.collect()
}

/// Marks late messages. Only those that are fenced cost a look into the database.
async fn marked(
    mut messages: Vec<Message>,
    topic: Topic,
    database: PathBuf,
) -> std::result::Result<Vec<Message>, RecvError> {
    if messages.iter().all(|message| message.fence.is_none()) {
        return Ok(messages);
    }
    let marking = tokio::task::spawn_blocking(move || {
        mark_late(&mut messages, &topic, &database).map(|()| messages)
    });
    match marking.await {
        Ok(Ok(messages)) => Ok(messages),
        Ok(Err(error)) => {
            tracing::warn!(%error, "cannot tell which messages are late");
            Err(RecvError::Lagged(1))
        }
        Err(_cancelled) => Err(RecvError::Closed),
    }
}

fn mark_late(
    messages: &mut [Message],
    topic: &Topic,
    database: &Path,
) -> std::result::Result<(), StoreError> {
    let fenced = messages.iter().filter_map(|message| {
        let FenceMark { lock, fence, .. } = message.fence.as_ref()?;
        Some(FencedEntry {
            lock,
            fence: *fence,
            author: &message.author,
            seq: message.seq,
        })
    });
    let late = Reader::open(database)?.late(topic, &fenced.collect::<Vec<_>>())?;
    let marks = messages.iter_mut().filter_map(|said| said.fence.as_mut());
    for (mark, late) in marks.zip(late) {
        mark.late = late;
    }
    Ok(())
}

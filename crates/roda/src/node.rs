//! A running node.

mod found;
pub(crate) mod start;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use roda_proto::group::InviteToken;
use roda_proto::token::Frontier;
use roda_proto::{AuthorId, Batch, Command, MemberInfo, NodeId, Seq, Topic, WallTime};
use roda_store::{Reader, Store};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use zeroize::Zeroizing;

use crate::driver::{Request, wall};
use crate::error::{Error, Result};
use crate::home::{VOTERS_LOG, hints, put_aside, report};
use crate::job::Jobs;
use crate::lock::LockService;
use crate::mirror::Mirrors;
use crate::random;
use crate::readers::Readers;
use crate::topic::{TopicHandle, blocking};
use crate::types::{MirrorInfo, Receipt, Status, TopicInfo, VerifyReport};
use crate::view::View;

/// How long a node that left still answers.
const LEAVE_LINGER: Duration = Duration::from_millis(300);
/// Fewest digits of a node id that name a member.
const ID_DIGITS_MIN: usize = 4;

/// A running node. Cheap to clone; the node stops when `shutdown` is called or the last handle is gone.
#[derive(Clone)]
pub struct Node {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) home: PathBuf,
    pub(crate) database: PathBuf,
    readers: Arc<Readers>,
    /// Weak: subscriptions end when the driver does, although handles may remain.
    pub(crate) delivered: broadcast::WeakSender<Arc<Batch>>,
    node: NodeId,
    requests: mpsc::Sender<Request>,
    pub(crate) view: watch::Receiver<View>,
    head: watch::Receiver<(AuthorId, Seq)>,
    stopped: watch::Receiver<bool>,
    mirrors: Arc<Mirrors>,
    pub(crate) locks: Arc<LockService>,
    pub(crate) jobs: Arc<Jobs>,
}

impl Node {
    pub(crate) async fn command(&self, command: Command) -> Result<Receipt> {
        let (answer, answered) = oneshot::channel();
        self.request(Request::Command(command, answer)).await?;
        answered.await.map_err(|_stopped| Error::Stopped)?
    }

    pub(crate) async fn request(&self, request: Request) -> Result<()> {
        self.shared
            .requests
            .send(request)
            .await
            .map_err(|_stopped| Error::Stopped)
    }

    /// This node.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        self.shared.node
    }

    /// The group's name for people.
    #[must_use]
    pub fn group_name(&self) -> String {
        self.shared
            .view
            .borrow()
            .group_name
            .clone()
            .unwrap_or_default()
    }

    /// A topic by name; it comes into being with its first message.
    #[must_use]
    pub fn topic(&self, topic: Topic) -> TopicHandle {
        TopicHandle {
            node: self.clone(),
            topic,
        }
    }

    /// All topics in which something was said.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn topics(&self) -> Result<Vec<TopicInfo>> {
        let known = self.read(|reader| reader.topics()).await?;
        let info = |known: roda_store::TopicSummary| TopicInfo {
            topic: known.topic,
            entries: known.entries,
            last: known.last,
        };
        Ok(known.into_iter().map(info).collect())
    }

    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> std::result::Result<T, roda_store::StoreError> + Send + 'static,
    ) -> Result<T> {
        let (readers, home) = (Arc::clone(&self.shared.readers), self.shared.home.clone());
        blocking(move || {
            let answer = readers.ask(read);
            answer.map_err(|error| Error::store(&home, error))
        })
        .await
    }

    /// The log that this node writes, and the last entry in it that survives power loss. Never behind a
    /// [`Receipt`] that was returned.
    #[must_use]
    pub fn head(&self) -> (AuthorId, Seq) {
        *self.shared.head.borrow()
    }

    /// Returns once this node durably has every entry that the frontier names, and so all that those
    /// who wrote them had seen. Entries that can never come, because a removal took them back or their
    /// author signed two logs, are not waited for. Cancel-safe.
    ///
    /// # Errors
    /// [`Error::LockRefused`] if too many wait already, [`Error::Stopped`].
    pub async fn reached(&self, frontier: Frontier) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        self.request(Request::Reached(frontier, answer)).await?;
        answered.await.map_err(|_stopped| Error::Stopped)?
    }

    /// Members, this node first.
    ///
    /// # Errors
    /// None now; the node may be remote in future.
    pub async fn members(&self) -> Result<Vec<MemberInfo>> {
        // Presence and backlog change without an event: ask for a fresh view.
        self.status().await?;
        Ok(self.shared.view.borrow().members.clone())
    }

    /// The state of the node.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn status(&self) -> Result<Status> {
        let (answer, answered) = oneshot::channel();
        self.request(Request::Status(answer)).await?;
        answered.await.map_err(|_stopped| Error::Stopped)
    }

    /// Makes an invite that lets `uses` machines join within `lifetime`.
    ///
    /// # Errors
    /// As for every write.
    pub async fn invite(&self, uses: u32, lifetime: Duration) -> Result<InviteToken> {
        let view = self.shared.view.borrow().clone();
        let lifetime = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        let token = InviteToken {
            group: view.group,
            seed: Zeroizing::new(random::bytes()?),
            expires: WallTime(wall().0.saturating_add(lifetime)),
            hints: hints(&view.addresses),
        };
        let command = Command::Invite {
            invite: token.id(),
            uses,
            expires: token.expires,
        };
        self.command(command).await?;
        Ok(token)
    }

    /// Removes a member, named by its nick or at least four digits of its id, and changes the group
    /// key: it can read and write nothing from then on.
    ///
    /// # Errors
    /// [`Error::UnknownMember`] or [`Error::AmbiguousMember`].
    pub async fn remove(&self, member: &str) -> Result<NodeId> {
        let members = self.members().await?;
        let by_nick = members.iter().filter(|known| known.nick == member);
        let by_id = members.iter().filter(|known| {
            member.len() >= ID_DIGITS_MIN && known.node.to_hex().starts_with(member)
        });
        let mut found: Vec<NodeId> = by_nick.chain(by_id).map(|known| known.node).collect();
        found.sort_unstable();
        found.dedup();
        match found[..] {
            [] => Err(Error::UnknownMember(member.to_owned())),
            [node] if node == self.shared.node => Err(Error::RemoveSelf),
            [node] => {
                let removed = self.command(Command::Remove { node }).await;
                removed.map_err(|error| match error {
                    Error::UnknownMember(_) => Error::UnknownMember(member.to_owned()),
                    other => other,
                })?;
                Ok(node)
            }
            [..] => Err(Error::AmbiguousMember(member.to_owned())),
        }
    }

    /// Leaves the group for good, stops the node, and puts its database aside as `roda.db.left-N`, so
    /// that the home is free for another group. A node that was removed does the last two.
    ///
    /// # Errors
    /// The database cannot be put aside.
    pub async fn leave(&self) -> Result<()> {
        self.shared.locks.retire().await;
        match self.command(Command::Leave).await {
            // The others repair what they miss from each other; a moment is enough for the first copy.
            Ok(_receipt) => tokio::time::sleep(LEAVE_LINGER).await,
            Err(Error::NotMember) => {}
            Err(other) => return Err(other),
        }
        self.shutdown().await?;
        put_aside(&self.shared.database)?;
        // Its votes are worth nothing to another group.
        put_aside(&self.shared.home.join(VOTERS_LOG))
    }

    /// Keeps the file at `path` a replica of the topic, now and after every start.
    ///
    /// # Errors
    /// [`Error::NotAMirror`] if there is a file that holds something else.
    pub async fn mirror(&self, topic: Topic, path: &Path) -> Result<()> {
        let mirrors = &self.shared.mirrors;
        let path = std::path::absolute(path).map_err(|error| Error::file(path, &error))?;
        mirrors.check(&topic, &path).await?;
        let (to_add, of) = (path.clone(), topic.clone());
        self.store(move |store| store.add_mirror(&of, &to_add).map(|_is_new| ()))
            .await?;
        mirrors.add(topic, path);
        Ok(())
    }

    /// Stops keeping a mirror; the file stays. Returns whether there was one.
    ///
    /// # Errors
    /// As for every write.
    pub async fn unmirror(&self, path: &Path) -> Result<bool> {
        let mirrors = &self.shared.mirrors;
        let path = std::path::absolute(path).map_err(|error| Error::file(path, &error))?;
        let gone = path.clone();
        self.store(move |store| store.remove_mirror(&gone).map(|_was| ()))
            .await?;
        Ok(mirrors.remove(&path))
    }

    pub(crate) async fn store<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Store) -> std::result::Result<T, roda_store::StoreError> + Send + 'static,
    ) -> Result<T> {
        let (found, finding) = oneshot::channel();
        let job = move |store: &mut Store| {
            // Whoever asked may be gone.
            job(store).map(|value| drop(found.send(value)))
        };
        let (answer, answered) = oneshot::channel();
        self.request(Request::Store(Box::new(job), answer)).await?;
        let done = answered.await.map_err(|_stopped| Error::Stopped)?;
        done.map_err(|error| Error::store(&self.shared.home, error))?;
        finding.await.map_err(|_stopped| Error::Stopped)
    }

    /// The members as they were last published; their presence may be a moment old.
    pub(crate) fn known_members(&self) -> Vec<MemberInfo> {
        self.shared.view.borrow().members.clone()
    }

    /// All mirrors of this node.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn mirrors(&self) -> Result<Vec<MirrorInfo>> {
        Ok(self.shared.mirrors.list())
    }

    /// Checks the database and every signature while the node runs.
    ///
    /// # Errors
    /// The check cannot begin; what it finds is in the report.
    pub async fn verify(&self) -> Result<VerifyReport> {
        self.read(|reader| reader.verify(|_progress| {}))
            .await
            .map(report)
    }

    /// Stops cleanly: what was acknowledged is durable, the peers are told. Cancel-safe.
    ///
    /// # Errors
    /// None; stopping twice is fine.
    pub async fn shutdown(&self) -> Result<()> {
        self.shared.readers.close();
        // If the driver is gone already, all is done.
        let _gone = self.request(Request::Shutdown).await;
        self.stopped().await
    }

    /// Returns when the node has stopped, for whatever reason. Cancel-safe.
    ///
    /// # Errors
    /// None.
    pub async fn stopped(&self) -> Result<()> {
        let mut stopped = self.shared.stopped.clone();
        // An error means that the sender is gone, and the node with it.
        let _gone = stopped.wait_for(|stopped| *stopped).await;
        Ok(())
    }
}

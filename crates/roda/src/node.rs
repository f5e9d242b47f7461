//! A running node.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use roda_proto::group::{InviteToken, founding_group_id, short_name};
use roda_proto::{
    Batch, Command, EpochRecord, GroupId, Hlc, Identity, Incarnation, MemberInfo, NodeId, Record,
    Topic, WallTime, crypto,
};
use roda_store::{Reader, Store};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use zeroize::Zeroizing;

use crate::driver::{CatchUp, Driver, FETCHED_MAX, Parts, Published, Request, wall};
use crate::error::{Error, Result};
use crate::mirror::Mirrors;
use crate::net::{Net, OpenError};
use crate::random;
use crate::service::{self, Service};
use crate::stream::{JoinError, Listener, TlsIdentity, discover};
use crate::topic::{TopicHandle, blocking};
use crate::types::{MirrorInfo, Options, Receipt, Status, TopicInfo, VerifyReport};
use crate::view::{View, epoch_records};
use crate::writer::Writer;

/// Name of the database within a home.
const DATABASE: &str = "roda.db";
/// Requests that may wait for the driver; senders wait beyond it.
const REQUESTS_MAX: usize = 256;
/// Batches a subscriber may be behind.
const DELIVERED_MAX: usize = 4096;
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
    /// Weak: subscriptions end when the driver does, although handles may remain.
    pub(crate) delivered: broadcast::WeakSender<Arc<Batch>>,
    node: NodeId,
    requests: mpsc::Sender<Request>,
    view: watch::Receiver<View>,
    stopped: watch::Receiver<bool>,
    mirrors: Mutex<Option<Arc<Mirrors>>>,
}

/// What differs between a new, a joining and a returning node.
struct Start {
    store: Store,
    net: Net,
    identity: TlsIdentity,
    admission: Option<CatchUp>,
}

impl Node {
    /// Makes a group and starts its first node.
    ///
    /// # Errors
    /// [`Error::AlreadyInGroup`], or why the home or the network cannot be used.
    pub async fn create(home: &Path, name: &str, options: Options) -> Result<Self> {
        let database = prepare(home)?;
        if database.exists() {
            return Err(Error::AlreadyInGroup(home.into()));
        }
        let seed = Zeroizing::new(random::bytes()?);
        let identity = TlsIdentity::new(&seed).map_err(|error| Error::Store(error.to_string()))?;
        let salt = random::bytes()?;
        let name = short_name(name);
        let group = founding_group_id(&identity.node(), &salt, &name);
        let net = open_net(&group, &options)?;
        let record = Identity {
            seed,
            incarnation: Incarnation(random::bytes()?),
            group,
            group_name: name.clone(),
        };
        let mut store =
            Store::create(&database, &record).map_err(|error| Error::store(home, error))?;
        let secret = Zeroizing::new(random::bytes()?);
        let epoch = EpochRecord {
            tag: crypto::epoch_tag(&secret),
            secret,
            created: Hlc::ZERO,
        };
        store
            .append(&[Record::Epoch(epoch)])
            .map_err(|error| Error::store(home, error))?;
        let nick = options.nick.clone().unwrap_or_else(host_name);
        let node = Self::start(
            home,
            Start {
                store,
                net,
                identity,
                admission: None,
            },
            &options,
        )?;
        node.command(Command::Found { salt, name, nick }).await?;
        Ok(node)
    }

    /// Joins a group; returns once a member has admitted this node and handed over the log.
    ///
    /// # Errors
    /// [`Error::JoinTimeout`] or [`Error::Refused`]: the home is untouched.
    pub async fn join(
        home: &Path,
        token: &InviteToken,
        timeout: Duration,
        options: Options,
    ) -> Result<Self> {
        let database = prepare(home)?;
        if database.exists() {
            return Err(Error::AlreadyInGroup(home.into()));
        }
        if wall() > token.expires {
            return Err(Error::TokenExpired);
        }
        let seed = Zeroizing::new(random::bytes()?);
        let identity = TlsIdentity::new(&seed).map_err(|error| Error::Store(error.to_string()))?;
        let wrap_key = *crypto::WrapKey::from_seed(&seed).public();
        let net = open_net(&token.group, &options)?;
        let nick = options.nick.clone().unwrap_or_else(host_name);
        let found = discover(&net, &identity, token, &nick, &wrap_key, timeout).await;
        let admission = found.map_err(|error| match error {
            JoinError::Refused(refusal) => Error::Refused(refusal),
            JoinError::Unreachable(error) => Error::Network(error.to_string()),
            JoinError::NoRandomness => Error::Store(error.to_string()),
            _nobody => Error::JoinTimeout(timeout),
        })?;
        let record = Identity {
            seed,
            incarnation: Incarnation(random::bytes()?),
            group: token.group,
            group_name: String::new(),
        };
        let mut store =
            Store::create(&database, &record).map_err(|error| Error::store(home, error))?;
        let keys: Vec<Record> = epoch_records(&admission.keys)
            .into_iter()
            .map(Record::Epoch)
            .collect();
        store
            .append(&keys)
            .map_err(|error| Error::store(home, error))?;
        let (sink, fetched) = mpsc::channel(FETCHED_MAX);
        let task = tokio::spawn(async move { admission.fetch(&sink).await });
        let start = Start {
            store,
            net,
            identity,
            admission: Some(CatchUp { fetched, task }),
        };
        let node = Self::start(home, start, &options)?;
        node.wait_until_member(timeout).await?;
        node.command(Command::Introduce { nick }).await?;
        Ok(node)
    }

    /// Until the log says that this node belongs; a broken stream is taken up again by the engine.
    async fn wait_until_member(&self, timeout: Duration) -> Result<()> {
        let mut view = self.shared.view.clone();
        let me = self.shared.node;
        let is_member = view.wait_for(|view| view.members.iter().any(|member| member.node == me));
        match tokio::time::timeout(timeout, is_member).await {
            Ok(Ok(_view)) => Ok(()),
            Ok(Err(_stopped)) => Err(Error::Stopped),
            Err(_elapsed) => Err(Error::JoinTimeout(timeout)),
        }
    }

    /// Starts the node that lives in `home`.
    ///
    /// # Errors
    /// [`Error::NoGroup`], [`Error::AlreadyRunning`], or why the database or the network cannot be used.
    pub async fn open(home: &Path, options: Options) -> Result<Self> {
        let database = home.join(DATABASE);
        let mut store = Store::open(&database).map_err(|error| Error::store(home, error))?;
        if store.was_copied() {
            // A copy must never go on with a log that the original also goes on with.
            tracing::warn!("the database was copied or restored: starting a new incarnation");
            let incarnation = Incarnation(random::bytes()?);
            let renewed = store
                .set_incarnation(incarnation)
                .and_then(|()| store.accept_place());
            renewed.map_err(|error| Error::store(home, error))?;
        }
        let snapshot = store
            .snapshot()
            .map_err(|error| Error::store(home, error))?;
        let identity = TlsIdentity::new(&snapshot.identity.seed)
            .map_err(|error| Error::Store(error.to_string()))?;
        let net = open_net(&snapshot.identity.group, &options)?;
        let node = Self::start(
            home,
            Start {
                store,
                net,
                identity,
                admission: None,
            },
            &options,
        )?;
        node.introduce(&options);
        Ok(node)
    }

    /// In the background: it waits until the peers were heard.
    fn introduce(&self, options: &Options) {
        let node = self.downgrade();
        let wanted = options.nick.clone();
        let mut view = self.shared.view.clone();
        let me = self.shared.node;
        tokio::spawn(async move {
            let nick_in = |view: &View| {
                let own = view.members.iter().find(|member| member.node == me);
                own.map(|member| member.nick.clone())
            };
            let known = view.wait_for(|view| nick_in(view).is_some()).await;
            let Ok(known) = known.map(|view| nick_in(&view)) else {
                return;
            };
            let nick = wanted.or(known).unwrap_or_else(host_name);
            if let Some(requests) = node.upgrade() {
                let (answer, answered) = oneshot::channel();
                if requests
                    .send(Request::Command(Command::Introduce { nick }, answer))
                    .await
                    .is_ok()
                {
                    if let Ok(Err(error)) = answered.await {
                        tracing::warn!(%error, "cannot tell the group this node's name");
                    }
                }
            }
        });
    }

    fn downgrade(&self) -> mpsc::WeakSender<Request> {
        self.shared.requests.downgrade()
    }

    fn start(home: &Path, start: Start, options: &Options) -> Result<Self> {
        let Start {
            store,
            net,
            identity,
            admission,
        } = start;
        let read = |error| Error::store(home, error);
        let snapshot = store.snapshot().map_err(read)?;
        let contacts = store.contacts().map_err(read)?;
        let mirrors = store.mirrors().map_err(read)?;
        let database = store.path().to_path_buf();
        let listener =
            Listener::bind(&identity).map_err(|error| Error::Network(error.to_string()))?;
        let stream_port = listener
            .port()
            .map_err(|error| Error::Network(error.to_string()))?;
        let (writer, written) = Writer::start(store).map_err(|error| Error::file(home, &error))?;
        let (requests, inbox) = mpsc::channel(REQUESTS_MAX);
        let (delivered, _) = broadcast::channel(DELIVERED_MAX);
        let (stable, stable_seen) = watch::channel(Hlc::ZERO);
        let (view, view_seen) = watch::channel(View::new(snapshot.identity.group));
        let (stop, stopped) = watch::channel(false);
        let service = Service {
            database: database.clone(),
            view: view_seen.clone(),
            requests: requests.downgrade(),
        };
        let shared = Shared {
            home: home.into(),
            database: database.clone(),
            delivered: delivered.downgrade(),
            node: identity.node(),
            requests,
            view: view_seen,
            stopped,
            mirrors: Mutex::new(None),
        };
        let driver = Driver::new(Parts {
            home: home.into(),
            snapshot,
            contacts,
            net,
            identity,
            stream_port,
            rate_max: options.rate_max,
            loss: options.danger_loss,
            writer,
            written,
            requests: inbox,
            published: Published {
                delivered,
                stable,
                view,
            },
            admission,
        })?;
        let serving = tokio::spawn(service::run(listener, service));
        let mirrors = Arc::new(Mirrors::start(database, home.into(), stable_seen, mirrors));
        *shared
            .mirrors
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Arc::clone(&mirrors));
        tokio::spawn(async move {
            driver.run().await;
            serving.abort();
            mirrors.stop().await;
            stop.send_replace(true);
        });
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

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

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> std::result::Result<T, roda_store::StoreError> + Send + 'static,
    ) -> Result<T> {
        let (path, home) = (self.shared.database.clone(), self.shared.home.clone());
        blocking(move || {
            let done = Reader::open(&path).and_then(|reader| read(&reader));
            done.map_err(|error| Error::store(&home, error))
        })
        .await
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
        match self.command(Command::Leave).await {
            // The others repair what they miss from each other; a moment is enough for the first copy.
            Ok(_receipt) => tokio::time::sleep(LEAVE_LINGER).await,
            Err(Error::NotMember) => {}
            Err(other) => return Err(other),
        }
        self.shutdown().await?;
        put_aside(&self.shared.database)
    }

    fn mirrors_handle(&self) -> Result<Arc<Mirrors>> {
        let mirrors = self
            .shared
            .mirrors
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        mirrors.clone().ok_or(Error::Stopped)
    }

    /// Keeps the file at `path` a replica of the topic, now and after every start.
    ///
    /// # Errors
    /// [`Error::NotAMirror`] if there is a file that holds something else.
    pub async fn mirror(&self, topic: Topic, path: &Path) -> Result<()> {
        let mirrors = self.mirrors_handle()?;
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
        let mirrors = self.mirrors_handle()?;
        let path = std::path::absolute(path).map_err(|error| Error::file(path, &error))?;
        let gone = path.clone();
        self.store(move |store| store.remove_mirror(&gone).map(|_was| ()))
            .await?;
        Ok(mirrors.remove(&path))
    }

    async fn store(
        &self,
        job: impl FnOnce(&mut Store) -> std::result::Result<(), roda_store::StoreError> + Send + 'static,
    ) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        self.request(Request::Store(Box::new(job), answer)).await?;
        let done = answered.await.map_err(|_stopped| Error::Stopped)?;
        done.map_err(|error| Error::store(&self.shared.home, error))
    }

    /// All mirrors of this node.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn mirrors(&self) -> Result<Vec<MirrorInfo>> {
        Ok(self.mirrors_handle()?.list())
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

fn report(found: roda_store::VerifyReport) -> VerifyReport {
    VerifyReport {
        authors: found.authors,
        batches: found.batches,
        entries: found.entries,
        faults: found.faults,
    }
}

/// Renames the database and what SQLite keeps beside it.
fn put_aside(database: &Path) -> Result<()> {
    let beside = |suffix: &str| {
        let mut name = database.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let free = (1..)
        .map(|n| format!(".left-{n}"))
        .find(|left| !beside(left).exists());
    let left = free.unwrap_or_default();
    for suffix in ["-wal", "-shm", ""] {
        let from = beside(suffix);
        if from.exists() {
            let to = beside(&format!("{left}{suffix}"));
            std::fs::rename(&from, &to).map_err(|error| Error::file(&from, &error))?;
        }
    }
    Ok(())
}

/// Makes the home, readable by its owner only.
fn prepare(home: &Path) -> Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = std::fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(home);
    made.map_err(|error| Error::file(home, &error))?;
    Ok(home.join(DATABASE))
}

fn open_net(group: &GroupId, options: &Options) -> Result<Net> {
    Net::open(group, &options.interfaces).map_err(|error| match error {
        OpenError::UnknownInterface(name) => Error::UnknownInterface(name),
        OpenError::Io(error) if error.kind() == std::io::ErrorKind::AddrInUse => Error::PortInUse,
        OpenError::Io(error) => Error::Network(error.to_string()),
    })
}

/// Addresses worth putting in a token: not those that mean something else on another machine.
fn hints(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_link_local = |address: &SocketAddr| match address {
        SocketAddr::V4(v4) => v4.ip().is_link_local(),
        SocketAddr::V6(v6) => v6.ip().is_unicast_link_local(),
    };
    let usable = addresses.iter().filter(|address| !is_link_local(address));
    usable
        .take(roda_proto::group::invite::HINTS_MAX)
        .copied()
        .collect()
}

fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// Whether a home holds a group, without starting it: the group's name and this node.
///
/// # Errors
/// There is a database, but it cannot be read.
pub fn peek(home: &Path) -> Result<Option<(String, NodeId)>> {
    let path = home.join(DATABASE);
    if !path.exists() {
        return Ok(None);
    }
    let read = |error| Error::store(home, error);
    let reader = Reader::open(&path).map_err(read)?;
    let identity = reader.identity().map_err(read)?;
    let node = crypto::SigningKey::from_seed(&identity.seed).public();
    let name = reader
        .meta("group_name")
        .map_err(read)?
        .unwrap_or(identity.group_name);
    Ok(Some((name, node)))
}

/// Checks the database of a stopped home.
///
/// # Errors
/// The check cannot begin; what it finds is in the report.
pub fn verify_home(home: &Path) -> Result<VerifyReport> {
    let path = home.join(DATABASE);
    let read = |error| Error::store(home, error);
    if !path.exists() {
        return Err(Error::NoGroup(home.into()));
    }
    let reader = Reader::open(&path).map_err(read)?;
    reader.verify(|_progress| {}).map(report).map_err(read)
}

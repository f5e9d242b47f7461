//! How a node comes to run: made, joined, or opened again.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use roda_proto::group::InviteToken;
use roda_proto::{
    AuthorId, Command, GroupId, Hlc, Identity, Incarnation, Seq, Snapshot, Topic, crypto,
};
use roda_store::{Contact, RaftLog, Store, StoreError};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use zeroize::Zeroizing;

use super::found::Founding;
use super::{Node, Shared};
use crate::consensus::fresh_raft_id;
use crate::driver::{CatchUp, Driver, FETCHED_MAX, Parts, Published, Request, wall};
use crate::error::{Error, Result};
use crate::home::{DATABASE, VOTERS_LOG, host_name, prepare};
use crate::job::past;
use crate::job::{Jobs, Serving};
use crate::link::{Contacts, Links};
use crate::lock::{LockParts, LockService};
use crate::mirror::Mirrors;
use crate::net::{Net, OpenError};
use crate::random;
use crate::readers::Readers;
use crate::service::{self, Service};
use crate::stream::{JoinError, Listener, TlsIdentity, discover};
use crate::types::Options;
use crate::view::{View, epoch_records};
use crate::writer::Writer;

/// Requests that may wait for the driver; senders wait beyond it.
const REQUESTS_MAX: usize = 256;
/// Batches a subscriber may be behind.
const DELIVERED_MAX: usize = 4096;

/// The setting of a group's founder that names the log with which the voters begin.
pub(crate) const VOTERS: &str = "voters";
pub(crate) const TO_BE_FOUNDED: &str = "to be founded";

/// The setting of a restored node that names whether it was started since.
pub(crate) const RESTORED: &str = "restored";
pub(crate) const TO_BE_STARTED: &str = "to be started";
const STARTED: &str = "started";
/// How long a restored node listens whether the original lives, at its first start. Beacons come every
/// second, and a node that has just started is answered sooner.
const ORIGINAL_HEARD_WITHIN: Duration = Duration::from_secs(3);

/// What differs between a new, a joining and a returning node.
pub(super) struct Start {
    store: Store,
    net: Net,
    identity: TlsIdentity,
    admission: Option<CatchUp>,
    /// Where members may be, from an invite.
    hints: Vec<SocketAddr>,
}

impl Start {
    /// Of a node that needs nobody for it.
    pub(super) const fn alone(store: Store, net: Net, identity: TlsIdentity) -> Self {
        Self {
            store,
            net,
            identity,
            admission: None,
            hints: Vec::new(),
        }
    }
}

impl Node {
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
        // With the keys, a node that is stopped before it has the log gets it like any that was away.
        let keys = epoch_records(&admission.keys);
        let store = Store::create_with(&database, &record, &keys, &[])
            .map_err(|error| Error::store(home, error))?;
        let (sink, fetched) = mpsc::channel(FETCHED_MAX);
        let task = tokio::spawn(async move { admission.fetch(&sink).await });
        let start = Start {
            store,
            net,
            identity,
            admission: Some(CatchUp { fetched, task }),
            hints: token.hints.clone(),
        };
        let node = Self::start(home, start, &options).await?;
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
        let restored = store.meta(RESTORED);
        let restored = restored.map_err(|error| Error::store(home, error))?;
        let snapshot = store
            .snapshot()
            .map_err(|error| Error::store(home, error))?;
        let identity = TlsIdentity::new(&snapshot.identity.seed)
            .map_err(|error| Error::Store(error.to_string()))?;
        let net = open_net(&snapshot.identity.group, &options)?;
        let unfinished = Founding::unfinished(&store, &snapshot);
        let unfinished = unfinished.map_err(|error| Error::store(home, error))?;
        let node = Self::start(home, Start::alone(store, net, identity), &options).await?;
        if restored.as_deref() == Some(TO_BE_STARTED) {
            node.make_way_for_the_original().await?;
        }
        if let Some(founding) = unfinished {
            tracing::warn!("the group was not quite made when this node was stopped: going on");
            node.found(founding, snapshot.identity.group_name).await?;
        }
        node.introduce(&options);
        Ok(node)
    }

    /// At the first start after a restoration: two nodes with one identity would take each other's
    /// answers about locks, so this one stops if the original is heard.
    async fn make_way_for_the_original(&self) -> Result<()> {
        let mut view = self.shared.view.clone();
        let heard = view.wait_for(|view| view.twin.is_some());
        let heard = tokio::time::timeout(ORIGINAL_HEARD_WITHIN, heard).await;
        let twin = heard.ok().and_then(|view| view.ok()?.twin);
        if let Some(address) = twin {
            self.shutdown().await?;
            return Err(Error::OriginalAlive(address));
        }
        self.store(|store| store.set_meta(RESTORED, STARTED)).await
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
                    && let Ok(Err(error)) = answered.await
                {
                    tracing::warn!(%error, "cannot tell the group this node's name");
                }
            }
        });
    }

    fn downgrade(&self) -> mpsc::WeakSender<Request> {
        self.shared.requests.downgrade()
    }

    pub(super) async fn start(home: &Path, start: Start, options: &Options) -> Result<Self> {
        let Start {
            mut store,
            net,
            identity,
            admission,
            hints,
        } = start;
        let (snapshot, contacts, mirrors) =
            kept(&store).map_err(|error| Error::store(home, error))?;
        let database = store.path().to_path_buf();
        let (listener, stream_port) = listen(&identity)?;
        let (requests, inbox) = mpsc::channel(REQUESTS_MAX);
        let published = publish(snapshot.identity.group, &contacts);
        let (stop, stopped) = watch::channel(false);
        let own = (&identity, stream_port);
        let (links, locks) = start_locks(home, &mut store, own, &published, options).await?;
        let (writer, written) = Writer::start(store).map_err(|error| Error::file(home, &error))?;
        let serving = Serving::new();
        let service = Service {
            database: database.clone(),
            view: published.view.subscribe(),
            requests: requests.downgrade(),
            links: links.clone(),
            switchboard: Arc::clone(&locks.switchboard),
            serving: Arc::clone(&serving),
        };
        let requests_of_past = requests.downgrade();
        let stable = published.stable.subscribe();
        let mirrors = Mirrors::start(database.clone(), home.into(), stable, mirrors);
        let shared = Shared {
            home: home.into(),
            readers: Arc::new(Readers::new(database.clone())),
            database,
            delivered: published.delivered.downgrade(),
            node: identity.node(),
            requests,
            view: published.view.subscribe(),
            head: published.head.subscribe(),
            jobs: Jobs::new(published.jobs.subscribe(), serving, links),
            stopped,
            mirrors: Arc::clone(&mirrors),
            locks: Arc::clone(&locks),
        };
        let driver = Driver::new(Parts {
            home: home.into(),
            snapshot,
            contacts,
            hints,
            net,
            identity,
            stream_port,
            rate_max: options.rate_max,
            loss: options.danger_loss,
            writer,
            written,
            requests: inbox,
            published,
            admission,
        })?;
        tokio::spawn(past::run(requests_of_past, stop.subscribe()));
        let serving = tokio::spawn(service::run(listener, service));
        tokio::spawn(run(driver, serving.abort_handle(), locks, mirrors, stop));
        Ok(Self {
            shared: Arc::new(shared),
        })
    }
}

/// The life of a node, and its end.
async fn run(
    driver: Driver,
    serving: AbortHandle,
    locks: Arc<LockService>,
    mirrors: Arc<Mirrors>,
    stop: watch::Sender<bool>,
) {
    driver.run().await;
    locks.stop().await;
    serving.abort();
    mirrors.stop().await;
    stop.send_replace(true);
}

/// What the store knows that the node begins with: where its log is, whom it knows, and its mirrors.
type Kept = (Snapshot, Vec<Contact>, Vec<(Topic, PathBuf)>);

fn kept(store: &Store) -> std::result::Result<Kept, StoreError> {
    Ok((store.snapshot()?, store.contacts()?, store.mirrors()?))
}

/// Links to other members, and the locks that use them.
async fn start_locks(
    home: &Path,
    store: &mut Store,
    (identity, port): (&TlsIdentity, u16),
    published: &Published,
    options: &Options,
) -> Result<(Links, Arc<LockService>)> {
    let group = published.view.borrow().group;
    let links = Links::new(
        identity.clone(),
        group,
        port,
        published.contacts.subscribe(),
        published.view.subscribe(),
    );
    let (log, found) = open_voters(home, store, group)?;
    let parts = LockParts {
        home: home.into(),
        node: identity.node(),
        group,
        log,
        found,
        timings: options.lock_timings,
        voters_max: options.lock_voters_max.unwrap_or(usize::MAX),
        links: links.clone(),
        view: published.view.subscribe(),
    };
    let locks = LockService::start(parts).await?;
    Ok((links, Arc::new(locks)))
}

/// A listener for streams, and its port.
fn listen(identity: &TlsIdentity) -> Result<(Listener, u16)> {
    let fault = |error: std::io::Error| Error::Network(error.to_string());
    let listener = Listener::bind(identity).map_err(fault)?;
    let port = listener.port().map_err(fault)?;
    Ok((listener, port))
}

/// The voters' log, and whether it is the one with which the voters of this group begin.
fn open_voters(home: &Path, store: &mut Store, group: GroupId) -> Result<(RaftLog, bool)> {
    let fault = |error| Error::store(home, error);
    let fresh = fresh_raft_id().map_err(|error| Error::Store(error.to_string()))?;
    let log = RaftLog::open(&home.join(VOTERS_LOG), group, fresh).map_err(fault)?;
    let id = log.raft_id().to_string();
    let founder = store.meta(VOTERS).map_err(fault)?;
    if founder.as_deref() == Some(TO_BE_FOUNDED) {
        // Noted before the first vote: if this log is lost, another one must not begin again.
        store.set_meta(VOTERS, &id).map_err(fault)?;
        return Ok((log, true));
    }
    Ok((log, founder == Some(id)))
}

/// What handles see before the driver runs; it knows better before anyone can look.
fn publish(group: GroupId, contacts: &[Contact]) -> Published {
    let contacts: Contacts = contacts
        .iter()
        .map(|known| (known.node, known.stream))
        .collect();
    let nobody = AuthorId([0; AuthorId::LEN]);
    Published {
        delivered: broadcast::channel(DELIVERED_MAX).0,
        jobs: watch::channel(0).0,
        stable: watch::channel(Hlc::ZERO).0,
        head: watch::channel((nobody, Seq(0))).0,
        view: watch::channel(View::new(group)).0,
        contacts: watch::channel(contacts).0,
    }
}

pub(super) fn open_net(group: &GroupId, options: &Options) -> Result<Net> {
    Net::open(group, &options.interfaces).map_err(|error| match error {
        OpenError::UnknownInterface(name) => Error::UnknownInterface(name),
        OpenError::Io(error) if error.kind() == std::io::ErrorKind::AddrInUse => Error::PortInUse,
        OpenError::Io(error) => Error::Network(error.to_string()),
    })
}

//! The loop between the engine and the world: the only place that touches sockets, clock and store.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use roda_proto::token::Frontier;
use roda_proto::{
    AuthorId, Batch, Command, CommandId, Config, Deadline, Destination, Engine, Hlc, Input, NodeId,
    Now, Output, Seed, Seq, Snapshot, Via,
};
use roda_store::{Contact, Store, StoreError};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::home::DATABASE;
use crate::link::Contacts;
use crate::net::{Net, REFRESH_INTERVAL, REJOIN_INTERVAL, RecvBatch};
use crate::random;
use crate::stream::{Fetched, StreamError, TlsIdentity};
use crate::types::{Receipt, Status};
use crate::view::View;
use crate::writer::{Writer, Written};

mod catch_up;
mod clock;
mod copies;
mod events;
mod lives;
mod reached;
mod status;

pub(crate) use catch_up::FETCHED_MAX;
pub(crate) use clock::{now_instant, now_since, wall};
use copies::{CopiesAnswer, Watched};
use reached::Reached;

/// Bytes that may wait for the disk before nothing more is read from the network.
const BACKLOG_MAX: usize = 32 << 20;
/// Requests taken at most between a commit and the datagrams that it lets go.
const FOLLOWING_MAX: usize = 64;
/// Contacts kept for the next start.
const CONTACTS_MAX: usize = 256;

/// The problem of a node that was removed, or has left.
const EXPELLED: &str = "expelled";
/// How often the handles are shown who is heard.
const PRESENCE_INTERVAL: Duration = Duration::from_secs(1);

/// Work on the store.
pub(crate) type StoreJob =
    Box<dyn FnOnce(&mut Store) -> std::result::Result<(), StoreError> + Send>;

/// What the handles ask of the driver.
pub(crate) enum Request {
    /// A command for the engine.
    Command(Command, oneshot::Sender<Result<Receipt>>),
    /// Something for the store that the engine has no part in.
    Store(
        StoreJob,
        oneshot::Sender<std::result::Result<(), StoreError>>,
    ),
    /// Wait until this node durably has these entries.
    Reached(Frontier, oneshot::Sender<Result<()>>),
    /// Watch how many members have an entry.
    Copies(AuthorId, Seq, CopiesAnswer),
    /// For `roda status`.
    Status(oneshot::Sender<Status>),
    /// Stop cleanly.
    Shutdown,
}

/// What the driver shares with the handles.
pub(crate) struct Published {
    pub(crate) delivered: broadcast::Sender<Arc<Batch>>,
    /// Counts batches with job entries.
    pub(crate) jobs: watch::Sender<u64>,
    pub(crate) stable: watch::Sender<Hlc>,
    /// This node's author and its last durable entry.
    pub(crate) head: watch::Sender<(AuthorId, Seq)>,
    pub(crate) view: watch::Sender<View>,
    pub(crate) contacts: watch::Sender<Contacts>,
}

/// Everything that a start needs.
pub(crate) struct Parts {
    pub(crate) home: PathBuf,
    pub(crate) snapshot: Snapshot,
    pub(crate) contacts: Vec<Contact>,
    /// More addresses where members may be.
    pub(crate) hints: Vec<SocketAddr>,
    pub(crate) net: Net,
    pub(crate) identity: TlsIdentity,
    pub(crate) stream_port: u16,
    pub(crate) rate_max: Option<u64>,
    pub(crate) loss: f64,
    pub(crate) writer: Writer,
    pub(crate) written: mpsc::UnboundedReceiver<Written>,
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) published: Published,
    /// The log that the admitting member hands over, while joining.
    pub(crate) admission: Option<CatchUp>,
}

/// A catch-up under way.
pub(crate) struct CatchUp {
    pub(crate) fetched: mpsc::Receiver<Fetched>,
    pub(crate) task: JoinHandle<std::result::Result<(), StreamError>>,
}

type Answer = oneshot::Sender<Result<Receipt>>;

pub(crate) struct Driver {
    engine: Engine,
    config: Config,
    home: PathBuf,
    net: Net,
    identity: TlsIdentity,
    writer: Writer,
    written: mpsc::UnboundedReceiver<Written>,
    requests: mpsc::Receiver<Request>,
    published: Published,
    catch_up: Option<CatchUp>,
    /// Why the store does not take anything now.
    failure: Option<Error>,
    answers: BTreeMap<CommandId, Answer>,
    reached: Reached,
    watched: Watched,
    next_command: u64,
    /// The database is being told that this is another life; requests wait.
    is_reincarnating: bool,
    outgoing: Vec<(Destination, Vec<u8>)>,
    deadline: Option<Deadline>,
    contacts: BTreeMap<NodeId, Contact>,
    members_changed: bool,
    problems: BTreeMap<String, String>,
    started: Instant,
    loss: f64,
    dice: u64,
    is_stopping: bool,
}

impl Driver {
    pub(crate) fn new(parts: Parts) -> Result<Self> {
        let config = Config {
            stream_port: parts.stream_port,
            contacts: parts
                .contacts
                .iter()
                .map(|contact| contact.datagram)
                .chain(parts.hints)
                .collect(),
            rate_max: parts.rate_max.unwrap_or_else(|| Config::default().rate_max),
            ..Config::default()
        };
        let started = now_instant();
        let seed = Seed(random::bytes()?);
        let engine = Engine::new(config.clone(), seed, parts.snapshot, now_since(started));
        parts.published.head.send_replace(engine.head());
        let driver = Self {
            engine,
            config,
            home: parts.home,
            net: parts.net,
            identity: parts.identity,
            writer: parts.writer,
            written: parts.written,
            requests: parts.requests,
            published: parts.published,
            catch_up: parts.admission,
            failure: None,
            answers: BTreeMap::new(),
            reached: Reached::default(),
            watched: Watched::default(),
            next_command: 0,
            is_reincarnating: false,
            outgoing: Vec::new(),
            deadline: None,
            contacts: parts
                .contacts
                .into_iter()
                .map(|contact| (contact.node, contact))
                .collect(),
            members_changed: true,
            problems: BTreeMap::new(),
            started,
            loss: parts.loss,
            dice: u64::from_le_bytes(random::bytes()?) | 1,
            is_stopping: false,
        };
        // Whoever has the handle may ask at once who belongs to the group.
        driver.publish_view();
        Ok(driver)
    }

    fn now(&self) -> Now {
        now_since(self.started)
    }

    /// Runs until the node is told to stop, or the last handle is gone.
    pub(crate) async fn run(mut self) {
        let mut batch = RecvBatch::new();
        let mut refresh = tokio::time::interval(REFRESH_INTERVAL);
        let mut rejoin = tokio::time::interval(REJOIN_INTERVAL);
        let mut presence = tokio::time::interval(PRESENCE_INTERVAL);
        presence.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.input(Input::Timeout);
        while !self.is_stopping {
            self.flush().await;
            let wakes_at = self
                .deadline
                .map(|deadline| self.started + Duration::from_micros(deadline.at.as_micros()));
            let has_room = self.writer.backlog() < BACKLOG_MAX;
            tokio::select! {
                (via, datagrams) = self.net.recv(&mut batch), if has_room => {
                    for (source, payload) in datagrams {
                        self.on_datagram(source, via, payload);
                    }
                }
                Some(written) = self.written.recv() => {
                    self.on_written(written);
                    self.take_what_follows().await;
                }
                request = self.requests.recv(), if self.takes_requests() => match request {
                    Some(request) => self.on_request(request),
                    None => break,
                },
                Some(fetched) = catch_up::next(&mut self.catch_up), if has_room => self.on_fetched(fetched),
                () = sleep_until(wakes_at) => self.input(Input::Timeout),
                _ = refresh.tick() => self.refresh(),
                _ = rejoin.tick() => self.net.rejoin(),
                _ = presence.tick() => {
                    // Who is heard changes without an event.
                    self.members_changed = true;
                    self.check_home();
                }
            }
            if self.net.wants_refresh() {
                self.refresh();
            }
        }
        self.stop().await;
    }

    /// What is written to a deleted file is acknowledged, and lost. No command reaches such a node either.
    fn check_home(&mut self) {
        let found = std::fs::metadata(self.home.join(DATABASE));
        if found.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            tracing::error!(home = %self.home.display(), "the node's database was deleted: it stops");
            self.is_stopping = true;
        }
    }

    /// Says goodbye, makes durable what was acknowledged, closes the store.
    async fn stop(mut self) {
        self.input(Input::Command(CommandId(u64::MAX), Command::Bye));
        self.flush().await;
        if let Some(catch_up) = self.catch_up.take() {
            catch_up.task.abort();
        }
        self.fail_answers(&Error::Stopped);
        let writer = self.writer;
        if tokio::task::spawn_blocking(move || writer.close())
            .await
            .is_err()
        {
            tracing::error!("the store was not closed cleanly");
        }
    }

    fn on_datagram(&mut self, source: SocketAddr, via: Via, payload: &mut [u8]) {
        // Multicast comes back to its sender; known by its address it costs next to nothing.
        if self.net.is_own(&source) || (self.loss > 0.0 && self.roll() < self.loss) {
            return;
        }
        if via == Via::Multicast {
            self.net.note(&source, payload);
        }
        self.input(Input::Datagram {
            source,
            via,
            payload,
        });
    }

    /// A uniform share of one (xorshift; Marsaglia, 2003).
    fn roll(&mut self) -> f64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        f64::from(u32::try_from(self.dice >> 32).unwrap_or(0)) / f64::from(u32::MAX)
    }

    /// Gives one input and does all that comes out of it; datagrams wait for [`Self::flush`].
    fn input(&mut self, input: Input<'_>) {
        if let Err(reason) = self.engine.handle_input(self.now(), input) {
            tracing::trace!(%reason, "refused");
        }
        loop {
            match self.engine.poll_output() {
                Output::Persist { id, records } => self.writer.write(id, records),
                Output::Transmit { to, payload } => self.outgoing.push((to, payload)),
                Output::Event(event) => self.on_event(event),
                Output::Wait(deadline) => {
                    self.deadline = deadline;
                    return;
                }
                _newer => {}
            }
        }
    }

    /// Whoever just got a receipt may have more to write: that is on its way to the disk before datagrams are
    /// sent, and they are sent while the disk works.
    async fn take_what_follows(&mut self) {
        tokio::task::yield_now().await;
        for _ in 0..FOLLOWING_MAX {
            if !self.takes_requests() {
                return;
            }
            let Ok(request) = self.requests.try_recv() else {
                return;
            };
            self.on_request(request);
        }
    }

    /// Sends what waits, runs of one destination together, and tells the handles what changed.
    async fn flush(&mut self) {
        let outgoing = std::mem::take(&mut self.outgoing);
        let mut run: Vec<Vec<u8>> = Vec::new();
        let mut to = None;
        for (destination, payload) in outgoing {
            if to != Some(destination) {
                if let Some(to) = to {
                    self.net.send(&to, &run).await;
                }
                run.clear();
                to = Some(destination);
            }
            run.push(payload);
        }
        if let Some(to) = to {
            self.net.send(&to, &run).await;
        }
        if std::mem::take(&mut self.members_changed) {
            self.look_after_copies();
            self.publish_view();
        }
    }

    fn publish_view(&self) {
        let view = View {
            group: self.engine.group(),
            group_name: self.engine.group_name().map(str::to_owned),
            members: self.engine.members(),
            keys: self.engine.epoch_keys(),
            addresses: self.net.local_addresses(),
            twin: self.engine.twin(),
            is_failed: self.failure.is_some(),
            is_expelled: self.problems.contains_key(EXPELLED),
        };
        if let Some(name) = &view.group_name
            && self.published.view.borrow().group_name.as_ref() != Some(name)
        {
            let name = name.clone();
            self.writer
                .run(move |store| store.set_meta("group_name", &name));
        }
        self.published.view.send_replace(view);
    }

    /// Without room in the engine, or while it starts anew, requests wait in their bounded channel.
    fn takes_requests(&self) -> bool {
        self.engine.has_room() && !self.is_reincarnating
    }

    fn answer(&mut self, command: CommandId, result: Result<Receipt>) {
        if let Some(answer) = self.answers.remove(&command) {
            // Whoever asked may have given up.
            let _gone = answer.send(result);
        }
    }

    fn on_request(&mut self, request: Request) {
        match request {
            Request::Command(command, answer) => match &self.failure {
                Some(failure) => {
                    let _gone = answer.send(Err(failure.clone()));
                }
                None => self.command(command, answer),
            },
            Request::Store(job, answer) => self.writer.run(move |store| {
                // The failure is the asker's to handle; it is no reason to open the store again.
                let _gone = answer.send(job(store));
                Ok(())
            }),
            Request::Reached(frontier, answer) => {
                let engine = &self.engine;
                self.reached.wait(frontier, answer, |author, seq| {
                    engine.is_settled(author, seq)
                });
            }
            Request::Copies(author, seq, answer) => self.watch_copies(author, seq, answer),
            Request::Status(answer) => {
                self.publish_view();
                let _gone = answer.send(self.status());
            }
            Request::Shutdown => self.is_stopping = true,
        }
    }

    fn command(&mut self, command: Command, answer: Answer) {
        let id = CommandId(self.next_command);
        self.next_command += 1;
        self.answers.insert(id, answer);
        self.input(Input::Command(id, command));
    }

    fn refresh(&mut self) {
        match self.net.refresh() {
            Ok(true) => {
                tracing::info!("interfaces changed");
                self.members_changed = true;
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "cannot list interfaces"),
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

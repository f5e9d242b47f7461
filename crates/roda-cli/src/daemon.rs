//! The node's process: starting it on demand, telling when it is ready, stopping it cleanly.
//!
//! The starting command runs itself again as `roda daemon`. The child is told what to do by one line
//! of JSON on its standard input, so that secrets are in no argument list, and answers by one line on
//! its standard output once it is ready or has failed: nothing is polled.

use std::fs::File;
use std::future::Future;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use roda::{InviteToken, Node, Options};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::api::client::Client;
use crate::api::server::{Shared, Socket, router};
use crate::api::work::Desks;
use crate::error::{Failure, Result};
use crate::holds::Holds;
use crate::home::{Config, Home};
use crate::tree::{HOLD_VARIABLE, kill_orphans};

/// What a starting daemon is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    /// How its node comes to be.
    pub(crate) origin: Origin,
    /// What to change in the home's configuration.
    pub(crate) config: Config,
}

/// How a node comes to be.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Origin {
    /// It lives in the home already.
    Open,
    /// It makes a group.
    Create {
        /// Name of the group.
        name: String,
    },
    /// It joins a group.
    Join {
        /// The invite.
        token: String,
        /// How long to wait for a member.
        timeout_ms: u64,
    },
}

/// What a started daemon answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Started {
    /// It serves.
    Ready,
    /// It has ended.
    Failed(Failure),
}

/// A connection to the home's node; starts it first if `may_start` and it does not run.
pub(crate) async fn connect(home: &Home, may_start: bool, verbose: u8) -> Result<Client> {
    if let Ok(client) = Client::connect(&home.socket()).await {
        return Ok(client);
    }
    if !home.is_inhabited() {
        return Err(Failure::new("no-group").with("home", home.path()));
    }
    if !may_start {
        return Err(Failure::new("not-running").with("home", home.path()));
    }
    let start = Start {
        origin: Origin::Open,
        config: Config::default(),
    };
    start_node(home, &start, verbose).await
}

/// Starts the home's node in the background and connects to it.
///
/// If another command was faster, an [`Origin::Open`] without changes takes that node.
pub(crate) async fn start_node(home: &Home, start: &Start, verbose: u8) -> Result<Client> {
    let _only_one = home.lock_start()?;
    if let Ok(client) = Client::connect(&home.socket()).await {
        return match &start.origin {
            Origin::Open if start.config.is_empty() => Ok(client),
            Origin::Open => Err(Failure::new("restart-needed").with("home", home.path())),
            Origin::Create { .. } | Origin::Join { .. } => {
                Err(Failure::new("already-in-group").with("home", home.path()))
            }
        };
    }
    let give_up = Instant::now() + HANDOVER_MAX;
    loop {
        match launch(home, start, verbose).await? {
            Started::Ready => break,
            // A node that is just stopping has the home for a moment longer.
            Started::Failed(failure)
                if failure.code == "already-running" && Instant::now() < give_up =>
            {
                tokio::time::sleep(HANDOVER_STEP).await;
            }
            Started::Failed(failure) => return Err(failure),
        }
    }
    Client::connect(&home.socket())
        .await
        .map_err(|error| Failure::file(&home.socket(), &error))
}

async fn launch(home: &Home, start: &Start, verbose: u8) -> Result<Started> {
    // Whatever starts under a lock is stopped with it; a node must not be.
    if std::env::var_os(HOLD_VARIABLE).is_some_and(|holds| !holds.is_empty()) {
        return Err(Failure::new("daemon-inside-lock").with("home", home.path()));
    }
    let program = std::env::current_exe()
        .map_err(|error| Failure::new("daemon-start").with("reason", error.to_string()))?;
    let mut child = Command::new(program)
        .arg("--home")
        .arg(home.path())
        .args((0..verbose).map(|_| "-v"))
        .arg("daemon")
        .env_remove("RODA_TOKEN")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(home.open_log()?)
        .current_dir("/")
        .spawn()
        .map_err(|error| Failure::new("daemon-start").with("reason", error.to_string()))?;
    match start.origin {
        // Nothing to clean up, and a handler once set would keep Ctrl-C from whatever the command does next.
        Origin::Open => talk_to_child(&mut child, start, home).await,
        Origin::Create { .. } | Origin::Join { .. } => tokio::select! {
            answer = talk_to_child(&mut child, start, home) => answer,
            failure = ended_by_signal() => Err(failure),
        },
    }
}

/// The child ends by itself when its standard input ends before it was ready.
async fn talk_to_child(child: &mut Child, start: &Start, home: &Home) -> Result<Started> {
    let lost = |reason: String| Failure::new("daemon-start").with("reason", reason);
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        unreachable!("both were asked for as pipes");
    };
    let mut line = serde_json::to_vec(start).expect("a start is plain data");
    line.push(b'\n');
    let mut answer = String::new();
    let written = input.write_all(&line).await;
    let read = BufReader::new(output).read_line(&mut answer).await;
    match (written.and(read), serde_json::from_str(&answer)) {
        (Ok(_), Ok(started)) => Ok(started),
        (Ok(_), Err(_silent)) => Err(Failure::new("daemon-died").with("home", home.path())),
        (Err(error), _) => Err(lost(error.to_string())),
    }
}

/// The child's side: `roda daemon`.
pub(crate) async fn run_as_child(home: Home) -> Result<()> {
    // Fails only if this process leads a session already, which is as good.
    let _ = rustix::process::setsid();
    let fault =
        |error: std::io::Error| Failure::new("daemon-start").with("reason", error.to_string());
    let input = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(fault)?;
    let input = pipe::Receiver::from_owned_fd(input).map_err(fault)?;
    let mut input = BufReader::new(input);
    let mut line = String::new();
    input.read_line(&mut line).await.map_err(fault)?;
    let start: Start = serde_json::from_str(&line)
        .map_err(|error| Failure::new("daemon-start").with("reason", error.to_string()))?;
    let mut rest = [0];
    let opened = tokio::select! {
        opened = open(&home, start) => opened,
        _ = input.read(&mut rest) => {
            home.forget_config_unless_begun();
            return Err(Failure::interrupted());
        }
    };
    let running = match opened {
        Ok(running) => running,
        Err(failure) => {
            answer(&Started::Failed(failure.clone()))?;
            return Err(failure);
        }
    };
    answer(&Started::Ready)?;
    let null = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(fault)?;
    rustix::stdio::dup2_stdin(&null)
        .and_then(|()| rustix::stdio::dup2_stdout(&null))
        .map_err(|errno| fault(errno.into()))?;
    running.serve(std::future::pending()).await
}

fn answer(started: &Started) -> Result<()> {
    let mut line = serde_json::to_vec(started).expect("an answer is plain data");
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)
        .and_then(|()| out.flush())
        .map_err(|error| Failure::new("daemon-start").with("reason", error.to_string()))
}

/// A node with its control socket.
pub(crate) struct Running {
    shared: Arc<Shared>,
    socket: Socket,
}

/// Starts the node in this process. The caller has the right to start: see [`Home::lock_start`], or
/// is the child of a command that has it.
pub(crate) async fn open(home: &Home, start: Start) -> Result<Running> {
    let saved = home.config()?;
    let config = saved.clone().overlaid(start.config);
    let options = config.options();
    let timings = options.lock_timings;
    let path = home.path();
    // Before the group knows this node again, and long before anybody gets a lock from it.
    kill_leftovers(home).await?;
    let begins = !matches!(start.origin, Origin::Open) && !home.has_database();
    if begins {
        // If this is interrupted, a later start goes on with it, over the same interfaces.
        home.save_config(&config)?;
    }
    let node = match begin(path, start.origin, options).await {
        Ok(node) => node,
        Err(failure) => {
            if begins {
                home.forget_config_unless_begun();
            }
            return Err(failure);
        }
    };
    let prepare = || {
        // Of a node that was there before, only settings with which a start has succeeded are remembered.
        if config != saved && !begins {
            home.save_config(&config)?;
        }
        home.ensure_socket_directory()?;
        Socket::bind(&home.socket())
    };
    match prepare() {
        Ok(socket) => Ok(Running {
            shared: Arc::new(Shared {
                node,
                home: path.to_owned(),
                socket: home.socket(),
                stop: Notify::new(),
                holds: Holds::new(home.mark()),
                desks: Desks::default(),
                timings,
            }),
            socket,
        }),
        Err(failure) => {
            // The first failure is the one to report.
            drop(node.shutdown().await);
            Err(failure)
        }
    }
}

async fn begin(path: &Path, origin: Origin, options: Options) -> Result<Node> {
    Ok(match origin {
        Origin::Open => Node::open(path, options).await?,
        Origin::Create { name } => Node::create(path, &name, options).await?,
        Origin::Join { token, timeout_ms } => {
            let token = InviteToken::parse(&token)?;
            Node::join(path, &token, Duration::from_millis(timeout_ms), options).await?
        }
    })
}

/// Kills what an earlier run of this node left running under its holds.
async fn kill_leftovers(home: &Home) -> Result<()> {
    let mark = home.mark();
    let killed = tokio::task::spawn_blocking(move || kill_orphans(&mark)).await;
    match killed.map_err(|error| Failure::new("runtime").with("reason", error.to_string()))? {
        Ok(0) => Ok(()),
        Ok(count) => {
            tracing::warn!(
                count,
                "processes left by an earlier run of this node were killed"
            );
            Ok(())
        }
        Err(pids) => {
            let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
            Err(Failure::new("leftovers-alive").with("processes", pids.join(", ")))
        }
    }
}

impl Running {
    /// The node.
    pub(crate) fn node(&self) -> &Node {
        &self.shared.node
    }

    /// Serves until the node stops: by a request, a signal, or `until`.
    pub(crate) async fn serve(mut self, until: impl Future<Output = ()>) -> Result<()> {
        let node = self.shared.node.clone();
        let fault =
            |error: std::io::Error| Failure::new("daemon-start").with("reason", error.to_string());
        let mut terminate = signal(SignalKind::terminate()).map_err(fault)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(fault)?;
        let closing = Arc::new(Notify::new());
        let closed = Arc::clone(&closing);
        let listener = self.socket.take_listener().expect("nobody took it before");
        let server = axum::serve(listener, router(Arc::clone(&self.shared)))
            .with_graceful_shutdown(async move { closed.notified().await });
        let server = tokio::spawn(server.into_future());
        let ended = tokio::select! {
            ended = node.stopped() => ended,
            () = self.shared.stop.notified() => self.stop(&node).await,
            () = until => self.stop(&node).await,
            _ = terminate.recv() => self.stop(&node).await,
            _ = interrupt.recv() => self.stop(&node).await,
        };
        // Also if the node has ended by itself: nothing may run under a lock that nobody renews.
        self.shared.holds.close().await;
        closing.notify_one();
        // Answers on their way get out; a client that does not read cannot hold the process.
        drop(tokio::time::timeout(CLOSE_MAX, server).await);
        Ok(ended?)
    }

    async fn stop(&self, node: &Node) -> roda::Result<()> {
        self.shared.holds.close().await;
        node.shutdown().await
    }
}

/// Waits for the signal that ends this command, for those that have something to clean up.
///
/// From then on these signals do nothing else in this process, also when the wait is over.
pub(crate) async fn ended_by_signal() -> Failure {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        // Without a handler the signal ends the process, which is its purpose.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => Failure::terminated(),
        _ = tokio::signal::ctrl_c() => Failure::interrupted(),
    }
}

/// Logs to standard error, which the starting command has led to the home's log.
pub(crate) fn start_log(verbose: u8, colours: bool) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("RODA_LOG").unwrap_or_else(|_unset| {
        // The voters' library calls every unanswered question an error, and says much else.
        tracing_subscriber::EnvFilter::new(format!("{level},openraft=off"))
    });
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(|| Forgiving(std::io::stderr()))
        .init();
}

/// Standard error, which may be a file on a full disk: then the log loses lines, and whoever logs
/// goes on. (The subscriber's own way is to panic.)
struct Forgiving(std::io::Stderr);

impl std::io::Write for Forgiving {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // Nobody is left to tell.
        drop(self.0.write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Waits until a process that a daemon's status named has ended.
pub(crate) async fn wait_for_end(pid: u32) {
    // A wait that fails only returns early.
    drop(tokio::task::spawn_blocking(move || block_until_end(pid)).await);
}

fn block_until_end(pid: u32) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return;
    };
    // An error means that it has ended already. Unlike the number, the descriptor cannot come to
    // mean another process.
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    let timeout = Timespec {
        tv_sec: END_SECONDS_MAX,
        tv_nsec: 0,
    };
    let _ = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout));
}

/// How long a start waits for a node that is just stopping.
const HANDOVER_MAX: Duration = Duration::from_secs(3);
const HANDOVER_STEP: Duration = Duration::from_millis(50);
/// How long a stopped node waits for its clients to take their answers.
const CLOSE_MAX: Duration = Duration::from_secs(1);
/// How long `down` waits for the process after the node has stopped.
const END_SECONDS_MAX: i64 = 5;

//! The three nodes behind the demonstration: real commands, real daemons, real files.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::Instant;

use super::{App, NODES, TOPIC};
use crate::api::client::Client;
use crate::api::types::{MirrorReply, StatusReply};
use crate::daemon::wait_for_end;
use crate::error::{Failure, Result};
use crate::home::Home;
use crate::scratch::Scratch;

/// Where the demonstration takes place.
pub(super) struct Stage {
    scratch: Scratch,
    lang: Option<String>,
    pids: [Option<u32>; NODES.len()],
}

impl Stage {
    /// An empty stage.
    pub(super) fn new(app: &App) -> Result<Self> {
        Ok(Self {
            scratch: Scratch::new("demo")?,
            lang: app.global.lang.clone(),
            pids: [None; NODES.len()],
        })
    }

    fn home_path(&self, node: usize) -> PathBuf {
        self.scratch.path().join(NODES[node])
    }

    async fn client(&self, node: usize) -> Result<Client> {
        let home = Home::locate(Some(self.home_path(node)))?;
        Client::connect(&home.socket())
            .await
            .map_err(|error| Failure::file(&home.socket(), &error))
    }

    /// Where the mirror of a node is.
    pub(super) fn mirror_path(&self, node: usize) -> PathBuf {
        self.scratch.path().join(format!("{}.log", NODES[node]))
    }

    /// A command of a node, not started yet; it is killed when its handle is dropped.
    pub(super) fn command(&self, node: usize, arguments: &[&str]) -> Result<Command> {
        let program = std::env::current_exe().map_err(|error| {
            Failure::new("demo-command")
                .with("command", arguments[0])
                .with("reason", error.to_string())
        })?;
        let mut command = Command::new(program);
        if let Some(lang) = &self.lang {
            command.args(["--lang", lang]);
        }
        command
            .arg("--home")
            .arg(self.home_path(node))
            .args(arguments)
            .kill_on_drop(true);
        Ok(command)
    }

    /// Runs a command on a node, as a person would; its output.
    pub(super) async fn run(&self, node: usize, arguments: &[&str], input: &str) -> Result<String> {
        let fault = |reason: String| {
            Failure::new("demo-command")
                .with("command", arguments[0])
                .with("reason", reason)
        };
        let mut child = self
            .command(node, arguments)?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| fault(error.to_string()))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that does not want its input says why on its own.
            drop(stdin.write_all(input.as_bytes()).await);
        }
        let output = child
            .wait_with_output()
            .await
            .map_err(|error| fault(error.to_string()))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(fault(said.lines().collect::<Vec<_>>().join(" · ")))
    }

    /// Notes the process of a node that has just started.
    pub(super) async fn remember(&mut self, node: usize) -> Result<()> {
        let status: StatusReply = self.client(node).await?.get("/v1/status").await?;
        self.pids[node] = Some(status.pid);
        Ok(())
    }

    /// Ends the process of a node without a warning, as a power cut would.
    pub(super) async fn kill(&mut self, node: usize) -> Result<()> {
        if let Some(pid) = self.pids[node].take() {
            kill(pid);
            wait_for_end(pid).await;
        }
        Ok(())
    }

    /// Waits until the histories of all nodes are the same bytes; their size.
    pub(super) async fn wait_identical(&self, messages: u32) -> Result<usize> {
        self.wait_same(messages, async |node| {
            let arguments = ["--json", "history", TOPIC];
            Ok(self.run(node, &arguments, "").await?.into_bytes())
        })
        .await
    }

    /// Waits until the mirrors of all nodes are the same bytes and complete; their size.
    pub(super) async fn wait_mirrors(&self, messages: u32) -> Result<usize> {
        self.wait_same(messages, async |node| {
            let mirrors: Vec<MirrorReply> = self.client(node).await?.get("/v1/mirrors").await?;
            let complete = mirrors
                .iter()
                .any(|mirror| mirror.messages == u64::from(messages));
            if !complete {
                return Ok(Vec::new());
            }
            let path = self.mirror_path(node);
            tokio::fs::read(&path)
                .await
                .map_err(|error| Failure::file(&path, &error))
        })
        .await
    }

    /// Complete means: at least as many lines as messages.
    async fn wait_same(
        &self,
        messages: u32,
        content: impl AsyncFn(usize) -> Result<Vec<u8>>,
    ) -> Result<usize> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let first = content(0).await?;
            let lines = first.iter().filter(|byte| **byte == b'\n').count();
            let mut same = lines >= messages as usize;
            for node in 1..NODES.len() {
                same = same && content(node).await? == first;
            }
            if same {
                return Ok(first.len());
            }
            if Instant::now() > give_up {
                let seconds = PATIENCE.as_secs();
                return Err(Failure::new("demo-different").with("seconds", seconds));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Repairs and NACKs that all nodes together have sent.
    pub(super) async fn counters(&self) -> Result<(u64, u64)> {
        let mut sum = (0, 0);
        for node in 0..NODES.len() {
            let status: StatusReply = self.client(node).await?.get("/v1/status").await?;
            let count = |name| status.counters.get(name).copied().unwrap_or(0);
            sum.0 += count("repairs_sent");
            sum.1 += count("nacks_sent");
        }
        Ok(sum)
    }

    /// Stops every node; the files go with the stage.
    pub(super) async fn clear(&mut self) {
        for node in 0..NODES.len() {
            let pid = self.pids[node].take();
            // Who listens in this home is ours; a process number alone may belong to another by now.
            let Ok(mut client) = self.client(node).await else {
                continue;
            };
            let nothing = json!({});
            let stop = client.post::<Value>("/v1/shutdown", &nothing);
            let stopped = tokio::time::timeout(STOP_MAX, stop).await;
            if let Some(pid) = pid {
                if !matches!(stopped, Ok(Ok(_))) {
                    kill(pid);
                }
                wait_for_end(pid).await;
            }
        }
    }
}

fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // That it has ended by itself is what was wanted.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// How long three nodes on one machine may take to agree.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const STOP_MAX: Duration = Duration::from_secs(3);

//! A Roda node on a host, driven by its command line alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::Bench;
use super::command::{self, Finished, Running, wait_for};
use super::history::History;
use super::net::Host;

/// How long a command may take that waits for nobody, on a machine with more to do.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two lines of one who talks fast.
const TYPING_PAUSE: Duration = Duration::from_millis(2);
/// How long admitting a newcomer may take, with loss.
const JOIN_TIMEOUT: Duration = Duration::from_secs(60);

/// A node: a host and a home directory on it.
pub(crate) struct Node<'a> {
    bench: &'a Bench,
    pub(crate) host: Host,
    pub(crate) nick: String,
    pub(crate) home: PathBuf,
    /// What `--lock-timing` it is created or joins with.
    pub(crate) lock_timing: &'static str,
}

impl<'a> Node<'a> {
    /// A node that has no group yet; `nick` names its home as well.
    pub(crate) fn new(bench: &'a Bench, host: Host, nick: &str) -> Self {
        Self {
            bench,
            host,
            nick: nick.to_owned(),
            home: bench.directory.join(nick),
            lock_timing: "default",
        }
    }

    /// The command `roda WORDS…` of this node, not started yet.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let line = self.line(words);
        let mut command = self.host.command(&line[0]);
        command.args(&line[1..]).env("HOME", &self.bench.directory);
        command
    }

    /// The same as words, for a command that runs on the host already.
    pub(crate) fn line(&self, words: &[&str]) -> Vec<String> {
        let (binary, home) = (
            self.bench.binary.to_string_lossy(),
            self.home.to_string_lossy(),
        );
        let before = [&binary, "--home", &home, "--lang=en"];
        let line = [&before[..], words].concat();
        line.into_iter().map(str::to_owned).collect()
    }

    /// Runs `roda WORDS…` to its end.
    pub(crate) fn run(&self, words: &[&str], input: &[u8]) -> Result<Finished> {
        command::run(self.command(words), input, COMMAND_TIMEOUT)
    }

    /// Makes a group and starts this node, its first.
    pub(crate) fn create(&self, group: &str) -> Result<()> {
        let words = ["create", group, "--nick", &self.nick];
        let timing = ["--lock-timing", self.lock_timing];
        self.run(&[&words[..], &timing].concat(), b"")?.success()?;
        Ok(())
    }

    /// Joins by a token and starts this node.
    pub(crate) fn join(&self, token: &str) -> Result<()> {
        self.try_join(token)?.success()?;
        Ok(())
    }

    /// Tries to join by a token, which is given on standard input.
    pub(crate) fn try_join(&self, token: &str) -> Result<Finished> {
        let words = ["join", "-", "--timeout", "45s", "--nick", &self.nick];
        let timing = ["--lock-timing", self.lock_timing];
        let join = self.command(&[&words[..], &timing].concat());
        command::run(join, token.as_bytes(), JOIN_TIMEOUT)
    }

    /// A fresh invite token.
    pub(crate) fn invite(&self, options: &[&str]) -> Result<String> {
        let words = [&["invite"], options].concat();
        Ok(self.run(&words, b"")?.success()?.text())
    }

    /// Starts the node in the background.
    pub(crate) fn up(&self) -> Result<()> {
        self.run(&["up", "--detach"], b"")?.success()?;
        Ok(())
    }

    /// Stops the node cleanly.
    pub(crate) fn down(&self) -> Result<()> {
        self.run(&["down"], b"")?.success()?;
        Ok(())
    }

    /// Kills the node's process without warning and waits until it is gone.
    pub(crate) fn kill(&self) -> Result<()> {
        let pid = self.pid()?;
        let raw = i32::try_from(pid).context("a process id fits in 32 bits")?;
        let process = Pid::from_raw(raw).context("a process id is positive")?;
        kill_process(process, Signal::KILL)?;
        let entry = Path::new("/proc").join(pid.to_string());
        wait_for("the killed process to be gone", COMMAND_TIMEOUT, || {
            Ok(if entry.exists() {
                Err(format!("process {pid} still there"))
            } else {
                Ok(())
            })
        })
    }

    /// Writes one message; returns once it is durable here.
    pub(crate) fn say(&self, topic: &str, text: &str) -> Result<()> {
        self.run(&["say", topic, text], b"")?.success()?;
        Ok(())
    }

    /// Starts writing a message per line, with a pause after each, so that they do not all become
    /// one batch.
    pub(crate) fn start_saying(&self, topic: &str, lines: &[String]) -> Result<Running> {
        let input = lines.iter().map(|line| format!("{line}\n").into_bytes());
        let say = self.command(&["say", topic, "-"]);
        command::start_paced(say, input.collect(), TYPING_PAUSE)
    }

    /// What this node knows of a topic; empty while it knows nothing.
    pub(crate) fn history(&self, topic: &str) -> Result<History> {
        let finished = self.run(&["history", topic, "--json"], b"")?;
        if finished.status.code() == Some(1) && finished.stdout.is_empty() {
            // Before its first entry arrives a topic is unknown.
            return Ok(History::default());
        }
        History::parse(finished.success()?.stdout)
    }

    /// Starts keeping a file the same as a topic; returns the file's path.
    pub(crate) fn mirror(&self, topic: &str) -> Result<PathBuf> {
        let file = self.bench.directory.join(format!("{}.{topic}", self.nick));
        let path = file.to_string_lossy();
        self.run(&["mirror", topic, &path], b"")?.success()?;
        Ok(file)
    }

    /// `roda status`.
    pub(crate) fn status(&self) -> Result<Value> {
        let output = self.run(&["status", "--json"], b"")?.success()?;
        serde_json::from_slice(&output.stdout).context("status is not one JSON object")
    }

    /// `roda members`: one object for each.
    pub(crate) fn members(&self) -> Result<Vec<Value>> {
        let output = self.run(&["members", "--json"], b"")?.success()?;
        output
            .stdout
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).context("a member is not a JSON object"))
            .collect()
    }

    /// The process id of the node.
    pub(crate) fn pid(&self) -> Result<u64> {
        number(&self.status()?, "/pid")
    }

    /// Memory that the node's process holds now, in KiB.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .context("no VmRSS")?;
        Ok(line.trim().trim_end_matches("kB").trim().parse()?)
    }

    /// One of the numbers that the node counts.
    pub(crate) fn counter(&self, name: &str) -> Result<u64> {
        number(&self.status()?, &format!("/counters/{name}"))
    }

    /// Datagrams and batches refused since the node started.
    pub(crate) fn rejected(&self) -> Result<u64> {
        let status = self.status()?;
        let reasons = status.get("rejected").and_then(Value::as_object);
        let reasons = reasons.context("status has no `rejected`")?;
        Ok(reasons.values().filter_map(Value::as_u64).sum())
    }

    /// Fails unless every log, signature and table of this node is sound.
    pub(crate) fn verify(&self) -> Result<()> {
        self.run(&["verify"], b"")?.success()?;
        Ok(())
    }
}

/// A number inside an object.
pub(crate) fn number(value: &Value, pointer: &str) -> Result<u64> {
    let found = value.pointer(pointer).and_then(Value::as_u64);
    found.with_context(|| format!("no number {pointer} in {value}"))
}

/// A text inside an object.
pub(crate) fn text<'v>(value: &'v Value, pointer: &str) -> Result<&'v str> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.with_context(|| format!("no text {pointer} in {value}"))
}

/// Waits until each of the nodes sees this many members online, itself included.
pub(crate) fn wait_online(nodes: &[&Node<'_>], online: u64) -> Result<()> {
    for node in nodes {
        let what = format!("{} to see {online} members online", node.nick);
        wait_for(&what, Duration::from_secs(30), || {
            let seen = number(&node.status()?, "/members_online")?;
            Ok(if seen == online {
                Ok(())
            } else {
                Err(seen.to_string())
            })
        })?;
    }
    Ok(())
}

/// Fails unless two numbers that should differ by little do so.
pub(crate) fn ensure_within(what: &str, value: u64, limit: u64) -> Result<()> {
    ensure!(value <= limit, "{what} is {value}, the limit is {limit}");
    Ok(())
}

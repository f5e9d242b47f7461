//! A node on this machine, with or without strace around it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal};
use serde_json::Value;

use super::promise::{Promise, promises};
use super::strace;
use crate::hosts::command::{self, Finished, Running, wait_for};
use crate::hosts::process::{every, signal, words};

/// How long any command may take: longer than every timeout of the node.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// A home directory, the program under test, and what it has said so far.
pub(crate) struct Node {
    pub(crate) home: PathBuf,
    binary: PathBuf,
    running: Option<Running>,
    /// What commands have printed: the caller believes it from then on.
    pub(crate) believed: BTreeSet<Promise>,
}

/// How a node is started.
#[derive(Default)]
pub(crate) struct Start<'s> {
    /// Where to write down what it does to files.
    pub(crate) trace: Option<&'s Path>,
    /// Which system calls fail, in the words of strace's `inject=`.
    pub(crate) faults: &'s [String],
}

impl Node {
    /// A node that has no group yet.
    pub(crate) fn new(binary: &Path, home: PathBuf) -> Self {
        Self {
            home,
            binary: binary.to_owned(),
            running: None,
            believed: BTreeSet::new(),
        }
    }

    /// The same home for somebody who believes nothing yet.
    pub(crate) fn again(&self) -> Self {
        Self::new(&self.binary, self.home.clone())
    }

    /// Makes a group; the node runs then, on the loopback interface.
    pub(crate) fn create(&mut self, start: &Start<'_>) -> Result<()> {
        let words = ["create", "crash", "--iface", "lo", "--nick", "crash"];
        let timing = ["--lock-timing", "wired"];
        let mut create = self.program();
        create.args(words).args(timing);
        self.start(create, start)?;
        self.wait_until_up()
    }

    /// Starts the node.
    pub(crate) fn up(&mut self, start: &Start<'_>) -> Result<()> {
        self.begin_up(start)?;
        self.wait_until_up()
    }

    /// The same without waiting until it answers.
    pub(crate) fn begin_up(&mut self, start: &Start<'_>) -> Result<()> {
        let mut up = self.program();
        up.arg("up");
        self.start(up, start)
    }

    fn start(&mut self, command: Command, start: &Start<'_>) -> Result<()> {
        let command = match start.trace {
            Some(trace) => strace::traced(&command, trace, start.faults),
            None => command,
        };
        self.running = Some(command::start(command, b"")?);
        Ok(())
    }

    fn wait_until_up(&self) -> Result<()> {
        wait_for("the node to answer", PATIENCE, || {
            let status = self.run(&["status", "--json"], b"")?;
            Ok(status
                .success()
                .map(|_up| ())
                .map_err(|error| error.to_string()))
        })
    }

    /// Whether it answers.
    pub(crate) fn is_up(&self) -> Result<bool> {
        Ok(self.run(&["status", "--json"], b"")?.status.success())
    }

    /// Whether what [`Self::begin_up`] started has ended. The node itself need not have begun when it is
    /// asked: strace comes first.
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        self.running.as_mut().map_or(Ok(true), Running::has_ended)
    }

    /// Stops the node cleanly.
    pub(crate) fn down(&mut self) -> Result<()> {
        self.run(&["down"], b"")?.success()?;
        self.wait_for_end()
    }

    /// Kills the node's process without warning, if there is one.
    pub(crate) fn kill(&mut self) -> Result<()> {
        for pid in self.daemons() {
            signal(pid, Signal::KILL);
        }
        self.wait_for_end()
    }

    fn wait_for_end(&mut self) -> Result<()> {
        if let Some(running) = self.running.take() {
            // With which code it ends is another matter: it may have been killed.
            running.finish(PATIENCE)?;
        }
        wait_for("the node's process to be gone", PATIENCE, || {
            Ok(match self.daemons().as_slice() {
                [] => Ok(()),
                left => Err(format!("{left:?} still there")),
            })
        })
    }

    /// The processes that run this home's node; strace around one is not among them.
    pub(crate) fn daemons(&self) -> Vec<Pid> {
        let home = self.home.to_string_lossy();
        let binary = self.binary.to_string_lossy();
        let runs = |pid: &Pid| {
            let words = words(*pid);
            let is_node = matches!(words.last().map(String::as_str), Some("daemon" | "up"));
            is_node
                && words.first().is_some_and(|word| *word == binary)
                && words.iter().any(|word| *word == home)
        };
        every().into_iter().filter(runs).collect()
    }

    /// The command `roda WORDS…` of this node, not started yet. No node is started for it.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.program();
        command.arg("--no-spawn").args(words);
        command
    }

    fn program(&self) -> Command {
        let mut command = Command::new(&self.binary);
        let parent = self.home.parent().unwrap_or(&self.home);
        command
            .env("HOME", parent)
            .env_remove("XDG_RUNTIME_DIR")
            .args(["--lang=en", "--home"])
            .arg(&self.home);
        command
    }

    /// Runs `roda WORDS…` to its end.
    pub(crate) fn run(&self, words: &[&str], input: &[u8]) -> Result<Finished> {
        command::run(self.command(words), input, PATIENCE)
    }

    /// Runs a command that succeeds, and believes what it prints. It must say `--json`.
    pub(crate) fn ask(&mut self, words: &[&str], input: &[u8]) -> Result<Vec<Promise>> {
        let finished = self.run(words, input)?.success()?;
        Ok(self.believe(&finished))
    }

    /// The same for one that may fail, but not without saying why; false if it did.
    pub(crate) fn try_to(&mut self, words: &[&str]) -> Result<bool> {
        let finished = self.run(words, b"")?;
        self.believe(&finished);
        if !finished.status.success() {
            let said = !finished.stderr.is_empty() && finished.status.code().is_some();
            ensure!(said, "`{}` failed without a word", finished.line);
        }
        Ok(finished.status.success())
    }

    /// Takes what a command has printed for true.
    pub(crate) fn believe(&mut self, finished: &Finished) -> Vec<Promise> {
        let printed = promises(&String::from_utf8_lossy(&finished.stdout));
        self.believed.extend(printed.iter().cloned());
        printed
    }

    /// Takes a lock and gives it back; the number of the hold.
    pub(crate) fn lock(&mut self, name: &str) -> Result<u64> {
        let words = ["lock", name, "--", "sh", "-c", "echo \"$RODA_FENCE\""];
        let fence = self.run(&words, b"")?.success()?.text();
        let fence = fence
            .parse()
            .with_context(|| format!("no fence: {fence}"))?;
        self.believed.insert(Promise::Granted { fence });
        Ok(fence)
    }

    /// What it can read of its jobs, by the command line.
    pub(crate) fn jobs(&self) -> Result<BTreeSet<String>> {
        let listed = self.run(&["jobs", "--json", "-n", "0"], b"")?.success()?;
        let lines = String::from_utf8_lossy(&listed.stdout).into_owned();
        let ids = lines.lines().map(|line| {
            let job: Value = serde_json::from_str(line)?;
            let id = job.get("id").and_then(Value::as_str);
            Ok(id.context("a job without an id")?.to_owned())
        });
        ids.collect()
    }

    /// Fails unless `roda verify` is content and `roda jobs` lists every job that somebody believes in.
    pub(crate) fn check(&self) -> Result<()> {
        self.run(&["verify"], b"")?.success()?;
        let jobs = self.jobs()?;
        for promise in &self.believed {
            if let Promise::Pushed(id) | Promise::Done(id) = promise
                && !jobs.contains(id)
            {
                bail!("job {id} is lost");
            }
        }
        Ok(())
    }

    /// The end of what the node has logged.
    pub(crate) fn log(&self) -> String {
        let log = fs::read(self.home.join("daemon.log")).unwrap_or_default();
        command::excerpt(&log)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for pid in self.daemons() {
            // The drop of `running` ends strace only, which lets go of what it traces.
            signal(pid, Signal::KILL);
        }
    }
}

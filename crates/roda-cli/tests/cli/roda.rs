//! Runs the binary.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The command with an environment in which nothing of the tester's remains.
pub(crate) fn roda() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roda"));
    for name in [
        "RODA_HOME",
        "RODA_TOKEN",
        "RODA_LANG",
        "RODA_LOG",
        "LC_ALL",
        "LC_MESSAGES",
    ] {
        command.env_remove(name);
    }
    command
        .env("LANG", "C.UTF-8")
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What a command came to.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs it without a home of its own.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    roda().args(arguments).output().unwrap().into()
}

/// A home in a temporary place; its node is stopped at the end.
pub(crate) struct Home {
    directory: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = roda();
        command.arg("--home").arg(self.path()).args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs it and demands success; what it printed.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
        ended.stdout
    }

    /// Runs it with something on standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ended {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let ended = child.wait_with_output().unwrap().into();
        writer.join().unwrap();
        ended
    }

    /// Makes a group on loopback only.
    pub(crate) fn create(&self, nick: &str) {
        self.ok(&["create", "tests", "--iface", "lo", "--nick", nick]);
    }

    /// Joins the group of `other`.
    pub(crate) fn join(&self, other: &Self, nick: &str) {
        let token = other.ok(&["invite"]);
        let arguments = ["join", "-", "--iface", "lo", "--nick", nick];
        let ended = self.run_with_input(&arguments, token.as_bytes());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }

    pub(crate) fn status(&self) -> serde_json::Value {
        serde_json::from_str(&self.ok(&["status", "--json"])).unwrap()
    }

    pub(crate) fn history(&self, topic: &str) -> String {
        self.ok(&["history", topic, "--json"])
    }

    /// Follows a topic from its beginning.
    pub(crate) fn follow(&self, topic: &str) -> Lines {
        Lines::of(self.command(&["history", topic, "--json", "--follow"]))
    }

    /// Ends the node without a warning.
    pub(crate) fn kill(&self) {
        let pid = self.status()["pid"].as_i64().unwrap();
        let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
        let mut ended = [rustix::event::PollFd::new(
            &pidfd,
            rustix::event::PollFlags::IN,
        )];
        rustix::event::poll(&mut ended, None).unwrap();
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if Path::new(&self.path()).exists() {
            drop(self.command(&["down"]).output());
        }
    }
}

/// The lines of a command that goes on; it is killed at the end.
pub(crate) struct Lines {
    child: Child,
    lines: Receiver<String>,
}

impl Lines {
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The same for a command that tells on standard error when it listens.
    pub(crate) fn of_talkative(command: Command) -> Self {
        let mut lines = Self::of(command);
        let mut first = String::new();
        let mut stderr = BufReader::new(lines.child.stderr.take().unwrap());
        stderr.read_line(&mut first).unwrap();
        lines
    }

    /// The next `count` lines; fails if they do not come in time.
    #[track_caller]
    pub(crate) fn take(&self, count: usize) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut taken = Vec::new();
        while taken.len() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => taken.push(line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("only {} of {count} lines came", taken.len())
                }
            }
        }
        taken
    }

    /// Sends it a signal; the one that it died of, `None` if it goes on or ends of itself.
    pub(crate) fn end_by(&mut self, signal: Signal) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        // The output ends with the process.
        let ended = self.lines.recv_timeout(PATIENCE);
        if !matches!(ended, Err(RecvTimeoutError::Disconnected)) {
            return None;
        }
        self.child.wait().unwrap().signal()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

const PATIENCE: Duration = Duration::from_secs(60);

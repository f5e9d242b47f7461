//! One `roda lock` or `roda work`, from its start to its exit code.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal};

use crate::hosts::command::wait_for;
use crate::hosts::node::Node;
use crate::hosts::process;

/// Others had the lock all the time, or too few voters answered.
pub(super) const BUSY: i32 = 75;
/// The lock was lost and the command stopped.
pub(super) const LOST: i32 = 76;
/// Roda failed before the command started.
pub(super) const FAILED: i32 = 125;
/// Ended by a signal: this and the signal's number.
pub(super) const SIGNALLED: i32 = 128;

/// A wrapper that was started. It is killed when this is dropped.
pub(super) struct Attempt {
    pub(super) label: String,
    child: Child,
    errors: PathBuf,
    /// Where in the file its own words begin.
    errors_from: u64,
    started: Instant,
}

/// A wrapper that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) label: String,
    pub(super) status: ExitStatus,
    pub(super) errors: String,
    pub(super) took: Duration,
}

impl Attempt {
    /// Starts `roda WORDS… -- COMMAND…`. What it says goes to a file in the directory: a pipe would
    /// stay open for as long as anything lives that it leaves behind.
    pub(super) fn start(
        node: &Node<'_>,
        directory: &Path,
        label: &str,
        words: &[&str],
        command: &[String],
    ) -> Result<Self> {
        let errors = directory.join(format!("{label}.errors"));
        let output = File::options().append(true).create(true).open(&errors)?;
        let errors_from = output.metadata()?.len();
        let child = node
            .command(&[words, &["--"]].concat())
            .args(command)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {label}"))?;
        Ok(Self {
            label: label.to_owned(),
            child,
            errors,
            errors_from,
            started: Instant::now(),
        })
    }

    /// The wrapper's process.
    pub(super) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a signal to the wrapper; false if it has ended.
    pub(super) fn signal(&mut self, signal: Signal) -> bool {
        let running = matches!(self.child.try_wait(), Ok(None));
        running && process::signal(self.pid(), signal)
    }

    /// How it ended, once it has.
    pub(super) fn poll(&mut self) -> Result<Option<Ended>> {
        let Some(status) = self.child.try_wait()? else {
            return Ok(None);
        };
        Ok(Some(Ended {
            label: self.label.clone(),
            status,
            errors: self.said(),
            took: self.started.elapsed(),
        }))
    }

    /// What it has said so far.
    fn said(&self) -> String {
        let all = fs::read(&self.errors).unwrap_or_default();
        let from = usize::try_from(self.errors_from).unwrap_or(usize::MAX);
        let own = String::from_utf8_lossy(all.get(from..).unwrap_or_default());
        own.trim().to_owned()
    }

    /// Waits for its end.
    pub(super) fn finish(mut self, timeout: Duration) -> Result<Ended> {
        let what = format!("{} to end", self.label);
        wait_for(&what, timeout, || {
            Ok(self
                .poll()?
                .ok_or_else(|| format!("still running; it said: {}", self.said())))
        })
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        // Both fail only when it has ended, which is what is wanted.
        let _already_ended = self.child.kill();
        let _already_waited = self.child.wait();
    }
}

impl Ended {
    /// The exit code, as a shell would see it.
    pub(super) fn code(&self) -> i32 {
        let signal = self.status.signal().map(|signal| SIGNALLED + signal);
        self.status.code().or(signal).unwrap_or(-1)
    }

    /// Refuses any other exit code.
    pub(super) fn expect(self, code: i32) -> Result<Self> {
        ensure!(
            self.code() == code,
            "{} ended with {} instead of {code} after {:?}; it said: {}",
            self.label,
            self.code(),
            self.took,
            self.errors,
        );
        Ok(self)
    }
}

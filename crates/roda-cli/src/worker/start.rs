//! Starts a job's command.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::io::{FdFlags, fcntl_setfd};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::task::JoinSet;

use super::output::{Printer, Source, Stream, Tail, copy};
use crate::api::work_types::ClaimedReply;
use crate::error::Failure;
use crate::holds::random_id;
use crate::tree::{HOLD_VARIABLE, Process};
use crate::wrapper::{markers, start_failure};

/// A command that runs, with the ways to and from it.
pub(super) struct Started {
    /// Its first process, which leads a process group.
    pub(super) root: Process,
    /// What all its processes have in their environment.
    pub(super) marker: String,
    /// The end of what it has printed.
    pub(super) tail: Tail,
    /// Who copies what it prints.
    pub(super) copiers: JoinSet<()>,
}

/// Starts the command of a worker for a job.
///
/// # Errors
/// The system does not start it.
pub(super) fn start(
    command: &[OsString],
    home: &Path,
    queue: &str,
    claimed: &ClaimedReply,
    printer: &Printer,
) -> Result<Started, Failure> {
    let program = command.first().cloned().unwrap_or_default();
    let marker = random_id()?;
    // As under a lock: Roda itself becomes the command once the kernel knows that it is to die with this
    // process. It may begin at once.
    let (reader, mut writer) = std::io::pipe().map_err(|error| fault(&error.to_string()))?;
    writeln!(writer, "{}", claimed.attempt.fence).map_err(|error| fault(&error.to_string()))?;
    fcntl_setfd(&reader, FdFlags::empty()).map_err(|errno| fault(&errno.to_string()))?;
    let mut child = Command::new("/proc/self/exe");
    child
        .arg0("roda")
        .args(["__exec", &reader.as_raw_fd().to_string()])
        .args([&std::process::id().to_string(), "--"])
        .args(command)
        .env("RODA_HOME", home)
        .env("RODA_QUEUE", queue)
        .env("RODA_JOB_ID", &claimed.id)
        .env("RODA_ATTEMPT", claimed.attempt.to_string())
        .env("RODA_TRIES", claimed.tries.to_string())
        .env(HOLD_VARIABLE, markers(&marker))
        // They are about the worker's lock, not about the job's claim.
        .env_remove("RODA_LOCK")
        .env_remove("RODA_LEASE_MS")
        .env_remove("RODA_LOST_FD")
        .env_remove("RODA_KEY")
        .envs(claimed.key.as_ref().map(|key| ("RODA_KEY", key)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    // It is waited for together with its orphans.
    let mut child = child
        .spawn()
        .map_err(|error| start_failure(&program, &error))?;
    let root = i32::try_from(child.id()).ok().and_then(Process::find);
    let root = root.ok_or_else(|| fault("the child is gone"))?;
    let tail = Tail::default();
    let mut copiers = JoinSet::new();
    if let Some(stdin) = child.stdin.take() {
        let payload = claimed.payload.clone().into_bytes().unwrap_or_default();
        feed(stdin.into(), payload);
    }
    let source = |stream| Source {
        stream,
        id: claimed.id.clone(),
        attempt: claimed.attempt,
    };
    let outputs = [
        (child.stdout.take().map(OwnedFd::from), Stream::Out),
        (child.stderr.take().map(OwnedFd::from), Stream::Err),
    ];
    for (pipe, stream) in outputs {
        let pipe = pipe.and_then(|pipe| Receiver::from_owned_fd(pipe).ok());
        if let Some(pipe) = pipe {
            copiers.spawn(copy(pipe, source(stream), tail.clone(), printer.clone()));
        }
    }
    Ok(Started {
        root,
        marker,
        tail,
        copiers,
    })
}

/// Gives the payload to a command, which need not read it.
fn feed(pipe: OwnedFd, payload: Vec<u8>) {
    let Ok(mut pipe) = Sender::from_owned_fd(pipe) else {
        return;
    };
    tokio::spawn(async move { drop(pipe.write_all(&payload).await) });
}

/// Tells programs that a job has started.
pub(super) fn told(claimed: &ClaimedReply) -> serde_json::Value {
    json!({
        "event": "started",
        "id": claimed.id,
        "attempt": claimed.attempt,
        "tries": claimed.tries,
    })
}

fn fault(reason: &str) -> Failure {
    Failure::new("runtime").with("reason", reason)
}

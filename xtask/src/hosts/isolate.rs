//! A world of its own for the scenarios: namespaces that the kernel takes away with their last process.
//!
//! The runner starts a copy of itself under `unshare` with new mount, network and process namespaces
//! (and a user namespace, unless it is the administrator). Nothing it does can touch the machine's own
//! network, and however a run ends, even by `kill -9`, nothing of it stays behind but its directory
//! in the temporary one, which the next run removes.

use std::env;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, WaitOptions, geteuid, wait};

use super::runner;
use crate::setup;

/// Tells a program inside where the run keeps its files.
pub(crate) const DIRECTORY_VARIABLE: &str = "RODA_HOSTS_DIR";

/// The directory of one run, removed with everything in it when this is dropped.
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// Makes this run's directory, `PREFIX` and its process id, and removes those of runs that are no
    /// more.
    pub(crate) fn new(parent: &Path, prefix: &str) -> Result<Self> {
        for entry in fs::read_dir(parent)?.flatten() {
            let name = entry.file_name();
            let owner = name.to_str().and_then(|name| name.strip_prefix(prefix));
            if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                // Another user's leftovers are not ours to remove.
                let _not_ours = fs::remove_dir_all(entry.path());
            }
        }
        let path = parent.join(format!("{prefix}{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Nothing sensible can be done about a failure here; the next run tries again.
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}

/// Why no namespaces can be made here; `None` if they can.
pub(crate) fn obstacle() -> Option<String> {
    for program in ["unshare", "mount", "ip", "nft"] {
        if setup::find(program).is_none() {
            return Some(format!("the program `{program}` is not installed"));
        }
    }
    let trial = "mount -t tmpfs tmpfs /run && ip netns add trial \
        && ip -n trial link add name switch type bridge && ip netns exec trial nft list ruleset";
    let output = unshare()
        .args(["sh", "-c", trial])
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!(
            "this machine does not let us make network namespaces: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Some(format!("cannot run unshare: {error}")),
    }
}

/// Runs `xtask hosts-helper …` as the first program of a new world, until it ends.
///
/// Standard input of the new world is a pipe that closes when this process ends for whatever reason;
/// that is how the world inside learns that it must end too.
///
/// With `keep`, the new world stays until a line is read from this process's standard input.
/// Returns what [`runner::read_report`] finds at the end.
pub(crate) fn enter(directory: &Path, words: &[String], keep: bool) -> Result<(bool, String)> {
    // A copy, because the running file may be replaced by a build and because the path under
    // /proc is another one inside.
    let program = directory.join("xtask");
    fs::copy("/proc/self/exe", &program).context("cannot copy the running program")?;
    let mut child = unshare()
        .arg(&program)
        .arg("hosts-helper")
        .arg("init")
        .args(words)
        .env(DIRECTORY_VARIABLE, directory)
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot start unshare")?;
    let lifeline = child.stdin.take();
    if keep {
        writeln!(
            io::stderr(),
            "to look inside: nsenter --all --target \"$(pgrep --parent {})\"; to end: press Enter",
            child.id()
        )?;
        io::stdin().read_line(&mut String::new())?;
    } else {
        child.wait()?;
    }
    let report = runner::read_report(directory);
    drop(lifeline);
    child.wait()?;
    Ok(report)
}

/// The first process inside: makes `/run` private, starts the scenarios, and buries orphans, so that a
/// daemon that has ended is gone and not a zombie.
pub(crate) fn init(words: &[String]) -> Result<ExitCode> {
    thread::spawn(|| {
        let mut lifeline = Vec::new();
        let _closed = io::stdin().read_to_end(&mut lifeline);
        // The outside has ended without cleaning up. What is still running here may write between
        // two deletions, but not into a directory that is gone.
        let directory = env::var(DIRECTORY_VARIABLE).unwrap_or_default();
        let _gone = (0..10).find(|_| fs::remove_dir_all(&directory).is_ok());
        std::process::exit(130);
    });
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "tmpfs", "/run"])
        .stdin(Stdio::null())
        .status()?;
    ensure!(mounted.success(), "cannot mount a private /run");
    let runner = Command::new(env::current_exe()?)
        .args(["hosts-helper", "run"])
        .args(words)
        .stdin(Stdio::null())
        .spawn()?;
    let runner = i32::try_from(runner.id())
        .ok()
        .and_then(Pid::from_raw)
        .context("a process id is positive")?;
    loop {
        let Some((pid, status)) = wait(WaitOptions::empty())? else {
            continue;
        };
        if pid == runner {
            let code = status
                .exit_status()
                .and_then(|code| u8::try_from(code).ok());
            return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
        }
    }
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command
        .env("PATH", setup::search_path())
        // The trial and the scenarios must not find a running user session.
        .env_remove("XDG_RUNTIME_DIR")
        .args(["--mount", "--net", "--pid", "--fork"])
        .args(["--kill-child", "--mount-proc"]);
    if !geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command
}

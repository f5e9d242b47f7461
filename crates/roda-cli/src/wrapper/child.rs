//! The command's process: started early, let go with the lock.
//!
//! Roda starts itself as `roda __exec`, which asks the kernel to die with its parent, waits for the
//! fence on a pipe and then becomes the command. So the parent can put it into a control group and
//! register it before the command runs, no time is lost once the lock is there, and if the parent dies
//! first, nothing ever runs. The command keeps the pipe: it tells when the lock is at risk.

use std::ffi::OsString;
use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, getppid, set_child_subreaper,
    set_parent_process_death_signal, waitid, waitpid,
};

use super::program;
use crate::api::lock_types::ChildRequest;
use crate::error::{Exit, Failure, Result};
use crate::output::Ui;
use crate::tree::{Cgroup, HOLD_VARIABLE, Known, Process, Tree};

/// What to start.
pub(super) struct Plan<'a> {
    /// The hold that it will run under.
    pub(super) hold: &'a str,
    /// The command with its arguments.
    pub(super) command: &'a [OsString],
    /// Its environment besides that of this process.
    pub(super) environment: Vec<(&'static str, OsString)>,
    /// Standard input is a terminal: it has to be in the terminal's process group to read it, and
    /// gets Ctrl-C from there.
    pub(super) is_on_terminal: bool,
    /// Options for Roda itself.
    pub(super) options: Vec<OsString>,
}

/// A command that waits for the lock, or runs.
pub(super) struct Child {
    /// What belongs to it.
    pub(super) tree: Tree,
    pipe: PipeWriter,
}

impl Child {
    /// Starts the command, up to the point where it needs the lock.
    pub(super) fn start(plan: Plan<'_>, pipe: Option<(PipeReader, PipeWriter)>) -> Result<Self> {
        let fault =
            |error: std::io::Error| Failure::new("runtime").with("reason", error.to_string());
        let wrapper = Process::own().ok_or_else(|| {
            Failure::new("runtime").with("reason", "/proc does not show this process")
        })?;
        let strangers = strangers(&wrapper);
        // Orphans of the command come to this process, so that it sees when nothing is left.
        set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(|errno| fault(errno.into()))?;
        let (reader, pipe) = pipe.map_or_else(std::io::pipe, Ok).map_err(fault)?;
        fcntl_setfd(&reader, FdFlags::empty()).map_err(|errno| fault(errno.into()))?;
        // A command that does not read must not stop its wrapper.
        fcntl_setfl(&pipe, OFlags::NONBLOCK).map_err(|errno| fault(errno.into()))?;
        let number = reader.as_raw_fd().to_string();
        let mut command = Command::new(program::OWN_PROGRAM);
        command
            .arg0("roda")
            .args(plan.options)
            .args(["__exec", &number, &wrapper.pid.to_string(), "--"])
            .args(plan.command)
            .envs(plan.environment)
            .env("RODA_LOST_FD", &number)
            .env(HOLD_VARIABLE, markers(plan.hold));
        if !plan.is_on_terminal {
            command.process_group(0);
        }
        // It is waited for together with its orphans.
        let pid = command.spawn().map_err(fault)?.id();
        let root = i32::try_from(pid)
            .ok()
            .and_then(Process::find)
            .ok_or_else(|| Failure::new("runtime").with("reason", "the child is gone"))?;
        let cgroup = Cgroup::create(plan.hold).ok().and_then(|cgroup| {
            if cgroup.add(root.pid).is_ok() {
                return Some(cgroup);
            }
            cgroup.remove();
            None
        });
        Ok(Self {
            tree: Tree {
                root,
                has_own_group: !plan.is_on_terminal,
                wrapper,
                strangers,
                hold: plan.hold.to_owned(),
                cgroup,
                known: Known::default(),
            },
            pipe,
        })
    }

    /// What the node has to know.
    pub(super) fn request(&self) -> ChildRequest {
        let tree = &self.tree;
        let cgroup = tree.cgroup.as_ref().map(|cgroup| cgroup.path());
        ChildRequest {
            pid: tree.root.pid,
            own_group: tree.has_own_group,
            wrapper: tree.wrapper.pid,
            strangers: tree.strangers.iter().map(|known| known.pid).collect(),
            cgroup: cgroup.and_then(|path| path.to_str()).map(ToOwned::to_owned),
        }
    }

    /// Lets the command run.
    pub(super) fn go(&mut self, fence: u64) {
        self.tell(&fence.to_string());
    }

    /// Tells the command a word; one that has ended, or does not read, misses nothing it wants.
    pub(super) fn tell(&mut self, word: &str) {
        drop(writeln!(self.pipe, "{word}"));
    }

    /// Passes a signal on.
    pub(super) fn signal(&self, signal: Signal) {
        let Some(pid) = Pid::from_raw(self.tree.root.pid) else {
            return;
        };
        // Whoever has ended needs no signal.
        let _ = if self.tree.has_own_group {
            rustix::process::kill_process_group(pid, signal)
        } else {
            rustix::process::kill_process(pid, signal)
        };
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(cgroup) = &self.tree.cgroup {
            cgroup.kill();
        }
        // If it still waits for the lock, it must not begin; if it has run, it is gone.
        let _: bool = self.tree.root.signal(Signal::KILL);
        let root = Pid::from_raw(self.tree.root.pid);
        let _ = waitpid(root, WaitOptions::empty());
        if let Some(cgroup) = &self.tree.cgroup {
            cgroup.remove();
        }
    }
}

/// Children that this process has from before it became Roda, by `exec` in a shell.
fn strangers(own: &Process) -> Vec<Process> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    if waitid(WaitId::All, options).is_err() {
        return Vec::new();
    }
    let all = Process::all().into_iter();
    all.filter(|process| process.parent == own.pid).collect()
}

/// The holds that this process runs under, with the new one behind.
pub(crate) fn markers(hold: &str) -> OsString {
    match std::env::var_os(HOLD_VARIABLE).filter(|outer| !outer.is_empty()) {
        Some(mut outer) => {
            outer.push(",");
            outer.push(hold);
            outer
        }
        None => hold.into(),
    }
}

/// `roda __exec`: waits for the fence, then becomes the command.
pub(crate) fn exec(ui: &Ui, pipe: u32, parent: u32, command: &[OsString]) -> Exit {
    let armed = set_parent_process_death_signal(Some(Signal::KILL));
    // The parent may have died before the kernel knew about that wish.
    let is_orphan = u32::try_from(Pid::as_raw(getppid())).is_ok_and(|now| now != parent);
    let (Some(program), false, Ok(())) = (command.first(), is_orphan, armed) else {
        return Exit::NotStarted;
    };
    let Some(fence) = fence(pipe) else {
        // The lock is not wanted any more.
        return Exit::NotStarted;
    };
    let mut child = Command::new(program);
    if *program == *program::OWN_PROGRAM {
        child.arg0("roda");
    }
    let error = child.args(&command[1..]).env("RODA_FENCE", fence).exec();
    let failure = program::start_failure(program, &error);
    ui.failure(&failure);
    failure.exit()
}

/// The first line from the pipe and not one byte more, which would be the command's.
fn fence(pipe: u32) -> Option<String> {
    let mut pipe = File::open(format!("/proc/self/fd/{pipe}")).ok()?;
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < FENCE_LEN_MAX {
        pipe.read_exact(&mut byte).ok()?;
        if byte == *b"\n" {
            return String::from_utf8(line).ok();
        }
        line.push(byte[0]);
    }
    None
}

/// Digits of the largest fence.
const FENCE_LEN_MAX: usize = 20;

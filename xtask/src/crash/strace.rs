//! Recording what a program does to files, and making its system calls fail, with strace.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::setup;

/// All that can change a file or its name, or tell somebody that it was changed. What is listed here
/// and not understood by `timeline` fails there, if it touches a file of the node.
const CALLS: &str = "trace=openat,open,creat,pwrite64,write,writev,pwritev,pwritev2,sendto,sendmsg,\
    fdatasync,fsync,sync_file_range,ftruncate,truncate,fallocate,copy_file_range,sendfile,unlink,\
    unlinkat,rename,renameat,renameat2,link,linkat,symlink,mmap";
/// Longer than any write of a node.
const TEXT_LEN_MAX: &str = "16777216";

/// Why programs cannot be traced here; `None` if they can.
pub(crate) fn obstacle() -> Option<String> {
    if setup::find("strace").is_none() {
        return Some("the program `strace` is not installed".to_owned());
    }
    let mut trial = Command::new("true");
    trial = traced(&trial, Path::new("/dev/null"), &[]);
    match trial.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!(
            "this machine does not let us trace programs: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Some(format!("cannot run strace: {error}")),
    }
}

/// The same command with everything that it and its children do to files written to `trace`.
/// `faults` are given to strace's `inject=`.
pub(crate) fn traced(command: &Command, trace: &Path, faults: &[String]) -> Command {
    let mut strace = Command::new("strace");
    strace
        .env("PATH", setup::search_path())
        .args(["-f", "--seccomp-bpf", "-y", "-xx", "-s", TEXT_LEN_MAX])
        .args(["-e", CALLS, "-o"])
        .arg(trace);
    for fault in faults {
        strace.arg("-e").arg(format!("inject={fault}"));
    }
    strace.arg("--").arg(command.get_program());
    strace.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    strace
}

//! Processes of the hosts, which all share one numbering.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};

use super::node::Node;

/// Nanoseconds of the clock that all hosts share; it never goes back.
pub(crate) fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let part = |part: i64| u64::try_from(part).expect("this clock starts at zero");
    part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
}

/// Sends a signal; false if the process is gone.
pub(crate) fn signal(pid: Pid, signal: Signal) -> bool {
    kill_process(pid, signal).is_ok()
}

/// The words that a process was started with; empty if it is gone.
pub(crate) fn words(pid: Pid) -> Vec<String> {
    let line = fs::read(entry(pid).join("cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

/// The parent of a process.
pub(crate) fn parent(pid: Pid) -> Result<Pid> {
    let status = fs::read_to_string(entry(pid).join("status"))
        .with_context(|| format!("process {pid:?} is gone"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    let parent = line.and_then(|line| Pid::from_raw(line.trim().parse().ok()?));
    parent.context("no parent")
}

/// The process of a node, found without asking it; `None` if it does not run.
pub(crate) fn daemon(node: &Node<'_>) -> Option<Pid> {
    let home = node.home.to_string_lossy();
    every().into_iter().find(|pid| {
        let words = words(*pid);
        words.iter().any(|word| *word == home) && words.last().is_some_and(|word| word == "daemon")
    })
}

/// Every process that can be seen.
pub(crate) fn every() -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
        .collect()
}

fn entry(pid: Pid) -> std::path::PathBuf {
    Path::new("/proc").join(pid.as_raw_nonzero().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_words_and_a_parent() {
        let own = rustix::process::getpid();
        assert!(!words(own).is_empty());
        assert!(parent(own).is_ok());
        assert!(every().contains(&own));
    }
}

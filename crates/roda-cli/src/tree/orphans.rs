//! What an earlier run of a node has left: processes under one of its holds whose wrapper is dead.
//!
//! While a node lives it ends what runs under its holds, and while a wrapper lives the wrapper does. If both are
//! killed in the same instant, nobody has: the next node of this home does, before it gives anybody a lock.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Process, descend};

/// Kills all orphans of the holds whose names begin with `mark`; how many there were. Blocks.
///
/// # Errors
/// These live on although they were killed, as processes do that wait for a disk.
pub(crate) fn kill_orphans(mark: &str) -> Result<usize, Vec<i32>> {
    let give_up = Instant::now() + KILL_MAX;
    let mut killed = BTreeSet::new();
    let mut pause = PAUSE;
    loop {
        let found = orphans(mark);
        // Looked at twice: one that forks and ends while the list is read could be missed.
        if found.is_empty() && orphans(mark).is_empty() {
            return Ok(killed.len());
        }
        if Instant::now() >= give_up {
            return Err(found.iter().map(|process| process.pid).collect());
        }
        for orphan in &found {
            // It may just have ended.
            let _: bool = orphan.signal(Signal::KILL);
            killed.insert((orphan.pid, orphan.born));
        }
        sleep(pause);
        pause = PAUSE_MAX.min(pause * 2);
    }
}

fn orphans(mark: &str) -> Vec<Process> {
    let own = std::process::id();
    let living = Process::all().into_iter();
    let all: BTreeMap<i32, Process> = living
        .filter(|process| !process.is_dead && u32::try_from(process.pid).ok() != Some(own))
        .map(|process| (process.pid, process))
        .collect();
    let marked: BTreeSet<i32> = all
        .values()
        .filter(|process| is_marked(process, mark))
        .map(|process| process.pid)
        .collect();
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for process in all.values() {
        let siblings = children.entry(process.parent).or_default();
        siblings.push(process.pid);
    }
    let mut found = BTreeSet::new();
    let seeds = marked.iter().copied();
    let seeds = seeds.filter(|pid| !is_guarded(*pid, &all, &marked));
    descend(seeds, &children, &mut found);
    let found = found.iter();
    found.filter_map(|pid| all.get(pid).copied()).collect()
}

/// Whether it was started under a hold of the home, by its environment or its control group.
fn is_marked(process: &Process, mark: &str) -> bool {
    let groups = fs::read_to_string(format!("/proc/{}/cgroup", process.pid)).unwrap_or_default();
    let group = format!("/roda-{mark}");
    groups.contains(&group) || process.carries_any(|marker| marker.starts_with(mark.as_bytes()))
}

/// Whether it descends from a wrapper that lives: that one ends it by its own clock.
fn is_guarded(pid: i32, all: &BTreeMap<i32, Process>, marked: &BTreeSet<i32>) -> bool {
    let parent = |pid: &i32| all.get(pid).map(|process| process.parent);
    // A list that is not of one moment could hold a circle.
    std::iter::successors(parent(&pid), parent)
        .take(all.len())
        .any(|ancestor| !marked.contains(&ancestor) && is_roda(ancestor))
}

fn is_roda(pid: i32) -> bool {
    let name = |process: &str| {
        let program: PathBuf = fs::read_link(format!("/proc/{process}/exe")).ok()?;
        let name = program.file_name()?.to_str()?.to_owned();
        // So it is called after an upgrade.
        Some(name.trim_end_matches(" (deleted)").to_owned())
    };
    name(&pid.to_string()).is_some_and(|found| Some(found) == name("self"))
}

/// How long killed processes have for ending.
const KILL_MAX: Duration = Duration::from_secs(10);
/// How long one usually needs.
const PAUSE: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(50);

//! All processes that run under a hold, and how to end them.
//!
//! A process belongs to the tree if it descends from the child, is in its process group or control
//! group, was inherited by the wrapper (to whom the kernel gives orphans of the tree), or has the
//! hold's marker in its environment. So a daemon that forks twice and starts a session of its own is
//! found as long as the wrapper lives or it keeps its control group or its environment. Who has been
//! found once belongs to the tree until it is dead: a process that is just ending has lost its
//! environment, but not yet its open files.

mod cgroup;
mod known;
mod orphans;
mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;

pub(crate) use cgroup::Cgroup;
pub(crate) use known::Known;
pub(crate) use orphans::kill_orphans;
pub(crate) use process::{HOLD_VARIABLE, Process};

/// What identifies the processes under a hold.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    /// The child itself.
    pub(crate) root: Process,
    /// The child leads a process group that is its own.
    pub(crate) has_own_group: bool,
    /// The wrapper; it is never part of the tree.
    pub(crate) wrapper: Process,
    /// Children of the wrapper that it had before.
    pub(crate) strangers: Vec<Process>,
    /// The marker.
    pub(crate) hold: String,
    /// The control group, if one could be made.
    pub(crate) cgroup: Option<Cgroup>,
    /// Who has been found.
    pub(crate) known: Known,
}

impl Tree {
    /// The processes of the tree that live.
    pub(crate) fn members(&self) -> Vec<Process> {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        let is_outside = |process: &Process| {
            process.pid == own
                || self.wrapper.is_same(process)
                || self.strangers.iter().any(|known| known.is_same(process))
        };
        let all: BTreeMap<i32, Process> = Process::all()
            .into_iter()
            .filter(|process| !process.is_dead && !is_outside(process))
            .map(|process| (process.pid, process))
            .collect();
        let in_cgroup: BTreeSet<i32> = match &self.cgroup {
            Some(cgroup) => cgroup.processes().into_iter().collect(),
            None => BTreeSet::new(),
        };
        let has_wrapper = Process::find(self.wrapper.pid)
            .is_some_and(|now| now.is_same(&self.wrapper) && !now.is_dead);
        let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for process in all.values() {
            children
                .entry(process.parent)
                .or_default()
                .push(process.pid);
        }
        let mut found = BTreeSet::new();
        let seeds = all.values().filter(|process| {
            in_cgroup.contains(&process.pid)
                || self.known.contains(process)
                || self.is_near(process, has_wrapper)
        });
        descend(seeds.map(|process| process.pid), &children, &mut found);
        // Reading an environment costs most, so only of those that can be and are not known yet.
        let marked: Vec<i32> = all
            .values()
            .filter(|process| process.born >= self.root.born && !found.contains(&process.pid))
            .filter(|process| process.carries(&self.hold))
            .map(|process| process.pid)
            .collect();
        descend(marked.into_iter(), &children, &mut found);
        let members: Vec<Process> = found
            .iter()
            .filter_map(|pid| all.get(pid).copied())
            .collect();
        self.known.set(&members);
        members
    }

    fn is_near(&self, process: &Process, has_wrapper: bool) -> bool {
        if process.born < self.root.born {
            return false;
        }
        process.is_same(&self.root)
            || (self.has_own_group && process.group == self.root.pid)
            || (has_wrapper && process.parent == self.wrapper.pid)
    }

    /// Sends a signal to each of the tree; how many got it.
    pub(crate) fn signal(&self, signal: Signal) -> usize {
        let members = self.members().into_iter();
        members.filter(|member| member.signal(signal)).count()
    }

    /// Kills all of it, as far as it is known at this moment; true if nothing was left to kill.
    pub(crate) fn kill(&self) -> bool {
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
        let members = self.members();
        for member in &members {
            // Another process may just have done so.
            let _: bool = member.signal(Signal::KILL);
        }
        members.is_empty() && self.is_empty_again()
    }

    /// Whether nothing is found by looking once more. A process that forks and ends while the list is
    /// read could be missed; its control group would know the child.
    fn is_empty_again(&self) -> bool {
        self.cgroup.is_some() || self.members().is_empty()
    }

    /// Kills until nothing of it is left, however long the kernel needs.
    pub(crate) async fn kill_all(self: &Arc<Self>) {
        let mut pause = KILL_PAUSE;
        loop {
            let tree = Arc::clone(self);
            // A scan of many processes would hold up the node's other work. A panic in it counts
            // as "not empty yet".
            if tokio::task::spawn_blocking(move || tree.kill())
                .await
                .is_ok_and(|empty| empty)
            {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = KILL_PAUSE_MAX.min(pause * 2);
        }
    }

    /// Whether nothing of it lives.
    pub(crate) async fn is_empty(self: &Arc<Self>) -> bool {
        let tree = Arc::clone(self);
        tokio::task::spawn_blocking(move || tree.members().is_empty() && tree.is_empty_again())
            .await
            .is_ok_and(|empty| empty)
    }
}

/// Adds `seeds` and all that descends from them.
fn descend(
    seeds: impl Iterator<Item = i32>,
    children: &BTreeMap<i32, Vec<i32>>,
    found: &mut BTreeSet<i32>,
) {
    let mut open: Vec<i32> = seeds.collect();
    while let Some(pid) = open.pop() {
        if found.insert(pid) {
            open.extend(children.get(&pid).into_iter().flatten());
        }
    }
}

/// How long a killed process usually needs to end.
const KILL_PAUSE: Duration = Duration::from_millis(2);
/// Between two rounds when something needs longer, as a process that waits for a disk.
const KILL_PAUSE_MAX: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;

//! What a job's command has left running: it ends before the job's end is told.
//!
//! This process inherits every orphan of its jobs. A job's processes are those in its process group and those
//! with its marker in their environment, with all that descends from them. An orphan that has dropped both
//! cannot be told from those of other jobs that run, so it lives until no other does; the worker's lock
//! outlasts it in any case.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::tree::{Known, Process, Tree};

/// The first processes of the jobs that run, by their number.
#[derive(Clone, Default)]
pub(super) struct Roots(Arc<Mutex<BTreeMap<i32, Process>>>);

impl Roots {
    /// One more.
    pub(super) fn add(&self, root: Process) {
        self.map(|roots| roots.insert(root.pid, root));
    }

    /// One less.
    pub(super) fn remove(&self, pid: i32) {
        self.map(|roots| roots.remove(&pid));
    }

    fn all(&self) -> Vec<Process> {
        self.map(|roots| roots.values().copied().collect())
    }

    fn map<T>(&self, change: impl FnOnce(&mut BTreeMap<i32, Process>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Ends whatever a job has left, by asking first; returns when nothing of it runs.
pub(super) async fn clear(root: Process, marker: &str, roots: &Roots) {
    let kill_at = Instant::now() + ASK_MAX;
    let mut is_asked = false;
    let mut pause = PAUSE;
    let known = Known::default();
    loop {
        if is_childless(roots) {
            return;
        }
        let signal = match is_asked {
            false => Some(Signal::TERM),
            true if Instant::now() >= kill_at => Some(Signal::KILL),
            true => None,
        };
        is_asked = true;
        let (marker, roots, known) = (marker.to_owned(), roots.clone(), known.clone());
        // A scan of many processes would hold up the other jobs. A panic in it counts as “not empty”.
        let is_empty = spawn_blocking(move || {
            let tree = tree(root, marker, &roots, known);
            let members = tree.members();
            for member in &members {
                if let Some(signal) = signal {
                    // It may just have ended.
                    let _: bool = member.signal(signal);
                }
            }
            members.is_empty() && tree.members().is_empty()
        });
        if is_empty.await.is_ok_and(|empty| empty) {
            return;
        }
        sleep(pause).await;
        pause = PAUSE_MAX.min(pause * 2);
    }
}

fn tree(root: Process, marker: String, roots: &Roots, known: Known) -> Tree {
    let others = roots.all();
    // Only a worker without another job knows whose its orphans are.
    let heir = Process::own().filter(|_own| others.is_empty());
    let nobody = Process {
        pid: 0,
        parent: 0,
        group: 0,
        born: 0,
        is_dead: true,
    };
    Tree {
        root,
        has_own_group: true,
        wrapper: heir.unwrap_or(nobody),
        strangers: others,
        hold: marker,
        cgroup: None,
        known,
    }
}

/// The usual case, found out cheaply: this process has no children but the jobs that run, so nobody has left
/// anything.
fn is_childless(roots: &Roots) -> bool {
    let Ok(threads) = fs::read_dir("/proc/self/task") else {
        return false;
    };
    let roots = roots.all();
    let mut is_known = false;
    for thread in threads.flatten() {
        // Kernels can be built without this file.
        let Ok(children) = fs::read_to_string(thread.path().join("children")) else {
            continue;
        };
        is_known = true;
        let pids = children
            .split(' ')
            .filter_map(|pid| pid.parse::<i32>().ok());
        for pid in pids.filter(|pid| !roots.iter().any(|root| root.pid == *pid)) {
            if Process::find(pid).is_some_and(|child| !child.is_dead) {
                return false;
            }
        }
    }
    is_known
}

/// How long what a job has left has for ending by itself.
const ASK_MAX: Duration = Duration::from_secs(1);
/// How long an ended process usually needs.
const PAUSE: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(50);

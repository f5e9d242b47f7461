//! A worker on each host, started again whenever it has ended.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::process::{Pid, Signal};

use super::arena::Arena;
use crate::hosts::process;
use crate::hosts::random::Random;
use crate::hosts::scenarios::Group;
use crate::hosts::scenarios::attempt::{Attempt, Ended};
use crate::hosts::scenarios::chaos::{Target, Victims};

/// How long after its end a worker is started again, as the manager of a machine's services would.
const RESTARTED_AFTER: Duration = Duration::from_millis(200);
/// Between two looks at a worker.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a worker may take to end when it is asked to and has nothing to do.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// All workers.
pub(super) struct Workers<'w> {
    group: &'w Group<'w>,
    arena: &'w Arena,
    queue: &'w str,
    slots: Vec<Mutex<Option<Attempt>>>,
    paused: Vec<AtomicBool>,
    is_over: AtomicBool,
}

impl<'w> Workers<'w> {
    pub(super) fn new(group: &'w Group<'w>, arena: &'w Arena, queue: &'w str) -> Self {
        Self {
            group,
            arena,
            queue,
            slots: group.nodes.iter().map(|_| Mutex::default()).collect(),
            paused: group.nodes.iter().map(|_| AtomicBool::new(false)).collect(),
            is_over: AtomicBool::new(false),
        }
    }

    /// What the worker of a host is called.
    fn label(&self, host: usize) -> String {
        format!("{}-worker", self.group.nodes[host].nick)
    }

    pub(super) fn is_paused(&self, host: usize) -> bool {
        self.paused[host].load(Ordering::SeqCst)
    }

    /// Lets all workers end.
    pub(super) fn dismiss(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    fn slot(&self, host: usize) -> MutexGuard<'_, Option<Attempt>> {
        self.slots[host]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a worker running on a host until all are dismissed. Returns how often it ended how.
    pub(super) fn keep(&self, host: usize) -> Result<BTreeMap<i32, usize>> {
        let mut codes = BTreeMap::new();
        let label = self.label(host);
        let command = self.arena.command(&label);
        let words = ["work", self.queue, "-j", "2"];
        while !self.is_over.load(Ordering::SeqCst) {
            if !self.is_paused(host) {
                let node = &self.group.nodes[host];
                let attempt = Attempt::start(node, &self.arena.path, &label, &words, &command)?;
                *self.slot(host) = Some(attempt);
                let ended = self.end_of(host)?;
                *self.slot(host) = None;
                *codes.entry(ended.code()).or_default() += 1;
            }
            thread::sleep(RESTARTED_AFTER);
        }
        Ok(codes)
    }

    fn end_of(&self, host: usize) -> Result<Ended> {
        let mut asked: Option<Instant> = None;
        loop {
            let ended = self.slot(host).as_mut().map(Attempt::poll).transpose()?;
            if let Some(ended) = ended.flatten() {
                return Ok(ended);
            }
            match asked {
                None if self.is_over.load(Ordering::SeqCst) => {
                    if let Some(attempt) = self.slot(host).as_mut() {
                        attempt.signal(Signal::TERM);
                    }
                    asked = Some(Instant::now());
                }
                Some(since) if since.elapsed() > ENDS_WITHIN => {
                    bail!("{} did not end within {ENDS_WITHIN:?}", self.label(host))
                }
                None | Some(_) => {}
            }
            thread::sleep(PAUSE);
        }
    }
}

impl Victims for Workers<'_> {
    fn directory(&self) -> &Path {
        &self.arena.path
    }

    /// Any job that runs.
    fn target(&self) -> Result<Option<Target>> {
        let alive = self.arena.unended()?.into_iter().rev().find(|line| {
            let pid = Pid::from_raw(line.pid);
            pid.is_some_and(|pid| process::words(pid).contains(&line.label))
        });
        Ok(alive.map(|line| Target {
            label: line.label,
            pid: line.pid,
        }))
    }

    fn pause(&self, host: usize, paused: bool) {
        self.paused[host].store(paused, Ordering::SeqCst);
    }

    /// The process that holds the worker's lock, or the one inside that starts the jobs.
    fn signal(
        &self,
        host: usize,
        _target: Option<&Target>,
        random: &mut Random,
        signal: Signal,
    ) -> Option<(String, Pid)> {
        let mut attempt = self.slot(host);
        let attempt = attempt.as_mut()?;
        let outer = attempt.pid();
        let all = self.group.nodes[host].host.processes().unwrap_or_default();
        let inner = all
            .into_iter()
            .find(|pid| process::parent(*pid).is_ok_and(|parent| parent == outer));
        let label = attempt.label.clone();
        match inner {
            Some(inner) if random.below(2) == 0 => {
                process::signal(inner, signal).then_some((label, inner))
            }
            _ => attempt.signal(signal).then_some((label, outer)),
        }
    }
}

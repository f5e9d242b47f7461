//! Twenty contenders and many accidents: never two inside, no update lost, nobody forgotten.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::process::{Pid, Signal};

use super::arena::Arena;
use super::journal::{Journal, Visit};
use crate::hosts::Bench;
use crate::hosts::process::now_ns;
use crate::hosts::random::Random;
use crate::hosts::scenarios::Group;
use crate::hosts::scenarios::attempt::{Attempt, BUSY, Ended, FAILED, LOST, SIGNALLED};
use crate::hosts::scenarios::chaos::Record;
use crate::hosts::scenarios::chaos::{self, Chaos, Target, Victims};
use crate::hosts::scenarios::report::{settle, wait_waiting};

const HOSTS: usize = 5;
const LOOPS: usize = 4;
const LOCK: &str = "counter";
/// Unless `RODA_TORTURE_SECONDS` says otherwise.
const SECONDS: u64 = 45;
/// How long one waits for the lock.
const WAIT: &str = "60s";
/// How long an attempt may take in all.
const ENDS_WITHIN: Duration = Duration::from_secs(90);
/// How long everybody may take to be inside once more when nothing is broken any longer.
const CALM_WITHIN: Duration = Duration::from_secs(45);
/// Killed with `kill -9`, itself or its command.
const KILLED: i32 = SIGNALLED + Signal::KILL.as_raw();
/// Between two looks at what a contender does, and between two of its attempts.
const PAUSE: Duration = Duration::from_millis(5);

/// Counts under the lock on five hosts while accidents happen.
pub(crate) fn no_update_is_lost(bench: &Bench) -> Result<()> {
    let seed = chaos::seed()?;
    let seconds = chaos::number("RODA_TORTURE_SECONDS")?.unwrap_or(SECONDS);
    bench.note(&format!("seed {seed}, {seconds} s of accidents"));
    let group = Group::start(bench, HOSTS)?;
    settle(&group, 3)?;
    let arena = Arena::new(bench, LOCK)?;
    let contenders = Contenders::new();
    let (record, outcomes) = thread::scope(|scope| {
        let (contenders, group, arena) = (&contenders, &group, &arena);
        let turns: Vec<_> = (0..HOSTS * LOOPS)
            .map(|slot| scope.spawn(move || contenders.contend(slot, group, arena)))
            .collect();
        let scene = Scene { arena, contenders };
        let chaos = Chaos::new(group, &scene, seed);
        let record = chaos.rage(Duration::from_secs(seconds));
        contenders.calm_down(record.is_ok());
        let outcomes: Vec<_> = turns
            .into_iter()
            .map(|turns| turns.join().expect("contenders do not panic"))
            .collect();
        record.map(|record| (record, outcomes))
    })?;
    let judged = judge(bench, &arena, &record, outcomes, contenders.calm_ns());
    if judged.is_err() {
        for (at, line) in &record.lines {
            bench.note(&format!("{at}: {line}"));
        }
    }
    judged?;
    wait_waiting(&group.nodes[0], LOCK, 0, CALM_WITHIN)
}

/// One attempt that has ended.
struct Outcome {
    ended: Ended,
    from_ns: u64,
    until_ns: u64,
}

/// All attempts that run.
struct Contenders {
    slots: Vec<Mutex<Option<Attempt>>>,
    paused: Vec<AtomicBool>,
    /// When the accidents were over; 0 while they are not.
    calm: AtomicU64,
    is_over: AtomicBool,
}

impl Contenders {
    fn new() -> Self {
        Self {
            slots: (0..HOSTS * LOOPS).map(|_| Mutex::default()).collect(),
            paused: (0..HOSTS).map(|_| AtomicBool::new(false)).collect(),
            calm: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    /// Sends a signal to a wrapper: that of the label, otherwise any of the host. Returns whose it was.
    fn signal(
        &self,
        host: usize,
        label: Option<&str>,
        random: &mut Random,
        signal: Signal,
    ) -> Option<(String, Pid)> {
        let drawn = random.below(LOOPS);
        let slots = host * LOOPS..(host + 1) * LOOPS;
        let is_meant = |slot: &usize| {
            let attempt = self.slot(*slot);
            label.is_some() && attempt.as_ref().map(|attempt| attempt.label.as_str()) == label
        };
        let slot = slots.clone().find(is_meant).unwrap_or(host * LOOPS + drawn);
        let mut attempt = self.slot(slot);
        let attempt = attempt.as_mut()?;
        attempt
            .signal(signal)
            .then(|| (attempt.label.clone(), attempt.pid()))
    }

    fn slot(&self, slot: usize) -> MutexGuard<'_, Option<Attempt>> {
        self.slots[slot]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn calm_down(&self, should_go_on: bool) {
        self.calm.store(now_ns(), Ordering::SeqCst);
        self.is_over.store(!should_go_on, Ordering::SeqCst);
    }

    fn calm_ns(&self) -> u64 {
        self.calm.load(Ordering::SeqCst)
    }

    /// Wants the lock again and again, until it had it once more after all accidents.
    fn contend(&self, slot: usize, group: &Group<'_>, arena: &Arena) -> Result<Vec<Outcome>> {
        let host = slot / LOOPS;
        let node = &group.nodes[host];
        let label = format!("{}-{}", node.nick, slot % LOOPS);
        let command = arena.section(&label);
        let mut outcomes = Vec::new();
        while !self.is_over.load(Ordering::SeqCst) {
            thread::sleep(PAUSE);
            if self.paused[host].load(Ordering::SeqCst) {
                continue;
            }
            let from_ns = now_ns();
            let attempt = arena.lock(node, &label, &[LOCK, "--wait", WAIT], &command)?;
            *self.slot(slot) = Some(attempt);
            let ended = self.end_of(slot)?;
            *self.slot(slot) = None;
            let calm_ns = self.calm_ns();
            let is_done = calm_ns != 0 && from_ns > calm_ns && ended.code() == 0;
            outcomes.push(Outcome {
                ended,
                from_ns,
                until_ns: now_ns(),
            });
            if is_done {
                return Ok(outcomes);
            }
        }
        Ok(outcomes)
    }

    fn end_of(&self, slot: usize) -> Result<Ended> {
        let started = Instant::now();
        loop {
            let ended = self.slot(slot).as_mut().map(Attempt::poll).transpose()?;
            if let Some(ended) = ended.flatten() {
                return Ok(ended);
            }
            let what = || format!("slot {slot}");
            ensure!(started.elapsed() < ENDS_WITHIN, "{} did not end", what());
            let calm_ns = self.calm_ns();
            let calm_for = Duration::from_nanos(now_ns().saturating_sub(calm_ns));
            ensure!(
                calm_ns == 0 || calm_for < CALM_WITHIN,
                "{} did not get the lock within {CALM_WITHIN:?} after the last accident",
                what()
            );
            thread::sleep(PAUSE);
        }
    }
}

/// The contenders in their arena.
struct Scene<'s> {
    arena: &'s Arena,
    contenders: &'s Contenders,
}

impl Victims for Scene<'_> {
    fn directory(&self) -> &Path {
        &self.arena.path
    }

    /// Who is inside.
    fn target(&self) -> Result<Option<Target>> {
        let journal = self.arena.journal()?;
        Ok(journal.inside().map(|holder| Target {
            label: holder.label.clone(),
            pid: holder.pid,
        }))
    }

    fn pause(&self, host: usize, paused: bool) {
        self.contenders.paused[host].store(paused, Ordering::SeqCst);
    }

    fn signal(
        &self,
        host: usize,
        target: Option<&Target>,
        random: &mut Random,
        signal: Signal,
    ) -> Option<(String, Pid)> {
        let label = target.map(|target| target.label.as_str());
        self.contenders.signal(host, label, random, signal)
    }
}

/// Everything that must be so, whatever happened.
fn judge(
    bench: &Bench,
    arena: &Arena,
    record: &Record,
    outcomes: Vec<Result<Vec<Outcome>>>,
    calm_ns: u64,
) -> Result<()> {
    let journal = arena.journal()?;
    note(bench, &journal, record, calm_ns);
    journal.ensure_alone()?;
    journal.ensure_counted(arena.counter()?)?;
    let mut codes: BTreeMap<i32, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for outcomes in outcomes {
        for Outcome {
            ended,
            from_ns,
            until_ns,
        } in outcomes?
        {
            let (code, label) = (ended.code(), &ended.label);
            *codes.entry(code).or_default() += 1;
            let is_documented = match code {
                0 | BUSY | LOST | FAILED => true,
                KILLED => record.explains(label, from_ns, until_ns),
                _ => false,
            };
            if !is_documented {
                wrong.push(format!("{label} at {until_ns}: {code}, {}", ended.errors));
            }
        }
    }
    bench.note(&format!("attempts by exit code: {codes:?}"));
    ensure!(wrong.is_empty(), "exit codes: {}", wrong.join("\n"));
    Ok(())
}

fn note(bench: &Bench, journal: &Journal, record: &Record, calm_ns: u64) {
    bench.note(&format!(
        "{} sections, {} of them completed, {} on another host than the one before",
        journal.entries().count(),
        journal.completed(),
        journal.moves()
    ));
    bench.note(&format!("faults: {:?}", record.counts));
    let visits: Vec<&Visit> = journal.entries().collect();
    let gaps = visits.windows(2).filter(|pair| pair[1].at_ns < calm_ns);
    let longest = gaps.max_by_key(|pair| record.healthy_ns(pair[0].at_ns, pair[1].at_ns));
    if let Some([before, after]) = longest {
        let healthy = Duration::from_nanos(record.healthy_ns(before.at_ns, after.at_ns));
        bench.note(&format!(
            "longest time without progress: {healthy:.1?} with fewer than two hosts disturbed \
             (fences {} to {})",
            before.fence, after.fence
        ));
    }
}

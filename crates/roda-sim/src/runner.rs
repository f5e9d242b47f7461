//! Runs many seeds on all cores, and says how to repeat what failed.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::invariants::Violation;
use crate::options::Options;
use crate::scenario::{Failure, random};
use crate::token;

/// Seeds that once failed; they run first, always.
const KEPT: &str = include_str!("../seeds.txt");
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// What a seed stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A group with its log.
    Group,
    /// Locks.
    Token,
}

/// What to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Of what.
    pub kind: Kind,
    /// First seed.
    pub first: u64,
    /// How many.
    pub seeds: u64,
    /// Stop after this.
    pub limit: Option<Duration>,
    /// Members, if not drawn.
    pub nodes: Option<usize>,
    /// Whether to run the kept seeds first.
    pub kept: bool,
    /// How many of the last lines of the trace of what failed to print.
    pub lines: usize,
}

/// What came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Seeds run without a violation.
    pub passed: u64,
    /// Seeds that failed.
    pub failed: u64,
    /// Happenings of all runs.
    pub events: u64,
    /// Longest time to converge.
    pub slowest: Duration,
}

/// The seeds of a kind that once failed, with the number of nodes if it was not drawn.
#[must_use]
pub fn kept_seeds(kind: Kind) -> Vec<(u64, Option<usize>)> {
    let kept = KEPT.lines().filter_map(parse_kept);
    let of_kind = kept.filter(|(of, ..)| *of == kind);
    of_kind.map(|(_, seed, nodes)| (seed, nodes)).collect()
}

/// `[token] seed [nodes] # reason`
fn parse_kept(line: &str) -> Option<(Kind, u64, Option<usize>)> {
    let mut words = line.split('#').next()?.split_whitespace().peekable();
    let kind = match words.next_if_eq(&"token") {
        Some(_) => Kind::Token,
        None => Kind::Group,
    };
    let seed = words.next()?.parse().ok()?;
    let nodes = words.next().and_then(|word| word.parse().ok());
    Some((kind, seed, nodes))
}

struct Shared<'a, W> {
    jobs: Vec<(u64, Option<usize>)>,
    next: AtomicU64,
    stop: AtomicBool,
    started: Instant,
    plan: Plan,
    out: Mutex<(&'a mut W, Summary, Duration)>,
}

/// Runs a plan, writing progress and failures to `out`.
///
/// # Errors
/// `out` could not be written to.
pub fn run<W: Write + Send>(plan: Plan, out: &mut W) -> io::Result<Summary> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let jobs = if plan.kept {
        kept_seeds(plan.kind)
    } else {
        Vec::new()
    };
    writeln!(
        out,
        "seeds {}..{} and {} kept ones, nodes {}, {threads} threads",
        plan.first,
        plan.first.saturating_add(plan.seeds),
        jobs.len(),
        plan.nodes
            .map_or_else(|| "drawn".into(), |nodes| nodes.to_string()),
    )?;
    let shared = Shared {
        jobs,
        next: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        started: Instant::now(),
        plan,
        out: Mutex::new((out, Summary::default(), Duration::ZERO)),
    };
    let results: Vec<io::Result<()>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| shared.work()))
            .collect();
        let joined = threads.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|_panic| Err(io::Error::other("a thread panicked")))
        });
        joined.collect()
    });
    results.into_iter().collect::<io::Result<()>>()?;
    let Ok((out, summary, _)) = shared.out.into_inner() else {
        return Err(io::Error::other("a thread panicked while writing"));
    };
    writeln!(
        out,
        "{} seeds passed, {} failed, {} events in {:.1} s, slowest convergence {:?}",
        summary.passed,
        summary.failed,
        summary.events,
        shared.started.elapsed().as_secs_f64(),
        summary.slowest,
    )?;
    Ok(summary)
}

impl<W: Write> Shared<'_, W> {
    fn work(&self) -> io::Result<()> {
        while let Some((seed, nodes)) = self.next_job() {
            let result = run_seed(self.plan.kind, seed, nodes, 0);
            self.report(seed, nodes, result)?;
        }
        Ok(())
    }

    fn next_job(&self) -> Option<(u64, Option<usize>)> {
        let over = self
            .plan
            .limit
            .is_some_and(|limit| self.started.elapsed() >= limit);
        if over || self.stop.load(Ordering::Relaxed) {
            return None;
        }
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        let kept = self.jobs.len() as u64;
        match usize::try_from(index)
            .ok()
            .and_then(|index| self.jobs.get(index))
        {
            Some(job) => Some(*job),
            None if index - kept < self.plan.seeds => {
                Some((self.plan.first + index - kept, self.plan.nodes))
            }
            None => None,
        }
    }

    fn report(
        &self,
        seed: u64,
        nodes: Option<usize>,
        result: Result<Passed, Box<Failure>>,
    ) -> io::Result<()> {
        let Ok(mut guard) = self.out.lock() else {
            return Err(io::Error::other("a thread panicked while writing"));
        };
        let (out, summary, shown) = &mut *guard;
        match result {
            Ok(outcome) => {
                summary.passed += 1;
                summary.events += outcome.events;
                summary.slowest = summary.slowest.max(outcome.rested);
            }
            Err(failure) => {
                summary.failed += 1;
                self.stop.store(true, Ordering::Relaxed);
                self.write_failure(out, seed, nodes, &failure)?;
            }
        }
        let elapsed = self.started.elapsed();
        if elapsed >= *shown + PROGRESS_EVERY {
            *shown = elapsed;
            writeln!(out, "{} seeds passed", summary.passed)?;
        }
        Ok(())
    }

    fn write_failure(
        &self,
        out: &mut W,
        seed: u64,
        nodes: Option<usize>,
        failure: &Failure,
    ) -> io::Result<()> {
        let repeat = nodes.map_or_else(String::new, |nodes| format!(" --nodes {nodes}"));
        writeln!(out, "seed {seed} FAILED: {}", failure.violation)?;
        let repeat_kind = match self.plan.kind {
            Kind::Group => {
                writeln!(out, "{:#?}", Options::draw(seed, nodes))?;
                ""
            }
            Kind::Token => {
                writeln!(out, "{:#?}", token::Options::draw(seed))?;
                " --token"
            }
        };
        if self.plan.lines > 0 {
            // The same again with the trace kept, which would slow down every run.
            if let Err(again) = run_seed(self.plan.kind, seed, nodes, self.plan.lines) {
                for line in &again.lines {
                    writeln!(out, "  {line}")?;
                }
            }
        }
        writeln!(
            out,
            "repeat: cargo xtask sim{repeat_kind} --seed {seed} --seeds 1{repeat}"
        )
    }
}

/// How a seed passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// How many things happened.
    pub events: u64,
    /// How long it took to come to rest once all was healed.
    pub rested: Duration,
}

/// Runs one seed; a panic counts as a failure.
///
/// # Errors
/// What did not hold.
pub fn run_seed(
    kind: Kind,
    seed: u64,
    nodes: Option<usize>,
    lines: usize,
) -> Result<Passed, Box<Failure>> {
    let run = || match kind {
        Kind::Group => {
            let outcome = random(seed, Options::draw(seed, nodes), lines)?;
            Ok(Passed {
                events: outcome.events,
                rested: outcome.converged,
            })
        }
        Kind::Token => {
            let outcome = token::run(seed, token::Options::draw(seed), lines)?;
            Ok(Passed {
                events: outcome.events,
                rested: outcome.rested,
            })
        }
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_panic| {
        Err(Box::new(Failure {
            violation: Violation::global("panic", "see the message above"),
            hash: 0,
            lines: Vec::new(),
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_seeds_have_reasons_and_parse() {
        assert_eq!(parse_kept("# heading"), None);
        let group = |nodes| Some((Kind::Group, 17, nodes));
        assert_eq!(parse_kept("17 # lost its tail"), group(None));
        assert_eq!(parse_kept("17 4 # lost its tail"), group(Some(4)));
        let token = Some((Kind::Token, 17, None));
        assert_eq!(parse_kept("token 17 # two inside"), token);
        for line in KEPT.lines().filter(|line| !line.trim().is_empty()) {
            let reason = line.split_once('#').map(|(_, reason)| reason.trim());
            assert!(
                reason.is_some_and(|reason| !reason.is_empty()),
                "no reason: {line}"
            );
        }
    }
}

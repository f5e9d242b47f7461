//! Runs scenarios, some at a time, and says what came of them.

use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};

use super::command::excerpt;
use super::isolate::DIRECTORY_VARIABLE;
use super::net::{self, Host};
use super::scenarios::{self, Scenario};

const REPORT: &str = "report";
const PASSED: &str = "passed";
/// What a node writes its log to, inside its home.
const LOG: &str = "daemon.log";

/// What a scenario works with.
pub(crate) struct Bench {
    /// The program under test.
    pub(crate) binary: PathBuf,
    /// The scenario's own directory, for homes and files.
    pub(crate) directory: PathBuf,
    /// This program, for commands that run inside.
    pub(crate) helper: PathBuf,
    started: Instant,
    notes: Mutex<Vec<String>>,
}

impl Bench {
    fn new(directory: PathBuf, binary: &Path, helper: PathBuf) -> Self {
        Self {
            binary: binary.to_owned(),
            directory,
            helper,
            started: Instant::now(),
            notes: Mutex::default(),
        }
    }

    /// Remembers something measured, for the report.
    pub(crate) fn note(&self, what: &str) {
        let at = self.started.elapsed().as_secs_f64();
        self.notes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(format!("\n  {at:6.1} s  {what}"));
    }

    fn notes(&self) -> String {
        self.notes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .concat()
    }

    /// A helper program on a host.
    pub(crate) fn helper(&self, host: &Host, words: &[&str]) -> Command {
        let mut command = host.command(&self.helper.to_string_lossy());
        command.arg("hosts-helper").args(words);
        command
    }
}

struct Report {
    name: &'static str,
    passed: bool,
}

/// `run BINARY JOBS KEEP NAME…`: the part that runs inside the namespaces.
pub(crate) fn run(words: &[String]) -> Result<ExitCode> {
    let [binary, jobs, keep, names @ ..] = words else {
        return Err(anyhow!("usage: run BINARY JOBS KEEP NAME…"));
    };
    let directory = PathBuf::from(env::var_os(DIRECTORY_VARIABLE).context("not isolated")?);
    let chosen: Vec<&Scenario> = scenarios::ALL
        .iter()
        .filter(|scenario| names.is_empty() || names.iter().any(|name| name == scenario.name))
        .collect();
    let keep: bool = keep.parse()?;
    if keep {
        net::keep_namespaces();
    }
    let started = Instant::now();
    let reports = run_all(&chosen, jobs.parse()?, &directory, Path::new(binary))?;
    let failed: Vec<&str> = reports
        .iter()
        .filter(|report| !report.passed)
        .map(|report| report.name)
        .collect();
    let mut summary = format!(
        "{} of {} scenarios passed in {:.0} s",
        reports.len() - failed.len(),
        reports.len(),
        started.elapsed().as_secs_f64()
    );
    if !failed.is_empty() {
        summary = format!("{summary}; failed: {}", failed.join(", "));
    }
    say(&summary)?;
    let verdict = if failed.is_empty() { PASSED } else { "failed" };
    fs::write(directory.join(REPORT), format!("{verdict}\n{summary}"))?;
    if keep {
        // The first process inside ends this one.
        loop {
            thread::park();
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether all passed, and a line about it, as [`run`] left it behind for the outside.
pub(crate) fn read_report(directory: &Path) -> (bool, String) {
    let report = fs::read_to_string(directory.join(REPORT)).unwrap_or_default();
    match report.split_once('\n') {
        Some((verdict, summary)) => (verdict == PASSED, summary.to_owned()),
        None => (false, "the run ended early".to_owned()),
    }
}

fn run_all(
    chosen: &[&Scenario],
    jobs: usize,
    directory: &Path,
    binary: &Path,
) -> Result<Vec<Report>> {
    let next = AtomicUsize::new(0);
    let reports = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(scenario) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let report = run_one(scenario, directory, binary);
                    reports
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(report);
                }
            });
        }
    });
    reports
        .into_inner()
        .map_err(|_poisoned| anyhow!("a runner panicked"))
}

fn run_one(scenario: &Scenario, directory: &Path, binary: &Path) -> Report {
    let helper = directory.join("xtask");
    let bench = Bench::new(directory.join(scenario.name), binary, helper);
    let result = fs::create_dir(&bench.directory)
        .map_err(anyhow::Error::from)
        .and_then(|()| {
            catch_unwind(AssertUnwindSafe(|| (scenario.run)(&bench)))
                .unwrap_or_else(|_panic| Err(anyhow!("the scenario panicked")))
        });
    let error = result.err().map(|error| format!("{error:#}"));
    let took = bench.started.elapsed();
    let verdict = if error.is_some() { "FAILED" } else { "passed" };
    let mut lines = format!(
        "{verdict} {:<16} {:6.1} s{}",
        scenario.name,
        took.as_secs_f64(),
        bench.notes()
    );
    if let Some(error) = &error {
        lines = format!(
            "{lines}\n  {}{}",
            error.replace('\n', "\n  "),
            logs(&bench.directory)
        );
    }
    // The report says the same again.
    let _closed = say(&lines);
    Report {
        name: scenario.name,
        passed: error.is_none(),
    }
}

/// The last lines of every node's log.
fn logs(directory: &Path) -> String {
    let mut homes: Vec<PathBuf> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    homes.sort();
    let mut shown = String::new();
    for home in homes {
        if let Ok(log) = fs::read(home.join(LOG))
            && !log.is_empty()
        {
            let log = excerpt(&log).replace('\n', "\n    | ");
            shown = format!("{shown}\n  log of {}:\n    | {log}", home.display());
        }
    }
    shown
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(io::stderr(), "{line}")?)
}

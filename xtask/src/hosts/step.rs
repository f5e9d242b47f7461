//! The program of a job: five short steps, with a checkpoint after each. It says in a common log what
//! it does, and notices another attempt of the same job that lives at the same time.

use std::env;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::command;
use super::detector;
use super::process::now_ns;

/// How many steps a job has.
pub(crate) const STEPS: u64 = 5;
/// The common log.
pub(crate) const LOG: &str = "log";
/// Directory of the files that attempts make at their end.
pub(crate) const DONE: &str = "done";
/// Directory of the detectors, one for each job.
pub(crate) const ALIVE: &str = "alive";

/// How long a step of every second job takes. There are many of these.
const SHORT: Duration = Duration::from_millis(10);
/// The same of the others. These are what accidents meet.
const LONG: Duration = Duration::from_millis(300);
/// A node that is stopped answers when it is continued.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// `job-step ARENA LABEL RODA`: works on the job that the environment names.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let [arena, label, roda] = words else {
        bail!("usage: job-step ARENA LABEL RODA");
    };
    let mut payload = String::new();
    std::io::stdin().read_to_string(&mut payload)?;
    let number: u64 = payload.trim().parse().context("the payload is no number")?;
    let step = Step::of_environment(Path::new(arena), label, roda)?;
    step.log("begin", number)?;
    if let Some(met) = detector::stand_in(&step.arena.join(ALIVE).join(&step.job))? {
        step.log("overlap", met)?;
    }
    let from = match step.load() {
        Ok(from) => from,
        Err(error) => {
            // Beginning anew would be wrong: there may be progress.
            step.log("unloaded", 0)?;
            return Err(error);
        }
    };
    step.log("from", from)?;
    let takes = if number.is_multiple_of(2) {
        SHORT
    } else {
        LONG
    };
    for done in from + 1..=STEPS {
        thread::sleep(takes);
        let is_saved = step.save(done);
        step.log(if is_saved { "saved" } else { "unsaved" }, done)?;
    }
    let mark = format!("{}-{}", step.job, step.attempt);
    File::create_new(step.arena.join(DONE).join(mark)).context("ended twice")?;
    step.log("end", STEPS)
}

struct Step {
    arena: PathBuf,
    label: String,
    roda: String,
    job: String,
    attempt: String,
}

impl Step {
    fn of_environment(arena: &Path, label: &str, roda: &str) -> Result<Self> {
        let variable = |name: &str| env::var(name).with_context(|| format!("no {name}"));
        Ok(Self {
            arena: arena.to_owned(),
            label: label.to_owned(),
            roda: roda.to_owned(),
            job: variable("RODA_JOB_ID")?,
            attempt: variable("RODA_ATTEMPT")?,
        })
    }

    /// How many steps are done already, as the node knows.
    fn load(&self) -> Result<u64> {
        let loaded = command::run(self.checkpoint(&["load"]), b"", ANSWER_TIMEOUT)?;
        let digits = loaded.success()?.text();
        if digits.is_empty() {
            return Ok(0);
        }
        digits.parse().context("the checkpoint is no number")
    }

    /// Whether the node has acknowledged it.
    fn save(&self, done: u64) -> bool {
        let (done, total) = (done.to_string(), STEPS.to_string());
        let save = self.checkpoint(&["save", "--done", &done, "--total", &total]);
        let saved = command::run(save, done.as_bytes(), ANSWER_TIMEOUT);
        saved.is_ok_and(|saved| saved.status.success())
    }

    /// It must not start the node: that would live on as a part of this job.
    fn checkpoint(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.roda);
        command.args(["--no-spawn", "checkpoint"]).args(words);
        command
    }

    fn log(&self, what: &str, value: u64) -> Result<()> {
        let (job, attempt, label) = (&self.job, &self.attempt, &self.label);
        let pid = std::process::id();
        let line = format!(
            "{what} {job} {attempt} {label} {pid} {} {value}\n",
            now_ns()
        );
        let mut log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.arena.join(LOG))?;
        // One call, so that lines of others do not mix with it.
        let written = log.write(line.as_bytes())?;
        ensure!(written == line.len(), "the log took a part of a line");
        Ok(())
    }
}

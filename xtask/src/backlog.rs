//! `cargo xtask backlog`: what a queue in which very many jobs wait costs, with the real program.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rusqlite::{Connection, OpenFlags};

use crate::crash::node::{Node, Start};
use crate::crash::say;
use crate::hosts::build;
use crate::hosts::command;
use crate::hosts::isolate::Directory;

const USAGE: &str = "\
usage: cargo xtask backlog [--jobs N] [--wal MB] [--binary PATH]

  --jobs N     jobs that wait in the long queue (1000000)
  --wal MB     length of the write-ahead log when the node is killed (100)
  --binary P   measure this program instead of building one
";

const DIRECTORY_PREFIX: &str = "roda-backlog-";
/// A queue of ordinary length, to compare with.
const SHORT: (&str, u32) = ("short", 1_000);
const LONG: &str = "long";
/// Jobs that one `roda push` reads.
const PUSHED_AT_ONCE: u32 = 50_000;
/// Of so many runs of a command the middle one is told.
const RUNS: usize = 21;
const PATIENCE: Duration = Duration::from_secs(120);

struct Options {
    jobs: u32,
    wal: u64,
    binary: Option<PathBuf>,
}

impl Options {
    fn parse(words: &[String]) -> Result<Self> {
        let mut options = Self {
            jobs: 1_000_000,
            wal: 100,
            binary: None,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let value = words
                .next()
                .with_context(|| format!("{word} needs a value"));
            match word.as_str() {
                "--jobs" => options.jobs = value?.parse().context("--jobs: a number")?,
                "--wal" => options.wal = value?.parse().context("--wal: a number")?,
                "--binary" => options.binary = Some(PathBuf::from(value?)),
                other => bail!("not understood: {other}\n{USAGE}"),
            }
        }
        Ok(options)
    }
}

/// The command itself.
pub(crate) fn run(words: &[String]) -> ExitCode {
    match Options::parse(words).and_then(|options| measure(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("FAILED: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<()> {
    let binary = match &options.binary {
        Some(path) => path.clone(),
        None => build()?,
    };
    let binary = binary.canonicalize().context("no such program")?;
    let directory = Directory::new(&std::env::temp_dir(), DIRECTORY_PREFIX)?;
    let mut node = Node::new(&binary, directory.path().join("home"));
    node.create(&Start::default())?;
    fill(&node, SHORT.0, SHORT.1)?;
    say(&format!("jobs waiting {:>9} {:>9}", SHORT.1, options.jobs));
    let short = commands(&node, SHORT.0)?;
    let since = Instant::now();
    fill(&node, LONG, options.jobs)?;
    let filled = since.elapsed();
    let long = commands(&node, LONG)?;
    for ((name, short), (_, long)) in short.iter().zip(&long) {
        say(&format!(
            "{name:<12} {:>9} {:>9}",
            millis(*short),
            millis(*long)
        ));
    }
    say(&format!("filling      {:>9} {:>9}", "", millis(filled)));
    say(&format!("memory: {}", memory(&node)?));
    let wal = grow_wal(&node, options.wal)?;
    node.kill()?;
    let since = Instant::now();
    node.up(&Start::default())?;
    let started = since.elapsed();
    say(&format!(
        "start after kill -9 with {wal} MB of write-ahead log: {}",
        millis(started)
    ));
    let all = node
        .run(&["queue", "stats", LONG, "--json"], b"")?
        .success()?;
    say(&format!("then: {}", all.text()));
    say(&format!("memory: {}", memory(&node)?));
    node.down()
}

/// Pushes so many jobs.
fn fill(node: &Node, queue: &str, jobs: u32) -> Result<()> {
    let mut left = jobs;
    while left > 0 {
        let count = left.min(PUSHED_AT_ONCE);
        let lines: String = (0..count).map(|number| format!("job {number}\n")).collect();
        let push = node.command(&["push", queue, "--lines"]);
        command::run(push, lines.as_bytes(), PATIENCE)?.success()?;
        left -= count;
    }
    Ok(())
}

/// How long each command takes, from its start to its end; of a live view to its first page.
fn commands(node: &Node, queue: &str) -> Result<Vec<(&'static str, Duration)>> {
    let kinds: [(&str, &[&str]); 4] = [
        ("jobs", &["jobs", queue]),
        ("jobs --json", &["jobs", queue, "--json"]),
        ("queue stats", &["queue", "stats", queue]),
        ("push", &["push", queue, "one more"]),
    ];
    let mut measured = Vec::new();
    for (name, words) in kinds {
        let runs = (0..RUNS).map(|_| timed(node, words));
        measured.push((name, middle(runs.collect::<Result<_>>()?)));
    }
    let runs = (0..RUNS).map(|_| first_page(node, queue));
    measured.push(("jobs --watch", middle(runs.collect::<Result<_>>()?)));
    Ok(measured)
}

fn timed(node: &Node, words: &[&str]) -> Result<Duration> {
    let mut command = node.command(words);
    let since = Instant::now();
    let output = command.output()?;
    let took = since.elapsed();
    ensure!(output.status.success(), "{words:?} failed");
    Ok(took)
}

fn first_page(node: &Node, queue: &str) -> Result<Duration> {
    let mut command = node.command(&["jobs", queue, "--watch", "--json"]);
    let since = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut first = [0; 1];
    let read = child
        .stdout
        .as_mut()
        .context("no output")?
        .read_exact(&mut first);
    let took = since.elapsed();
    child.kill()?;
    child.wait()?;
    read.context("jobs --watch ended")?;
    Ok(took)
}

fn middle(mut runs: Vec<Duration>) -> Duration {
    runs.sort_unstable();
    runs[runs.len() / 2]
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// What the node's process takes, now and at most so far: see proc_pid_status(5).
fn memory(node: &Node) -> Result<String> {
    let pid = node.daemons().first().copied().context("no node runs")?;
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()))?;
    let megabytes = |name: &str| -> Result<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
        let kib: f64 = kib.context("no such number")?.trim().parse()?;
        Ok(kib * 1_024.0 / 1e6)
    };
    let (now, most) = (megabytes("VmRSS:")?, megabytes("VmHWM:")?);
    Ok(format!("{now:.0} MB, at most {most:.0} MB so far"))
}

/// Lets the write-ahead log grow: somebody reads and does not end, so nothing of it can be written back.
fn grow_wal(node: &Node, megabytes: u64) -> Result<u64> {
    let database = node.home.join("roda.db");
    let reader = Connection::open_with_flags(&database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    reader.execute_batch("BEGIN; SELECT count(*) FROM identity")?;
    let log = beside(&database, "-wal");
    let mut len = fs::metadata(&log)?.len() / 1_000_000;
    while len < megabytes {
        fill(node, "log", 5_000)?;
        len = fs::metadata(&log)?.len() / 1_000_000;
    }
    Ok(len)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

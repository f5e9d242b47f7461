//! Programs that run under a lock. They say in a common log when they come and go, and notice whoever
//! is inside at the same time.

use std::env;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::io::{FdFlags, fcntl_setfd};

use super::detector;
use super::process::now_ns;

/// The common log of an arena.
pub(crate) const LOG: &str = "log";
/// The number that sections count up without any protection but the lock.
pub(crate) const COUNTER: &str = "counter";
const DETECTOR: &str = "detector";
/// Digits of the counter, so that it can be overwritten in place.
const COUNTER_DIGITS: usize = 20;
/// How often a holder looks whether it may go.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);
/// How long descendants that outlive their section stay.
const LINGER_MILLIS: &str = "100";

/// `section ARENA LABEL`: reads the counter, takes its time, writes it one higher.
pub(crate) fn section(words: &[String]) -> Result<()> {
    let [arena, label] = words else {
        bail!("usage: section ARENA LABEL");
    };
    let inside = Inside::enter(Path::new(arena), label, true)?;
    // Which section does what is decided by its fence, so that it is spread but not random.
    let draw = (inside.fence ^ (inside.fence >> 7)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let descendant = match draw % 8 {
        0 => Some(inside.spawn(&[], LINGER_MILLIS)?),
        1 => Some(inside.spawn(&["setsid"], LINGER_MILLIS)?),
        _ => None,
    };
    let counter = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(inside.arena.join(COUNTER))?;
    let mut digits = String::new();
    std::io::Read::read_to_string(&mut &counter, &mut digits)?;
    let before: u64 = if digits.is_empty() {
        0
    } else {
        digits.parse()?
    };
    thread::sleep(Duration::from_millis(draw / 8 % 21));
    let value = before + 1;
    counter.write_all_at(format!("{value:0COUNTER_DIGITS$}").as_bytes(), 0)?;
    inside.log("leave", value)?;
    // It may live on; whoever waits for the lock must wait for it too.
    drop(descendant);
    Ok(())
}

/// `hold ARENA LABEL alone|together|family`: stays until the file `LABEL.done` appears.
///
/// Alone, it uses the detector; `family` also starts a descendant in a session of its own that would
/// stay for hours. `LABEL.witness` is locked for as long as any of them lives.
pub(crate) fn hold(words: &[String]) -> Result<()> {
    let [arena, label, mode] = words else {
        bail!("usage: hold ARENA LABEL alone|together|family");
    };
    let arena = Path::new(arena);
    let witness = File::create(arena.join(format!("{label}.witness")))?;
    witness.lock()?;
    fcntl_setfd(&witness, FdFlags::empty())?;
    let inside = Inside::enter(arena, label, mode != "together")?;
    let descendant = match mode.as_str() {
        "family" => Some(inside.spawn(&["setsid"], "10000000")?),
        _ => None,
    };
    let done = arena.join(format!("{label}.done"));
    while !done.exists() {
        thread::sleep(LOOK_INTERVAL);
    }
    if let Some(mut descendant) = descendant {
        descendant.kill()?;
        descendant.wait()?;
    }
    inside.log("leave", 0)
}

/// `linger MILLIS`: does nothing for so long, with whatever files it inherited.
pub(crate) fn linger(words: &[String]) -> Result<()> {
    let [millis] = words else {
        bail!("usage: linger MILLIS");
    };
    thread::sleep(Duration::from_millis(millis.parse()?));
    Ok(())
}

/// The time between coming and going.
struct Inside {
    arena: PathBuf,
    label: String,
    fence: u64,
}

impl Inside {
    fn enter(arena: &Path, label: &str, alone: bool) -> Result<Self> {
        let fence = env::var("RODA_FENCE").context("no RODA_FENCE")?.parse()?;
        let inside = Self {
            arena: arena.to_owned(),
            label: label.to_owned(),
            fence,
        };
        if alone {
            // It goes on after an overlap, so that the damage is seen too.
            if let Some(met) = detector::stand_in(&arena.join(DETECTOR))? {
                inside.log("overlap", met)?;
            }
        }
        inside.log("enter", 0)?;
        Ok(inside)
    }

    fn log(&self, what: &str, value: u64) -> Result<()> {
        let (label, fence, pid) = (&self.label, self.fence, std::process::id());
        let line = format!("{what} {label} {fence} {pid} {} {value}\n", now_ns());
        let mut log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.arena.join(LOG))?;
        // One call, so that lines of others do not mix with it.
        Ok(log.write_all(line.as_bytes())?)
    }

    /// A descendant that does nothing but hold the inherited files open.
    fn spawn(&self, before: &[&str], millis: &str) -> Result<Child> {
        let program = env::current_exe()?.to_string_lossy().into_owned();
        let line = [before, &[&program, "hosts-helper", "linger", millis]].concat();
        Command::new(line[0])
            .args(&line[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{} cannot start a descendant", self.label))
    }
}

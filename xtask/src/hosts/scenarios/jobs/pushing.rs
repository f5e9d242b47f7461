//! Adds jobs from two nodes, a few at a time.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::workers::Workers;
use crate::hosts::command;
use crate::hosts::scenarios::Group;

/// How many jobs one `roda push` adds.
const BATCH: usize = 10;
/// How many nodes push, in turn.
const PUSHERS: usize = 2;
/// A push that its node does not answer in this time counts as not acknowledged.
const PUSHED_WITHIN: Duration = Duration::from_secs(15);

/// How much longer than planned all pushes may take.
const OVERTIME: Duration = Duration::from_secs(60);

/// What came of all pushes.
#[derive(Default)]
pub(super) struct Pushed {
    /// Acknowledged.
    pub(super) ids: Vec<String>,
    /// How many calls of `roda push` failed.
    pub(super) failures: usize,
}

/// Adds so many jobs, spread over a time. Lines that were not acknowledged are not repeated: they may
/// be in the queue or not.
pub(super) fn push(
    group: &Group<'_>,
    workers: &Workers<'_>,
    queue: &str,
    (count, duration): (usize, Duration),
) -> Result<Pushed> {
    let mut pushed = Pushed::default();
    let started = Instant::now();
    let batches = count.div_ceil(BATCH);
    let mut begun = 0;
    for batch in 0.. {
        if pushed.ids.len() >= count {
            break;
        }
        ensure!(
            started.elapsed() < duration + OVERTIME,
            "only {} of {count} jobs could be pushed",
            pushed.ids.len()
        );
        let host = batch % PUSHERS;
        if workers.is_paused(host) {
            thread::sleep(Duration::from_millis(50));
            continue;
        }
        let due = duration * u32::try_from(begun)? / u32::try_from(batches)?;
        thread::sleep((started + due).saturating_duration_since(Instant::now()));
        begun += 1;
        let from = pushed.ids.len();
        let lines = (from..count.min(from + BATCH)).map(|number| format!("{number}\n"));
        let words = ["push", queue, "--lines", "--max-tries", "0"];
        let push = group.nodes[host].command(&words);
        let input = lines.collect::<String>();
        match command::run(push, input.as_bytes(), PUSHED_WITHIN) {
            Ok(push) => {
                // What it printed before it was killed is acknowledged too.
                let text = push.text();
                let ids = text.lines().filter(|line| line.contains('-'));
                pushed.ids.extend(ids.map(str::to_owned));
                pushed.failures += usize::from(!push.status.success());
            }
            Err(_too_late) => pushed.failures += 1,
        }
    }
    Ok(pushed)
}

//! Jobs on five hosts and many accidents: each is done, once, by one attempt after the other.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::arena::Arena;
use super::judge::judge;
use super::pushing::push;
use super::queue::wait_idle;
use super::workers::Workers;
use crate::hosts::Bench;
use crate::hosts::node::number;
use crate::hosts::scenarios::Group;
use crate::hosts::scenarios::chaos::{self, Chaos};
use crate::hosts::scenarios::report::settle;

const HOSTS: usize = 5;
const QUEUE: &str = "work";
/// Unless `RODA_TORTURE_SECONDS` says otherwise.
const SECONDS: u64 = 35;
/// Unless `RODA_TORTURE_JOBS` says otherwise.
const JOBS: u64 = 150;
/// How long the queue may take to be idle after the last accident: the pause before a job that failed
/// is tried again grows up to a minute and more.
const IDLE_WITHIN: Duration = Duration::from_secs(180);

/// Pushes jobs and works on them on five hosts while accidents happen.
pub(crate) fn every_job_is_done_once(bench: &Bench) -> Result<()> {
    let seed = chaos::seed()?;
    let seconds = chaos::number("RODA_TORTURE_SECONDS")?.unwrap_or(SECONDS);
    let count = chaos::number("RODA_TORTURE_JOBS")?.unwrap_or(JOBS);
    let (duration, count) = (Duration::from_secs(seconds), usize::try_from(count)?);
    bench.note(&format!(
        "seed {seed}, {seconds} s of accidents, {count} jobs"
    ));
    let group = Group::start(bench, HOSTS)?;
    settle(&group, 3)?;
    let arena = Arena::new(bench, QUEUE)?;
    let workers = Workers::new(&group, &arena, QUEUE);
    let (group, workers) = (&group, &workers);
    let (record, pushed, codes) = thread::scope(|scope| {
        let keepers: Vec<_> = (0..HOSTS)
            .map(|host| scope.spawn(move || workers.keep(host)))
            .collect();
        let pushing = scope.spawn(move || push(group, workers, QUEUE, (count, duration)));
        let record = Chaos::new(group, workers, seed).rage(duration);
        let pushed = pushing.join().expect("pushing does not panic");
        let calm = Instant::now();
        let idle = wait_idle(group, QUEUE, IDLE_WITHIN);
        bench.note(&format!("idle {:.1?} after the accidents", calm.elapsed()));
        workers.dismiss();
        let mut codes: BTreeMap<i32, usize> = BTreeMap::new();
        for keeper in keepers {
            for (code, times) in keeper.join().expect("keepers do not panic")? {
                *codes.entry(code).or_default() += times;
            }
        }
        Ok::<_, anyhow::Error>((record?, pushed?, idle.map(|stats| (stats, codes))))
    })?;
    bench.note(&format!("faults: {:?}", record.counts));
    let judged = judge(bench, group, &arena, QUEUE, (&record, &pushed));
    let outcome = judged.and_then(|()| {
        let (stats, codes) = codes?;
        bench.note(&format!("workers by exit code: {codes:?}; {stats}"));
        ensure!(
            number(&stats, "/done")? >= u64::try_from(pushed.ids.len())?,
            "fewer jobs are done than were pushed"
        );
        Ok(())
    });
    if outcome.is_err() {
        for (at, line) in &record.lines {
            bench.note(&format!("{at}: {line}"));
        }
    }
    outcome?;
    group.nodes.iter().try_for_each(|node| node.verify())
}

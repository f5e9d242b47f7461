//! One run: starts the processes, leads them, and makes figures of their notes.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::baseline::{RingPlace, disk_syncs_per_s};
use super::figures::{Figures, Window, cost_p50_us};
use super::report::{LockMeasurement, Rest};
use super::rounds::{Counter, Round, now_ns, read};
use super::{LockJob, Order, Part, daemon};
use crate::bench::WorkerJob;
use crate::bench::measure::Worker;
use crate::cli::BenchLockArgs;
use crate::error::{Failure, Result};

/// Measures once, in a directory of its own.
pub(crate) async fn measure(
    contenders: u16,
    args: &BenchLockArgs,
    directory: &Path,
) -> Result<LockMeasurement> {
    let run = Run {
        contenders,
        args,
        directory,
    };
    let fdatasync_per_s = disk_syncs_per_s(directory)?;
    let ring = run.ring().await?;
    let daemon_p50_us = run.daemon().await?;
    let (lock, rest) = run.group().await?;
    let rest = Rest {
        daemon_p50_us,
        fdatasync_per_s,
        ..rest
    };
    Ok(LockMeasurement::new(&lock, &ring, &rest))
}

struct Run<'a> {
    contenders: u16,
    args: &'a BenchLockArgs,
    directory: &'a Path,
}

impl Run<'_> {
    /// A datagram that goes round between as many processes.
    async fn ring(&self) -> Result<Figures> {
        let directory = self.subdirectory("ring")?;
        let mut places = Vec::new();
        let mut ports: Vec<u16> = Vec::new();
        for number in 0..self.contenders {
            let mut place = self.start(Part::Ring, &directory, number, vec![number])?;
            ports.push(answer(&mut place, "opening a socket").await?);
            places.push(place);
        }
        for (number, place) in places.iter_mut().enumerate() {
            give(place, &Order::Next(ports[(number + 1) % ports.len()])).await?;
            let _set: Value = answer(place, "making a ring").await?;
        }
        // Waiting at the socket until the contention begins.
        RingPlace::start(ports[0])?;
        let window = contend(&mut places, RING_TIME).await?;
        end(places).await?;
        Ok(Figures::new(&self.notes(&directory)?, &window))
    }

    /// Acquire and release through the control API.
    async fn daemon(&self) -> Result<(f64, f64)> {
        let directory = self.subdirectory("daemon")?;
        let mut node = self.start(Part::Daemon, &directory, 0, Vec::new())?;
        let socket: PathBuf = answer(&mut node, "starting a node").await?;
        let measured = within(daemon::uncontended_p50_us(&socket), "asking a node").await?;
        node.end().await?;
        Ok(measured)
    }

    /// The lock itself.
    async fn group(&self) -> Result<(Figures, Rest)> {
        let directory = self.subdirectory("group")?;
        let mut nodes = self.gather(&directory).await?;
        let voters = settle(&mut nodes[0], self.args.voters).await?;
        // The last node: with more nodes than voters it is none of them.
        let last = nodes.len() - 1;
        // The first time may take long: the lock comes from elsewhere, a session begins.
        contend(&mut nodes[last..], Duration::ZERO).await?;
        let alone = contend(&mut nodes[last..], ALONE_TIME).await?;
        let number = self.contenders_of(last).first().copied().unwrap_or(0);
        let rounds = read(&LockJob::notes(&directory, number))?;
        let uncontended_p50_us = cost_p50_us(&rounds, &alone);
        let counter = Counter::open(&LockJob::counter(&directory))?;
        let before = counter.value()?;
        let window = contend(&mut nodes, Duration::from_secs(self.args.seconds.into())).await?;
        end(nodes).await?;
        let notes = self.notes(&directory)?;
        let sections: usize = notes.iter().map(Vec::len).sum();
        let rest = Rest {
            voters,
            lost_updates: (before + sections as u64).abs_diff(counter.value()?),
            uncontended_p50_us,
            ..Rest::default()
        };
        Ok((Figures::new(&notes, &window), rest))
    }

    async fn gather(&self, directory: &Path) -> Result<Vec<Worker>> {
        let mut founder = self.start(Part::Founder, directory, 0, self.contenders_of(0))?;
        let token: String = answer(&mut founder, "making a group").await?;
        let mut nodes = vec![founder];
        for number in 1..self.nodes() {
            let contenders = self.contenders_of(number.into());
            let mut node = self.start(Part::Joiner, directory, number, contenders)?;
            give(&mut node, &Order::Join(token.clone())).await?;
            nodes.push(node);
        }
        for node in nodes.iter_mut().skip(1) {
            let _joined: Value = answer(node, "joining").await?;
        }
        Ok(nodes)
    }

    /// A node without contenders would only watch.
    fn nodes(&self) -> u16 {
        let wanted = self.args.nodes.unwrap_or(self.contenders);
        wanted.clamp(1, self.contenders)
    }

    fn contenders_of(&self, node: usize) -> Vec<u16> {
        let all = 0..self.contenders;
        all.skip(node).step_by(self.nodes().into()).collect()
    }

    fn start(
        &self,
        part: Part,
        directory: &Path,
        number: u16,
        contenders: Vec<u16>,
    ) -> Result<Worker> {
        Worker::start(&WorkerJob::Lock(LockJob {
            part,
            directory: directory.to_owned(),
            home: directory.join(format!("node-{number}")),
            iface: self.args.runs.iface.clone(),
            voters: self.args.voters,
            contenders,
        }))
    }

    fn subdirectory(&self, name: &str) -> Result<PathBuf> {
        let path = self.directory.join(name);
        std::fs::create_dir(&path).map_err(|error| Failure::file(&path, &error))?;
        Counter::create(&LockJob::counter(&path))?;
        Ok(path)
    }

    fn notes(&self, directory: &Path) -> Result<Vec<Vec<Round>>> {
        let all = 0..self.contenders;
        all.map(|number| read(&LockJob::notes(directory, number)))
            .collect()
    }
}

/// Lets all of them contend; the part of the time that counts.
async fn contend(workers: &mut [Worker], time: Duration) -> Result<Window> {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let start = now_ns() + nanos(WARM_TIME);
    let window = start..start + nanos(time);
    for worker in &mut *workers {
        give(worker, &Order::Contend(window.end)).await?;
    }
    sleep(WARM_TIME + time).await;
    for worker in workers {
        let _done: Value = answer(worker, "contending").await?;
    }
    Ok(window)
}

/// Waits until so many vote, or, if nobody said how many, until their number stays; says how many.
async fn settle(founder: &mut Worker, wanted: Option<u16>) -> Result<u16> {
    let give_up = Instant::now() + ANSWER_MAX;
    let (mut found, mut since) = (0, Instant::now());
    loop {
        give(founder, &Order::Voters).await?;
        let voters: u16 = answer(founder, "counting voters").await?;
        if voters != found {
            (found, since) = (voters, Instant::now());
        }
        match wanted {
            Some(wanted) if found == wanted => return Ok(found),
            None if found > 0 && since.elapsed() > SETTLE_TIME => return Ok(found),
            Some(_) | None => {}
        }
        if Instant::now() > give_up {
            return Err(Failure::new("bench-voters").with("found", u64::from(found)));
        }
        sleep(LOOK_AGAIN).await;
    }
}

async fn give(worker: &mut Worker, order: &Order) -> Result<()> {
    let line = serde_json::to_string(order).expect("an order is plain data");
    worker.order(&line).await
}

async fn answer<T: DeserializeOwned>(worker: &mut Worker, what: &str) -> Result<T> {
    within(worker.answer(), what).await
}

async fn end(workers: Vec<Worker>) -> Result<()> {
    for worker in workers {
        within(worker.end(), "ending").await?;
    }
    Ok(())
}

/// A process that hangs must not hang the benchmark.
async fn within<T>(work: impl Future<Output = Result<T>>, what: &str) -> Result<T> {
    let reason = || format!("{what} took more than {} s", ANSWER_MAX.as_secs());
    match timeout(ANSWER_MAX, work).await {
        Ok(done) => done,
        Err(_elapsed) => Err(Failure::new("bench-worker").with("reason", reason())),
    }
}

/// Rounds before the window: connections are made, buffers grow.
const WARM_TIME: Duration = Duration::from_secs(1);
const ALONE_TIME: Duration = Duration::from_secs(1);
const RING_TIME: Duration = Duration::from_secs(1);
/// Voters come one after the other, each only after a while of being steady; for so long none has come.
const SETTLE_TIME: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(200);
const ANSWER_MAX: Duration = Duration::from_secs(60);

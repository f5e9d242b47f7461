//! One process of a benchmark: told by lines on standard input, answering by lines of JSON.
//!
//! A worker of `roda bench multicast` says `ready` (a Roda sender: its invite token), then obeys: a sender `speed` and
//! `latency`, a receiver `speed N` and `latency N` (wait for N messages); all end with the input.

use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines, Stdin};

use super::tally::{Phase, Tally, cpu_us, message, now_ns};
use super::{Job, PhaseReport, Role, System, WorkerJob, group, lock, nats, raw};
use crate::commands::App;
use crate::error::{Failure, Result};

/// Sends messages of one system.
pub(crate) trait Sender {
    /// Sends as many as it can until `end`; all have left when it returns. How many they were.
    async fn send_until(&mut self, size: usize, end: Instant) -> Result<u64>;
    /// Sends one now.
    async fn send_one(&mut self, message: Vec<u8>) -> Result<()>;
    /// Repairs and NACKs so far.
    async fn counters(&mut self) -> Result<(u64, u64)> {
        Ok((0, 0))
    }
}

/// Orders for a worker.
pub(crate) type Orders = Lines<BufReader<Stdin>>;

/// Runs a worker.
pub(crate) async fn run(app: &App, job: &str) -> Result<()> {
    let job: WorkerJob = serde_json::from_str(job)
        .map_err(|error| Failure::new("usage-other").with("reason", error.to_string()))?;
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    match job {
        WorkerJob::Multicast(job) => multicast(app, &job, orders).await,
        WorkerJob::Lock(job) => lock::worker::run(app, job, &mut orders).await,
    }
}

async fn multicast(app: &App, job: &Job, mut orders: Orders) -> Result<()> {
    match (job.role, job.system) {
        (Role::Sender, System::Roda) => {
            let sender = group::GroupSender::create(job).await?;
            answer(app, &sender.token().await?)?;
            let mut sender = sender;
            send(app, job, &mut orders, &mut sender).await?;
            sender.shutdown().await
        }
        (Role::Sender, System::Nats) => {
            let mut sender = nats::Publisher::connect(job.port)?;
            answer(app, &"ready")?;
            send(app, job, &mut orders, &mut sender).await
        }
        (Role::Sender, System::RawSingle | System::RawBatched) => {
            let mut sender = raw::RawSender::open(job)?;
            answer(app, &"ready")?;
            send(app, job, &mut orders, &mut sender).await
        }
        (Role::Receiver, System::Roda) => {
            let tally = Tally::default();
            let receiver = group::GroupReceiver::join(job, &mut orders, &tally).await?;
            answer(app, &"ready")?;
            receive(app, &mut orders, &tally, Some(&receiver)).await?;
            receiver.shutdown().await
        }
        (Role::Receiver, System::Nats) => {
            let tally = Tally::default();
            nats::subscribe(job.port, tally.clone())?;
            answer(app, &"ready")?;
            receive(app, &mut orders, &tally, None).await
        }
        (Role::Receiver, System::RawSingle | System::RawBatched) => {
            let tally = Tally::default();
            raw::receive(job, tally.clone())?;
            answer(app, &"ready")?;
            receive(app, &mut orders, &tally, None).await
        }
    }
}

/// The next order; `None` at the end.
pub(crate) async fn order(orders: &mut Orders) -> Result<Option<String>> {
    orders
        .next_line()
        .await
        .map_err(|error| Failure::new("input").with("reason", error.to_string()))
}

/// Says a line.
pub(crate) fn answer(app: &App, value: &impl Serialize) -> Result<()> {
    app.ui.object(value)
}

async fn send(app: &App, job: &Job, orders: &mut Orders, sender: &mut impl Sender) -> Result<()> {
    while let Some(order) = order(orders).await? {
        let (at, cpu) = (now_ns(), cpu_us());
        let messages = if order == "speed" {
            let end = Instant::now() + Duration::from_secs(job.seconds.into());
            sender.send_until(job.size, end).await?
        } else {
            for _ in 0..LATENCY_MESSAGES {
                sender.send_one(message(Phase::Latency, job.size)).await?;
                tokio::time::sleep(LATENCY_PAUSE).await;
            }
            LATENCY_MESSAGES
        };
        let cpu_us = cpu_us() - cpu;
        let (repairs, nacks) = sender.counters().await?;
        let report = PhaseReport {
            messages,
            at,
            cpu_us,
            repairs,
            nacks,
            ..PhaseReport::default()
        };
        answer(app, &report)?;
    }
    Ok(())
}

async fn receive(
    app: &App,
    orders: &mut Orders,
    tally: &Tally,
    node: Option<&group::GroupReceiver>,
) -> Result<()> {
    while let Some(order) = order(orders).await? {
        let (phase, count) = order.split_once(' ').unwrap_or((&order, "0"));
        let phase = match phase {
            "speed" => Phase::Speed,
            _ => Phase::Latency,
        };
        let (tally, expected) = (tally.clone(), count.parse().unwrap_or(0));
        let mut report = tokio::task::spawn_blocking(move || tally.wait(phase, expected))
            .await
            .map_err(|error| Failure::new("other").with("reason", error.to_string()))?;
        if let Some(node) = node {
            (report.repairs, report.nacks) = node.counters().await?;
        }
        answer(app, &report)?;
    }
    Ok(())
}

/// Messages of the latency phase.
const LATENCY_MESSAGES: u64 = 200;
/// Between two of them: 200 messages per second leave every queue empty.
const LATENCY_PAUSE: Duration = Duration::from_millis(5);

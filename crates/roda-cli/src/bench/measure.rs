//! One measurement: starts the workers, leads them through both phases, ends them.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::Stdio;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::nats::Server;
use super::report::Measurement;
use super::{Job, PhaseReport, Role, System, WorkerJob};
use crate::cli::BenchArgs;
use crate::error::{Failure, Result};
use crate::net;

/// A process of the measurement; killed when dropped.
pub(crate) struct Worker {
    process: Child,
    orders: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// Starts it.
    pub(crate) fn start(job: &WorkerJob) -> Result<Self> {
        let fault = |reason: String| Failure::new("bench-worker").with("reason", reason);
        let program = std::env::current_exe().map_err(|error| fault(error.to_string()))?;
        let job = serde_json::to_string(job).expect("a job is plain data");
        let mut process = Command::new(program)
            .args(["bench-worker", &job])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| fault(error.to_string()))?;
        let (Some(orders), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            unreachable!("both were asked for as pipes");
        };
        Ok(Self {
            process,
            orders: Some(orders),
            answers: BufReader::new(answers).lines(),
        })
    }

    /// Sends it a line.
    pub(crate) async fn order(&mut self, order: &str) -> Result<()> {
        let line = format!("{order}\n");
        let Some(orders) = &mut self.orders else {
            unreachable!("orders end with the worker");
        };
        orders
            .write_all(line.as_bytes())
            .await
            .map_err(|error| Failure::new("bench-worker").with("reason", error.to_string()))
    }

    /// Its next line.
    pub(crate) async fn answer<T: DeserializeOwned>(&mut self) -> Result<T> {
        let line = self.answers.next_line().await.ok().flatten();
        line.and_then(|line| serde_json::from_str(&line).ok())
            // The worker has said on standard error why.
            .ok_or_else(|| Failure::new("bench-worker").with("reason", "…"))
    }

    /// Ends its input and waits for its end.
    pub(crate) async fn end(mut self) -> Result<()> {
        drop(self.orders.take());
        self.process
            .wait()
            .await
            .map_err(|error| Failure::new("bench-worker").with("reason", error.to_string()))?;
        Ok(())
    }
}

/// Measures one system once.
pub(crate) async fn measure(
    system: System,
    receivers: u8,
    args: &BenchArgs,
    directory: &Path,
    server: Option<&Server>,
) -> Result<Measurement> {
    let job = |role, name: &str| Job {
        system,
        role,
        size: args.size.into(),
        seconds: args.seconds,
        loss: args.loss,
        iface: args.runs.iface.clone(),
        port: 0,
        home: directory.join(name).display().to_string(),
    };
    let port = match server {
        Some(server) => server.port,
        None => free_port()?,
    };
    let with_port = |job: Job| WorkerJob::Multicast(Job { port, ..job });
    let mut sender = Worker::start(&with_port(job(Role::Sender, "sender")))?;
    let hello: String = sender.answer().await?;
    let mut others = Vec::new();
    for number in 0..receivers {
        let name = format!("receiver-{number}");
        let mut worker = Worker::start(&with_port(job(Role::Receiver, &name)))?;
        if system == System::Roda {
            worker.order(&hello).await?;
        }
        others.push(worker);
    }
    for worker in &mut others {
        let _ready: String = worker.answer().await?;
    }
    let speed = phase("speed", &mut sender, &mut others).await?;
    let latency = phase("latency", &mut sender, &mut others).await?;
    for worker in others {
        worker.end().await?;
    }
    sender.end().await?;
    Ok(Measurement::new(args.size, &speed, &latency))
}

/// What one phase came to: at the sender, and at every receiver.
pub(crate) struct PhaseResult {
    /// At the sender.
    pub(crate) sender: PhaseReport,
    /// At the receivers.
    pub(crate) receivers: Vec<PhaseReport>,
}

async fn phase(name: &str, sender: &mut Worker, receivers: &mut [Worker]) -> Result<PhaseResult> {
    sender.order(name).await?;
    let sent: PhaseReport = sender.answer().await?;
    for receiver in &mut *receivers {
        receiver.order(&format!("{name} {}", sent.messages)).await?;
    }
    let mut reports = Vec::with_capacity(receivers.len());
    for receiver in receivers {
        reports.push(receiver.answer().await?);
    }
    Ok(PhaseResult {
        sender: sent,
        receivers: reports,
    })
}

fn free_port() -> Result<u16> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).map_err(net::failure)?;
    Ok(socket.local_addr().map_err(net::failure)?.port())
}

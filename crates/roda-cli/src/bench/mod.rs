//! `roda bench multicast`: the message rate, beside plain multicast and NATS in the same run;
//! `roda bench lock` ([`lock`]); and the yardstick of `roda bench jobs` ([`bare`]).
//!
//! Every sender and receiver is a process of its own ([`worker`]), so that its CPU time is its own.

pub(crate) mod bare;
pub(crate) mod group;
pub(crate) mod lock;
pub(crate) mod measure;
pub(crate) mod nats;
pub(crate) mod raw;
pub(crate) mod report;
pub(crate) mod tally;
pub(crate) mod worker;

use serde::{Deserialize, Serialize};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum System {
    /// Roda: encrypted, signed, reliable, durable at the sender.
    Roda,
    /// A plain multicast datagram for each message.
    RawSingle,
    /// Plain multicast datagrams of 1,200 bytes, full of messages.
    RawBatched,
    /// NATS core over TCP.
    Nats,
}

impl System {
    /// Name in results.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Roda => "roda",
            Self::RawSingle => "raw-single",
            Self::RawBatched => "raw-batched",
            Self::Nats => "nats",
        }
    }
}

/// Which end a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    /// The one that sends.
    Sender,
    /// One of those that receive.
    Receiver,
}

/// What a process of a benchmark is told in its argument.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WorkerJob {
    /// A part in `roda bench multicast`.
    Multicast(Job),
    /// A part in `roda bench lock`.
    Lock(lock::LockJob),
}

/// A part in `roda bench multicast`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    /// What is measured.
    pub(crate) system: System,
    /// Which end it is.
    pub(crate) role: Role,
    /// Bytes of a message.
    pub(crate) size: usize,
    /// How long to send at full speed.
    pub(crate) seconds: u16,
    /// Share of datagrams that a receiver drops.
    pub(crate) loss: f64,
    /// Interface.
    pub(crate) iface: String,
    /// Port of the multicast group or of the NATS server.
    pub(crate) port: u16,
    /// Home of a Roda node.
    pub(crate) home: String,
}

/// What a phase came to at one end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct PhaseReport {
    /// Messages sent or received.
    pub(crate) messages: u64,
    /// When the first was sent, or the last received: nanoseconds since 1970.
    pub(crate) at: u64,
    /// CPU time of the process in the phase, in microseconds.
    pub(crate) cpu_us: u64,
    /// Median latency in microseconds.
    pub(crate) p50_us: u64,
    /// 99th percentile of the latency in microseconds.
    pub(crate) p99_us: u64,
    /// Repairs sent so far.
    pub(crate) repairs: u64,
    /// NACKs sent so far.
    pub(crate) nacks: u64,
}

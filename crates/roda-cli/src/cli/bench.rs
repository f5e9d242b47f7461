//! `roda bench`.

use clap::{Args, Subcommand};

use super::parse;

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// The message rate.
    Multicast(BenchArgs),
    /// Locks.
    Lock(BenchLockArgs),
    /// Jobs.
    Jobs(BenchJobsArgs),
}

/// How to measure jobs.
#[derive(Clone, Debug, Args)]
pub(crate) struct BenchJobsArgs {
    /// How many a worker finishes.
    #[arg(long, value_name = "N", default_value_t = 20_000, hide_default_value = true,
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) jobs: u32,
    /// Instead, compare a queue in which so many wait with a short one.
    #[arg(long, value_name = "N", conflicts_with_all = ["jobs", "seconds", "runs"],
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) backlog: Option<u32>,
    /// How long others push.
    #[arg(long, value_name = "S", default_value_t = 3, hide_default_value = true,
          value_parser = clap::value_parser!(u16).range(1..=600))]
    pub(crate) seconds: u16,
    /// How often, and where.
    #[command(flatten)]
    pub(crate) runs: BenchRuns,
}

/// How to measure locks.
#[derive(Clone, Debug, Args)]
pub(crate) struct BenchLockArgs {
    /// How many want the lock.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "5,20",
          hide_default_value = true, value_parser = clap::value_parser!(u16).range(2..=64))]
    pub(crate) contenders: Vec<u16>,
    /// On how many nodes.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) nodes: Option<u16>,
    /// With how many voters.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=5))]
    pub(crate) voters: Option<u16>,
    /// How long.
    #[arg(long, value_name = "S", default_value_t = 5, hide_default_value = true,
          value_parser = clap::value_parser!(u16).range(1..=600))]
    pub(crate) seconds: u16,
    /// How often, and where.
    #[command(flatten)]
    pub(crate) runs: BenchRuns,
}

/// How to measure.
#[derive(Clone, Debug, Args)]
pub(crate) struct BenchArgs {
    /// To how many.
    #[arg(long, value_name = "K", value_delimiter = ',', default_value = "1,4",
          hide_default_value = true, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub(crate) receivers: Vec<u8>,
    /// Of which size.
    #[arg(long, value_name = "BYTES", default_value_t = 100, hide_default_value = true,
          value_parser = clap::value_parser!(u16).range(16..=1100))]
    pub(crate) size: u16,
    /// With how much loss.
    #[arg(long, value_name = "P", default_value_t = 0.0, hide_default_value = true,
          value_parser = parse::share)]
    pub(crate) loss: f64,
    /// How long.
    #[arg(long, value_name = "S", default_value_t = 3, hide_default_value = true,
          value_parser = clap::value_parser!(u16).range(1..=600))]
    pub(crate) seconds: u16,
    /// How often, and where.
    #[command(flatten)]
    pub(crate) runs: BenchRuns,
}

/// What every measurement is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct BenchRuns {
    /// How often.
    #[arg(id = "runs", long, value_name = "N", default_value_t = 3, hide_default_value = true,
          value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) count: u16,
    /// Over which interface.
    #[arg(
        long,
        value_name = "IFACE",
        default_value = "lo",
        hide_default_value = true
    )]
    pub(crate) iface: String,
}

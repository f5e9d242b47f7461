//! The arguments of commands about locks.

use std::ffi::OsString;

use clap::{Args, Subcommand};

/// Which locks to hold, how, and for which command.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct LockArgs {
    /// The locks, comma separated.
    #[arg(value_name = "LOCKS", required = true)]
    pub(crate) names: Option<String>,
    /// How urgent.
    #[arg(long, value_name = "0-9", default_value_t = 0, hide_default_value = true,
          value_parser = clap::value_parser!(u8).range(0..=9))]
    pub(crate) priority: u8,
    /// How long to wait.
    #[arg(long, value_name = "DURATION")]
    pub(crate) wait: Option<String>,
    /// Not at all.
    #[arg(id = "try", long, conflicts_with = "wait")]
    pub(crate) is_try: bool,
    /// With how many.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=PERMITS_MAX))]
    pub(crate) permits: Option<u32>,
    /// With any number.
    #[arg(long, conflicts_with = "permits")]
    pub(crate) shared: bool,
    /// What to catch up with first.
    #[arg(long, value_name = "TOPIC")]
    pub(crate) fresh: Vec<String>,
    /// The command.
    #[arg(value_name = "CMD", last = true, required = true,
          value_hint = clap::ValueHint::CommandName)]
    pub(crate) command: Vec<OsString>,
    /// Something else about locks.
    #[command(subcommand)]
    pub(crate) action: Option<LockAction>,
}

/// What an operator can do about a lock.
#[derive(Debug, Subcommand)]
pub(crate) enum LockAction {
    /// Has the holder stopped.
    Release {
        /// Which lock.
        #[arg(value_name = "LOCK")]
        name: String,
        /// That this is meant.
        #[arg(long)]
        force: bool,
    },
}

/// Which locks to show.
#[derive(Debug, Args)]
pub(crate) struct LocksArgs {
    /// Only these.
    #[arg(value_name = "LOCK")]
    pub(crate) names: Vec<String>,
    /// Those of jobs too.
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Again and again.
    #[arg(short, long)]
    pub(crate) watch: bool,
}

/// More than any group has members; any number is `--shared`.
const PERMITS_MAX: i64 = 1_000_000;

//! The arguments of commands about jobs and their queues.

use std::ffi::OsString;

use clap::{Args, Subcommand};

/// What to push, and how it is to run.
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// Where.
    #[arg(value_name = "QUEUE")]
    pub(crate) queue: String,
    /// What.
    #[arg(value_name = "PAYLOAD")]
    pub(crate) payload: Option<String>,
    /// Once only.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Not before so long from now.
    #[arg(long, value_name = "DURATION")]
    pub(crate) delay: Option<String>,
    /// Not before then.
    #[arg(long, value_name = "TIME", conflicts_with = "delay")]
    pub(crate) at: Option<String>,
    /// Again and again.
    #[arg(long, value_name = "EXPR", conflicts_with_all = ["delay", "at", "order_key"])]
    pub(crate) cron: Option<String>,
    /// How urgent.
    #[arg(long, value_name = "0-9", value_parser = clap::value_parser!(u8).range(0..=9))]
    pub(crate) priority: Option<u8>,
    /// How often it may fail.
    #[arg(long, value_name = "N")]
    pub(crate) max_tries: Option<u16>,
    /// One after the other.
    #[arg(long, value_name = "KEY")]
    pub(crate) order_key: Option<String>,
    /// What a crash means.
    #[arg(long, value_name = "retry|resume|hold", value_parser = ["retry", "resume", "hold"],
          hide_possible_values = true)]
    pub(crate) on_crash: Option<String>,
    /// On so many machines.
    #[arg(long, value_name = "local|N|majority")]
    pub(crate) copies: Option<String>,
    /// No longer for them than this.
    #[arg(long, value_name = "DURATION", requires = "copies")]
    pub(crate) wait: Option<String>,
    /// A job for each line.
    #[arg(long)]
    pub(crate) lines: bool,
    /// A job for each part that ends with a zero byte.
    #[arg(id = "null", short = '0', long, conflicts_with = "lines")]
    pub(crate) is_null: bool,
}

/// Whose jobs to run, and how.
#[derive(Debug, Args)]
pub(crate) struct WorkArgs {
    /// Of which queue.
    #[arg(value_name = "QUEUE")]
    pub(crate) queue: String,
    /// How many at once.
    #[arg(short = 'j', long, value_name = "N", default_value_t = 1, hide_default_value = true,
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: u16,
    /// How long each.
    #[arg(long, value_name = "DURATION")]
    pub(crate) timeout: Option<String>,
    /// Until nothing is left.
    #[arg(long)]
    pub(crate) idle_exit: bool,
    /// The command.
    #[arg(value_name = "CMD", last = true, required = true,
          value_hint = clap::ValueHint::CommandName)]
    pub(crate) command: Vec<OsString>,
}

/// Which jobs to show.
#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    /// Of which queue.
    #[arg(value_name = "QUEUE")]
    pub(crate) queue: Option<String>,
    /// In which state.
    #[arg(long, value_name = "STATE", hide_possible_values = true,
          value_parser = ["waiting", "running", "done", "dead", "cancelled", "held", "duplicate"])]
    pub(crate) state: Option<String>,
    /// How many.
    #[arg(
        short = 'n',
        long,
        value_name = "N",
        default_value_t = 100,
        hide_default_value = true
    )]
    pub(crate) lines: usize,
    /// Again and again.
    #[arg(short, long)]
    pub(crate) watch: bool,
}

/// What to do about a job.
#[derive(Debug, Subcommand)]
pub(crate) enum JobAction {
    /// All about it.
    Show {
        /// Which.
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Until it has ended.
    Wait {
        /// Which.
        #[arg(value_name = "ID", required = true)]
        id: Vec<String>,
        /// No longer than this.
        #[arg(long, value_name = "DURATION")]
        timeout: Option<String>,
    },
    /// Once more from the start.
    Retry {
        /// Which.
        #[arg(value_name = "ID", required = true)]
        id: Vec<String>,
    },
    /// Not any more.
    Cancel {
        /// Which.
        #[arg(value_name = "ID", required = true)]
        id: Vec<String>,
    },
    /// What it printed.
    Log {
        /// Which.
        #[arg(value_name = "ID")]
        id: String,
        /// In which attempt.
        #[arg(long, value_name = "N")]
        attempt: Option<u32>,
    },
}

/// What to do about a queue.
#[derive(Debug, Subcommand)]
pub(crate) enum QueueAction {
    /// All of them.
    List,
    /// Starts nothing more.
    Pause {
        /// Which.
        #[arg(value_name = "QUEUE")]
        queue: String,
    },
    /// Goes on.
    Resume {
        /// Which.
        #[arg(value_name = "QUEUE")]
        queue: String,
    },
    /// Cancels what waits.
    Purge {
        /// Which.
        #[arg(value_name = "QUEUE")]
        queue: String,
    },
    /// For how long finished jobs are listed.
    Retain {
        /// Which.
        #[arg(value_name = "QUEUE")]
        queue: String,
        /// Those that are done or cancelled.
        #[arg(long, value_name = "DURATION")]
        done: Option<String>,
        /// Those that are dead.
        #[arg(long, value_name = "DURATION")]
        dead: Option<String>,
    },
    /// How it is.
    Stats {
        /// Which.
        #[arg(value_name = "QUEUE")]
        queue: String,
    },
}

/// What to do about the progress of the job that this command runs in.
#[derive(Debug, Subcommand)]
pub(crate) enum CheckpointAction {
    /// Keeps it.
    Save {
        /// So much is done.
        #[arg(long, value_name = "N")]
        done: Option<u64>,
        /// Of so much.
        #[arg(long, value_name = "M", requires = "done")]
        total: Option<u64>,
    },
    /// Fetches it.
    Load,
}

/// The part of `roda work` that runs under the worker's lock.
#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    /// Of which queue.
    pub(crate) queue: String,
    /// How many at once.
    #[arg(long)]
    pub(crate) jobs: u16,
    /// How long each.
    #[arg(long)]
    pub(crate) timeout_ms: Option<u64>,
    /// Until nothing is left.
    #[arg(long)]
    pub(crate) idle_exit: bool,
    /// The command.
    #[arg(last = true)]
    pub(crate) command: Vec<OsString>,
}

//! The command line as data. Its help texts come from the catalogue: see [`help`].

mod backup;
mod bench;
pub(crate) mod help;
mod jobs;
mod locks;
pub(crate) mod parse;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand};
use roda::LockName;

use crate::home::{Config, LockTiming};
pub(crate) use backup::{BackupArgs, RestoreArgs};
pub(crate) use bench::{Bench, BenchArgs, BenchJobsArgs, BenchLockArgs};
pub(crate) use jobs::{
    CheckpointAction, JobAction, JobsArgs, PushArgs, QueueAction, WorkArgs, WorkerArgs,
};
pub(crate) use locks::{LockAction, LockArgs, LocksArgs};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "roda",
    version,
    disable_help_flag = true,
    disable_version_flag = true,
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Directory of the node.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "RODA_HOME",
        hide_env = true
    )]
    pub(crate) home: Option<PathBuf>,
    /// Do not start a node.
    #[arg(long, global = true)]
    pub(crate) no_spawn: bool,
    /// One JSON object per line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Language of texts.
    #[arg(long, global = true, value_name = "LANG", value_parser = ["en", "pt-BR"],
          hide_possible_values = true)]
    pub(crate) lang: Option<String>,
    /// More in the log.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// How a node is to run; remembered in the home.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct NodeArgs {
    /// Interfaces.
    #[arg(long, value_name = "IFACE")]
    pub(crate) iface: Vec<String>,
    /// Name for people.
    #[arg(long, value_name = "NICK", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) nick: Option<String>,
    /// How long locks outlive a lost machine.
    #[arg(long, value_name = "NETWORK")]
    pub(crate) lock_timing: Option<LockTiming>,
    /// Share of received datagrams to drop.
    #[arg(long, hide = true, value_name = "P", value_parser = parse::share)]
    pub(crate) danger_loss: Option<f64>,
}

impl From<NodeArgs> for Config {
    fn from(args: NodeArgs) -> Self {
        Self {
            interfaces: args.iface,
            nick: args.nick,
            lock_timing: args.lock_timing,
            danger_loss: args.danger_loss,
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes a group.
    Create {
        /// Name of the group.
        #[arg(value_name = "NAME", default_value = "roda", hide_default_value = true)]
        name: String,
        /// How to run.
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Prints an invite token.
    Invite {
        /// How many may use it.
        #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true,
              value_parser = clap::value_parser!(u32).range(1..))]
        uses: u32,
        /// How long it is valid.
        #[arg(
            long,
            value_name = "DURATION",
            default_value = "1d",
            hide_default_value = true
        )]
        expires: String,
    },
    /// Joins a group.
    Join {
        /// The token, or `-`.
        #[arg(value_name = "TOKEN")]
        token: Option<String>,
        /// How long to wait.
        #[arg(
            long,
            value_name = "DURATION",
            default_value = "30s",
            hide_default_value = true
        )]
        timeout: String,
        /// How to run.
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Lists the members.
    Members,
    /// Removes a member.
    Remove {
        /// Nick or node.
        #[arg(value_name = "MEMBER")]
        member: String,
    },
    /// Leaves the group.
    Leave,
    /// Runs the node.
    Up {
        /// In the background.
        #[arg(long)]
        detach: bool,
        /// How to run.
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Stops the node.
    Down,
    /// Shows how the node is.
    Status,
    /// Appends messages.
    Say(SayArgs),
    /// Reads a topic.
    History(HistoryArgs),
    /// Lists the topics.
    Topics,
    /// Talks.
    Chat(ChatArgs),
    /// Keeps a file.
    Mirror(MirrorArgs),
    /// Runs a command while holding locks.
    Lock(LockArgs),
    /// Shows who has which lock and who waits.
    Locks(LocksArgs),
    /// Adds jobs to a queue.
    Push(PushArgs),
    /// Runs a command for each job of a queue.
    Work(WorkArgs),
    /// Lists jobs.
    Jobs(JobsArgs),
    /// Something about a job.
    #[command(arg_required_else_help = true)]
    Job {
        /// What.
        #[command(subcommand)]
        what: JobAction,
    },
    /// Something about a queue.
    #[command(arg_required_else_help = true)]
    Queue {
        /// What.
        #[command(subcommand)]
        what: QueueAction,
    },
    /// The progress of a job.
    #[command(arg_required_else_help = true)]
    Checkpoint {
        /// What.
        #[command(subcommand)]
        what: CheckpointAction,
    },
    /// Writes the node to a file.
    Backup(BackupArgs),
    /// Brings it back.
    Restore(RestoreArgs),
    /// Checks all that is stored.
    Verify,
    /// Prints a completion script.
    Completions {
        /// For which shell.
        #[arg(value_name = "SHELL", hide_possible_values = true)]
        shell: clap_complete::Shell,
    },
    /// Shows it all on this machine.
    Demo {
        /// Without pauses.
        #[arg(long)]
        fast: bool,
    },
    /// Measures this installation.
    #[command(arg_required_else_help = true)]
    Bench {
        /// What to measure.
        #[command(subcommand)]
        what: Bench,
    },
    /// Shows help.
    Help {
        /// A command, or `exit-codes`.
        #[arg(value_name = "COMMAND")]
        about: Vec<String>,
    },
    /// The node itself; told what to do on standard input.
    #[command(hide = true)]
    Daemon,
    /// Waits for a fence on a pipe, then becomes the command.
    #[command(name = "__exec", hide = true)]
    Exec {
        /// The pipe's descriptor.
        pipe: u32,
        /// The process that waits for this one.
        parent: u32,
        /// The command.
        #[arg(last = true)]
        command: Vec<OsString>,
    },
    /// What `roda work` runs under the worker's lock.
    #[command(name = "__work", hide = true)]
    Worker(WorkerArgs),
    /// One process of a benchmark.
    #[command(hide = true)]
    BenchWorker {
        /// What it does, as JSON.
        job: String,
    },
}

/// What to append.
#[derive(Debug, Args)]
pub(crate) struct SayArgs {
    /// Where.
    #[arg(value_name = "TOPIC")]
    pub(crate) topic: String,
    /// What.
    #[arg(value_name = "TEXT", required = true)]
    pub(crate) text: Vec<String>,
    /// Under the lock that this command runs under.
    #[arg(long)]
    pub(crate) fenced: bool,
    /// Under this fence.
    #[arg(long, value_name = "N")]
    pub(crate) fence: Option<u64>,
    /// Of this lock.
    #[arg(long, value_name = "LOCK")]
    pub(crate) lock: Option<LockName>,
}

/// What to read.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Of which topic.
    #[arg(value_name = "TOPIC")]
    pub(crate) topic: String,
    /// Only the last ones.
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) lines: Option<usize>,
    /// And what comes.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only from then on.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only what matches.
    #[arg(long, value_name = "REGEX")]
    pub(crate) grep: Option<String>,
}

/// With whom to talk.
#[derive(Debug, Args)]
pub(crate) struct ChatArgs {
    /// In which topic.
    #[arg(value_name = "ROOM", default_value = "chat", hide_default_value = true)]
    pub(crate) room: String,
    /// With the classroom program.
    #[arg(long, value_name = "GROUP:PORT", num_args = 0..=1,
          default_missing_value = "224.1.1.1:5007", conflicts_with = "json")]
    pub(crate) plain_multicast: Option<String>,
    /// On which interface.
    #[arg(long, value_name = "IFACE", requires = "plain_multicast")]
    pub(crate) iface: Option<String>,
}

/// Which file to keep.
#[derive(Debug, Args)]
pub(crate) struct MirrorArgs {
    /// Of which topic.
    #[arg(value_name = "TOPIC", requires = "file")]
    pub(crate) topic: Option<String>,
    /// Where.
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// No longer.
    #[arg(long, requires = "file")]
    pub(crate) stop: bool,
    /// Which there are.
    #[arg(long, conflicts_with_all = ["topic", "stop"])]
    pub(crate) list: bool,
}

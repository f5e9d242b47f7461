//! One file per command.

mod backup;
mod bench;
mod bench_backlog;
mod bench_jobs;
mod bench_lock;
mod chat;
mod checkpoint;
mod columns;
mod completions;
mod create;
mod demo;
mod down;
mod help;
mod history;
mod input;
mod invite;
mod job;
mod jobs;
mod join;
mod leave;
mod lock;
mod locks;
mod members;
mod messages;
mod mirror;
mod plain_multicast;
mod push;
mod queue;
mod remove;
mod restore;
mod say;
mod screen;
mod status;
mod topics;
mod up;
mod verify;
mod work;

use std::ffi::OsString;
use std::io::{IsTerminal as _, PipeReader, PipeWriter};

use tokio::runtime::{Builder, Runtime};

use crate::api::client::Client;
use crate::cli::help::{Parsed, early_option, parse};
use crate::cli::{Bench, Cli, Command, Global};
use crate::daemon;
use crate::error::{Exit, Failure, Result};
use crate::home::Home;
use crate::i18n::Language;
use crate::output::Ui;

pub(crate) use jobs::table::short;

/// What every command needs.
pub(crate) struct App {
    /// How it talks to its user.
    pub(crate) ui: Ui,
    /// Which node it is about.
    pub(crate) home: Home,
    /// What it was told.
    pub(crate) global: Global,
    /// Opened before anything else where a command under a lock will inherit it: many shells know
    /// descriptors of one digit only.
    pub(crate) pipe: Option<(PipeReader, PipeWriter)>,
}

impl App {
    /// A connection to the node, which is started if that is allowed and needed.
    pub(crate) async fn connect(&self) -> Result<Client> {
        daemon::connect(&self.home, !self.global.no_spawn, self.global.verbose).await
    }
}

/// Runs the command of this process.
pub(crate) fn main() -> Exit {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let language = Language::choose(early_option(&arguments, "--lang").as_deref());
    let json = arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .any(|argument| argument == "--json");
    let ui = Ui::new(language, json);
    let cli = match parse(&arguments, &ui) {
        Ok(Parsed::Command(cli)) => cli,
        Ok(Parsed::Text(text, exit)) => {
            return match ui.raw(text.as_bytes()) {
                Ok(()) => exit,
                Err(failure) => failure.exit(),
            };
        }
        Err(failure) => {
            ui.failure(&failure);
            return failure.exit();
        }
    };
    let home = match Home::locate(cli.global.home.clone()) {
        Ok(home) => home,
        Err(failure) => {
            ui.failure(&failure);
            return failure.exit();
        }
    };
    let mut app = App {
        ui,
        home,
        global: cli.global.clone(),
        pipe: None,
    };
    let result = run(&mut app, *cli);
    match result {
        Ok(exit) => exit,
        Err(failure) => {
            app.ui.failure(&failure);
            failure.exit()
        }
    }
}

fn run(app: &mut App, cli: Cli) -> Result<Exit> {
    if let Command::Exec {
        pipe,
        parent,
        command,
    } = &cli.command
    {
        return Ok(crate::wrapper::exec(&app.ui, *pipe, *parent, command));
    }
    if matches!(cli.command, Command::Lock(_) | Command::Work(_)) {
        // Without one, the start of the command will tell.
        app.pipe = std::io::pipe().ok();
    }
    let runtime = runtime()?;
    let result = runtime.block_on(dispatch(app, cli.command));
    // A thread that still waits for a line of standard input must not keep the process.
    runtime.shutdown_background();
    result
}

/// One thread runs all tasks, of a node too: passing work to another thread costs more than most of that
/// work, and what takes long, writing above all, has threads of its own.
fn runtime() -> Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new("runtime").with("reason", error.to_string()))
}

async fn dispatch(app: &mut App, command: Command) -> Result<Exit> {
    match command {
        Command::Create { name, node } => create::run(app, name, node).await?,
        Command::Invite { uses, expires } => invite::run(app, uses, &expires).await?,
        Command::Join {
            token,
            timeout,
            node,
        } => join::run(app, token, &timeout, node).await?,
        Command::Members => members::run(app).await?,
        Command::Remove { member } => remove::run(app, &member).await?,
        Command::Leave => leave::run(app).await?,
        Command::Up { detach, node } => up::run(app, detach, node).await?,
        Command::Down => down::run(app).await?,
        Command::Status => status::run(app).await?,
        Command::Say(args) => say::run(app, &args).await?,
        Command::History(args) => history::run(app, &args).await?,
        Command::Topics => topics::run(app).await?,
        Command::Chat(args) => match &args.plain_multicast {
            Some(group) => plain_multicast::run(app, group, args.iface.as_deref()).await?,
            None => chat::run(app, &args.room).await?,
        },
        Command::Mirror(args) => mirror::run(app, &args).await?,
        Command::Lock(args) => return lock::run(app, args).await,
        Command::Locks(args) => locks::run(app, &args).await?,
        Command::Push(args) => push::run(app, &args).await?,
        Command::Work(args) => return work::run(app, args).await,
        Command::Jobs(args) => jobs::run(app, &args).await?,
        Command::Job { what } => return job::run(app, what).await,
        Command::Queue { what } => queue::run(app, what).await?,
        Command::Checkpoint { what } => checkpoint::run(app, what).await?,
        Command::Worker(args) => return crate::worker::run(app, args).await,
        Command::Backup(args) => backup::run(app, args).await?,
        Command::Restore(args) => restore::run(app, args).await?,
        Command::Verify => return verify::run(app).await,
        Command::Completions { shell } => completions::run(app, shell)?,
        Command::Demo { fast } => demo::run(app, fast).await?,
        Command::Bench { what } => match what {
            Bench::Multicast(args) => bench::run(app, &args).await?,
            Bench::Lock(args) => bench_lock::run(app, &args).await?,
            Bench::Jobs(args) => bench_jobs::run(app, &args).await?,
        },
        Command::Help { about } => help::run(app, &about)?,
        Command::Daemon => {
            daemon::start_log(app.global.verbose, false);
            daemon::run_as_child(app.home.clone()).await?;
        }
        Command::Exec { .. } => unreachable!("needs no runtime, see `run`"),
        Command::BenchWorker { job } => crate::bench::worker::run(app, &job).await?,
    }
    Ok(Exit::Done)
}

/// Whether a person types into this command.
fn is_interactive() -> bool {
    std::io::stdin().is_terminal()
}

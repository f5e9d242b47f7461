//! `roda work`: runs a command for each job of a queue.
//!
//! The part that runs the jobs is a command under the lock `roda/worker/ID`, started as by `roda lock`. So
//! whoever gets that lock next knows that everything this worker ran is dead.

use std::ffi::OsString;
use std::path::Path;

use super::App;
use crate::api::job_checks::queue_name;
use crate::api::lock_types::HoldRequest;
use crate::api::work::worker_lock;
use crate::cli::WorkArgs;
use crate::cli::parse::duration;
use crate::error::{Exit, Result};
use crate::holds::random_id;
use crate::wrapper::{self, OWN_PROGRAM, Wish, Wisher};

pub(super) async fn run(app: &mut App, args: WorkArgs) -> Result<Exit> {
    let wish = wish(app, args)?;
    let pipe = app.pipe.take();
    wrapper::run(app, wish, pipe).await.or_else(|failure| {
        app.ui.failure(&failure);
        Ok(match failure.exit() {
            // Nothing was claimed, unlike after a failure of the worker itself.
            Exit::Failed => Exit::NotStarted,
            other => other,
        })
    })
}

fn wish(app: &App, args: WorkArgs) -> Result<Wish> {
    queue_name(&args.queue)?;
    let timeout = args.timeout.as_deref().map(duration).transpose()?;
    if let Some(program) = args.command.first() {
        // Before anything is claimed: no job should fail for a typing error.
        wrapper::check(program)?;
    }
    let lock = worker_lock(&random_id()?)?;
    let mut command: Vec<OsString> = vec![OWN_PROGRAM.into()];
    command.extend(global_options(app));
    command.extend(["__work".into(), "--jobs".into()]);
    command.push(args.jobs.to_string().into());
    if let Some(timeout) = timeout {
        command.push("--timeout-ms".into());
        command.push(timeout.as_millis().to_string().into());
    }
    if args.idle_exit {
        command.push("--idle-exit".into());
    }
    command.extend([args.queue.into(), "--".into()]);
    command.extend(args.command);
    Ok(Wish {
        request: HoldRequest {
            locks: vec![lock.to_string()],
            ..HoldRequest::default()
        },
        command,
        wisher: Wisher::Worker,
    })
}

fn global_options(app: &App) -> Vec<OsString> {
    let home: &Path = app.home.path();
    let mut options: Vec<OsString> = vec!["--home".into(), home.into(), "--no-spawn".into()];
    if let Some(language) = &app.global.lang {
        options.extend(["--lang".into(), language.into()]);
    }
    if app.ui.json {
        options.push("--json".into());
    }
    options.extend((0..app.global.verbose).map(|_| "-v".into()));
    options
}

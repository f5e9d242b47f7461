//! `roda locks`: who has which lock and who waits, once or again and again.

mod table;

use std::io::IsTerminal as _;
use std::time::Duration;

use roda::LockName;
use tokio::time::{MissedTickBehavior, interval};

use super::App;
use super::lock::is_reserved;
use super::screen::redraw;
use crate::api::client::{Client, encoded};
use crate::api::lock_types::LocksReply;
use crate::cli::LocksArgs;
use crate::error::{Failure, Result};

pub(super) async fn run(app: &App, args: &LocksArgs) -> Result<()> {
    let names: Vec<&str> = args.names.iter().flat_map(|list| list.split(',')).collect();
    for name in &names {
        LockName::new(name)?;
    }
    let path = if names.is_empty() {
        "/v1/locks".to_owned()
    } else {
        format!("/v1/locks?names={}", encoded(&names.join(",")))
    };
    let mut client = app.connect().await?;
    let hides = names.is_empty() && !args.all;
    if args.watch {
        return watch(app, &mut client, &path, hides).await;
    }
    let report = report(&mut client, &path, hides).await?;
    if app.ui.json {
        return app.ui.object(&report);
    }
    app.ui.raw(table::text(&app.ui, &report).as_bytes())
}

/// What the group knows, without the locks that Roda itself takes if those are to be hidden.
async fn report(client: &mut Client, path: &str, hides: bool) -> Result<LocksReply> {
    let mut report: LocksReply = client.get(path).await?;
    report
        .locks
        .retain(|lock| !hides || !is_reserved(&lock.lock));
    Ok(report)
}

/// Goes on until it is ended, also while too few voters answer.
async fn watch(app: &App, client: &mut Client, path: &str, hides: bool) -> Result<()> {
    let is_terminal = !app.ui.json && std::io::stdout().is_terminal();
    let mut tick = interval(WATCH_STEP);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let report = match report(client, path, hides).await {
            Ok(report) => report,
            Err(failure) if ["lock-no-quorum", "lock-no-leader"].contains(&&*failure.code) => {
                trouble(app, is_terminal, &failure)?;
                continue;
            }
            Err(failure) => return Err(failure),
        };
        if app.ui.json {
            app.ui.object(&report)?;
        } else if is_terminal {
            redraw(&app.ui, &table::text(&app.ui, &report))?;
        } else {
            app.ui
                .raw(format!("{}\n", table::text(&app.ui, &report)).as_bytes())?;
        }
    }
}

fn trouble(app: &App, is_terminal: bool, failure: &Failure) -> Result<()> {
    if is_terminal {
        redraw(&app.ui, "")?;
    }
    app.ui.failure(failure);
    Ok(())
}

const WATCH_STEP: Duration = Duration::from_millis(500);

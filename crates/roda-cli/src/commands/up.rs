//! `roda up`: runs the node, in the foreground or detached.

use std::io::IsTerminal as _;

use serde_json::json;

use super::App;
use crate::api::client::Client;
use crate::api::types::StatusReply;
use crate::cli::NodeArgs;
use crate::daemon::{self, Origin, Start};
use crate::error::{Failure, Result};

pub(super) async fn run(app: &App, detach: bool, node: NodeArgs) -> Result<()> {
    if app.global.no_spawn {
        return Err(Failure::new("usage-no-spawn"));
    }
    if !app.home.is_inhabited() {
        return Err(Failure::new("no-group").with("home", app.home.path()));
    }
    let start = Start {
        origin: Origin::Open,
        config: node.into(),
    };
    if detach {
        detached(app, start).await
    } else {
        foreground(app, start).await
    }
}

async fn detached(app: &App, start: Start) -> Result<()> {
    let mut client = daemon::start_node(&app.home, &start, app.global.verbose).await?;
    let status: StatusReply = client.get("/v1/status").await?;
    ready(app, &status.group_name, status.pid)
}

async fn foreground(app: &App, start: Start) -> Result<()> {
    daemon::start_log(app.global.verbose, std::io::stderr().is_terminal());
    let only_one = app.home.lock_start()?;
    if Client::connect(&app.home.socket()).await.is_ok() {
        return Err(Failure::new("already-running").with("home", app.home.path()));
    }
    let running = daemon::open(&app.home, start).await?;
    drop(only_one);
    ready(app, &running.node().group_name(), std::process::id())?;
    running.serve(std::future::pending()).await
}

fn ready(app: &App, group: &str, pid: u32) -> Result<()> {
    if app.ui.json {
        return app
            .ui
            .object(&json!({"ready": true, "group_name": group, "pid": pid}));
    }
    let values = [("group", group.into()), ("pid", pid.to_string().into())];
    app.ui.line(&app.ui.text("up-ready", &values))
}

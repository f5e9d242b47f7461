//! `roda down`: stops the node cleanly.

use serde_json::{Value, json};

use super::App;
use crate::api::client::Client;
use crate::api::types::StatusReply;
use crate::daemon::wait_for_end;
use crate::error::{Failure, Result};

pub(super) async fn run(app: &App) -> Result<()> {
    let Ok(mut client) = Client::connect(&app.home.socket()).await else {
        if !app.home.is_inhabited() {
            return Err(Failure::new("no-group").with("home", app.home.path()));
        }
        return report(app, None);
    };
    let status: StatusReply = client.get("/v1/status").await?;
    let _empty: Value = client.post("/v1/shutdown", &json!({})).await?;
    drop(client);
    wait_for_end(status.pid).await;
    report(app, Some(status.pid))
}

/// That nothing ran is no failure: what was asked for is so.
fn report(app: &App, pid: Option<u32>) -> Result<()> {
    if app.ui.json {
        return app
            .ui
            .object(&json!({"stopped": pid.is_some(), "pid": pid}));
    }
    match pid {
        Some(pid) => {
            let values = [("pid", pid.to_string().into())];
            app.ui.line(&app.ui.text("down-done", &values))
        }
        None => app.ui.line(&app.ui.text("down-idle", &[])),
    }
}

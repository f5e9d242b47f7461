//! `roda verify`: checks the database, every log and every signature.

use super::App;
use crate::api::client::Client;
use crate::api::types::VerifyReply;
use crate::error::{Exit, Failure, Result};
use crate::output::escaped;

pub(super) async fn run(app: &App) -> Result<Exit> {
    let report: VerifyReply = match Client::connect(&app.home.socket()).await {
        Ok(mut client) => client.post("/v1/verify", &serde_json::json!({})).await?,
        Err(_stopped) => verify_stopped(app).await?,
    };
    let exit = if report.ok { Exit::Done } else { Exit::Failed };
    if app.ui.json {
        app.ui.object(&report)?;
        return Ok(exit);
    }
    for fault in &report.faults {
        app.ui.line(&escaped(fault))?;
    }
    let values = [
        ("authors", report.authors.into()),
        ("batches", report.batches.into()),
        ("entries", report.entries.into()),
        ("faults", report.faults.len().into()),
    ];
    let key = if report.ok {
        "verify-well"
    } else {
        "verify-faults"
    };
    app.ui.line(&app.ui.text(key, &values))?;
    Ok(exit)
}

/// A home that will not start must still be checkable, so this needs no daemon.
async fn verify_stopped(app: &App) -> Result<VerifyReply> {
    if !app.home.is_inhabited() {
        return Err(Failure::new("no-group").with("home", app.home.path()));
    }
    let path = app.home.path().to_owned();
    let report = tokio::task::spawn_blocking(move || roda::verify_home(&path))
        .await
        .map_err(|error| Failure::new("other").with("reason", error.to_string()))??;
    Ok(report.into())
}

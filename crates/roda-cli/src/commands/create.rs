//! `roda create`: makes a group and this machine's identity.

use serde_json::json;

use super::App;
use crate::api::client::Client;
use crate::api::types::StatusReply;
use crate::cli::NodeArgs;
use crate::daemon::{Origin, Start, start_node};
use crate::error::{Failure, Result};

pub(super) async fn run(app: &mut App, name: String, node: NodeArgs) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Failure::new("usage-empty-name"));
    }
    let mut client = found(app, Origin::Create { name }, node).await?;
    let status: StatusReply = client.get("/v1/status").await?;
    if app.ui.json {
        return app.ui.object(&json!({
            "group": status.group, "group_name": status.group_name, "node": status.node,
            "nick": status.nick, "home": status.home,
        }));
    }
    let values = [
        ("group", status.group_name.into()),
        ("node", status.node[..8].into()),
        ("nick", status.nick.into()),
    ];
    app.ui.line(&app.ui.text("create-done", &values))?;
    app.ui.note(&app.ui.text("create-next", &[]));
    Ok(())
}

/// Starts a node that makes or joins a group; leaves no trace if it fails.
pub(super) async fn found(app: &mut App, origin: Origin, node: NodeArgs) -> Result<Client> {
    if app.global.no_spawn {
        return Err(Failure::new("usage-no-spawn"));
    }
    let is_new = app.home.ensure()?;
    let start = Start {
        origin,
        config: node.into(),
    };
    let started = start_node(&app.home, &start, app.global.verbose).await;
    if started.is_err() && is_new {
        app.home.discard();
    }
    started
}

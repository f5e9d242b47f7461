//! `roda leave`: leaves the group for good.

use serde_json::{Value, json};

use super::App;
use crate::api::types::StatusReply;
use crate::daemon::wait_for_end;
use crate::error::Result;

pub(super) async fn run(app: &App) -> Result<()> {
    let mut client = app.connect().await?;
    let status: StatusReply = client.get("/v1/status").await?;
    let _empty: Value = client.post("/v1/leave", &json!({})).await?;
    drop(client);
    wait_for_end(status.pid).await;
    if app.ui.json {
        return app.ui.object(&json!({"left": status.group}));
    }
    let values = [("group", status.group_name.into())];
    app.ui.line(&app.ui.text("leave-done", &values))
}

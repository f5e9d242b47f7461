//! `roda remove`: removes a member and changes the group key.

use super::App;
use crate::api::client::encoded;
use crate::api::types::RemoveReply;
use crate::error::Result;

pub(super) async fn run(app: &App, member: &str) -> Result<()> {
    let path = format!("/v1/members/{}", encoded(member));
    let reply: RemoveReply = app.connect().await?.delete(&path).await?;
    if app.ui.json {
        return app.ui.object(&reply);
    }
    let values = [("node", reply.removed[..8].into())];
    app.ui.line(&app.ui.text("remove-done", &values))
}

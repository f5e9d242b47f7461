//! `roda invite`: prints an invite token, alone, on standard output.

use super::App;
use crate::api::types::{InviteReply, InviteRequest};
use crate::cli::parse;
use crate::error::{Failure, Result};

pub(super) async fn run(app: &App, uses: u32, expires: &str) -> Result<()> {
    let lifetime = parse::duration(expires)?;
    if lifetime.is_zero() {
        return Err(Failure::new("usage-expires").with("value", expires));
    }
    let wish = InviteRequest {
        uses,
        lifetime_ms: u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX),
    };
    let invite: InviteReply = app.connect().await?.post("/v1/invites", &wish).await?;
    if app.ui.json {
        return app.ui.object(&invite);
    }
    app.ui.line(&invite.token)?;
    let values = [
        ("uses", invite.uses.into()),
        ("expires", invite.expires.into()),
    ];
    app.ui.note(&app.ui.text("invite-note", &values));
    Ok(())
}

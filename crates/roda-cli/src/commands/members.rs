//! `roda members`: who belongs, who is online, who is behind.

use super::App;
use crate::api::types::MemberReply;
use crate::error::Result;
use crate::output::{Colour, escaped};

pub(super) async fn run(app: &App) -> Result<()> {
    let members: Vec<MemberReply> = app.connect().await?.get("/v1/members").await?;
    for member in &members {
        if app.ui.json {
            app.ui.object(member)?;
        } else {
            app.ui.line(&line(app, member))?;
        }
    }
    Ok(())
}

fn line(app: &App, member: &MemberReply) -> String {
    let (key, colour) = match member.presence.as_str() {
        "here" => ("presence-here", Colour::Green),
        "online" => ("presence-online", Colour::Green),
        "suspect" => ("presence-suspect", Colour::Cyan),
        _ => ("presence-down", Colour::Dim),
    };
    let presence = format!("{:<10}", app.ui.text(key, &[]));
    let behind = match member.behind {
        Some(0) => app.ui.text("members-level", &[]),
        Some(count) => app.ui.text("members-behind", &[("count", count.into())]),
        None => String::new(),
    };
    let line = format!(
        "{}  {:<20}  {}  {:<9}  {behind}",
        &member.node[..8],
        escaped(&member.nick),
        app.ui.paint(colour, &presence),
        member.carrier.as_deref().unwrap_or(""),
    );
    line.trim_end().to_owned()
}

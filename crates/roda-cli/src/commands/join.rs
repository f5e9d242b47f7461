//! `roda join`: joins a group with an invite token.

use std::io::{self, BufRead as _, Write as _};

use roda::InviteToken;
use serde_json::json;

use super::App;
use crate::api::types::StatusReply;
use crate::cli::{NodeArgs, parse};
use crate::daemon::Origin;
use crate::error::{Failure, Result};

pub(super) async fn run(
    app: &mut App,
    token: Option<String>,
    timeout: &str,
    node: NodeArgs,
) -> Result<()> {
    let timeout = parse::duration(timeout)?;
    let token = read_token(app, token)?;
    // A typing error should not wait for a daemon to find it.
    InviteToken::parse(&token)?;
    app.ui.note(&app.ui.text("join-waiting", &[]));
    let origin = Origin::Join {
        token,
        timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
    };
    let mut client = super::create::found(app, origin, node).await?;
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
        ("members", status.members.into()),
    ];
    app.ui.line(&app.ui.text("join-done", &values))
}

/// From the argument, the environment, standard input or a prompt, so that it need not be in argv.
fn read_token(app: &App, argument: Option<String>) -> Result<String> {
    match argument {
        Some(token) if token != "-" => return Ok(token),
        Some(_from_stdin) => {}
        None => {
            if let Ok(token) = std::env::var("RODA_TOKEN") {
                return Ok(token);
            }
            if !super::is_interactive() {
                return Err(Failure::new("usage-no-token"));
            }
        }
    }
    if super::is_interactive() {
        let prompt = app.ui.text("join-prompt", &[]);
        // A closed standard error only loses the prompt.
        drop(write!(io::stderr(), "{prompt} "));
    }
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Failure::new("input").with("reason", error.to_string()))?;
    if line.trim().is_empty() {
        return Err(Failure::new("usage-no-token"));
    }
    Ok(line)
}

//! `roda lock`: runs a command while holding locks, or has a holder stopped.

use roda::{LockName, Topic};
use serde_json::{Value, json};

use super::App;
use crate::api::client::encoded;
use crate::api::lock_types::HoldRequest;
use crate::api::locks::lock_names;
use crate::cli::parse::duration;
use crate::cli::{LockAction, LockArgs};
use crate::error::{Exit, Failure, Result};
use crate::wrapper::{self, Wish, Wisher};

pub(super) async fn run(app: &mut App, args: LockArgs) -> Result<Exit> {
    match args.action {
        Some(LockAction::Release { force, ref name }) => {
            release(app, force, name).await?;
            Ok(Exit::Done)
        }
        None => hold(app, args).await,
    }
}

async fn hold(app: &mut App, args: LockArgs) -> Result<Exit> {
    let wish = wish(args)?;
    let pipe = app.pipe.take();
    wrapper::run(app, wish, pipe).await.or_else(|failure| {
        app.ui.failure(&failure);
        Ok(match failure.exit() {
            // A failure of the command itself must look different.
            Exit::Failed => Exit::NotStarted,
            other => other,
        })
    })
}

fn wish(args: LockArgs) -> Result<Wish> {
    let names = args.names.unwrap_or_default();
    let names: Vec<&str> = names.split(',').collect();
    lock_names(&names)?;
    if let Some(name) = names.iter().find(|name| is_reserved(name)) {
        return Err(Failure::new("lock-name-reserved").with("lock", *name));
    }
    for topic in &args.fresh {
        Topic::new(topic)?;
    }
    let wait_ms = match (&args.wait, args.is_try) {
        (Some(wait), _) => {
            let millis = duration(wait)?.as_millis();
            Some(u64::try_from(millis).unwrap_or(u64::MAX))
        }
        (None, true) => Some(0),
        (None, false) => None,
    };
    Ok(Wish {
        request: HoldRequest {
            locks: names.into_iter().map(ToOwned::to_owned).collect(),
            priority: args.priority,
            permits: args.permits,
            shared: args.shared,
            wait_ms,
            fresh: args.fresh,
            inside: Vec::new(),
        },
        command: args.command,
        wisher: Wisher::Caller,
    })
}

/// Whether only Roda itself takes locks of this name, for queues and workers.
pub(super) fn is_reserved(name: &str) -> bool {
    name.starts_with("roda/")
}

async fn release(app: &App, force: bool, name: &str) -> Result<()> {
    LockName::new(name)?;
    if !force {
        return Err(Failure::new("usage-lock-force").with("lock", name));
    }
    let mut client = app.connect().await?;
    let path = format!("/v1/locks/{}/force", encoded(name));
    let _empty: Value = client.post(&path, &json!({})).await?;
    if app.ui.json {
        return app.ui.object(&json!({"lock": name, "released": true}));
    }
    let values = [("lock", name.into())];
    app.ui.line(&app.ui.text("lock-released", &values))
}

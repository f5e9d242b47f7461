//! `roda checkpoint`: inside a job, keeps and fetches its progress.

use std::io::{IsTerminal as _, Read as _};

use serde_json::{Value, json};

use super::App;
use crate::api::client::encoded;
use crate::api::job_checks::{checkpoint, job_id};
use crate::api::job_types::{Attempt, LoadReply, SKIPPED_HEADER, STATE_LEN_MAX};
use crate::cli::CheckpointAction;
use crate::error::{Failure, Result};

pub(super) async fn run(app: &App, action: CheckpointAction) -> Result<()> {
    let job = variable(JOB)?;
    job_id(&job).map_err(|_bad| invalid(JOB, &job))?;
    match action {
        CheckpointAction::Save { done, total } => save(app, &job, done, total).await,
        CheckpointAction::Load => load(app, &job).await,
    }
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).map_err(|_none| Failure::new("usage-no-job"))
}

fn invalid(variable: &str, value: &str) -> Failure {
    Failure::new("usage-invalid-value")
        .with("argument", variable)
        .with("value", value)
}

async fn save(app: &App, job: &str, done: Option<u64>, total: Option<u64>) -> Result<()> {
    let attempt = variable(ATTEMPT)?;
    let attempt: Attempt = attempt.parse().map_err(|_bad| invalid(ATTEMPT, &attempt))?;
    let mut state = Vec::new();
    // A person who types this tells figures only.
    if !std::io::stdin().is_terminal() {
        std::io::stdin()
            .lock()
            .take(STATE_LEN_MAX as u64 + 1)
            .read_to_end(&mut state)
            .map_err(|error| Failure::new("input").with("reason", error.to_string()))?;
    }
    checkpoint(&state)?;
    let mut path = format!("/v1/jobs/{}/checkpoint?attempt={attempt}", encoded(job));
    for (name, number) in [("done", done), ("total", total)] {
        if let Some(number) = number {
            path.push_str(&format!("&{name}={number}"));
        }
    }
    let mut client = app.connect().await?;
    let _empty: Value = client.put_bytes(&path, state).await?;
    if app.ui.json {
        return app.ui.object(&json!({"id": job, "attempt": attempt}));
    }
    Ok(())
}

async fn load(app: &App, job: &str) -> Result<()> {
    let mut client = app.connect().await?;
    let path = format!("/v1/jobs/{}/checkpoint", encoded(job));
    if app.ui.json {
        let reply: LoadReply = client.get(&path).await?;
        return app.ui.object(&reply);
    }
    let path = format!("{path}/state");
    let (state, skipped) = client.get_bytes(&path, &SKIPPED_HEADER).await?;
    if let Some(skipped) = skipped.filter(|skipped| skipped != "0") {
        // It goes to standard error, and so into what is kept of the attempt's output.
        let key = if state.is_empty() {
            "checkpoint-none-left"
        } else {
            "checkpoint-skipped"
        };
        app.ui
            .note(&app.ui.text(key, &[("skipped", skipped.into())]));
    }
    app.ui.raw(&state)
}

const JOB: &str = "RODA_JOB_ID";
const ATTEMPT: &str = "RODA_ATTEMPT";

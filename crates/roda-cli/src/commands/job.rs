//! `roda job`: sees and steers a job.

mod show;

use std::io::IsTerminal as _;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::App;
use super::jobs::table::{short, state};
use crate::api::client::encoded;
use crate::api::job_checks::job_id;
use crate::api::job_types::{AttemptReply, JobDetailReply, JobReply, JobStateReply};
use crate::cli::JobAction;
use crate::cli::parse::duration;
use crate::error::{Exit, Failure, Result};
use crate::output::escaped_bytes;

pub(super) async fn run(app: &App, action: JobAction) -> Result<Exit> {
    match action {
        JobAction::Show { id } => {
            let job = detail(app, &id).await?;
            if app.ui.json {
                app.ui.object(&job)?;
            } else {
                app.ui.raw(show::text(&app.ui, &job).as_bytes())?;
            }
        }
        JobAction::Wait { id, timeout } => {
            let timeout = timeout.as_deref().map(duration).transpose()?;
            return wait_all(app, &id, timeout).await;
        }
        JobAction::Retry { id } => steer(app, &id, "retry", "job-retried").await?,
        JobAction::Cancel { id } => steer(app, &id, "cancel", "job-cancel-told").await?,
        JobAction::Log { id, attempt } => {
            let job = detail(app, &id).await?;
            log(app, &job, attempt)?;
        }
    }
    Ok(Exit::Done)
}

async fn detail(app: &App, id: &str) -> Result<JobDetailReply> {
    let path = format!("/v1/jobs/{}", encoded(job_id(id)?));
    app.connect().await?.get(&path).await
}

/// Asks the same for each; all ids are looked at before anything is done.
async fn steer(app: &App, ids: &[String], what: &str, told: &str) -> Result<()> {
    for id in ids {
        job_id(id)?;
    }
    let mut client = app.connect().await?;
    for id in ids {
        let path = format!("/v1/jobs/{}/{what}", encoded(id));
        let job: JobReply = client.post(&path, &json!({})).await?;
        if app.ui.json {
            app.ui.object(&job)?;
            continue;
        }
        let values = [
            ("job", short(&job.id).into()),
            ("state", state(&app.ui, &job).into()),
        ];
        app.ui.line(&app.ui.text(told, &values))?;
    }
    Ok(())
}

async fn wait_all(app: &App, ids: &[String], timeout: Option<Duration>) -> Result<Exit> {
    for id in ids {
        job_id(id)?;
    }
    let deadline = timeout.map(|timeout| Instant::now() + timeout.min(FOREVER));
    let mut exit = Exit::Done;
    for id in ids {
        let (job, ended) = wait(app, id, deadline).await?;
        if app.ui.json {
            app.ui.object(&job)?;
        } else if ended.is_some_and(|(state, _)| state == JobStateReply::Done) {
            let values = [
                ("job", short(&job.id).into()),
                ("state", state(&app.ui, &job).into()),
            ];
            app.ui.line(&app.ui.text("job-is", &values))?;
        }
        if let Some(failure) = not_done(&job, ended) {
            app.ui.failure(&failure);
            // What took too long says more than what failed meanwhile.
            if exit != Exit::Busy {
                exit = failure.exit();
            }
        }
    }
    Ok(exit)
}

/// How a job, or the round of a recurring one, ended.
type End = Option<(JobStateReply, Option<i32>)>;

/// The job at its end, or at that of its round, or as it is at the deadline.
async fn wait(app: &App, id: &str, deadline: Option<Instant>) -> Result<(JobReply, End)> {
    let mut id = id.to_owned();
    let mut has_told = false;
    loop {
        let mut path = format!("/v1/jobs/{}/wait", encoded(&id));
        if let Some(deadline) = deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            path.push_str(&format!("?timeout_ms={}", left.as_millis() + 1));
        }
        let mut lines = app.connect().await?.lines(&path).await?;
        let (mut first, mut last): (Option<JobReply>, Option<JobReply>) = (None, None);
        while let Some(text) = lines.next().await? {
            let lines = text.split(|byte| *byte == b'\n');
            for line in lines.filter(|line| !line.is_empty()) {
                let job: JobReply = serde_json::from_slice(line).map_err(|error| {
                    Failure::new("daemon-answer").with("reason", error.to_string())
                })?;
                first.get_or_insert_with(|| job.clone());
                if job.state == JobStateReply::Held && !std::mem::replace(&mut has_told, true) {
                    let values = [("job", short(&job.id).into())];
                    app.ui.note(&app.ui.text("job-wait-held", &values));
                }
                last = Some(job);
            }
        }
        let (Some(first), Some(job)) = (first, last) else {
            return Err(Failure::new("daemon-lost").with("reason", "…"));
        };
        let ended = job.end_since(&first);
        let is_over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        match &job.duplicate_of {
            // The one that counts in its place.
            Some(other) => id.clone_from(other),
            None if ended.is_some() || is_over => return Ok((job, ended)),
            // The node has ended the answer, as one that stops does.
            None => return Err(Failure::new("daemon-lost").with("reason", "…")),
        }
    }
}

fn not_done(job: &JobReply, ended: End) -> Option<Failure> {
    let failure = match ended {
        Some((JobStateReply::Done, _)) => return None,
        Some((JobStateReply::Dead, code)) => {
            let key = if job.state == JobStateReply::Dead {
                "job-is-dead"
            } else {
                "job-round-is-dead"
            };
            Failure::new(key).with("code", code.unwrap_or_default().to_string())
        }
        Some((JobStateReply::Cancelled, _)) => Failure::new("job-is-cancelled"),
        _ => Failure::new("job-wait-timeout").with("state", job.state.as_str()),
    };
    Some(failure.with("job", short(&job.id)))
}

fn log(app: &App, job: &JobDetailReply, attempt: Option<u32>) -> Result<()> {
    let has_output = |tried: &&AttemptReply| tried.output.is_some();
    let found = match attempt {
        Some(number) => {
            let mut of_number = job.tried.iter().rev();
            let found = of_number.find(|tried| tried.attempt.number == number);
            Some(found.ok_or_else(|| {
                Failure::new("unknown-attempt")
                    .with("job", short(&job.job.id))
                    .with("attempt", number)
                    .with("count", job.tried.len())
            })?)
        }
        None => job.tried.iter().rev().find(has_output),
    };
    if app.ui.json {
        return app.ui.object(&json!({
            "id": job.job.id,
            "attempt": found.map(|tried| tried.attempt),
            "output": found.and_then(|tried| tried.output.clone()).unwrap_or_default(),
        }));
    }
    let output = found.and_then(|tried| tried.output.clone());
    let bytes = output.and_then(crate::api::blob::Blob::into_bytes);
    let bytes = bytes.unwrap_or_default();
    if !std::io::stdout().is_terminal() {
        return app.ui.raw(&bytes);
    }
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        app.ui.line(&escaped_bytes(line))?;
    }
    Ok(())
}

/// A year: Tokio's clock does not reach to the end of time.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

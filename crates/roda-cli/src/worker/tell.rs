//! What a worker tells people and programs about its jobs.

use std::time::Duration;

use serde_json::json;

use super::job::Job;
use super::output::Printer;
use crate::api::work_types::{EndedAttempt, OutcomeRequest};
use crate::cli::parse::duration_text;
use crate::commands::{App, short};

/// An attempt has ended.
pub(super) fn ended(app: &App, printer: &Printer, end: &EndedAttempt) {
    printer.tell(&json!({
        "event": "ended",
        "id": end.id,
        "attempt": end.attempt,
        "millis": end.millis,
        "outcome": end.outcome.as_str(),
        "code": end.outcome.code(),
    }));
    let ui = &app.ui;
    let values = [("job", short(&end.id).into())];
    match end.outcome {
        OutcomeRequest::Failed { code, .. } => {
            let [job] = values;
            ui.note(&ui.text("worker-failed", &[job, ("code", code.to_string().into())]));
        }
        OutcomeRequest::CutOff { .. } => ui.note(&ui.text("worker-cut-off", &values)),
        _ if app.global.verbose == 0 => {}
        OutcomeRequest::Done => ui.note(&ui.text("worker-done", &values)),
        OutcomeRequest::Again => ui.note(&ui.text("worker-again", &values)),
        OutcomeRequest::Returned => ui.note(&ui.text("worker-returned", &values)),
        OutcomeRequest::Cancelled => ui.note(&ui.text("worker-cancelled", &values)),
    }
}

/// A job has run for as long as it may, and is asked to end. Whoever looks at its output later wants to know too.
pub(super) fn timed_out(app: &App, job: &Job, most: Option<Duration>) {
    let most = u64::try_from(most.unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
    let values = [
        ("job", short(job.id()).into()),
        ("time", duration_text(most).into()),
    ];
    let text = app.ui.text("worker-timeout", &values);
    app.ui.note(&text);
    job.note(&text);
}

/// The queue is paused, and this worker ends only when it has nothing left to do.
pub(super) fn paused(app: &App, queue: &str) {
    let ui = &app.ui;
    ui.note(&ui.text("worker-paused", &[("queue", queue.into())]));
}

/// No more jobs; those that run are finished.
pub(super) fn draining(app: &App, running: usize) {
    counted(app, "worker-draining", running);
}

/// Those that run are ended.
pub(super) fn giving_back(app: &App, running: usize) {
    counted(app, "worker-giving-back", running);
}

fn counted(app: &App, key: &str, count: usize) {
    if count > 0 {
        let ui = &app.ui;
        ui.note(&ui.text(key, &[("count", count.into())]));
    }
}

//! All about a job, for people.

use crate::api::blob::Blob;
use crate::api::job_types::{AttemptReply, JobDetailReply, JobReply, JobStateReply, SavedReply};
use crate::commands::columns::{Row, aligned, node_name, time};
use crate::commands::jobs::table::{progress, state};
use crate::output::{Colour, Ui, escaped, escaped_bytes};

/// Labels with values, then a row for each attempt.
pub(super) fn text(ui: &Ui, detail: &JobDetailReply) -> String {
    let mut text = String::new();
    for (key, value) in rows(ui, detail) {
        let label = format!("{:<14}", ui.text(key, &[]));
        text.push_str(&format!("{} {value}\n", ui.paint(Colour::Bold, &label)));
    }
    if !detail.tried.is_empty() {
        text.push('\n');
        text.push_str(&attempts(ui, &detail.tried));
    }
    text
}

fn rows(ui: &Ui, detail: &JobDetailReply) -> Vec<(&'static str, String)> {
    let job = &detail.job;
    let safe = |text: &str| escaped(text).into_owned();
    let mut rows = vec![
        ("job-label-id", safe(&job.id)),
        ("job-label-queue", safe(&job.queue)),
        ("job-label-state", state(ui, job)),
        ("job-label-pushed", safe(&job.pushed)),
    ];
    let mut optional = |key, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            rows.push((key, value));
        }
    };
    optional("job-label-not-before", job.not_before.as_deref().map(safe));
    optional("job-label-cron", job.cron.as_deref().map(safe));
    optional("job-label-rounds", rounds(ui, job));
    optional("job-label-duplicate", job.duplicate_of.as_deref().map(safe));
    optional("job-label-key", job.key.as_deref().map(safe));
    optional("job-label-order-key", job.order_key.as_deref().map(safe));
    optional("job-label-priority", Some(job.priority.to_string()));
    let most = match job.max_tries {
        0 => ui.text("job-tries-endless", &[]),
        most => most.to_string(),
    };
    let values = [
        ("tries", u64::from(job.tries).into()),
        ("most", most.into()),
    ];
    optional("job-label-tries", Some(ui.text("job-tries", &values)));
    optional("job-label-on-crash", Some(job.on_crash.as_str().to_owned()));
    optional(
        "job-label-progress",
        Some(match (job.done, job.total) {
            (Some(done), Some(total)) => {
                format!("{} ({done}/{total})", progress(job.done, job.total))
            }
            _ => progress(job.done, job.total),
        }),
    );
    for saved in &detail.checkpoints {
        optional("job-label-checkpoint", checkpoint(ui, saved));
    }
    optional("job-label-code", job.code.map(|code| code.to_string()));
    rows.push(("job-label-payload", payload(&detail.payload)));
    rows
}

/// Of a large checkpoint, how large it is and whether it is here; of another there is nothing to tell.
fn checkpoint(ui: &Ui, saved: &SavedReply) -> Option<String> {
    let elsewhere = ui.text("job-checkpoint-elsewhere", &[]);
    let parts = [
        progress(saved.done, saved.total),
        format!("{} B", saved.bytes?),
        if saved.here { String::new() } else { elsewhere },
    ];
    let told: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    Some(told.join(" · "))
}

/// How many are over, and how the last one ended.
fn rounds(ui: &Ui, job: &JobReply) -> Option<String> {
    let count = job.rounds?.to_string();
    let Some(last) = &job.last_round else {
        return Some(count);
    };
    let key = match last.state {
        JobStateReply::Dead => "job-last-round-dead",
        _ => "job-last-round-done",
    };
    let code = last
        .code
        .map_or_else(|| "-".to_owned(), |code| code.to_string());
    let values = [
        ("ended", escaped(&last.ended).into_owned().into()),
        ("code", code.into()),
    ];
    Some(format!("{count}; {}", ui.text(key, &values)))
}

/// On one line, and not longer than a screen.
fn payload(payload: &Blob) -> String {
    let bytes = payload.clone().into_bytes().unwrap_or_default();
    let shown = escaped_bytes(&bytes[..bytes.len().min(PAYLOAD_SHOWN)]);
    if bytes.len() > PAYLOAD_SHOWN {
        format!("{shown}… ({} B)", bytes.len())
    } else {
        shown
    }
}

fn attempts(ui: &Ui, tried: &[AttemptReply]) -> String {
    let head = [
        "job-head-attempt",
        "jobs-head-node",
        "job-head-started",
        "job-head-outcome",
        "jobs-head-code",
        "jobs-head-took",
    ];
    let head = head.map(|key| ui.text(key, &[]));
    let mut rows = vec![Row::new(Colour::Bold, head)];
    rows.extend(tried.iter().map(|tried| {
        let (key, colour) = match tried.outcome.as_deref() {
            None => ("job-running", Colour::Cyan),
            Some("done") => ("job-done", Colour::Green),
            Some("failed") => ("job-outcome-failed", Colour::Red),
            Some("again") => ("job-outcome-again", Colour::Plain),
            Some("returned") => ("job-outcome-returned", Colour::Dim),
            Some("cut-off") => ("job-outcome-cut-off", Colour::Red),
            Some("cancelled") => ("job-cancelled", Colour::Dim),
            // Lost, or what a later node tells, which is no better.
            Some(_) => ("job-outcome-lost", Colour::Red),
        };
        Row::new(
            colour,
            [
                tried.attempt.number.to_string(),
                node_name(&tried.node),
                escaped(&tried.started).into_owned(),
                ui.text(key, &[]),
                tried.code.map(|code| code.to_string()).unwrap_or_default(),
                tried.millis.map(time).unwrap_or_default(),
            ],
        )
    }));
    aligned(ui, &rows, &[0, 4, 5])
}

const PAYLOAD_SHOWN: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::job_types::Attempt;
    use crate::api::lock_types::NodeName;
    use crate::commands::jobs::table::tests::job;
    use crate::i18n::Language;

    #[test]
    fn nothing_of_a_payload_steers_the_terminal() {
        let ui = Ui::new(Language::English, false);
        let detail = JobDetailReply {
            job: job(JobStateReply::Dead),
            payload: Blob::from(b"\x1b]0;owned\x07\nx\xff".to_vec()),
            tried: vec![AttemptReply {
                attempt: Attempt {
                    fence: 7,
                    number: 1,
                },
                worker: "ab".repeat(16),
                node: NodeName {
                    node: "ab".repeat(32),
                    nick: "ana".to_owned(),
                },
                started: "2026-05-04T03:02:02.000Z".to_owned(),
                ended: Some("2026-05-04T03:02:03.000Z".to_owned()),
                outcome: Some("failed".to_owned()),
                code: Some(3),
                millis: Some(950),
                output: None,
            }],
            checkpoints: vec![
                SavedReply {
                    done: Some(8),
                    total: None,
                    bytes: Some(5_000_000),
                    here: false,
                },
                SavedReply {
                    done: None,
                    total: None,
                    bytes: None,
                    here: true,
                },
            ],
        };
        let expected = "\
Job            3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a-17
Queue          mail
State          dead
Pushed         2026-05-04T03:02:01.123Z
Priority       4
Tries          1 failed, at most 5
On a crash     resume
Checkpoint     8 · 5000000 B · not on this node
Payload        \\u{1b}]0;owned\\u{7}\\nx\\xff

ATTEMPT  NODE  STARTED                   OUTCOME  CODE  TOOK
      1  ana   2026-05-04T03:02:02.000Z  failed      3  0.9s
";
        assert_eq!(text(&ui, &detail), expected);
    }

    #[test]
    fn a_long_payload_is_cut() {
        let long = Blob::from(vec![b'x'; 5000]);
        assert!(payload(&long).ends_with("x… (5000 B)"));
    }
}

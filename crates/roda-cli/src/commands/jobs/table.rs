//! Jobs for people.

use crate::api::job_types::{JobReply, JobStateReply};
use crate::commands::columns::{Row, aligned, node_name, time};
use crate::output::{Colour, Ui, escaped};

impl JobStateReply {
    /// Key of its heading in the catalogue.
    pub(in crate::commands) const fn head_key(self) -> &'static str {
        match self {
            Self::Waiting => "jobs-head-waiting",
            Self::Running => "jobs-head-running",
            Self::Done => "jobs-head-done",
            Self::Dead => "jobs-head-dead",
            Self::Cancelled => "jobs-head-cancelled",
            Self::Held => "jobs-head-held",
            Self::Duplicate => "jobs-head-duplicate",
        }
    }

    const fn key(self) -> &'static str {
        match self {
            Self::Waiting => "job-waiting",
            Self::Running => "job-running",
            Self::Done => "job-done",
            Self::Dead => "job-dead",
            Self::Cancelled => "job-cancelled",
            Self::Held => "job-held",
            Self::Duplicate => "job-duplicate",
        }
    }

    const fn colour(self) -> Colour {
        match self {
            Self::Waiting => Colour::Plain,
            Self::Running => Colour::Cyan,
            Self::Done => Colour::Green,
            Self::Dead | Self::Held => Colour::Red,
            Self::Cancelled | Self::Duplicate => Colour::Dim,
        }
    }
}

/// A row for each job.
pub(super) fn text(ui: &Ui, jobs: &[JobReply]) -> String {
    if jobs.is_empty() {
        return format!("{}\n", ui.text("jobs-none", &[]));
    }
    let head = [
        "jobs-head-id",
        "jobs-head-queue",
        "jobs-head-state",
        "jobs-head-tries",
        "jobs-head-progress",
        "jobs-head-node",
        "jobs-head-took",
        "jobs-head-code",
        "jobs-head-pushed",
    ];
    let head = head.map(|key| ui.text(key, &[]));
    let mut rows = vec![Row::new(Colour::Bold, head)];
    rows.extend(jobs.iter().map(|job| row(ui, job)));
    aligned(ui, &rows, &[TRIES, PROGRESS, TOOK, CODE])
}

fn row(ui: &Ui, job: &JobReply) -> Row {
    let node = job.node.as_ref().map(node_name).unwrap_or_default();
    Row::new(
        job.state.colour(),
        [
            short(&job.id),
            escaped(&job.queue).into_owned(),
            state(ui, job),
            tries(job),
            progress(job.done, job.total),
            node,
            job.millis.map(time).unwrap_or_default(),
            job.code.map(|code| code.to_string()).unwrap_or_default(),
            seconds(&job.pushed),
        ],
    )
}

/// The state in words.
pub(in crate::commands) fn state(ui: &Ui, job: &JobReply) -> String {
    if job.cancel_wanted && job.state == JobStateReply::Running {
        return ui.text("job-cancelling", &[]);
    }
    let state = ui.text(job.state.key(), &[]);
    let Some(rounds) = job.rounds else {
        return state;
    };
    let values = [("state", state.into()), ("rounds", rounds.into())];
    match &job.not_before {
        Some(until) => {
            let until = seconds(until);
            let values = [&values[..], &[("until", until.into())]].concat();
            ui.text("job-recurs-until", &values)
        }
        None => ui.text("job-recurs", &values),
    }
}

/// To the second: 2026-05-04T03:02:01.123Z.
fn seconds(moment: &str) -> String {
    escaped(moment.get(..19).unwrap_or(moment)).replace('T', " ")
}

fn tries(job: &JobReply) -> String {
    match job.max_tries {
        0 => job.tries.to_string(),
        most => format!("{}/{most}", job.tries),
    }
}

/// As a share if it can be one.
pub(in crate::commands) fn progress(done: Option<u64>, total: Option<u64>) -> String {
    match (done, total) {
        (Some(done), Some(total)) if total > 0 => {
            let share = u128::from(done) * 100 / u128::from(total);
            format!("{share} %")
        }
        (Some(done), _) => done.to_string(),
        (None, _) => String::new(),
    }
}

/// Digits enough to tell authors apart, and to be typed again.
pub(crate) fn short(id: &str) -> String {
    match id.split_once('-') {
        Some((author, seq)) if author.is_ascii() => {
            format!("{}-{}", &author[..author.len().min(8)], escaped(seq))
        }
        Some(_) | None => escaped(id).into_owned(),
    }
}

const TRIES: usize = 3;
const PROGRESS: usize = 4;
const TOOK: usize = 6;
const CODE: usize = 7;

#[cfg(test)]
pub(in crate::commands) mod tests {
    use super::*;
    use crate::api::job_types::OnCrashReply;
    use crate::api::lock_types::NodeName;
    use crate::i18n::Language;

    pub(in crate::commands) fn job(state: JobStateReply) -> JobReply {
        JobReply {
            id: format!("{}-17", "3f2a".repeat(8)),
            queue: "mail".to_owned(),
            state,
            pushed: "2026-05-04T03:02:01.123Z".to_owned(),
            not_before: None,
            priority: 4,
            tries: 1,
            max_tries: 5,
            attempts: 2,
            generation: 0,
            on_crash: OnCrashReply::Resume,
            key: None,
            order_key: None,
            cancel_wanted: false,
            attempt: None,
            node: None,
            code: None,
            millis: None,
            done: None,
            total: None,
            duplicate_of: None,
            cron: None,
            rounds: None,
            last_round: None,
        }
    }

    #[test]
    fn jobs_are_a_table_with_a_row_for_each() {
        let ui = Ui::new(Language::English, false);
        let running = JobReply {
            node: Some(NodeName {
                node: "ab".repeat(32),
                nick: "b\u{1b}[2Jia".to_owned(),
            }),
            done: Some(1),
            total: Some(3),
            cancel_wanted: true,
            ..job(JobStateReply::Running)
        };
        let dead = JobReply {
            code: Some(143),
            millis: Some(61_000),
            max_tries: 0,
            ..job(JobStateReply::Dead)
        };
        let expected = "\
ID           QUEUE  STATE            TRIES  PROGRESS  NODE            TOOK  CODE  PUSHED
3f2a3f2a-17  mail   being cancelled    1/5      33 %  b\\u{1b}[2Jia                2026-05-04 03:02:01
3f2a3f2a-17  mail   dead                 1                          1m 01s   143  2026-05-04 03:02:01
";
        assert_eq!(text(&ui, &[running, dead]), expected);
        let recurring = JobReply {
            cron: Some("0 4 * * *".to_owned()),
            rounds: Some(12),
            not_before: Some("2026-05-05T04:00:00.000Z".to_owned()),
            ..job(JobStateReply::Waiting)
        };
        let shown = text(&ui, std::slice::from_ref(&recurring));
        assert!(
            shown.contains("  waiting until 2026-05-05 04:00:00, rounds: 12  "),
            "{shown}"
        );
        assert_eq!(text(&ui, &[]), "There are no such jobs.\n");
    }

    #[test]
    fn progress_is_a_share_if_the_whole_is_known() {
        assert_eq!(progress(None, Some(3)), "");
        assert_eq!(progress(Some(7), None), "7");
        assert_eq!(progress(Some(7), Some(0)), "7");
        assert_eq!(progress(Some(u64::MAX), Some(u64::MAX)), "100 %");
    }
}

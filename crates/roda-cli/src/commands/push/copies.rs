//! Waiting until other members have what was pushed.

use std::collections::BTreeMap;
use std::time::Duration;

use roda::Copies;
use tokio::time::Instant;

use crate::api::client::encoded;
use crate::api::copies::CopiesReply;
use crate::api::job_types::PushedReply;
use crate::api::types::MemberReply;
use crate::commands::App;
use crate::error::{Failure, Result};

/// What the command line wants.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    /// As it was typed, and checked.
    pub(super) text: String,
    pub(super) copies: Copies,
    pub(super) timeout: Option<Duration>,
}

/// The last job of each author: who has it has all that the author pushed before.
#[derive(Debug, Default)]
pub(super) struct Last(BTreeMap<String, (u64, String)>);

impl Last {
    pub(super) fn add(&mut self, job: &PushedReply) {
        let Some((author, seq)) = job.id.split_once('-') else {
            return;
        };
        let seq = seq.parse().unwrap_or(0);
        let last = self.0.entry(author.to_owned()).or_default();
        if seq > last.0 {
            *last = (seq, job.id.clone());
        }
    }
}

/// Refuses before anything is stored what this group is too small for.
pub(super) async fn check(app: &App, wish: &Wish) -> Result<()> {
    let Copies::AtLeast(wanted) = wish.copies else {
        return Ok(());
    };
    let members: Vec<MemberReply> = app.connect().await?.get("/v1/members").await?;
    if u32::try_from(members.len()).is_ok_and(|members| wanted > members) {
        return Err(Failure::new("job-copies-too-many")
            .with("wanted", u64::from(wanted))
            .with("members", members.len()));
    }
    Ok(())
}

/// Returns when enough members have all of the jobs.
pub(super) async fn wait(app: &App, wish: &Wish, last: Last) -> Result<()> {
    if wish.copies == Copies::Local {
        return Ok(());
    }
    let deadline = wish
        .timeout
        .map(|timeout| Instant::now() + timeout.min(FOREVER));
    for (_, id) in last.0.into_values() {
        wait_for(app, wish, &id, deadline).await?;
    }
    Ok(())
}

async fn wait_for(app: &App, wish: &Wish, id: &str, deadline: Option<Instant>) -> Result<()> {
    let mut path = format!("/v1/jobs/{}/copies?at_least={}", encoded(id), wish.text);
    if let Some(deadline) = deadline {
        let left = deadline.saturating_duration_since(Instant::now());
        path.push_str(&format!("&timeout_ms={}", left.as_millis() + 1));
    }
    let mut lines = app.connect().await?.lines(&path).await?;
    let mut last: Option<CopiesReply> = None;
    let told = |failure: Failure, last: &Option<CopiesReply>| match last {
        Some(last) => failure
            .with("copies", u64::from(last.copies))
            .with("wanted", u64::from(last.wanted))
            .with("members", u64::from(last.members)),
        None => Failure::new("daemon-lost").with("reason", "…"),
    };
    loop {
        let next = tokio::select! {
            next = lines.next() => next?,
            // Not before there is something to tell.
            _ = tokio::signal::ctrl_c(), if last.is_some() => {
                return Err(told(Failure::new("job-copies-interrupted"), &last));
            }
        };
        let Some(text) = next else { break };
        let lines = text.split(|byte| *byte == b'\n');
        for line in lines.filter(|line| !line.is_empty()) {
            let reply = serde_json::from_slice(line)
                .map_err(|error| Failure::new("daemon-answer").with("reason", error.to_string()))?;
            last = Some(reply);
        }
    }
    match &last {
        Some(count) if count.copies >= count.wanted => Ok(()),
        Some(_) if deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
            Err(told(Failure::new("job-copies-timeout"), &last))
        }
        // The node has ended the answer, as one that stops does.
        Some(_) | None => Err(Failure::new("daemon-lost").with("reason", "…")),
    }
}

/// A year: Tokio's clock does not reach to the end of time.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_job_of_each_author_is_waited_for() {
        let mut last = Last::default();
        for id in ["aa-9", "aa-10", "bb-3", "aa-2"] {
            last.add(&PushedReply {
                id: id.to_owned(),
                queue: "q".to_owned(),
                new: true,
            });
        }
        let ids: Vec<String> = last.0.into_values().map(|(_, id)| id).collect();
        assert_eq!(ids, ["aa-10", "bb-3"]);
    }
}

//! What nodes say about a queue and its jobs.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::hosts::command::{self, wait_for};
use crate::hosts::node::{Node, number, text};
use crate::hosts::scenarios::Group;

/// How long a node may take to list all jobs.
const LISTED_WITHIN: Duration = Duration::from_secs(60);

/// `roda queue stats QUEUE`.
pub(super) fn stats(node: &Node<'_>, queue: &str) -> Result<Value> {
    let stats = node.run(&["queue", "stats", queue, "--json"], b"")?;
    serde_json::from_slice(&stats.success()?.stdout).context("no JSON object")
}

/// Waits until nothing of the queue waits or runs, on every node, and all count the same.
pub(super) fn wait_idle(group: &Group<'_>, queue: &str, timeout: Duration) -> Result<Value> {
    wait_for("an idle queue, the same on all nodes", timeout, || {
        let mut all = Vec::new();
        for node in &group.nodes {
            match stats(node, queue) {
                Ok(stats) => all.push(stats),
                Err(error) => return Ok(Err(format!("{}: {error:#}", node.nick))),
            }
        }
        let is_idle = |stats: &Value| {
            number(stats, "/waiting").is_ok_and(|waiting| waiting == 0)
                && number(stats, "/running").is_ok_and(|running| running == 0)
        };
        let is_same = all.windows(2).all(|pair| pair[0] == pair[1]);
        let seen = all.iter().map(Value::to_string);
        let seen = seen.collect::<Vec<_>>().join("\n");
        Ok(if is_same && all.iter().all(is_idle) {
            all.pop().ok_or(seen)
        } else {
            Err(seen)
        })
    })
}

/// State and last attempt of every job, by id.
pub(super) fn jobs(node: &Node<'_>, queue: &str) -> Result<BTreeMap<String, (String, String)>> {
    let list = node.command(&["jobs", queue, "--json", "-n", "0"]);
    let list = command::run(list, b"", LISTED_WITHIN)?.success()?;
    let lines = list.stdout.split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            let job: Value = serde_json::from_slice(line).context("a job is no JSON object")?;
            let word = |pointer| text(&job, pointer).map(str::to_owned);
            let attempt = word("/attempt").unwrap_or_default();
            Ok((word("/id")?, (word("/state")?, attempt)))
        })
        .collect()
}

/// An attempt that counts, as a node knows it.
#[derive(Debug)]
pub(super) struct Tried {
    pub(super) attempt: String,
    pub(super) outcome: String,
}

/// The attempts of a job that count.
pub(super) fn tried(node: &Node<'_>, id: &str) -> Result<Vec<Tried>> {
    let shown = node.run(&["job", "show", id, "--json"], b"")?.success()?;
    let shown: Value = serde_json::from_slice(&shown.stdout).context("no JSON object")?;
    let tried = shown.get("tried").and_then(Value::as_array);
    let tried = tried.context("no attempts")?.iter().map(|tried| {
        Ok(Tried {
            attempt: text(tried, "/attempt")?.to_owned(),
            outcome: text(tried, "/outcome").unwrap_or("running").to_owned(),
        })
    });
    tried.collect()
}

//! `roda locks --json`, as far as scenarios need it.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::hosts::command::{self, wait_for};
use crate::hosts::node::{Node, number, text};
use crate::hosts::scenarios::Group;

/// How long a healthy group may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a group may take to have a leader and all its voters again.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// What the leading voter knows.
#[derive(Debug)]
pub(super) struct Report {
    /// Nick of the voter that leads.
    pub(super) leader: String,
    /// Nicks of the voters.
    pub(super) voters: Vec<String>,
    /// How many of them answer.
    pub(super) reachable: u64,
    locks: Vec<Value>,
}

impl Report {
    /// Asks a node; an error means that it does not know.
    pub(super) fn of(node: &Node<'_>) -> Result<Self> {
        Self::within(node, ANSWER_TIMEOUT)
    }

    /// The same for one who cannot wait that long.
    pub(super) fn within(node: &Node<'_>, timeout: Duration) -> Result<Self> {
        let command = node.command(&["locks", "--json"]);
        let output = command::run(command, b"", timeout)?.success()?;
        Self::parse(&output.stdout)
    }

    fn parse(output: &[u8]) -> Result<Self> {
        let report: Value = serde_json::from_slice(output).context("no JSON object")?;
        let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned();
        let voters = list(report.get("voters")).context("no voters")?;
        Ok(Self {
            leader: text(&report, "/leader/nick")?.to_owned(),
            voters: voters
                .iter()
                .map(|voter| Ok(text(voter, "/nick")?.to_owned()))
                .collect::<Result<_>>()?,
            reachable: number(&report, "/reachable")?,
            locks: list(report.get("locks")).context("no locks")?,
        })
    }

    /// How many wait for the lock, those that are chosen to follow included.
    pub(super) fn waiting(&self, lock: &str) -> usize {
        let Some(found) = self.lock(lock) else {
            return 0;
        };
        let list = |name| found.get(name).and_then(Value::as_array);
        let chosen = list("holders").into_iter().flatten();
        let chosen =
            chosen.filter(|holder| text(holder, "/state").is_ok_and(|state| state == "next"));
        chosen.count() + list("waiters").map_or(0, Vec::len)
    }

    /// Who is where, in one line.
    fn describe(&self, lock: &str) -> String {
        let found = self.lock(lock);
        let list = |name| found.and_then(|found| found.get(name)?.as_array().cloned());
        let describe = |one: &Value| {
            let state = text(one, "/state").unwrap_or("waits");
            let number = number(one, "/fence").or_else(|_| number(one, "/priority"));
            let nick = text(one, "/nick").unwrap_or("?");
            format!("{nick} {state} {}", number.unwrap_or_default())
        };
        let all = ["holders", "waiters"]
            .map(list)
            .into_iter()
            .flatten()
            .flatten();
        let all: Vec<String> = all.map(|one| describe(&one)).collect();
        format!("{} (leader {})", all.join(", "), self.leader)
    }

    /// What is shown of the lock.
    fn lock(&self, lock: &str) -> Option<&Value> {
        self.locks
            .iter()
            .find(|found| text(found, "/lock").is_ok_and(|name| name == lock))
    }
}

/// Waits until so many wait for the lock.
pub(super) fn wait_waiting(
    node: &Node<'_>,
    lock: &str,
    count: usize,
    timeout: Duration,
) -> Result<()> {
    wait_for(&format!("{count} to wait for {lock}"), timeout, || {
        Ok(match Report::of(node) {
            Ok(report) if report.waiting(lock) == count => Ok(()),
            Ok(report) => Err(report.describe(lock)),
            Err(error) => Err(format!("{error:#}")),
        })
    })
}

/// How much of a node's log is shown.
const LOG_LINES: usize = 12;

/// Waits until every node knows the same leader, and all voters answer. Returns the last report.
pub(super) fn settle(group: &Group<'_>, voters: usize) -> Result<Report> {
    wait_for("a leader and all voters", SETTLED_WITHIN, || {
        let mut last: Option<Report> = None;
        for node in &group.nodes {
            let report = match Report::of(node) {
                Ok(report) => report,
                Err(error) => return Ok(Err(format!("{}: {error:#}", node.nick))),
            };
            let same = last
                .as_ref()
                .is_none_or(|last| last.leader == report.leader);
            let complete = report.voters.len() == voters
                && u64::try_from(report.voters.len()) == Ok(report.reachable);
            if !(same && complete) {
                return Ok(Err(format!("{}: {report:?}", node.nick)));
            }
            last = Some(report);
        }
        Ok(last.ok_or_else(|| "no nodes".to_owned()))
    })
    .with_context(|| logs(group))
}

/// The ends of all nodes' logs, for whoever has to find out why.
fn logs(group: &Group<'_>) -> String {
    let logs = group.nodes.iter().map(|node| {
        let log = std::fs::read_to_string(node.home.join("daemon.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = &lines[lines.len().saturating_sub(LOG_LINES)..];
        format!("{}:\n{}", node.nick, end.join("\n"))
    });
    logs.collect::<Vec<_>>().join("\n")
}

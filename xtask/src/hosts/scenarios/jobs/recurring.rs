//! A job that comes each minute, on whichever host works; and pushes that wait for copies.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::hosts::Bench;
use crate::hosts::command::{self, wait_for};
use crate::hosts::net::Filter;
use crate::hosts::node::{Node, number, text};
use crate::hosts::scenarios::Group;
use crate::hosts::scenarios::attempt::Attempt;
use crate::hosts::scenarios::report::settle;

/// A minute, and what anything may take that waits for nobody.
const ROUND: Duration = Duration::from_secs(60 + 20);
const SOON: Duration = Duration::from_secs(20);

/// Each round runs where somebody works, is done once, and is followed by the next although it failed;
/// who looks on a third host sees all of it.
pub(crate) fn a_recurring_job_comes_again_elsewhere(bench: &Bench) -> Result<()> {
    let group = Group::start(bench, 3)?;
    settle(&group, 3)?;
    copies(&group)?;
    let [pusher, worker, reader] = [0, 1, 2].map(|index| &group.nodes[index]);
    let traces = bench.directory.join("rounds");
    let push = [
        "push",
        "clock",
        "--cron",
        "* * * * *",
        "--max-tries",
        "1",
        "x",
    ];
    let id = pusher.run(&push, b"")?.success()?.text();
    let work = |node, name: &str, script: String| {
        let command = ["sh", "-c", &script].map(str::to_owned);
        Attempt::start(node, &bench.directory, name, &["work", "clock"], &command)
    };
    let first = work(worker, "first", format!("echo done >>{}", traces.display()))?;
    let job = until_round(reader, &id, 1)?;
    ensure!(text(&job, "/last_round/state")? == "done", "{job}");
    ensure!(text(&job, "/state")? == "waiting", "{job}");
    // Killed with all it runs: the next round is another host's.
    worker.kill()?;
    let script = format!("echo failed >>{}; exit 3", traces.display());
    let mut second = work(pusher, "second", script)?;
    let wait = reader.command(&["job", "wait", &id]);
    command::run(wait, b"", ROUND)?.code(1)?;
    let job = until_round(reader, &id, 2)?;
    ensure!(text(&job, "/last_round/state")? == "dead", "{job}");
    ensure!(number(&job, "/last_round/code")? == 3, "{job}");
    ensure!(text(&job, "/state")? == "waiting", "{job}");
    ensure!(number(&job, "/tries")? == 0, "{job}");
    let rounds = fs::read_to_string(&traces)?;
    ensure!(rounds == "done\nfailed\n", "the rounds were {rounds:?}");
    reader.run(&["job", "cancel", &id], b"")?.success()?;
    wait_for("the cancelled job", SOON, || {
        let job = show(pusher, &id)?;
        Ok(match text(&job, "/state")? {
            "cancelled" => Ok(()),
            state => Err(state.to_owned()),
        })
    })?;
    second.signal(Signal::TERM);
    second.finish(SOON)?.expect(0)?;
    drop(first);
    Ok(())
}

/// With one host cut off, two have a job and three do not.
fn copies(group: &Group<'_>) -> Result<()> {
    let [first, .., last] = &group.nodes[..] else {
        anyhow::bail!("a group of several");
    };
    let push = |copies: &str, wait: &str| {
        let words = ["push", "copied", "x", "--copies", copies, "--wait", wait];
        first.run(&words, b"")
    };
    push("3", "20s")?.success()?;
    group.split_after(group.nodes.len() - 1)?;
    push("majority", "20s")?.success()?;
    let late = push("3", "2s")?.code(75)?;
    let id = late.text();
    ensure!(id.contains('-'), "without an id: {id:?}");
    group.filter(&Filter::default())?;
    push("3", "20s")?.success()?;
    // What was not confirmed in time is there all the same.
    show(last, &id).map(drop)
}

fn show(node: &Node<'_>, id: &str) -> Result<Value> {
    let shown = node.run(&["job", "show", id, "--json"], b"")?.success()?;
    Ok(serde_json::from_str(&shown.text())?)
}

fn until_round(node: &Node<'_>, id: &str, rounds: u64) -> Result<Value> {
    wait_for(&format!("round {rounds} to end"), ROUND, || {
        // Before it arrives a job is unknown.
        let Ok(job) = show(node, id) else {
            return Ok(Err("unknown".to_owned()));
        };
        Ok(if number(&job, "/rounds")? >= rounds {
            Ok(job)
        } else {
            Err(job.to_string())
        })
    })
}

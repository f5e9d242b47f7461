//! Pushed on one host, worked on at another, looked after from a third, while nothing is broken.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use super::queue::{self, wait_idle};
use crate::hosts::Bench;
use crate::hosts::command::wait_for;
use crate::hosts::net::Filter;
use crate::hosts::node::{Node, number};
use crate::hosts::process;
use crate::hosts::scenarios::Group;
use crate::hosts::scenarios::attempt::Attempt;
use crate::hosts::scenarios::report::settle;

/// How long anything may take that waits for nobody.
const SOON: Duration = Duration::from_secs(20);
/// A word that no other process here has.
const HOURS: &str = "86401";

/// Done, cancelled, dead, tried again, and pushed twice.
pub(crate) fn a_job_is_done_elsewhere(bench: &Bench) -> Result<()> {
    let group = Group::start(bench, 3)?;
    settle(&group, 3)?;
    let stage = Stage { bench, group };
    stage.done_and_read()?;
    stage.cancelled()?;
    stage.dead_and_retried()?;
    stage.twice_the_same_key()
}

struct Stage<'s> {
    bench: &'s Bench,
    group: Group<'s>,
}

impl<'s> Stage<'s> {
    /// Who pushes, who works, and who looks.
    fn nodes(&self) -> [&Node<'s>; 3] {
        [0, 1, 2].map(|index| &self.group.nodes[index])
    }

    fn file(&self, name: &str) -> PathBuf {
        self.bench.directory.join(name)
    }

    /// Starts a worker whose jobs are done by a shell.
    fn work(&self, queue: &str, script: &str) -> Result<Attempt> {
        let [_, worker, _] = self.nodes();
        let command = ["sh", "-c", script].map(str::to_owned);
        let words = ["work", queue];
        Attempt::start(worker, &self.bench.directory, queue, &words, &command)
    }

    fn done_and_read(&self) -> Result<()> {
        let [pusher, _, reader] = self.nodes();
        let worker = self.work("plain", "echo \"it says $(cat)\"")?;
        let id = push(pusher, &["plain", "boa tarde"])?;
        wait_state(reader, "plain", &id, "done")?;
        reader
            .run(&["job", "wait", &id, "--timeout", "5s"], b"")?
            .success()?;
        let log = reader.run(&["job", "log", &id], b"")?.success()?.text();
        ensure!(log == "it says boa tarde", "the log is {log:?}");
        dismiss(worker)
    }

    fn cancelled(&self) -> Result<()> {
        let [pusher, worker, reader] = self.nodes();
        let running = self.work("slow", &format!("sleep {HOURS} & wait"))?;
        let id = push(pusher, &["slow", "x"])?;
        wait_state(reader, "slow", &id, "running")?;
        let sleepers = || {
            let all = worker.host.processes()?.into_iter();
            let found = all.filter(|pid| process::words(*pid) == ["sleep", HOURS]);
            Ok::<_, anyhow::Error>(found.count())
        };
        wait_for("the job to sleep", SOON, || {
            Ok(if sleepers()? == 1 {
                Ok(())
            } else {
                Err("not yet".to_owned())
            })
        })?;
        reader.run(&["job", "cancel", &id], b"")?.success()?;
        wait_state(pusher, "slow", &id, "cancelled")?;
        ensure!(sleepers()? == 0, "a cancelled job left something running");
        pusher
            .run(&["job", "wait", &id, "--timeout", "5s"], b"")?
            .code(1)?;
        dismiss(running)
    }

    fn dead_and_retried(&self) -> Result<()> {
        let [pusher, _, reader] = self.nodes();
        let wanted = self.file("wanted");
        let running = self.work("bad", &format!("test -e {}", wanted.display()))?;
        let id = push(pusher, &["bad", "--max-tries", "2", "x"])?;
        wait_state(reader, "bad", &id, "dead")?;
        let tried = queue::tried(reader, &id)?;
        let failed = tried.iter().filter(|tried| tried.outcome == "failed");
        ensure!(failed.count() == 2, "a dead job was tried {tried:?}");
        File::create(wanted)?;
        reader.run(&["job", "retry", &id], b"")?.success()?;
        wait_state(pusher, "bad", &id, "done")?;
        dismiss(running)
    }

    /// Two that cannot hear each other push the same: it is done once.
    fn twice_the_same_key(&self) -> Result<()> {
        let [one, two, reader] = self.nodes();
        let words = ["once", "--key", "order-4711", "x"];
        self.group.split_after(1)?;
        let ids = [push(one, &words)?, push(two, &words)?];
        ensure!(
            push(one, &words)? == ids[0],
            "the same key gave another job"
        );
        let traces = self.file("traces");
        let running = self.work("once", &format!("echo x >>{}", traces.display()))?;
        // Although the other was pushed first, of which its node knows nothing yet.
        wait_state(two, "once", &ids[1], "done")?;
        self.group.filter(&Filter::default())?;
        wait_for("one done and one duplicate", SOON, || {
            let stats = queue::stats(reader, "once").unwrap_or_default();
            let is_so = number(&stats, "/done").is_ok_and(|done| done == 1)
                && number(&stats, "/duplicate").is_ok_and(|duplicate| duplicate == 1);
            Ok(if is_so {
                Ok(())
            } else {
                Err(stats.to_string())
            })
        })?;
        wait_idle(&self.group, "once", SOON)?;
        let times = fs::read_to_string(traces)?.lines().count();
        ensure!(times == 1, "a job with a key was done {times} times");
        dismiss(running)
    }
}

/// Pushes one job; returns its id.
fn push(node: &Node<'_>, words: &[&str]) -> Result<String> {
    let push = node.run(&[&["push"], words].concat(), b"")?;
    Ok(push.success()?.text())
}

fn wait_state(node: &Node<'_>, queue: &str, id: &str, expected: &str) -> Result<()> {
    wait_for(&format!("{id} to be {expected}"), SOON, || {
        // Before its first job arrives a queue is unknown.
        let jobs = queue::jobs(node, queue).unwrap_or_default();
        let state = jobs.get(id).map(|(state, _)| state.clone());
        Ok(match state {
            Some(state) if state == expected => Ok(()),
            state => Err(format!("{state:?}")),
        })
    })
}

/// Ends a worker as an operator would.
fn dismiss(mut worker: Attempt) -> Result<()> {
    worker.signal(Signal::TERM);
    worker.finish(SOON)?.expect(0)?;
    Ok(())
}

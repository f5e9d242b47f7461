//! A host is destroyed and its node comes back from a backup that was made amid traffic.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use super::queue::{self, wait_idle};
use crate::hosts::Bench;
use crate::hosts::command::wait_for;
use crate::hosts::history::converge;
use crate::hosts::node::{Node, number, text, wait_online};
use crate::hosts::scenarios::attempt::Attempt;
use crate::hosts::scenarios::report::settle;
use crate::hosts::scenarios::{CONVERGED_WITHIN, Group, texts};

const TOPIC: &str = "roda";
const QUEUE: &str = "work";
/// Jobs that are pushed before the backup, and again after it.
const JOBS: usize = 40;
/// How long all of them may take, with a machine lost in between.
const DONE_WITHIN: Duration = Duration::from_secs(90);

/// Everything said and done before and after the backup is there, once, and the node votes as another.
pub(crate) fn a_destroyed_node_comes_back(bench: &Bench) -> Result<()> {
    let group = Group::start(bench, 3)?;
    settle(&group, 3)?;
    let stage = Stage { bench, group };
    let node = text(&stage.lost().status()?, "/node")?.to_owned();
    let author = text(&stage.lost().status()?, "/author")?.to_owned();
    let fence = stage.fence()?;
    let said = stage.backed_up_amid_traffic()?;

    stage.lost().kill()?;
    fs::remove_dir_all(&stage.lost().home)?;
    let while_away = texts("while away", 30);
    let others = stage.group.nodes[0].start_saying(TOPIC, &while_away)?;
    others.finish(CONVERGED_WITHIN)?.success()?;
    stage.push(2 * JOBS..3 * JOBS)?;

    stage.restored()?;
    let status = stage.lost().status()?;
    ensure!(text(&status, "/node")? == node, "it is another node");
    ensure!(
        text(&status, "/author")? != author,
        "it goes on with the log of the lost one"
    );
    wait_online(&stage.group.all(), 3)?;
    let fresh = texts("fresh", 30);
    let again = stage.lost().start_saying(TOPIC, &fresh)?;
    again.finish(CONVERGED_WITHIN)?.success()?;
    let all = [said, while_away, fresh].concat();
    let history = converge(&stage.group.all(), TOPIC, all.len(), CONVERGED_WITHIN)?;
    history.ensure_exactly(&all)?;

    stage.work_off()?;
    settle(&stage.group, 3)?;
    let later = stage.fence()?;
    ensure!(later > fence, "fence {later} came after {fence}");
    stage.group.nodes.iter().try_for_each(Node::verify)
}

struct Stage<'s> {
    bench: &'s Bench,
    group: Group<'s>,
}

impl<'s> Stage<'s> {
    /// The node whose host is destroyed.
    fn lost(&self) -> &Node<'s> {
        &self.group.nodes[1]
    }

    fn file(&self, name: &str) -> PathBuf {
        self.bench.directory.join(name)
    }

    fn push(&self, numbers: std::ops::Range<usize>) -> Result<()> {
        let lines: String = numbers.map(|number| format!("{number}\n")).collect();
        let push = ["push", QUEUE, "--lines"];
        let pushed = self.group.nodes[2].run(&push, lines.as_bytes())?;
        pushed.success()?;
        Ok(())
    }

    fn worker(&self, node: &Node<'s>, options: &[&str]) -> Result<Attempt> {
        let traces = self.file("traces");
        let script = format!("sleep 0.1; echo \"$(cat)\" >>{}", traces.display());
        let words = [&["work", QUEUE, "-j", "2"], options].concat();
        let command = ["sh", "-c", &script].map(str::to_owned);
        let label = format!("work-{}", node.nick);
        Attempt::start(node, &self.bench.directory, &label, &words, &command)
    }

    /// The fence of a lock that the node takes.
    fn fence(&self) -> Result<u64> {
        let lock = ["lock", "press", "--", "sh", "-c", "echo $RODA_FENCE"];
        let printed = self.lost().run(&lock, b"")?.success()?.text();
        printed.parse().context("no fence")
    }

    /// All that was said. Jobs wait and run on the node while it is backed up, and are done afterwards.
    fn backed_up_amid_traffic(&self) -> Result<Vec<String>> {
        self.push(0..JOBS)?;
        let mut worker = self.worker(self.lost(), &[])?;
        wait_for("jobs that run while others wait", DONE_WITHIN, || {
            let stats = queue::stats(self.lost(), QUEUE).unwrap_or_default();
            let is_some = |what| number(&stats, what).is_ok_and(|count| count > 0);
            Ok(if is_some("/running") && is_some("/waiting") {
                Ok(())
            } else {
                Err(stats.to_string())
            })
        })?;
        let words = texts("amid the backup", 200);
        let talking = self.lost().start_saying(TOPIC, &words)?;
        let file = self.file("lost.roda");
        let backup = ["backup", &file.to_string_lossy(), "--json"];
        let told = self.lost().run(&backup, b"")?.success()?.text();
        self.bench.note(&told);
        talking.finish(CONVERGED_WITHIN)?.success()?;
        self.push(JOBS..2 * JOBS)?;
        wait_idle(&self.group, QUEUE, DONE_WITHIN)?;
        converge(&self.group.all(), TOPIC, words.len(), CONVERGED_WITHIN)?;
        worker.signal(Signal::KILL);
        Ok(words)
    }

    fn restored(&self) -> Result<()> {
        let file = self.file("lost.roda");
        let restore = ["restore", &file.to_string_lossy()];
        self.lost().run(&restore, b"")?.success()?;
        ensure!(
            !self.lost().home.join("locks.db").exists(),
            "votes were restored"
        );
        self.lost().up()
    }

    /// Every job is done once, by the restored node those that nobody did before.
    fn work_off(&self) -> Result<()> {
        let worker = self.worker(self.lost(), &["--idle-exit"])?;
        wait_idle(&self.group, QUEUE, DONE_WITHIN)?;
        worker.finish(DONE_WITHIN)?.expect(0)?;
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for line in fs::read_to_string(self.file("traces"))?.lines() {
            *times.entry(line.to_owned()).or_default() += 1;
        }
        let again: Vec<_> = times.iter().filter(|(_, times)| **times != 1).collect();
        ensure!(again.is_empty(), "jobs ran more than once: {again:?}");
        ensure!(times.len() == 3 * JOBS, "{} jobs ran", times.len());
        Ok(())
    }
}

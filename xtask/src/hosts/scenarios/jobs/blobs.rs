//! Large checkpoints: a job goes on elsewhere from exactly what it saved; if that is nowhere to be had,
//! from the one before, and this is said.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::hosts::Bench;
use crate::hosts::command::{self, wait_for};
use crate::hosts::node::{Node, wait_online};
use crate::hosts::process;
use crate::hosts::scenarios::Group;
use crate::hosts::scenarios::attempt::Attempt;
use crate::hosts::scenarios::report::settle;

/// Bytes of each checkpoint.
const LEN: usize = 5 * 1024 * 1024;
/// The job's last step.
const STEPS: u32 = 4;
/// How long anything may take, among it the end of a lost machine's lock.
const SOON: Duration = Duration::from_secs(60);

/// What a job does in its directory `$0`, with the program `$1`: it notes from where it begins, saves what
/// follows from the number of the step, notes the step, and waits until it may go on.
const SCRIPT: &str = r#"
"$1" checkpoint load >"$0/from.$RODA_ATTEMPT" || exit 1
n=$(head -n 1 "$0/from.$RODA_ATTEMPT" | cut -d ' ' -f 2); n=${n:-0}
while [ "$n" -lt "$2" ]; do
  n=$((n + 1))
  yes "step $n of the film" | head -c "$3" | "$1" checkpoint save --done "$n" --total "$2" || exit 1
  echo "$RODA_ATTEMPT $n" >>"$0/steps"
  until [ -e "$0/go.$n" ]; do sleep 0.05; done
done
"#;

/// Both, on three hosts, of which the first is killed twice.
pub(crate) fn a_large_checkpoint_is_gone_on_from(bench: &Bench) -> Result<()> {
    let group = Group::start(bench, 3)?;
    settle(&group, 3)?;
    goes_on_elsewhere(&Stage::new(bench, &group, "copied")?)?;
    group.nodes[0].up()?;
    wait_online(&group.all(), 3)?;
    settle(&group, 3)?;
    goes_on_from_the_one_before(&Stage::new(bench, &group, "lost")?)
}

/// Killed when the other worker has what it saved.
fn goes_on_elsewhere(stage: &Stage<'_>) -> Result<()> {
    let [first, second, third] = stage.nodes();
    let doomed = stage.work(first)?;
    let id = stage.push(third)?;
    stage.wait_step(1)?;
    let other = stage.work(second)?;
    for step in 1..=2 {
        stage.let_go(step)?;
        stage.wait_step(step + 1)?;
    }
    stage.wait_here(second, &id, &[(3, true), (2, true)])?;
    // Nobody works there, so nobody needs them there.
    stage.wait_here(third, &id, &[(3, false), (2, false)])?;
    kill(first)?;
    drop(doomed);
    stage.let_go_all()?;
    stage.wait_done(second, &id)?;
    let from = stage.began_from()?;
    ensure!(from == [0, 3], "attempts began from {from:?}");
    stage.wait_here(second, &id, &[(4, false), (3, false)])?;
    dismiss(other)
}

/// Killed when only the checkpoint before the last is elsewhere.
fn goes_on_from_the_one_before(stage: &Stage<'_>) -> Result<()> {
    let [first, second, third] = stage.nodes();
    let doomed = stage.work(first)?;
    let id = stage.push(third)?;
    stage.wait_step(1)?;
    stage.wait_here(second, &id, &[(1, false)])?;
    let mut load = second.command(&["checkpoint", "load"]);
    load.env("RODA_JOB_ID", &id);
    let loaded = command::run(load, b"", SOON)?.success()?;
    ensure!(loaded.stdout == state(1), "another node loaded other bytes");
    stage.let_go(1)?;
    stage.wait_step(2)?;
    stage.wait_here(second, &id, &[(2, false), (1, true)])?;
    kill(first)?;
    drop(doomed);
    stage.let_go_all()?;
    let other = stage.work(second)?;
    stage.wait_done(second, &id)?;
    let from = stage.began_from()?;
    ensure!(from == [0, 1], "attempts began from {from:?}");
    let log = third.run(&["job", "log", &id], b"")?.success()?.text();
    ensure!(
        log.contains("warning: newer checkpoints") && log.contains(": 1;"),
        "the attempt's log does not tell of the lost checkpoint: {log:?}"
    );
    second.verify()?;
    dismiss(other)
}

struct Stage<'s> {
    bench: &'s Bench,
    group: &'s Group<'s>,
    queue: &'static str,
    directory: PathBuf,
}

impl<'s> Stage<'s> {
    fn new(bench: &'s Bench, group: &'s Group<'s>, queue: &'static str) -> Result<Self> {
        let directory = bench.directory.join(format!("film-{queue}"));
        fs::create_dir_all(&directory)?;
        Ok(Self {
            bench,
            group,
            queue,
            directory,
        })
    }

    fn nodes(&self) -> [&'s Node<'s>; 3] {
        [0, 1, 2].map(|index| &self.group.nodes[index])
    }

    fn work(&self, node: &Node<'_>) -> Result<Attempt> {
        let words = [
            "sh".to_owned(),
            "-c".to_owned(),
            SCRIPT.to_owned(),
            self.directory.to_string_lossy().into_owned(),
            self.bench.binary.to_string_lossy().into_owned(),
            STEPS.to_string(),
            LEN.to_string(),
        ];
        let label = format!("{}-{}", self.queue, node.nick);
        let work = ["work", self.queue];
        Attempt::start(node, &self.bench.directory, &label, &work, &words)
    }

    fn push(&self, node: &Node<'_>) -> Result<String> {
        let push = node.run(&["push", self.queue, "film"], b"")?;
        Ok(push.success()?.text())
    }

    /// Lets the job go on after a step.
    fn let_go(&self, step: u32) -> Result<()> {
        File::create(self.directory.join(format!("go.{step}")))?;
        Ok(())
    }

    fn let_go_all(&self) -> Result<()> {
        (1..=STEPS).try_for_each(|step| self.let_go(step))
    }

    fn wait_step(&self, step: u32) -> Result<()> {
        wait_for(&format!("step {step} to be saved"), SOON, || {
            let steps = fs::read_to_string(self.directory.join("steps")).unwrap_or_default();
            let is_there = steps
                .lines()
                .any(|line| line.ends_with(&format!(" {step}")));
            Ok(if is_there { Ok(()) } else { Err(steps) })
        })
    }

    /// Waits until a node knows exactly these checkpoints of the job, by their steps, the newest first, and
    /// has those that are marked.
    fn wait_here(&self, node: &Node<'_>, id: &str, expected: &[(u32, bool)]) -> Result<()> {
        let what = format!("{} to have {expected:?} of {}", node.nick, self.queue);
        wait_for(&what, SOON, || {
            let shown = node.run(&["job", "show", id, "--json"], b"")?;
            let shown: Value = serde_json::from_slice(&shown.stdout).unwrap_or_default();
            let saved = shown.get("checkpoints").and_then(Value::as_array);
            let saved: Vec<_> = saved.into_iter().flatten().collect();
            let is_expected = saved.len() == expected.len()
                && expected
                    .iter()
                    .zip(&saved)
                    .all(|((step, is_here), one)| one["done"] == *step && one["here"] == *is_here);
            Ok(if is_expected {
                Ok(())
            } else {
                Err(shown.to_string())
            })
        })
    }

    fn wait_done(&self, node: &Node<'_>, id: &str) -> Result<()> {
        let wait = node.command(&["job", "wait", id, "--timeout", "60s"]);
        command::run(wait, b"", SOON + SOON)?.success()?;
        Ok(())
    }

    /// After which step each attempt began, in their order. Each began with exactly what that had saved.
    fn began_from(&self) -> Result<Vec<u32>> {
        let mut found = Vec::new();
        for file in fs::read_dir(&self.directory)? {
            let file = file?;
            let name = file.file_name().to_string_lossy().into_owned();
            let Some((fence, number)) = name
                .strip_prefix("from.")
                .and_then(|attempt| attempt.split_once('-'))
            else {
                continue;
            };
            let bytes = fs::read(file.path())?;
            let step = (0..=STEPS).find(|step| state(*step) == bytes);
            let step = step.with_context(|| {
                let len = bytes.len();
                format!("{name} has {len} bytes that no step saved")
            })?;
            found.push((fence.parse::<u64>()?, number.parse::<u32>()?, step));
        }
        found.sort_unstable();
        Ok(found.into_iter().map(|(_, _, step)| step).collect())
    }
}

/// What a step saves; nothing before the first.
fn state(step: u32) -> Vec<u8> {
    let line = format!("step {step} of the film\n");
    let len = if step == 0 { 0 } else { LEN };
    line.bytes().cycle().take(len).collect()
}

/// All that runs on the host, at once.
fn kill(node: &Node<'_>) -> Result<()> {
    for pid in node.host.processes()? {
        process::signal(pid, Signal::KILL);
    }
    Ok(())
}

/// Ends a worker as an operator would.
fn dismiss(mut worker: Attempt) -> Result<()> {
    worker.signal(Signal::TERM);
    worker.finish(SOON)?.expect(0)?;
    Ok(())
}

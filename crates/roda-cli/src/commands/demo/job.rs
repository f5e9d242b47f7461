//! A job whose worker is killed, and that another machine goes on with.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

use super::stage::Stage;
use super::{NODES, Show};
use crate::error::{Failure, Result};

/// What the audience was shown of a job.
pub(super) struct Resumed {
    /// From which step it went on.
    pub(super) step: u32,
    /// From the kill to its next attempt.
    pub(super) gap: Duration,
}

/// A worker of a node.
struct Worker {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// Its jobs print the step that they begin with, and each that they have saved.
    fn start(stage: &Stage, node: usize) -> Result<Self> {
        let roda = std::env::current_exe().map_err(|error| failure(&error.to_string()))?;
        let roda = roda.display();
        let script = format!(
            "n=$('{roda}' checkpoint load); n=${{n:-0}}; echo from $n; while [ $n -lt {STEPS} ]; do \
             sleep 0.1; n=$((n+1)); \
             echo $n | '{roda}' checkpoint save --done $n --total {STEPS}; echo step $n; done"
        );
        let words = ["work", QUEUE, "--idle-exit", "--", "sh", "-c", &script];
        let mut process = stage
            .command(node, &words)?
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failure(&error.to_string()))?;
        let stdout = process.stdout.take();
        let stdout = stdout.ok_or_else(|| failure("no output"))?;
        let lines = BufReader::new(stdout).lines();
        Ok(Self { process, lines })
    }

    /// Returns the number in the next line that begins so, once it is at least this.
    async fn number(&mut self, word: &str, least: u32) -> Result<u32> {
        let reading = async {
            while let Ok(Some(line)) = self.lines.next_line().await {
                let number = line.strip_prefix(word).map(str::trim);
                if let Some(number) = number.and_then(|number| number.parse().ok())
                    && number >= least
                {
                    return Ok(number);
                }
            }
            Err(failure("the job did not run"))
        };
        let read = timeout(PATIENCE, reading).await;
        read.map_err(|_elapsed| failure("the job did not run"))?
    }
}

/// One pushes, another works and is killed, the third goes on.
pub(super) async fn play(show: &Show<'_>, stage: &Stage) -> Result<Resumed> {
    let [pushes, works, goes_on] = NODES;
    show.act("demo-job", &[("node", works.into())]).await?;
    show.command(pushes, &format!("push {QUEUE} clip-1 --copies 3"))
        .await?;
    // A worker that has not heard of the job yet would take the queue for idle.
    let push = ["push", QUEUE, "clip-1", "--copies", "3"];
    let id = stage.run(0, &push, "").await?;
    show.command(works, &format!("work {QUEUE} -- ./render"))
        .await?;
    let mut first = Worker::start(stage, 1)?;
    first.number("step", KILLED_AFTER).await?;
    show.command(goes_on, &format!("work {QUEUE} -- ./render"))
        .await?;
    let mut second = Worker::start(stage, 2)?;
    let killed = Instant::now();
    first
        .process
        .start_kill()
        .map_err(|error| failure(&error.to_string()))?;
    let step = second.number("from", 0).await?;
    let gap = killed.elapsed();
    stage
        .run(0, &["job", "wait", id.trim(), "--timeout", "30s"], "")
        .await?;
    // Both have ended, or are about to.
    let _killed = first.process.wait().await;
    let _done = timeout(PATIENCE, second.process.wait()).await;
    Ok(Resumed { step, gap })
}

fn failure(reason: &str) -> Failure {
    Failure::new("demo-command")
        .with("command", "work")
        .with("reason", reason)
}

const QUEUE: &str = "render";
/// How many steps the job has, and after which its worker is killed.
pub(super) const STEPS: u32 = 10;
const KILLED_AFTER: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(30);

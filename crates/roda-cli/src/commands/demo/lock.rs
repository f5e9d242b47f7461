//! A lock whose holder is killed.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

use super::stage::Stage;
use super::{NODES, Show};
use crate::error::{Failure, Result};

/// What the audience was shown of a lock.
pub(super) struct Turn {
    /// Fence of the one that was killed.
    pub(super) before: String,
    /// Fence of the next one.
    pub(super) after: String,
    /// From the kill to the next one's command.
    pub(super) gap: Duration,
}

/// A command under the lock.
struct Holder {
    wrapper: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Holder {
    /// Starts `roda lock` on a node; the script's first line is the fence.
    fn start(stage: &Stage, node: usize, script: &str) -> Result<Self> {
        let mut command = stage.command(node, &["lock", LOCK, "--", "sh", "-c", script])?;
        let mut wrapper = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failure(&error.to_string()))?;
        let stdout = wrapper.stdout.take();
        let stdout = stdout.ok_or_else(|| failure("no output"))?;
        let lines = BufReader::new(stdout).lines();
        Ok(Self { wrapper, lines })
    }

    /// Returns once the command runs.
    async fn fence(&mut self) -> Result<String> {
        let line = timeout(PATIENCE, self.lines.next_line()).await;
        match line {
            Ok(Ok(Some(fence))) => Ok(fence),
            Ok(Ok(None) | Err(_)) | Err(_) => Err(failure("the command did not start")),
        }
    }
}

/// One holds, another waits, the first one is killed.
pub(super) async fn play(show: &Show<'_>, stage: &Stage) -> Result<Turn> {
    let [next, first, _] = NODES;
    show.act("demo-lock", &[("node", first.into())]).await?;
    show.command(first, &format!("lock {LOCK} -- sleep 1000"))
        .await?;
    let mut holder = Holder::start(stage, 1, "echo $RODA_FENCE; exec sleep 1000")?;
    let before = holder.fence().await?;
    show.command(next, &format!("lock {LOCK} -- echo \"in\""))
        .await?;
    let mut waiter = Holder::start(stage, 0, "echo $RODA_FENCE")?;
    wait_queued(stage).await?;
    let killed = Instant::now();
    holder
        .wrapper
        .start_kill()
        .map_err(|error| failure(&error.to_string()))?;
    let after = waiter.fence().await?;
    let gap = killed.elapsed();
    // Both have ended, or are about to.
    let _killed = holder.wrapper.wait().await;
    let _done = waiter.wrapper.wait().await;
    Ok(Turn { before, after, gap })
}

/// Until the table shows two: one inside, and one that waits or is chosen to follow.
async fn wait_queued(stage: &Stage) -> Result<()> {
    let queued = async {
        loop {
            let report = stage.run(0, &["locks", LOCK, "--json"], "").await?;
            if report.matches("\"fence\"").count() + report.matches("\"bound\"").count() >= 2 {
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    let queued = timeout(PATIENCE, queued).await;
    queued.map_err(|_elapsed| failure("nobody waits"))?
}

fn failure(reason: &str) -> Failure {
    Failure::new("demo-command")
        .with("command", "lock")
        .with("reason", reason)
}

const LOCK: &str = "printer";
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

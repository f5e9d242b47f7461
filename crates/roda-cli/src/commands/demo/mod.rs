//! `roda demo`: three nodes on this machine, with nothing configured.

mod job;
mod lock;
mod stage;

use std::time::Duration;

use serde_json::json;
use stage::Stage;

use super::App;
use crate::daemon::ended_by_signal;
use crate::error::Result;
use crate::output::Colour;

pub(super) async fn run(app: &App, fast: bool) -> Result<()> {
    let mut stage = Stage::new(app)?;
    let result = tokio::select! {
        result = play(app, &mut stage, fast) => result,
        failure = ended_by_signal() => Err(failure),
    };
    // Whatever happened, no process and no file of the demonstration stays.
    stage.clear().await;
    result
}

async fn play(app: &App, stage: &mut Stage, fast: bool) -> Result<()> {
    let show = Show { app, fast };
    show.act("demo-group", &[]).await?;
    gather(&show, stage).await?;
    show.act("demo-speak", &[("loss", LOSS_PERCENT.into())])
        .await?;
    let mut expected = speak(&show, stage).await?;
    let bytes = stage.wait_identical(expected).await?;
    show.success("demo-identical", expected, bytes).await?;

    show.act("demo-mirror", &[]).await?;
    for (node, name) in NODES.iter().enumerate() {
        let file = stage.mirror_path(node);
        let file = file.display().to_string();
        show.command(name, &format!("mirror {TOPIC} {name}.log"))
            .await?;
        stage.run(node, &["mirror", TOPIC, &file], "").await?;
    }
    let bytes = stage.wait_mirrors(expected).await?;
    show.success("demo-mirrors", expected, bytes).await?;

    show.act("demo-kill", &[("node", NODES[2].into())]).await?;
    stage.kill(2).await?;
    for (node, name) in NODES.iter().enumerate().take(2) {
        show.command(name, &format!("say {TOPIC} -   # {SPLIT_LINES}"))
            .await?;
        let lines = numbered(name, "split", SPLIT_LINES);
        stage.run(node, &["say", TOPIC, "-"], &lines).await?;
        expected += SPLIT_LINES;
    }
    show.act("demo-heal", &[("node", NODES[2].into())]).await?;
    show.command(NODES[2], "up --detach").await?;
    stage.run(2, &["up", "--detach"], "").await?;
    stage.remember(2).await?;
    stage.wait_identical(expected).await?;
    let bytes = stage.wait_mirrors(expected).await?;
    show.success("demo-healed", expected, bytes).await?;
    let turn = lock::play(&show, stage).await?;
    show.turn(&turn).await?;
    let resumed = job::play(&show, stage).await?;
    show.resumed(&resumed).await?;
    finale(&show, stage, (expected, bytes), (&turn, &resumed)).await
}

async fn gather(show: &Show<'_>, stage: &mut Stage) -> Result<()> {
    let loss = format!("0.{LOSS_PERCENT:02}");
    let [first, others @ ..] = NODES;
    let settings = |name| ["--iface", "lo", "--danger-loss", &loss, "--nick", name];
    show.command(first, &format!("create demo --iface lo --nick {first}"))
        .await?;
    stage
        .run(0, &[&["create", "demo"][..], &settings(first)].concat(), "")
        .await?;
    stage.remember(0).await?;
    show.command(first, "invite --uses 2").await?;
    let token = stage.run(0, &["invite", "--uses", "2"], "").await?;
    for (number, name) in others.into_iter().enumerate() {
        let node = number + 1;
        show.command(name, &format!("join roda1… --iface lo --nick {name}"))
            .await?;
        stage
            .run(
                node,
                &[&["join", "-"][..], &settings(name)].concat(),
                &token,
            )
            .await?;
        stage.remember(node).await?;
    }
    Ok(())
}

/// How many messages there are afterwards.
async fn speak(show: &Show<'_>, stage: &Stage) -> Result<u32> {
    for (node, name) in NODES.iter().enumerate() {
        let key = ["demo-hello-1", "demo-hello-2", "demo-hello-3"][node];
        let hello = show.app.ui.text(key, &[]);
        show.command(name, &format!("say {TOPIC} \"{hello}\""))
            .await?;
        stage.run(node, &["say", TOPIC, &hello], "").await?;
    }
    let said = u32::try_from(NODES.len()).expect("three fit");
    for (node, name) in NODES.iter().enumerate() {
        show.command(name, &format!("say {TOPIC} -   # {LINES}"))
            .await?;
        let lines = numbered(name, "hello", LINES);
        stage.run(node, &["say", TOPIC, "-"], &lines).await?;
    }
    Ok(said + said * LINES)
}

fn numbered(name: &str, word: &str, count: u32) -> String {
    (1..=count)
        .map(|number| format!("{name} {word} {number}\n"))
        .collect()
}

async fn finale(
    show: &Show<'_>,
    stage: &Stage,
    (messages, bytes): (u32, usize),
    (turn, resumed): (&lock::Turn, &job::Resumed),
) -> Result<()> {
    let (repairs, nacks) = stage.counters().await?;
    if show.app.ui.json {
        return show.app.ui.object(&json!({
            "identical": true, "nodes": NODES.len(), "messages": messages,
            "mirror_bytes": bytes, "repairs": repairs, "nacks": nacks,
            "fences": [turn.before, turn.after],
            "next_holder_ms": millis(turn.gap), "resumed_from": resumed.step,
            "next_attempt_ms": millis(resumed.gap),
        }));
    }
    let values = [("repairs", repairs.into()), ("nacks", nacks.into())];
    show.line(&show.app.ui.text("demo-counters", &values))?;
    show.line("")?;
    let title = show.app.ui.text("demo-yourself", &[]);
    show.line(&show.app.ui.paint(Colour::Bold, &title))?;
    show.line(&show.app.ui.text("demo-commands", &[]))
}

/// What the audience sees, and how fast.
struct Show<'a> {
    app: &'a App,
    fast: bool,
}

impl Show<'_> {
    fn line(&self, text: &str) -> Result<()> {
        if self.app.ui.json {
            return Ok(());
        }
        self.app.ui.line(text)
    }

    async fn act(&self, key: &str, values: &[(&str, crate::error::Arg)]) -> Result<()> {
        let text = self.app.ui.text(key, values);
        self.line("")?;
        self.line(&self.app.ui.paint(Colour::Bold, &text))?;
        self.pause(READING).await;
        Ok(())
    }

    async fn command(&self, name: &str, command: &str) -> Result<()> {
        let prompt = self.app.ui.paint(Colour::Cyan, &format!("{name:>5} $"));
        self.line(&format!("{prompt} roda {command}"))?;
        self.pause(TYPING).await;
        Ok(())
    }

    async fn success(&self, key: &str, messages: u32, bytes: usize) -> Result<()> {
        let values = [("messages", messages.into()), ("bytes", bytes.into())];
        self.tick(key, &values).await
    }

    async fn turn(&self, turn: &lock::Turn) -> Result<()> {
        let values = [
            ("before", turn.before.as_str().into()),
            ("after", turn.after.as_str().into()),
            ("millis", millis(turn.gap).into()),
        ];
        self.tick("demo-turn", &values).await
    }

    async fn resumed(&self, resumed: &job::Resumed) -> Result<()> {
        let values = [
            ("node", NODES[2].into()),
            ("step", resumed.step.into()),
            ("steps", job::STEPS.into()),
            ("millis", millis(resumed.gap).into()),
        ];
        self.tick("demo-resumed", &values).await
    }

    /// Something has come out as it should.
    async fn tick(&self, key: &str, values: &[(&str, crate::error::Arg)]) -> Result<()> {
        let text = self.app.ui.text(key, values);
        let mark = self.app.ui.paint(Colour::Green, "    ✓");
        self.line(&format!("{mark} {text}"))?;
        self.pause(READING).await;
        Ok(())
    }

    async fn pause(&self, pause: Duration) {
        if !self.fast && !self.app.ui.json {
            tokio::time::sleep(pause).await;
        }
    }
}

const NODES: [&str; 3] = ["ana", "bia", "caio"];
const TOPIC: &str = "praça";
const LOSS_PERCENT: u32 = 10;
/// Lines that each node says at once.
const LINES: u32 = 200;
/// Lines that each of the two others says while one is away.
const SPLIT_LINES: u32 = 100;
const READING: Duration = Duration::from_millis(1200);
const TYPING: Duration = Duration::from_millis(500);

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

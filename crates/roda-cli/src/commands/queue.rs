//! `roda queue`: sees and steers queues.

use serde_json::{Value, json};

use super::App;
use super::columns::{Row, aligned};
use crate::api::client::encoded;
use crate::api::job_checks::queue_name;
use crate::api::job_types::{JobStateReply, PurgedReply, QueueReply};
use crate::api::retention::{RetentionReply, RetentionRequest};
use crate::cli::QueueAction;
use crate::cli::parse::{duration, duration_text};
use crate::error::Result;
use crate::output::{Colour, Ui, escaped};

pub(super) async fn run(app: &App, action: QueueAction) -> Result<()> {
    match action {
        QueueAction::List => list(app).await,
        QueueAction::Stats { queue } => {
            queue_name(&queue)?;
            let path = format!("/v1/queues/{}", encoded(&queue));
            let reply: QueueReply = app.connect().await?.get(&path).await?;
            show(app, &[reply])
        }
        QueueAction::Pause { queue } => set(app, &queue, "pause", "queue-paused").await,
        QueueAction::Resume { queue } => set(app, &queue, "resume", "queue-resumed").await,
        QueueAction::Purge { queue } => purge(app, &queue).await,
        QueueAction::Retain { queue, done, dead } => {
            retain(app, &queue, (done.as_deref(), dead.as_deref())).await
        }
    }
}

async fn list(app: &App) -> Result<()> {
    let queues: Vec<QueueReply> = app.connect().await?.get("/v1/queues").await?;
    if queues.is_empty() && !app.ui.json {
        return app.ui.line(&app.ui.text("queues-none", &[]));
    }
    show(app, &queues)
}

fn show(app: &App, queues: &[QueueReply]) -> Result<()> {
    if app.ui.json {
        return queues.iter().try_for_each(|queue| app.ui.object(queue));
    }
    app.ui.raw(table(&app.ui, queues).as_bytes())
}

fn table(ui: &Ui, queues: &[QueueReply]) -> String {
    let mut head = vec![ui.text("jobs-head-queue", &[])];
    head.extend(JobStateReply::ALL.map(|state| ui.text(state.head_key(), &[])));
    let mut rows = vec![Row {
        colour: Colour::Bold,
        cells: head,
    }];
    for queue in queues {
        let mut cells = vec![escaped(&queue.queue).into_owned()];
        cells.extend(JobStateReply::ALL.map(|state| queue.count(state).to_string()));
        let colour = match (queue.paused, queue.dead + queue.held) {
            (true, _) => Colour::Cyan,
            (false, 0) => Colour::Plain,
            (false, _) => Colour::Red,
        };
        if queue.paused {
            cells.push(ui.text("queue-is-paused", &[]));
        }
        rows.push(Row { colour, cells });
    }
    aligned(ui, &rows, &[1, 2, 3, 4, 5, 6, 7])
}

async fn set(app: &App, queue: &str, what: &str, done: &str) -> Result<()> {
    queue_name(queue)?;
    let path = format!("/v1/queues/{}/{what}", encoded(queue));
    let reply: Value = app.connect().await?.post(&path, &json!({})).await?;
    if app.ui.json {
        return app.ui.object(&reply);
    }
    app.ui.line(&app.ui.text(done, &[("queue", queue.into())]))
}

async fn purge(app: &App, queue: &str) -> Result<()> {
    queue_name(queue)?;
    let path = format!("/v1/queues/{}/purge", encoded(queue));
    let reply: PurgedReply = app.connect().await?.post(&path, &json!({})).await?;
    if app.ui.json {
        return app
            .ui
            .object(&json!({"queue": queue, "cancelled": reply.cancelled}));
    }
    let values = [("count", reply.cancelled.into()), ("queue", queue.into())];
    app.ui.line(&app.ui.text("queue-purged", &values))
}

/// Without times it only tells those that hold.
async fn retain(app: &App, queue: &str, (done, dead): (Option<&str>, Option<&str>)) -> Result<()> {
    queue_name(queue)?;
    let millis = |time: Option<&str>| -> Result<Option<u64>> {
        let time = time.map(duration).transpose()?;
        Ok(time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
    };
    let wanted = RetentionRequest {
        done_ms: millis(done)?,
        dead_ms: millis(dead)?,
    };
    let path = format!("/v1/queues/{}/retention", encoded(queue));
    let mut client = app.connect().await?;
    let reply: RetentionReply = if done.is_some() || dead.is_some() {
        client.post(&path, &wanted).await?
    } else {
        client.get(&path).await?
    };
    if app.ui.json {
        return app.ui.object(&reply);
    }
    let values = [
        ("queue", queue.into()),
        ("done", duration_text(reply.done_ms).into()),
        ("dead", duration_text(reply.dead_ms).into()),
    ];
    app.ui.line(&app.ui.text("queue-retained", &values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Language;

    #[test]
    fn queues_are_a_table_with_a_column_for_each_state() {
        let ui = Ui::new(Language::English, false);
        let queues = [
            QueueReply {
                queue: "mail".to_owned(),
                waiting: 12_000,
                done: 7,
                ..QueueReply::default()
            },
            QueueReply {
                queue: "encode".to_owned(),
                paused: true,
                dead: 1,
                ..QueueReply::default()
            },
        ];
        let expected = "\
QUEUE   WAITING  RUNNING  DONE  DEAD  CANCELLED  HELD  DUPLICATE
mail      12000        0     7     0          0     0          0
encode        0        0     0     1          0     0          0  paused
";
        assert_eq!(table(&ui, &queues), expected);
    }
}

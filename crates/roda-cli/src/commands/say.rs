//! `roda say`: appends messages; returns when they are durable here.

use roda::{BODY_LEN_MAX, Topic};

use super::App;
use super::input;
use crate::api::client::{Client, encoded};
use crate::api::types::{AppendReply, AppendRequest, MessageLine, StatusReply};
use crate::error::{Failure, Result};

pub(super) async fn run(app: &App, topic: &str, text: &[String]) -> Result<()> {
    Topic::new(topic)?;
    if text == ["-"] {
        return say_lines(app, topic).await;
    }
    let text = text.join(" ");
    if text.is_empty() {
        return Err(Failure::new("empty-text"));
    }
    if text.len() > BODY_LEN_MAX {
        return Err(roda::Error::TooLong(text.len()).into());
    }
    let mut client = app.connect().await?;
    let reply = append(&mut client, topic, vec![text.clone()]).await?;
    if !app.ui.json {
        return Ok(());
    }
    let status: StatusReply = client.get("/v1/status").await?;
    app.ui.object(&MessageLine {
        topic: topic.into(),
        author: reply.author,
        node: reply.node,
        nick: Some(status.nick),
        seq: reply.last,
        hlc: reply.hlc,
        time: reply.time,
        text: Some(text.into()),
        bytes: None,
    })
}

/// Appends texts in one request.
pub(super) async fn append(
    client: &mut Client,
    topic: &str,
    texts: Vec<String>,
) -> Result<AppendReply> {
    let path = format!("/v1/topics/{}/messages", encoded(topic));
    client.post(&path, &AppendRequest { texts }).await
}

/// While one request is stored, the lines of the next are read; the busier, the larger they grow.
async fn say_lines(app: &App, topic: &str) -> Result<()> {
    let mut client = app.connect().await?;
    let mut input = input::chunks();
    let mut chunks = Vec::new();
    let mut stored: usize = 0;
    let result = loop {
        if input.recv_many(&mut chunks, input::CHUNKS_AHEAD).await == 0 {
            break Ok(());
        }
        let mut texts = Vec::new();
        let mut fault = None;
        for chunk in chunks.drain(..) {
            match chunk {
                Ok(lines) => texts.extend(lines),
                Err(failure) => fault = Some(failure),
            }
        }
        let count = texts.len();
        if count > 0 {
            match append(&mut client, topic, texts).await {
                Ok(reply) => stored += acknowledged(app, count, &reply)?,
                Err(failure) => break Err(failure),
            }
        }
        if let Some(failure) = fault {
            break Err(failure.with("stored", stored));
        }
    };
    let key = if result.is_ok() {
        "say-done"
    } else {
        "say-stored"
    };
    app.ui.note(&app.ui.text(key, &[("count", stored.into())]));
    result
}

fn acknowledged(app: &App, count: usize, reply: &AppendReply) -> Result<usize> {
    if app.ui.json {
        app.ui.object(reply)?;
    }
    Ok(count)
}

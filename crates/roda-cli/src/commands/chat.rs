//! `roda chat`: lines in, lines out.

use std::io::{self, IsTerminal as _};
use std::ops::RangeInclusive;
use std::time::Duration;

use roda::Topic;
use tokio::time::Instant;

use super::messages::{Names, parsed};
use super::{App, input, say};
use crate::api::client::{Client, encoded};
use crate::api::types::MessageLine;
use crate::error::{Failure, Result};

pub(super) async fn run(app: &App, room: &str) -> Result<()> {
    Topic::new(room)?;
    let is_terminal = super::is_interactive() && io::stdout().is_terminal();
    let last = if is_terminal { HISTORY_LINES } else { 0 };
    let path = format!("/v1/topics/{}/events?last={last}", encoded(room));
    let mut incoming = app.connect().await?.lines(&path).await?;
    let mut chat = Chat {
        app,
        room,
        client: app.connect().await?,
        names: Names::new(app.connect().await?, &app.ui),
        own: Own::default(),
        is_terminal,
    };
    if is_terminal {
        app.ui
            .note(&app.ui.text("chat-welcome", &[("room", room.into())]));
    }
    let mut input = input::chunks();
    let mut is_open = true;
    let mut end = None;
    loop {
        if !is_open && chat.is_done() {
            return Ok(());
        }
        let patience = end.unwrap_or_else(|| Instant::now() + END_MAX);
        tokio::select! {
            chunk = input.recv(), if is_open => match chunk {
                Some(lines) => chat.send(lines?).await?,
                None => (is_open, end) = (false, Some(Instant::now() + END_MAX)),
            },
            events = incoming.next_events() => match events? {
                Some(events) => chat.show(&events).await?,
                None => return Err(Failure::new("daemon-lost").with("reason", "…")),
            },
            () = tokio::time::sleep_until(patience), if !is_open => return Ok(()),
        }
    }
}

struct Chat<'a> {
    app: &'a App,
    room: &'a str,
    client: Client,
    names: Names,
    own: Own,
    is_terminal: bool,
}

/// What this command has sent itself.
#[derive(Default)]
struct Own {
    author: String,
    sent: Vec<RangeInclusive<u64>>,
    shown: u64,
}

impl Own {
    fn contains(&self, message: &MessageLine<'_>) -> bool {
        // The newest is the likeliest.
        message.author == self.author
            && self
                .sent
                .iter()
                .rev()
                .any(|range| range.contains(&message.seq))
    }

    fn sent(&mut self, author: String, range: RangeInclusive<u64>) {
        self.author = author;
        match self.sent.last_mut() {
            Some(last) if last.end() + 1 == *range.start() => {
                *last = *last.start()..=*range.end();
            }
            _ => self.sent.push(range),
        }
    }
}

impl Chat<'_> {
    /// Whether all that was sent has come back too.
    fn is_done(&self) -> bool {
        self.own
            .sent
            .last()
            .is_none_or(|range| self.own.shown >= *range.end())
    }

    async fn send(&mut self, lines: Vec<String>) -> Result<()> {
        let reply = say::append(&mut self.client, self.room, lines, None).await?;
        self.own.sent(reply.author, reply.first..=reply.last);
        Ok(())
    }

    async fn show(&mut self, events: &[String]) -> Result<()> {
        for event in events {
            if event == "{}" {
                continue;
            }
            let mut message = parsed(event)?;
            let is_own = self.own.contains(&message);
            if is_own {
                self.own.shown = self.own.shown.max(message.seq);
            }
            // A person has seen on the terminal what was typed there.
            if is_own && self.is_terminal {
                continue;
            }
            if self.app.ui.json {
                message.nick = Some(self.names.of(&message.node).await?);
                self.app.ui.object(&message)?;
            } else {
                let line = self.names.line(&message, "%H:%M:%S").await?;
                self.app.ui.line(&line)?;
            }
        }
        Ok(())
    }
}

/// How much of the past a person sees first.
const HISTORY_LINES: usize = 20;
/// How long the end of the input waits for one's own messages to come back.
const END_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn message(author: &str, seq: u64) -> MessageLine<'static> {
        let json = format!(
            r#"{{"topic":"t","author":"{author}","node":"n","seq":{seq},"hlc":"1.0","time":"","text":"x"}}"#
        );
        parsed(&json).unwrap()
    }

    #[test]
    fn only_what_this_command_sent_is_its_own() {
        let mut own = Own::default();
        own.sent("a".into(), 3..=5);
        own.sent("a".into(), 6..=6);
        own.sent("a".into(), 9..=9);
        assert_eq!(own.sent, [3..=6, 9..=9]);
        assert!(own.contains(&message("a", 4)));
        assert!(!own.contains(&message("a", 7)));
        assert!(!own.contains(&message("b", 4)));
    }
}

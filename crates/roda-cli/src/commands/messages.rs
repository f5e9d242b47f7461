//! Messages for people.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::api::client::Client;
use crate::api::types::{MemberReply, MessageLine, unhex};
use crate::error::{Failure, Result};
use crate::output::{Ui, escaped, escaped_bytes};

/// Parses a line of a history or an event.
pub(super) fn parsed(line: &str) -> Result<MessageLine<'static>> {
    serde_json::from_str(line)
        .map_err(|error| Failure::new("daemon-answer").with("reason", error.to_string()))
}

/// What was said, harmless for a terminal and on one line.
pub(super) fn shown_text(message: &MessageLine<'_>) -> String {
    match (&message.text, &message.bytes) {
        (Some(text), _) => escaped(text).into_owned(),
        (None, Some(bytes)) => escaped_bytes(&unhex(bytes).unwrap_or_default()),
        (None, None) => String::new(),
    }
}

/// Names of the members, asked for when an unknown one speaks.
pub(super) struct Names {
    client: Client,
    late: String,
    known: BTreeMap<String, String>,
    asked: Option<Instant>,
}

impl Names {
    /// Nobody is known yet.
    pub(super) fn new(client: Client, ui: &Ui) -> Self {
        Self {
            client,
            late: ui.text("message-late", &[]),
            known: BTreeMap::new(),
            asked: None,
        }
    }

    /// The name of a node; the start of its key if it has none.
    pub(super) async fn of(&mut self, node: &str) -> Result<String> {
        let is_due = self.asked.is_none_or(|at| at.elapsed() > ASK_PAUSE);
        if !self.known.contains_key(node) && is_due {
            self.asked = Some(Instant::now());
            let members: Vec<MemberReply> = self.client.get("/v1/members").await?;
            for member in members {
                self.known.insert(member.node, member.nick);
            }
        }
        Ok(match self.known.get(node) {
            Some(nick) if !nick.is_empty() => nick.clone(),
            _ => node.chars().take(8).collect(),
        })
    }

    /// `TIME NICK: TEXT`, with a mark behind the time of what came late; the time in the local zone as `format` says.
    pub(super) async fn line(&mut self, message: &MessageLine<'_>, format: &str) -> Result<String> {
        let time = message.time.parse::<Timestamp>().unwrap_or_default();
        let time = time.to_zoned(TimeZone::system());
        let nick = self.of(&message.node).await?;
        let text = shown_text(message);
        let late = match message.late {
            Some(true) => format!(" {}", self.late),
            Some(false) | None => String::new(),
        };
        Ok(format!(
            "{}{late} {}: {text}",
            time.strftime(format),
            escaped(&nick)
        ))
    }
}

/// A removed member stays unknown; asking for it at every message would be a waste.
const ASK_PAUSE: Duration = Duration::from_secs(1);

//! `roda history`: reads a topic.

use std::collections::VecDeque;

use jiff::Timestamp;
use regex::Regex;
use roda::Topic;

use super::App;
use super::messages::{Names, parsed, shown_text};
use crate::api::client::encoded;
use crate::cli::{HistoryArgs, parse};
use crate::error::{Failure, Result};

pub(super) async fn run(app: &App, args: &HistoryArgs) -> Result<()> {
    Topic::new(&args.topic)?;
    let grep = args.grep.as_deref().map(regex).transpose()?;
    let kind = if args.follow { "events" } else { "messages" };
    let mut path = format!("/v1/topics/{}/{kind}?", encoded(&args.topic));
    if let Some(since) = &args.since {
        let since = parse::since(since, Timestamp::now())?;
        path.push_str(&format!("since={}&", since.0));
    }
    // The last n of those that match can be told only after matching.
    let mut tail = None;
    match (args.lines, &grep) {
        (Some(lines), None) => path.push_str(&format!("last={lines}")),
        (Some(lines), Some(_)) => tail = Some(Tail::new(lines)),
        (None, _) => {}
    }
    let path = path.trim_end_matches(['?', '&']);
    let mut lines = app.connect().await?.lines(path).await?;
    let names = Names::new(app.connect().await?, &app.ui);
    let mut reader = Reader {
        app,
        grep,
        tail,
        names,
    };
    if args.follow {
        while let Some(events) = lines.next_events().await? {
            for event in events {
                reader.event(&event).await?;
            }
        }
        return Err(Failure::new("daemon-lost").with("reason", "…"));
    }
    while let Some(lines) = lines.next().await? {
        reader.lines(&lines).await?;
    }
    reader.end_of_stored().await
}

fn regex(pattern: &str) -> Result<Regex> {
    Regex::new(pattern).map_err(|error| {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default();
        Failure::new("usage-regex")
            .with("pattern", pattern)
            .with("reason", reason.trim_start_matches("error: "))
    })
}

/// Keeps the last few.
struct Tail {
    most: usize,
    lines: VecDeque<String>,
}

impl Tail {
    const fn new(most: usize) -> Self {
        Self {
            most,
            lines: VecDeque::new(),
        }
    }

    fn push(&mut self, line: String) {
        self.lines.push_back(line);
        if self.lines.len() > self.most {
            self.lines.pop_front();
        }
    }
}

struct Reader<'a> {
    app: &'a App,
    grep: Option<Regex>,
    tail: Option<Tail>,
    names: Names,
}

impl Reader<'_> {
    async fn event(&mut self, data: &str) -> Result<()> {
        if data == "{}" {
            self.end_of_stored().await
        } else {
            self.line(data).await
        }
    }

    async fn lines(&mut self, lines: &[u8]) -> Result<()> {
        if self.app.ui.json && self.grep.is_none() {
            // The promise of identical bytes is easiest kept by not touching them.
            return self.app.ui.raw(lines);
        }
        let lines = String::from_utf8_lossy(lines);
        for line in lines.lines() {
            self.line(line).await?;
        }
        Ok(())
    }

    async fn line(&mut self, line: &str) -> Result<()> {
        if let Some(grep) = &self.grep {
            let message = parsed(line)?;
            let text = match &message.text {
                Some(text) => text.to_string(),
                None => shown_text(&message),
            };
            if !grep.is_match(&text) {
                return Ok(());
            }
        }
        match &mut self.tail {
            Some(tail) => {
                tail.push(line.to_owned());
                Ok(())
            }
            None => self.print(line).await,
        }
    }

    async fn end_of_stored(&mut self) -> Result<()> {
        let lines = self.tail.take().map(|tail| tail.lines);
        for line in lines.unwrap_or_default() {
            self.print(&line).await?;
        }
        Ok(())
    }

    async fn print(&mut self, line: &str) -> Result<()> {
        if self.app.ui.json {
            return self.app.ui.line(line);
        }
        let line = self.names.line(&parsed(line)?, TIME_FORMAT).await?;
        self.app.ui.line(&line)
    }
}

const TIME_FORMAT: &str = "%Y-%m-%d %H:%M:%S";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_keeps_the_last_ones() {
        let mut tail = Tail::new(2);
        for line in ["a", "b", "c"] {
            tail.push(line.to_owned());
        }
        assert_eq!(tail.lines, ["b", "c"]);
        let mut nothing = Tail::new(0);
        nothing.push("a".to_owned());
        assert!(nothing.lines.is_empty());
    }

    #[test]
    fn a_bad_pattern_is_a_usage_error_with_the_reason() {
        let failure = regex("a(").unwrap_err();
        assert_eq!(failure.code, "usage-regex");
        assert_eq!(failure.args["reason"], "unclosed group".into());
    }
}

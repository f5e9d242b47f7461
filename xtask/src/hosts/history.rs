//! What histories and mirror files must look like after a scenario.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::command::wait_for;
use super::node::{Node, number, text};

/// How many names of wrong messages an error shows.
const SHOWN_MAX: usize = 5;

/// The output of `roda history --json`.
#[derive(Default)]
pub(crate) struct History {
    /// As printed.
    pub(crate) bytes: Vec<u8>,
    /// The texts in order.
    pub(crate) texts: Vec<String>,
}

impl History {
    /// Parses the output and refuses entries that appear twice or out of their author's order.
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self> {
        let mut texts = Vec::new();
        let mut last_of: BTreeMap<String, u64> = BTreeMap::new();
        for line in bytes.split(|byte| *byte == b'\n') {
            if line.is_empty() {
                continue;
            }
            let entry: Value = serde_json::from_slice(line)
                .with_context(|| format!("no JSON: {}", String::from_utf8_lossy(line)))?;
            let (author, seq) = (text(&entry, "/author")?, number(&entry, "/seq")?);
            let last = last_of.entry(author.to_owned()).or_default();
            ensure!(seq > *last, "{author} has entry {seq} after entry {last}");
            *last = seq;
            texts.push(text(&entry, "/text")?.to_owned());
        }
        Ok(Self { bytes, texts })
    }

    /// How often each text appears.
    fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for text in &self.texts {
            *counts.entry(text.as_str()).or_default() += 1;
        }
        counts
    }

    /// Fails unless every one of the texts is there exactly once, and nothing else is.
    pub(crate) fn ensure_exactly(&self, texts: &[String]) -> Result<()> {
        self.ensure_once(texts)?;
        ensure!(
            self.texts.len() == texts.len(),
            "{} entries instead of {}",
            self.texts.len(),
            texts.len()
        );
        Ok(())
    }

    /// Fails unless every one of the texts is there exactly once, and nothing at all is there twice.
    pub(crate) fn ensure_once(&self, texts: &[String]) -> Result<()> {
        let counts = self.counts();
        let missing = texts
            .iter()
            .filter(|text| !counts.contains_key(text.as_str()));
        complain("missing", missing.map(String::as_str))?;
        let doubled = counts.iter().filter(|(_, count)| **count > 1);
        complain("doubled", doubled.map(|(text, _)| *text))
    }

    /// Fails if any of the texts is there.
    pub(crate) fn ensure_none(&self, texts: &[String]) -> Result<()> {
        let counts = self.counts();
        let found = texts
            .iter()
            .filter(|text| counts.contains_key(text.as_str()));
        complain("should not be there", found.map(String::as_str))
    }
}

/// Waits until all nodes print the same history of this many entries.
pub(crate) fn converge(
    nodes: &[&Node<'_>],
    topic: &str,
    entries: usize,
    timeout: Duration,
) -> Result<History> {
    converge_if(nodes, topic, timeout, |history| {
        ensure!(
            history.texts.len() <= entries,
            "{} entries where only {entries} were written",
            history.texts.len()
        );
        Ok(history.texts.len() == entries)
    })
}

/// Waits until all nodes print the same history and `complete` says that it is.
pub(crate) fn converge_if(
    nodes: &[&Node<'_>],
    topic: &str,
    timeout: Duration,
    complete: impl Fn(&History) -> Result<bool>,
) -> Result<History> {
    let what = format!("{} equal histories of {topic}", nodes.len());
    wait_for(&what, timeout, || {
        let mut seen = Vec::new();
        let mut first: Option<History> = None;
        let mut settled = true;
        for node in nodes {
            let history = node.history(topic)?;
            seen.push(format!("{}: {} entries", node.nick, history.texts.len()));
            let done = complete(&history).with_context(|| format!("on {}", node.nick))?;
            let same = first
                .as_ref()
                .is_none_or(|first| first.bytes == history.bytes);
            if done && !same {
                seen.push("but not the same bytes".to_owned());
            }
            settled = settled && done && same;
            first.get_or_insert(history);
        }
        Ok(match first {
            Some(history) if settled => Ok(history),
            _ => Err(seen.join(", ")),
        })
    })
}

/// Waits until all mirror files have the same bytes, with one line for each of the texts.
pub(crate) fn mirrors_converge(
    files: &[PathBuf],
    texts: &[String],
    timeout: Duration,
) -> Result<()> {
    let what = format!("{} equal mirror files", files.len());
    let contents = wait_for(&what, timeout, || {
        let contents: Vec<Vec<u8>> = files
            .iter()
            .map(|file| fs::read(file).unwrap_or_default())
            .collect();
        let lines: Vec<usize> = contents.iter().map(|content| lines(content)).collect();
        let same = contents.windows(2).all(|pair| pair[0] == pair[1]);
        Ok(if same && lines.iter().all(|count| *count == texts.len()) {
            Ok(contents.into_iter().next().unwrap_or_default())
        } else {
            Err(format!("lines {lines:?}, the same bytes: {same}"))
        })
    })?;
    let contents = String::from_utf8(contents).context("a mirror of texts is text")?;
    for wanted in texts {
        let times = contents
            .lines()
            .filter(|line| line.ends_with(wanted))
            .count();
        ensure!(times == 1, "{wanted:?} is in the mirror {times} times");
    }
    Ok(())
}

fn lines(content: &[u8]) -> usize {
    content.split(|byte| *byte == b'\n').count() - 1
}

fn complain<'t>(what: &str, texts: impl Iterator<Item = &'t str>) -> Result<()> {
    let texts: Vec<&str> = texts.collect();
    if texts.is_empty() {
        return Ok(());
    }
    let shown = texts[..texts.len().min(SHOWN_MAX)].join(", ");
    bail!("{} {what}: {shown} …", texts.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(author: &str, seq: u64, text: &str) -> String {
        serde_json::json!({"author": author, "seq": seq, "text": text}).to_string() + "\n"
    }

    fn texts(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_history_with_a_repeated_or_late_entry_is_refused() {
        let good = line("a", 1, "x") + &line("b", 1, "y") + &line("a", 2, "z");
        let history = History::parse(good.into_bytes()).unwrap();
        assert_eq!(history.texts, ["x", "y", "z"]);
        for second in [1, 2] {
            let bad = line("a", 2, "x") + &line("a", second, "y");
            assert!(History::parse(bad.into_bytes()).is_err());
        }
    }

    #[test]
    fn missing_doubled_and_foreign_texts_are_told_apart() {
        let twice = line("a", 1, "x") + &line("a", 2, "x") + &line("a", 3, "y");
        let history = History::parse(twice.into_bytes()).unwrap();
        let error = |result: Result<()>| result.unwrap_err().to_string();
        assert!(error(history.ensure_once(&texts(&["y"]))).contains("doubled: x"));
        assert!(error(history.ensure_once(&texts(&["z"]))).contains("missing: z"));
        assert!(error(history.ensure_none(&texts(&["y"]))).contains("not be there: y"));
        let history = History::parse(line("a", 1, "x").into_bytes()).unwrap();
        assert!(history.ensure_exactly(&texts(&["x"])).is_ok());
        assert!(history.ensure_exactly(&[]).is_err());
    }
}

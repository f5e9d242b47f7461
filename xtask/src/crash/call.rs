//! System calls, as strace writes them down.

use std::collections::BTreeMap;
use std::io::BufRead;

use anyhow::{Context, Result};

/// A system call of any thread.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// When it began, as a line of the trace: its effect can be on disk from here on.
    pub(crate) began: usize,
    /// When it ended. One that never did (its process was killed) has no result and ends last.
    pub(crate) ended: usize,
    pub(crate) name: String,
    /// What is between the parentheses, not decoded.
    arguments: String,
    /// What it returned; -1 is an error.
    pub(crate) result: Option<i64>,
}

impl Call {
    /// Whether it went wrong, which is known.
    pub(crate) fn failed(&self) -> bool {
        self.result == Some(-1)
    }

    /// The file behind its first argument, a descriptor.
    pub(crate) fn file(&self) -> Result<String> {
        let (_number, rest) = self.arguments.split_once('<').with_context(|| self.odd())?;
        let (path, _rest) = rest.split_once('>').with_context(|| self.odd())?;
        Ok(String::from_utf8_lossy(&decode(path)?).into_owned())
    }

    /// Its first argument as it stands there, with the number of the descriptor.
    pub(crate) fn descriptor(&self) -> &str {
        self.arguments.split(',').next().unwrap_or_default()
    }

    /// All texts among its arguments.
    pub(crate) fn texts(&self) -> Result<Vec<Vec<u8>>> {
        let quoted = self.arguments.split('"').skip(1).step_by(2);
        quoted.map(decode).collect()
    }

    /// Its last argument, a number.
    pub(crate) fn last_number(&self) -> Result<usize> {
        let last = self.arguments.rsplit(',').next().unwrap_or_default();
        last.trim().parse().with_context(|| self.odd())
    }

    /// Whether a word stands among its arguments.
    pub(crate) fn says(&self, word: &str) -> bool {
        self.arguments.contains(word)
    }

    /// For an error about it.
    pub(crate) fn odd(&self) -> String {
        let shown: String = self.arguments.chars().take(200).collect();
        format!("not understood in a trace: {}({shown})", self.name)
    }
}

/// All calls of a trace, in the order in which they began. `first` is added to every line number, so
/// that traces can follow each other.
pub(crate) fn read(trace: impl BufRead, first: usize) -> Result<Vec<Call>> {
    let mut calls = Vec::new();
    let mut open: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for (index, line) in trace.lines().enumerate() {
        let at = first + index;
        let line = line.context("a trace cannot be read")?;
        let Some((thread, rest)) = line.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
            open.insert(thread.to_owned(), (at, begun.trim_end().to_owned()));
        } else if let Some(resumed) = rest.strip_prefix("<... ") {
            let Some((_name, tail)) = resumed.split_once("resumed>") else {
                continue;
            };
            if let Some((began, head)) = open.remove(thread) {
                calls.extend(parse(began, at, &format!("{head}{tail}"))?);
            }
        } else {
            calls.extend(parse(at, at, rest)?);
        }
    }
    for (began, head) in open.into_values() {
        calls.extend(parse(began, usize::MAX, &head)?);
    }
    calls.sort_by_key(|call| call.began);
    Ok(calls)
}

/// A call, or nothing for a line about a signal or an end.
fn parse(began: usize, ended: usize, text: &str) -> Result<Option<Call>> {
    let Some((name, rest)) = text.split_once('(') else {
        return Ok(None);
    };
    if !name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        return Ok(None);
    }
    let (arguments, result) = match rest.rsplit_once(" = ") {
        Some((arguments, result)) if ended != usize::MAX => (arguments, number(result)),
        _ => (rest, None),
    };
    let arguments = arguments.trim_end();
    let arguments = arguments.strip_suffix(')').unwrap_or(arguments);
    Ok(Some(Call {
        began,
        ended: if result.is_none() { usize::MAX } else { ended },
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        result,
    }))
}

/// The number at the beginning of a result: `7`, `7</path>`, `-1 EIO (…)`; `?` is none.
fn number(result: &str) -> Option<i64> {
    let end = result
        .find(|letter: char| !letter.is_ascii_digit() && letter != '-')
        .unwrap_or(result.len());
    // An address, as mmap returns it, is a number that nobody needs.
    result[..end].parse().ok()
}

/// `\x41\x42` as bytes; anything else stands for itself.
fn decode(text: &str) -> Result<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len() / 4);
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        if let [b'\\', b'x', high, low, tail @ ..] = rest {
            decoded.push(digit(*high)? << 4 | digit(*low)?);
            rest = tail;
        } else {
            decoded.push(*first);
            rest = tail;
        }
    }
    Ok(decoded)
}

fn digit(letter: u8) -> Result<u8> {
    match letter {
        b'0'..=b'9' => Ok(letter - b'0'),
        b'a'..=b'f' => Ok(letter - b'a' + 10),
        _ => anyhow::bail!("not a hexadecimal digit in a trace: {letter}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_another_thread_interrupted_is_put_together() {
        let trace = "7  pwrite64(3</\\x68/f>, \"\\x61\\x62\", 2, 10 <unfinished ...>\n\
                     8  fsync(4</h>) = 0\n\
                     7  <... pwrite64 resumed>) = 2\n\
                     7  +++ exited with 0 +++\n";
        let calls = read(trace.as_bytes(), 100).unwrap();
        assert_eq!(calls.len(), 2);
        let write = &calls[0];
        assert_eq!((write.began, write.ended), (100, 102));
        assert_eq!(write.file().unwrap(), "/h/f");
        assert_eq!(write.texts().unwrap(), [b"ab"]);
        assert_eq!(write.last_number().unwrap(), 10);
        assert_eq!(write.result, Some(2));
        assert_eq!((calls[1].began, calls[1].ended), (101, 101));
    }

    #[test]
    fn a_failed_call_and_one_that_never_ended_are_told_apart() {
        let trace = "7  fsync(4</h>) = -1 EIO (Input/output error) (INJECTED)\n\
                     7  fsync(4</h> <unfinished ...>\n";
        let calls = read(trace.as_bytes(), 0).unwrap();
        assert!(calls[0].failed());
        assert_eq!(calls[1].result, None);
        assert!(!calls[1].failed());
        assert_eq!(calls[1].file().unwrap(), "/h");
    }
}

//! What a node has told somebody, and so may not lose any more.

use std::collections::BTreeMap;

/// One such thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Promise {
    /// A job is stored: the answer to a push, or a list that shows it.
    Pushed(String),
    /// A job is done, as a list shows.
    Done(String),
    /// A message is stored.
    Said { author: String, seq: u64 },
    /// A lock was granted.
    Granted { fence: u64 },
}

/// Collects answers from what is written to sockets. An answer may come in several pieces.
#[derive(Default)]
pub(crate) struct Listener {
    // By socket: the answer that is being written to it.
    answers: BTreeMap<String, Vec<u8>>,
}

impl Listener {
    /// What a piece written to a socket completes.
    pub(crate) fn hear(&mut self, socket: &str, piece: &[u8]) -> Vec<Promise> {
        let answer = self.answers.entry(socket.to_owned()).or_default();
        if piece.starts_with(b"HTTP/1.1 ") {
            answer.clear();
        } else if answer.is_empty() {
            // Not the control API: a sealed datagram, for example.
            return Vec::new();
        }
        answer.extend_from_slice(piece);
        promises(&String::from_utf8_lossy(answer))
    }
}

/// The promises in an answer, or in what a command has printed.
pub(crate) fn promises(answer: &str) -> Vec<Promise> {
    let mut found = Vec::new();
    for job in answer.split("\"id\":\"").skip(1) {
        let Some((id, about)) = job.split_once('"') else {
            continue;
        };
        if about.contains("\"new\":") {
            found.push(Promise::Pushed(id.to_owned()));
        } else if about.contains("\"state\":\"") {
            found.push(Promise::Pushed(id.to_owned()));
            if about.contains("\"state\":\"done\"") {
                found.push(Promise::Done(id.to_owned()));
            }
        }
    }
    for said in answer.split("{\"topic\":\"").skip(1) {
        let author = after(said, "\"author\":\"").and_then(|rest| rest.split('"').next());
        let seq = number(said, "\"last\":").or_else(|| number(said, "\"seq\":"));
        if let (Some(author), Some(seq)) = (author, seq) {
            let author = author.to_owned();
            found.push(Promise::Said { author, seq });
        }
    }
    if answer.contains("\"event\":\"granted\"")
        && let Some(fence) = number(answer, "\"fence\":")
    {
        found.push(Promise::Granted { fence });
    }
    found
}

fn after<'t>(text: &'t str, mark: &str) -> Option<&'t str> {
    text.split_once(mark).map(|(_before, rest)| rest)
}

fn number(text: &str, mark: &str) -> Option<u64> {
    let rest = after(text, mark)?;
    let end = rest.find(|letter: char| !letter.is_ascii_digit())?;
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_two_pieces_promises_when_it_is_whole() {
        let mut listener = Listener::default();
        let first =
            b"HTTP/1.1 200 OK\r\n\r\n{\"jobs\":[{\"id\":\"aa-1\",\"queue\":\"q\",\"new\":tr";
        let pushed = |id: &str| Promise::Pushed(id.to_owned());
        assert_eq!(listener.hear("5", first), [pushed("aa-1")]);
        let second = b"ue},{\"id\":\"aa-2\",\"queue\":\"q\",\"new\":true}]}";
        let heard = listener.hear("5", second);
        assert_eq!(heard, [pushed("aa-1"), pushed("aa-2")]);
        assert!(listener.hear("6", second).is_empty());
    }

    #[test]
    fn messages_locks_and_ends_are_understood() {
        let said = "{\"topic\":\"t\",\"author\":\"ab\",\"first\":7,\"last\":9,\"hlc\":\"1.0\"}";
        let author = "ab".to_owned();
        assert_eq!(promises(said), [Promise::Said { author, seq: 9 }]);
        let granted = "{\"event\":\"granted\",\"fence\":12,\"remaining_ms\":3}";
        assert_eq!(promises(granted), [Promise::Granted { fence: 12 }]);
        let listed = "{\"id\":\"ab-4\",\"queue\":\"q\",\"state\":\"done\"}";
        let id = "ab-4".to_owned();
        assert_eq!(
            promises(listed),
            [Promise::Pushed(id.clone()), Promise::Done(id)]
        );
    }
}

//! What jobs print: passed on as it comes, and its end kept.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc;

use crate::api::job_types::Attempt;

/// Where a job writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// How the output of jobs is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Raw,
    /// Line by line, each with the job before it.
    Named,
    /// An object for each line, on standard output.
    Json,
}

/// The way to this process's own output. A reader there that is slow slows down the jobs, nothing else.
#[derive(Clone)]
pub(super) struct Printer {
    form: Form,
    pieces: mpsc::Sender<(Stream, Vec<u8>)>,
}

impl Printer {
    /// Prints on a thread of its own until the last printer is gone; then the channel closes.
    pub(super) fn start(form: Form) -> (Self, mpsc::Receiver<()>) {
        let (pieces, mut incoming) = mpsc::channel::<(Stream, Vec<u8>)>(PIECES_AHEAD);
        let (ended, end) = mpsc::channel(1);
        std::thread::spawn(move || {
            while let Some((stream, bytes)) = incoming.blocking_recv() {
                // Nobody listening must not end a job.
                drop(write(stream, &bytes));
            }
            drop(ended);
        });
        (Self { form, pieces }, end)
    }

    /// A line for programs, in its place among the output; nothing for people.
    pub(super) fn tell(&self, object: &serde_json::Value) {
        if self.form == Form::Json {
            let (line, pieces) = (format!("{object}\n").into_bytes(), self.pieces.clone());
            tokio::spawn(async move { drop(pieces.send((Stream::Out, line)).await) });
        }
    }

    async fn print(&self, stream: Stream, bytes: Vec<u8>) {
        drop(self.pieces.send((stream, bytes)).await);
    }
}

fn write(stream: Stream, bytes: &[u8]) -> io::Result<()> {
    match stream {
        Stream::Out => {
            let mut out = io::stdout().lock();
            out.write_all(bytes)?;
            out.flush()
        }
        Stream::Err => io::stderr().lock().write_all(bytes),
    }
}

/// The end of what a job printed, on both streams together.
#[derive(Clone, Default)]
pub(super) struct Tail(Arc<Mutex<VecDeque<u8>>>);

impl Tail {
    pub(super) fn push(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(&bytes[bytes.len().saturating_sub(TAIL_LEN_MAX)..]);
        let excess = kept.len().saturating_sub(TAIL_LEN_MAX);
        kept.drain(..excess);
    }

    /// What was kept.
    pub(super) fn take(&self) -> Vec<u8> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = std::mem::take(&mut *kept);
        let mut bytes: Vec<u8> = kept.into();
        if bytes.len() == TAIL_LEN_MAX {
            // Cut off in the middle of a character, it would not be text any more.
            let is_inside = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
            let inside = bytes.iter().take(3).take_while(|byte| is_inside(byte));
            let inside = inside.count();
            bytes.drain(..inside);
        }
        bytes
    }
}

/// Whose output it is.
#[derive(Clone)]
pub(super) struct Source {
    /// Where it writes.
    pub(super) stream: Stream,
    /// The job.
    pub(super) id: String,
    /// Its attempt.
    pub(super) attempt: Attempt,
}

/// Copies what comes from a job until it ends.
pub(super) async fn copy(mut pipe: Receiver, source: Source, tail: Tail, printer: Printer) {
    use tokio::io::AsyncReadExt as _;
    let mut buffer = vec![0_u8; PIECE_LEN];
    let mut lines = Lines {
        rest: Vec::new(),
        form: printer.form,
        source,
    };
    while let Ok(len @ 1..) = pipe.read(&mut buffer).await {
        tail.push(&buffer[..len]);
        for (stream, piece) in lines.pieces(&buffer[..len]) {
            printer.print(stream, piece).await;
        }
    }
    if let Some((stream, piece)) = lines.last() {
        printer.print(stream, piece).await;
    }
}

/// Cuts output into what is printed at once: two jobs must not write into one line.
struct Lines {
    rest: Vec<u8>,
    form: Form,
    source: Source,
}

impl Lines {
    fn pieces(&mut self, bytes: &[u8]) -> Vec<(Stream, Vec<u8>)> {
        if self.form == Form::Raw {
            return vec![(self.source.stream, bytes.to_vec())];
        }
        self.rest.extend_from_slice(bytes);
        let end = match self.rest.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => end + 1,
            // A line without an end must not fill the memory.
            None if self.rest.len() >= LINE_LEN_MAX => self.rest.len(),
            None => return Vec::new(),
        };
        let rest = self.rest.split_off(end);
        let whole = std::mem::replace(&mut self.rest, rest);
        let lines = whole.split_inclusive(|byte| *byte == b'\n');
        lines.map(|line| self.named(line)).collect()
    }

    fn last(&mut self) -> Option<(Stream, Vec<u8>)> {
        let rest = std::mem::take(&mut self.rest);
        (!rest.is_empty()).then(|| self.named(&rest))
    }

    fn named(&self, line: &[u8]) -> (Stream, Vec<u8>) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let Source {
            stream,
            id,
            attempt,
        } = &self.source;
        if self.form == Form::Json {
            let object = json!({
                "event": "output",
                "id": id,
                "attempt": attempt,
                "stream": match stream { Stream::Out => "stdout", Stream::Err => "stderr" },
                "text": String::from_utf8_lossy(line),
            });
            return (Stream::Out, format!("{object}\n").into_bytes());
        }
        let mut named = format!("{}: ", crate::commands::short(id)).into_bytes();
        named.extend_from_slice(line);
        named.push(b'\n');
        (*stream, named)
    }
}

/// The end of its output that is stored with an attempt.
const TAIL_LEN_MAX: usize = 8 * 1024;
/// Read at once.
const PIECE_LEN: usize = 16 * 1024;
/// Pieces that wait for a slow reader.
const PIECES_AHEAD: usize = 64;
/// A line is cut there, if lines matter.
const LINE_LEN_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_output_is_kept() {
        let tail = Tail::default();
        tail.push(&vec![b'a'; 3 * TAIL_LEN_MAX]);
        tail.push(b"end");
        let kept = tail.take();
        assert_eq!(kept.len(), TAIL_LEN_MAX);
        assert!(kept.ends_with(b"aend"));
        assert_eq!(tail.take(), b"");
    }

    #[test]
    fn the_end_of_the_output_begins_with_a_whole_character() {
        let tail = Tail::default();
        tail.push("é".repeat(TAIL_LEN_MAX).as_bytes());
        tail.push(b"x");
        let kept = String::from_utf8(tail.take()).unwrap();
        assert_eq!(kept.len(), TAIL_LEN_MAX - 1);
    }

    fn lines(form: Form) -> Lines {
        Lines {
            rest: Vec::new(),
            form,
            source: Source {
                stream: Stream::Err,
                id: format!("{}-17", "3f2a".repeat(8)),
                attempt: Attempt {
                    fence: 7,
                    number: 1,
                },
            },
        }
    }

    #[test]
    fn whole_lines_get_the_name_of_their_job() {
        let mut named = lines(Form::Named);
        assert_eq!(named.pieces(b"a"), []);
        let piece = |text: &str| (Stream::Err, text.as_bytes().to_vec());
        assert_eq!(
            named.pieces(b"b\n\nc"),
            [piece("3f2a3f2a-17: ab\n"), piece("3f2a3f2a-17: \n")]
        );
        assert_eq!(named.last(), Some(piece("3f2a3f2a-17: c\n")));
        assert_eq!(named.last(), None);
        let mut raw = lines(Form::Raw);
        assert_eq!(raw.pieces(b"a"), [piece("a")]);
    }

    #[test]
    fn lines_are_objects_for_programs() {
        let mut json = lines(Form::Json);
        let pieces = json.pieces(b"a\x1b\n");
        assert_eq!(pieces.len(), 1);
        assert_eq!(pieces[0].0, Stream::Out);
        let object: serde_json::Value = serde_json::from_slice(&pieces[0].1).unwrap();
        assert_eq!(object["text"], "a\u{1b}");
        assert_eq!(object["stream"], "stderr");
    }
}

//! Standard input, a message per line.

use std::io::{self, BufRead, BufReader, Read as _};

use roda::BODY_LEN_MAX;
use tokio::sync::mpsc;

use crate::error::Failure;

/// Lines that arrived together, or what is wrong with the next one.
pub(super) type Chunk = Result<Vec<String>, Failure>;

/// Reads standard input on a thread of its own; the channel ends with the input or after a fault.
pub(super) fn chunks() -> mpsc::Receiver<Chunk> {
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    std::thread::spawn(move || {
        let input = BufReader::with_capacity(CHUNK_LEN_MAX, io::stdin());
        read_chunks(input, |chunk| sender.blocking_send(chunk).is_ok());
    });
    receiver
}

/// Cuts `input` into lines. Lines that are there already travel together; one that comes alone,
/// as from a keyboard, goes at once.
fn read_chunks<R: io::Read>(mut input: BufReader<R>, mut send: impl FnMut(Chunk) -> bool) {
    let mut lines = Vec::new();
    let mut len = 0;
    for number in 1_u64.. {
        let line = match read_line(&mut input, number) {
            Ok(Some(line)) => line,
            Ok(None) => {
                if !lines.is_empty() {
                    send(Ok(lines));
                }
                return;
            }
            Err(failure) => {
                if lines.is_empty() || send(Ok(lines)) {
                    send(Err(failure));
                }
                return;
            }
        };
        if !line.is_empty() {
            len += line.len();
            lines.push(line);
        }
        let is_more_here = input.buffer().contains(&b'\n');
        if !lines.is_empty() && (!is_more_here || len >= CHUNK_LEN_MAX) {
            len = 0;
            if !send(Ok(std::mem::take(&mut lines))) {
                return;
            }
        }
    }
}

/// The next line without its end; `None` at the end of the input.
fn read_line(input: &mut impl BufRead, number: u64) -> Result<Option<String>, Failure> {
    let mut line = Vec::new();
    // One byte for the line's end and one to see that the line is longer: never a line of 1 GB.
    let most = BODY_LEN_MAX as u64 + 2;
    input
        .take(most)
        .read_until(b'\n', &mut line)
        .map_err(|error| Failure::new("input").with("reason", error.to_string()))?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    if line.len() > BODY_LEN_MAX {
        return Err(Failure::new("line-too-long")
            .with("line", number)
            .with("most", BODY_LEN_MAX));
    }
    match String::from_utf8(line) {
        Ok(line) => Ok(Some(line)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to() + 1;
            Err(Failure::new("line-not-utf8")
                .with("line", number)
                .with("byte", at))
        }
    }
}

/// Bytes of lines that travel together; also how much is read at once.
pub(super) const CHUNK_LEN_MAX: usize = 64 * 1024;
/// Chunks that wait while one is stored; they are then stored together.
pub(super) const CHUNKS_AHEAD: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        read_chunks(BufReader::with_capacity(CHUNK_LEN_MAX, input), |chunk| {
            chunks.push(chunk);
            true
        });
        chunks
    }

    #[test]
    fn lines_travel_together_and_empty_ones_are_skipped() {
        let lines = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
        assert_eq!(read(b"a\n\nb\n\nc\n"), [Ok(lines)]);
        assert_eq!(read(b""), []);
        assert_eq!(read(b"\n\n"), []);
        let (first, last) = (vec!["a".to_owned()], vec!["no end".to_owned()]);
        assert_eq!(read(b"a\nno end"), [Ok(first), Ok(last)]);
    }

    #[test]
    fn a_fault_names_its_line_and_comes_after_the_good_ones() {
        let chunks = read(b"a\n\nb\xff\nc\n");
        assert_eq!(chunks[0], Ok(vec!["a".to_owned()]));
        let failure = chunks[1].clone().unwrap_err();
        assert_eq!(failure.code, "line-not-utf8");
        assert_eq!(failure.args["line"], 3_u64.into());
        assert_eq!(failure.args["byte"], 2_u64.into());
        assert_eq!(chunks.len(), 2);
    }

    #[test]
    fn the_longest_line_is_taken_and_a_longer_one_refused_before_it_is_read_whole() {
        let mut longest = vec![b'x'; BODY_LEN_MAX];
        longest.push(b'\n');
        assert_eq!(read(&longest)[0].as_ref().unwrap()[0].len(), BODY_LEN_MAX);
        let longer = vec![b'x'; 10 * 1024 * 1024];
        assert_eq!(read(&longer)[0].clone().unwrap_err().code, "line-too-long");
    }
}

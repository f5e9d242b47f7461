//! Standard input, a job for each line or part.

use std::io::{self, BufRead, BufReader, Read as _};

use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::{cron_text, delay_ms, moment};
use crate::api::blob::Blob;
use crate::api::job_checks::{key, payload};
use crate::api::job_types::{OnCrashReply, PAYLOAD_LEN_MAX, PushJob};
use crate::error::{Failure, Result};

/// How the input is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A payload in each line.
    Lines,
    /// An object in each line.
    JsonLines,
    /// A payload before each zero byte.
    Nulls,
}

impl Shape {
    const fn end(self) -> u8 {
        match self {
            Self::Lines | Self::JsonLines => b'\n',
            Self::Nulls => 0,
        }
    }

    const fn len_max(self) -> usize {
        match self {
            Self::Lines | Self::Nulls => PAYLOAD_LEN_MAX,
            // Six characters for each byte, as in “\u001b”, and the other fields.
            Self::JsonLines => PAYLOAD_LEN_MAX * 6 + 8 * 1024,
        }
    }
}

/// A line or part with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// From 1.
    pub(super) number: u64,
    /// Without its end.
    pub(super) bytes: Vec<u8>,
}

/// Parts that arrived together, or what is wrong with the next one.
pub(super) type Chunk = Result<Vec<Part>>;

/// Reads standard input on a thread of its own; the channel ends with the input or after a fault.
pub(super) fn parts(shape: Shape) -> mpsc::Receiver<Chunk> {
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    std::thread::spawn(move || {
        let input = BufReader::with_capacity(CHUNK_LEN_MAX, io::stdin());
        read_chunks(input, shape, |chunk| sender.blocking_send(chunk).is_ok());
    });
    receiver
}

/// Parts that are there already travel together; one that comes alone goes at once.
fn read_chunks<R: io::Read>(
    mut input: BufReader<R>,
    shape: Shape,
    mut send: impl FnMut(Chunk) -> bool,
) {
    let mut parts = Vec::new();
    let mut len = 0;
    for number in 1_u64.. {
        let bytes = match read_part(&mut input, shape, number) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                if !parts.is_empty() {
                    send(Ok(parts));
                }
                return;
            }
            Err(failure) => {
                if parts.is_empty() || send(Ok(parts)) {
                    send(Err(failure));
                }
                return;
            }
        };
        if !bytes.is_empty() {
            len += bytes.len();
            parts.push(Part { number, bytes });
        }
        let is_more_here = input.buffer().contains(&shape.end());
        if !parts.is_empty() && (!is_more_here || len >= CHUNK_LEN_MAX) {
            len = 0;
            if !send(Ok(std::mem::take(&mut parts))) {
                return;
            }
        }
    }
}

fn read_part(input: &mut impl BufRead, shape: Shape, number: u64) -> Result<Option<Vec<u8>>> {
    let most = shape.len_max();
    let mut bytes = Vec::new();
    // One byte for the end and one to see that it is longer: never a line of 1 GB.
    input
        .take(most as u64 + 2)
        .read_until(shape.end(), &mut bytes)
        .map_err(|error| Failure::new("input").with("reason", error.to_string()))?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.last() == Some(&shape.end()) {
        bytes.pop();
    }
    if bytes.len() > most {
        return Err(Failure::new("job-line-too-long")
            .with("line", number)
            .with("most", PAYLOAD_LEN_MAX));
    }
    Ok(Some(bytes))
}

/// A line of JSON.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonJob {
    payload: Blob,
    key: Option<String>,
    delay: Option<String>,
    at: Option<String>,
    cron: Option<String>,
    priority: Option<u8>,
    max_tries: Option<u16>,
    order_key: Option<String>,
    on_crash: Option<OnCrashReply>,
}

/// The job that a part means; what it does not say is as in `template`.
pub(super) fn job(part: Part, template: &PushJob, shape: Shape) -> Result<PushJob> {
    if shape != Shape::JsonLines {
        return Ok(PushJob {
            payload: part.bytes.into(),
            ..template.clone()
        });
    }
    let fault = |reason: String| {
        Failure::new("job-line-json")
            .with("line", part.number)
            .with("reason", reason)
    };
    let line: JsonJob =
        serde_json::from_slice(&part.bytes).map_err(|error| fault(error.to_string()))?;
    from_json(line, template).map_err(|failure| {
        // The number of the line helps more than the hint of the value.
        let catalogue = crate::i18n::Catalogue::new(crate::i18n::Language::English);
        fault(crate::output::words(&catalogue, &failure).0)
    })
}

fn from_json(line: JsonJob, template: &PushJob) -> Result<PushJob> {
    let wrong = |argument: &str, value: String| {
        Failure::new("usage-invalid-value")
            .with("argument", argument)
            .with("value", value)
    };
    for name in [&line.key, &line.order_key].into_iter().flatten() {
        key(name)?;
    }
    if let Some(priority) = line.priority.filter(|priority| *priority > 9) {
        return Err(wrong("priority", priority.to_string()));
    }
    let bytes = line.payload.into_bytes();
    let bytes = bytes.ok_or_else(|| wrong("payload", "hex".to_owned()))?;
    payload(&bytes)?;
    let conflict = |argument, other| {
        Failure::new("usage-conflict")
            .with("argument", argument)
            .with("other", other)
    };
    let (delay_ms, at, cron) = match (&line.delay, &line.at, &line.cron) {
        (None, None, None) => (
            template.delay_ms,
            template.at.clone(),
            template.cron.clone(),
        ),
        (Some(delay), None, None) => (Some(delay_ms(delay)?), None, None),
        (None, Some(at), None) => (None, Some(moment(at, Timestamp::now())?), None),
        (None, None, Some(cron)) => (None, None, Some(cron_text(cron)?)),
        (Some(_), Some(_), _) => return Err(conflict("at", "delay")),
        (Some(_), None, Some(_)) => return Err(conflict("cron", "delay")),
        (None, Some(_), Some(_)) => return Err(conflict("cron", "at")),
    };
    let order_key = line.order_key.or_else(|| template.order_key.clone());
    if cron.is_some() && order_key.is_some() {
        return Err(conflict("cron", "order_key"));
    }
    Ok(PushJob {
        payload: bytes.into(),
        key: line.key,
        delay_ms,
        at,
        cron,
        priority: line.priority.or(template.priority),
        max_tries: line.max_tries.or(template.max_tries),
        order_key,
        on_crash: line.on_crash.unwrap_or(template.on_crash),
    })
}

/// Bytes of parts that travel together; also how much is read at once.
const CHUNK_LEN_MAX: usize = 64 * 1024;
/// Chunks that wait while one is stored; they are then stored together.
pub(super) const CHUNKS_AHEAD: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8], shape: Shape) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        let input = BufReader::with_capacity(CHUNK_LEN_MAX, input);
        read_chunks(input, shape, |chunk| {
            chunks.push(chunk);
            true
        });
        chunks
    }

    fn part(number: u64, bytes: &[u8]) -> Part {
        Part {
            number,
            bytes: bytes.to_vec(),
        }
    }

    #[test]
    fn lines_or_parts_are_cut_and_empty_ones_skipped() {
        let lines = read(b"a\n\nb\xff\n", Shape::Lines);
        assert_eq!(lines, [Ok(vec![part(1, b"a"), part(3, b"b\xff")])]);
        let parts = read(b"a\nb\0c\0", Shape::Nulls);
        assert_eq!(parts, [Ok(vec![part(1, b"a\nb"), part(2, b"c")])]);
        let last = read(b"a\0no end", Shape::Nulls);
        assert_eq!(last[1], Ok(vec![part(2, b"no end")]));
    }

    #[test]
    fn a_line_that_is_no_payload_is_refused_after_the_good_ones() {
        let mut input = b"a\n".to_vec();
        input.extend(vec![b'x'; 1024 * 1024]);
        let chunks = read(&input, Shape::Lines);
        assert_eq!(chunks[0], Ok(vec![part(1, b"a")]));
        let failure = chunks[1].clone().unwrap_err();
        assert_eq!(failure.code, "job-line-too-long");
        assert_eq!(failure.args["line"], 2_u64.into());
    }

    #[test]
    fn a_line_of_json_says_what_differs_from_the_options() {
        let template = PushJob {
            priority: Some(7),
            delay_ms: Some(5),
            ..PushJob::default()
        };
        let parse = |text: &str| job(part(9, text.as_bytes()), &template, Shape::JsonLines);
        let pushed = parse(r#"{"payload":"x","key":"k","delay":"2s"}"#).unwrap();
        assert_eq!(pushed.key.as_deref(), Some("k"));
        assert_eq!((pushed.priority, pushed.delay_ms), (Some(7), Some(2000)));
        assert_eq!(parse(r#"{"payload":"x"}"#).unwrap().delay_ms, Some(5));
        for bad in [
            "x",
            "{}",
            r#"{"payload":"x","delay":"-1s"}"#,
            r#"{"payload":"x","priority":10}"#,
            r#"{"payload":"x","priorty":1}"#,
            r#"{"payload":"x","delay":"1s","at":"2999-01-01T00:00:00Z"}"#,
            r#"{"payload":"x","key":""}"#,
        ] {
            let failure = parse(bad).unwrap_err();
            assert_eq!(failure.code, "job-line-json", "{bad}");
            assert_eq!(failure.args["line"], 9_u64.into());
        }
    }
}

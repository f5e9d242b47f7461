//! `roda say`: appends messages; returns when they are durable here.

use std::env;

use roda::{BODY_LEN_MAX, LockName, Topic};

use super::App;
use super::input;
use crate::api::client::{Client, encoded};
use crate::api::types::{AppendReply, AppendRequest, MessageLine, StatusReply};
use crate::cli::SayArgs;
use crate::error::{Failure, Result};

/// Under which hold of a lock something is said.
pub(super) struct Fencing {
    lock: String,
    fence: u64,
}

pub(super) async fn run(app: &App, args: &SayArgs) -> Result<()> {
    let topic = args.topic.as_str();
    Topic::new(topic)?;
    let fencing = fencing(args, |name| env::var(name).ok())?;
    if args.text == ["-"] {
        return say_lines(app, topic, fencing.as_ref()).await;
    }
    let text = args.text.join(" ");
    if text.is_empty() {
        return Err(Failure::new("empty-text"));
    }
    if text.len() > BODY_LEN_MAX {
        return Err(roda::Error::TooLong(text.len()).into());
    }
    let mut client = app.connect().await?;
    let texts = vec![text.clone()];
    let reply = append(&mut client, topic, texts, fencing.as_ref()).await?;
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
        late: fencing.is_some().then_some(false),
        fence: fencing.as_ref().map(|fencing| fencing.fence),
        lock: fencing.map(|fencing| fencing.lock.into()),
        text: Some(text.into()),
        bytes: None,
    })
}

/// The hold that the options name; what they leave out comes from the environment that `roda lock`
/// gives to its command.
fn fencing(args: &SayArgs, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Fencing>> {
    if !args.fenced && args.fence.is_none() && args.lock.is_none() {
        return Ok(None);
    }
    let inherited = |name: &str| variable(name).ok_or_else(|| Failure::new("usage-fenced"));
    let fence = match args.fence {
        Some(fence) => fence,
        None => {
            let fence = inherited(FENCE)?;
            fence.parse().map_err(|_no_number| invalid(FENCE, &fence))?
        }
    };
    let lock = match &args.lock {
        Some(lock) => lock.to_string(),
        None => {
            let lock = inherited(LOCK)?;
            if lock.contains(',') {
                return Err(Failure::new("usage-fenced-lock").with("locks", lock));
            }
            LockName::new(&lock).map_err(|_bad| invalid(LOCK, &lock))?;
            lock
        }
    };
    Ok(Some(Fencing { lock, fence }))
}

fn invalid(variable: &str, value: &str) -> Failure {
    Failure::new("usage-invalid-value")
        .with("argument", variable)
        .with("value", value)
}

/// Appends texts in one request.
pub(super) async fn append(
    client: &mut Client,
    topic: &str,
    texts: Vec<String>,
    fencing: Option<&Fencing>,
) -> Result<AppendReply> {
    let path = format!("/v1/topics/{}/messages", encoded(topic));
    let request = AppendRequest {
        texts,
        lock: fencing.map(|fencing| fencing.lock.clone()),
        fence: fencing.map(|fencing| fencing.fence),
    };
    client.post(&path, &request).await
}

/// While one request is stored, the lines of the next are read; the busier, the larger they grow.
async fn say_lines(app: &App, topic: &str, fencing: Option<&Fencing>) -> Result<()> {
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
            match append(&mut client, topic, texts, fencing).await {
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

const FENCE: &str = "RODA_FENCE";
const LOCK: &str = "RODA_LOCK";

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of `--fenced`, `--fence` and `--lock` in an environment with these two variables.
    fn told(
        options: (bool, Option<u64>, Option<&str>),
        environment: [Option<&str>; 2],
    ) -> std::result::Result<Option<(String, u64)>, String> {
        let (fenced, fence, lock) = options;
        let args = SayArgs {
            topic: "t".to_owned(),
            text: Vec::new(),
            fenced,
            fence,
            lock: lock.map(|lock| LockName::new(lock).unwrap()),
        };
        let variable = |name: &str| {
            let index = usize::from(name == LOCK);
            environment[index].map(ToOwned::to_owned)
        };
        fencing(&args, variable)
            .map(|told| told.map(|fencing| (fencing.lock, fencing.fence)))
            .map_err(|failure| failure.code)
    }

    #[test]
    fn the_hold_comes_from_the_options_and_else_from_the_environment() {
        let inside = [Some("7"), Some("db")];
        let hold = |lock: &str, fence| Ok(Some((lock.to_owned(), fence)));
        assert_eq!(told((false, None, None), inside), Ok(None));
        assert_eq!(told((true, None, None), inside), hold("db", 7));
        assert_eq!(told((true, Some(9), None), inside), hold("db", 9));
        assert_eq!(told((false, None, Some("x")), inside), hold("x", 7));
        assert_eq!(told((false, Some(9), Some("x")), [None; 2]), hold("x", 9));
    }

    #[test]
    fn without_a_hold_nothing_fenced_is_said() {
        let code = |code: &str| Err(code.to_owned());
        assert_eq!(told((true, None, None), [None; 2]), code("usage-fenced"));
        assert_eq!(
            told((false, Some(9), None), [None; 2]),
            code("usage-fenced")
        );
        let several = [Some("7"), Some("a,b")];
        assert_eq!(told((true, None, None), several), code("usage-fenced-lock"));
        for wrong in [[Some("x"), Some("db")], [Some("7"), Some("a b")]] {
            assert_eq!(told((true, None, None), wrong), code("usage-invalid-value"));
        }
    }
}

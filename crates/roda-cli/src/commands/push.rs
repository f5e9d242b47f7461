//! `roda push`: adds jobs to a queue; returns when they are durable here, or on as many members as wanted.

mod copies;
mod input;

use std::io::{IsTerminal as _, Read as _};

use jiff::Timestamp;

use self::copies::{Last, Wish};
use self::input::{Part, Shape};
use super::App;
use crate::api::client::{Client, encoded};
use crate::api::job_checks::{copies as copies_of, cron, key, payload, queue_name};
use crate::api::job_types::{OnCrashReply, PAYLOAD_LEN_MAX, PushJob, PushReply, PushRequest};
use crate::cli::PushArgs;
use crate::cli::parse::{duration, future};
use crate::error::{Failure, Result};

pub(super) async fn run(app: &App, args: &PushArgs) -> Result<()> {
    queue_name(&args.queue)?;
    let template = template(args, Timestamp::now())?;
    let wish = wish(args)?;
    let path = format!("/v1/queues/{}/jobs", encoded(&args.queue));
    let mut last = Last::default();
    if let Some(shape) = shape(app, args)? {
        copies::check(app, &wish).await?;
        push_parts(app, &path, &template, shape, &mut last).await?;
        return copies::wait(app, &wish, last).await;
    }
    let bytes = match args.payload.as_deref() {
        Some(text) if text != "-" => text.as_bytes().to_vec(),
        None if std::io::stdin().is_terminal() => return Err(Failure::new("usage-no-payload")),
        Some(_) | None => whole_input()?,
    };
    payload(&bytes)?;
    let job = PushJob {
        payload: bytes.into(),
        ..template
    };
    copies::check(app, &wish).await?;
    let mut client = app.connect().await?;
    push(app, &mut client, &path, vec![job], &mut last).await?;
    copies::wait(app, &wish, last).await
}

/// How many members are to have the jobs.
fn wish(args: &PushArgs) -> Result<Wish> {
    let text = args.copies.as_deref().unwrap_or("local");
    Ok(Wish {
        copies: copies_of(text)?,
        text: text.to_owned(),
        timeout: args.wait.as_deref().map(duration).transpose()?,
    })
}

/// How standard input is cut into jobs; `None` if it is not.
fn shape(app: &App, args: &PushArgs) -> Result<Option<Shape>> {
    let (shape, option) = match (args.lines, args.is_null) {
        (true, _) if app.ui.json => (Shape::JsonLines, "--lines"),
        (true, _) => (Shape::Lines, "--lines"),
        (false, true) => (Shape::Nulls, "--null"),
        (false, false) => return Ok(None),
    };
    if args.payload.as_deref().is_some_and(|text| text != "-") {
        return Err(Failure::new("usage-conflict")
            .with("argument", "[PAYLOAD]")
            .with("other", option));
    }
    Ok(Some(shape))
}

/// What the options say about every job.
fn template(args: &PushArgs, now: Timestamp) -> Result<PushJob> {
    for name in [&args.key, &args.order_key].into_iter().flatten() {
        key(name)?;
    }
    if args.key.is_some() && (args.lines || args.is_null) {
        // All but the first would be the same job.
        return Err(Failure::new("usage-conflict")
            .with("argument", "--key <KEY>")
            .with("other", if args.lines { "--lines" } else { "--null" }));
    }
    let on_crash = match args.on_crash.as_deref() {
        Some("retry") => OnCrashReply::Retry,
        Some("hold") => OnCrashReply::Hold,
        _ => OnCrashReply::Resume,
    };
    Ok(PushJob {
        payload: Vec::new().into(),
        key: args.key.clone(),
        delay_ms: args.delay.as_deref().map(delay_ms).transpose()?,
        at: args.at.as_deref().map(|at| moment(at, now)).transpose()?,
        cron: args.cron.as_deref().map(cron_text).transpose()?,
        priority: args.priority,
        max_tries: args.max_tries,
        order_key: args.order_key.clone(),
        on_crash,
    })
}

fn delay_ms(delay: &str) -> Result<u64> {
    Ok(u64::try_from(duration(delay)?.as_millis()).unwrap_or(u64::MAX))
}

fn cron_text(text: &str) -> Result<String> {
    Ok(cron(text)?.to_string())
}

fn moment(at: &str, now: Timestamp) -> Result<String> {
    Ok(future(at, now)?.to_string())
}

/// All of standard input, as far as a payload can reach and one byte more.
fn whole_input() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(PAYLOAD_LEN_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::new("input").with("reason", error.to_string()))?;
    Ok(bytes)
}

/// While one request is stored, the parts of the next are read; the busier, the larger they grow.
async fn push_parts(
    app: &App,
    path: &str,
    template: &PushJob,
    shape: Shape,
    last: &mut Last,
) -> Result<()> {
    let mut client = app.connect().await?;
    let mut input = input::parts(shape);
    let mut chunks = Vec::new();
    let mut stored: usize = 0;
    let result = loop {
        if input.recv_many(&mut chunks, input::CHUNKS_AHEAD).await == 0 {
            break Ok(());
        }
        let mut jobs = Vec::new();
        let mut fault = None;
        for part in chunks.drain(..).flatten_parts() {
            match part.and_then(|part| input::job(part, template, shape)) {
                Ok(job) => jobs.push(job),
                Err(failure) => {
                    fault = Some(failure);
                    break;
                }
            }
        }
        let count = jobs.len();
        if count > 0 {
            if let Err(failure) = push(app, &mut client, path, jobs, last).await {
                break Err(failure);
            }
            stored += count;
        }
        if let Some(failure) = fault {
            break Err(failure.with("stored", stored));
        }
    };
    if result.is_err() {
        app.ui
            .note(&app.ui.text("push-stored", &[("count", stored.into())]));
    }
    result
}

async fn push(
    app: &App,
    client: &mut Client,
    path: &str,
    jobs: Vec<PushJob>,
    last: &mut Last,
) -> Result<()> {
    let reply: PushReply = client.post(path, &PushRequest { jobs }).await?;
    let mut out = String::new();
    for job in &reply.jobs {
        last.add(job);
        if app.ui.json {
            out.push_str(&serde_json::to_string(job).expect("results are plain data"));
        } else {
            out.push_str(&job.id);
        }
        out.push('\n');
    }
    app.ui.raw(out.as_bytes())
}

/// Chunks one after the other, each either parts or what is wrong with the next one.
trait FlattenParts {
    fn flatten_parts(self) -> impl Iterator<Item = Result<Part>>;
}

impl<I: Iterator<Item = input::Chunk>> FlattenParts for I {
    fn flatten_parts(self) -> impl Iterator<Item = Result<Part>> {
        self.flat_map(|chunk| match chunk {
            Ok(parts) => parts.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(failure) => vec![Err(failure)],
        })
    }
}

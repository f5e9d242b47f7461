//! `roda jobs`: which jobs there are, once or again and again.

pub(super) mod table;

use std::io::IsTerminal as _;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::App;
use super::screen::redraw;
use crate::api::client::{Client, encoded};
use crate::api::job_checks::queue_name;
use crate::api::job_types::{JobReply, JobsReply};
use crate::cli::JobsArgs;
use crate::error::Result;

pub(super) async fn run(app: &App, args: &JobsArgs) -> Result<()> {
    let mut query = String::new();
    if let Some(queue) = &args.queue {
        queue_name(queue)?;
        query.push_str(&format!("queue={}&", encoded(queue)));
    }
    if let Some(state) = &args.state {
        query.push_str(&format!("state={state}&"));
    }
    let most = if args.lines == 0 {
        usize::MAX
    } else {
        args.lines
    };
    let mut client = app.connect().await?;
    if args.watch {
        return watch(app, &mut client, &query, most).await;
    }
    if app.ui.json {
        return print_all(app, &mut client, &query, most).await;
    }
    let (jobs, has_more) = collect(&mut client, &query, most).await?;
    app.ui.raw(table::text(&app.ui, &jobs).as_bytes())?;
    if has_more {
        let count = [("count", jobs.len().into())];
        app.ui.note(&app.ui.text("jobs-more", &count));
    }
    Ok(())
}

/// A page of at most `most` jobs.
async fn page(
    client: &mut Client,
    query: &str,
    most: usize,
    after: Option<&str>,
) -> Result<JobsReply> {
    let mut path = format!("/v1/jobs?{query}limit={}", most.min(PAGE_LEN));
    if let Some(after) = after {
        path.push_str(&format!("&after={}", encoded(after)));
    }
    client.get(&path).await
}

/// At most `most` jobs, and whether there are more.
async fn collect(client: &mut Client, query: &str, most: usize) -> Result<(Vec<JobReply>, bool)> {
    let mut jobs = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let reply = page(client, query, most - jobs.len(), next.as_deref()).await?;
        let is_end = reply.jobs.is_empty() || reply.next.is_none();
        jobs.extend(reply.jobs);
        next = reply.next;
        if is_end || jobs.len() >= most {
            return Ok((jobs, !is_end));
        }
    }
}

/// Prints page by page: a million jobs need not fit into memory.
async fn print_all(app: &App, client: &mut Client, query: &str, most: usize) -> Result<()> {
    let mut left = most;
    let mut next: Option<String> = None;
    loop {
        let reply = page(client, query, left, next.as_deref()).await?;
        let mut lines = Vec::new();
        for job in &reply.jobs {
            serde_json::to_writer(&mut lines, job).expect("a job is plain data");
            lines.push(b'\n');
        }
        app.ui.raw(&lines)?;
        left = left.saturating_sub(reply.jobs.len());
        next = reply.next;
        if left == 0 || reply.jobs.is_empty() || next.is_none() {
            return Ok(());
        }
    }
}

/// Goes on until it is ended.
async fn watch(app: &App, client: &mut Client, query: &str, most: usize) -> Result<()> {
    let is_terminal = !app.ui.json && std::io::stdout().is_terminal();
    let mut tick = interval(WATCH_STEP);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if app.ui.json {
            print_all(app, client, query, most).await?;
            continue;
        }
        let (jobs, _more) = collect(client, query, most).await?;
        let text = table::text(&app.ui, &jobs);
        if is_terminal {
            redraw(&app.ui, &text)?;
        } else {
            app.ui.raw(format!("{text}\n").as_bytes())?;
        }
    }
}

const WATCH_STEP: Duration = Duration::from_millis(500);
/// Jobs of one request.
const PAGE_LEN: usize = 1000;

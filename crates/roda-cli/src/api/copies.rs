//! The route that tells how many members have a job.

use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path as UrlPath, Query, State};
use axum::response::Response;
use roda::{Copies, CopyCount};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::handlers::{Refused, Shareable, params};
use super::job_backend as backend;
use super::job_checks::{copies, job_id};
use super::lines::{self, Lines};
use crate::error::Failure;

/// How many are wanted, and for how long.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CopiesParams {
    /// A number, `majority` or `local`; absent: `local`.
    at_least: Option<String>,
    /// At most so long; absent: for ever.
    timeout_ms: Option<u64>,
}

/// How many members durably have a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CopiesReply {
    /// The job.
    pub(crate) id: String,
    /// So many, this node included.
    pub(crate) copies: u32,
    /// Of these so many were asked for.
    pub(crate) wanted: u32,
    /// So many members there are.
    pub(crate) members: u32,
}

/// A line each time more members have it; the body ends when enough have it, or with the time.
pub(super) async fn copies_of(
    State(shared): Shareable,
    UrlPath(id): UrlPath<String>,
    wish: Result<Query<CopiesParams>, QueryRejection>,
) -> Result<Response, Refused> {
    let wish = params(wish)?;
    let copies = wish.at_least.as_deref().map(copies).transpose()?;
    let timeout = wish.timeout_ms.map(Duration::from_millis);
    let (id, watched) = backend::copies(&shared, job_id(&id)?).await?;
    Ok(lines::told(shared, timeout, |lines| async move {
        tell(id, watched, copies.unwrap_or_default(), &lines).await
    }))
}

async fn tell(
    id: String,
    mut watched: watch::Receiver<CopyCount>,
    copies: Copies,
    lines: &Lines,
) -> Result<(), Failure> {
    // A majority of those who are members now.
    let wanted = copies.of(watched.borrow().members);
    loop {
        let CopyCount { have, members } = *watched.borrow_and_update();
        let reply = CopiesReply {
            id: id.clone(),
            copies: have,
            wanted,
            members,
        };
        let mut line = serde_json::to_vec(&reply).expect("numbers are plain data");
        line.push(b'\n');
        if lines.send(Ok(line.into())).await.is_err() || have >= wanted {
            return Ok(());
        }
        let changed = watched.changed().await;
        changed.map_err(|_stopped| Failure::from(roda::Error::Stopped))?;
    }
}

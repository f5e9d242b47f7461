//! For how long this node lists finished jobs of a queue.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path as UrlPath, State};
use roda::job::Retention;
use serde::{Deserialize, Serialize};

use super::handlers::{Reply, Shareable, parsed};
use super::job_backend::{handle, unknown_queue};
use super::job_checks::queue_name;

/// Both times in milliseconds since the last word about a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RetentionReply {
    /// Whose.
    pub(crate) queue: String,
    /// Of jobs that are done or cancelled.
    pub(crate) done_ms: u64,
    /// Of dead ones.
    pub(crate) dead_ms: u64,
}

/// What is to be another time; the rest stays.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetentionRequest {
    /// Of jobs that are done or cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) done_ms: Option<u64>,
    /// Of dead ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dead_ms: Option<u64>,
}

/// The present times.
pub(super) async fn get(
    State(shared): Shareable,
    UrlPath(name): UrlPath<String>,
) -> Reply<RetentionReply> {
    let queue = queue_name(&name)?;
    let retention = handle(&shared, &queue)?.retention().await;
    let retention = retention.map_err(crate::error::Failure::from)?;
    Ok(Json(reply(
        name,
        retention.ok_or_else(|| unknown_queue(&queue))?,
    )))
}

/// Other times, from the next look at old jobs on.
pub(super) async fn set(
    State(shared): Shareable,
    UrlPath(name): UrlPath<String>,
    body: Result<Json<RetentionRequest>, JsonRejection>,
) -> Reply<RetentionReply> {
    let queue = queue_name(&name)?;
    let wanted = parsed(body)?;
    let handle = handle(&shared, &queue)?;
    let known = handle
        .retention()
        .await
        .map_err(crate::error::Failure::from)?;
    let known = known.ok_or_else(|| unknown_queue(&queue))?;
    let retention = Retention {
        over: wanted.done_ms.map_or(known.over, Duration::from_millis),
        dead: wanted.dead_ms.map_or(known.dead, Duration::from_millis),
    };
    let is_set = handle.set_retention(retention).await;
    match is_set.map_err(crate::error::Failure::from)? {
        // As it holds: not every time that can be said can be kept.
        true => get(State(shared), UrlPath(name)).await,
        false => Err(unknown_queue(&queue).into()),
    }
}

fn reply(queue: String, retention: Retention) -> RetentionReply {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    RetentionReply {
        queue,
        done_ms: millis(retention.over),
        dead_ms: millis(retention.dead),
    }
}

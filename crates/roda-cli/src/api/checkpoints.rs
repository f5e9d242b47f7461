//! The routes of checkpoints: in JSON, and as the bare bytes of a state.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, JsonRejection, QueryRejection};
use axum::extract::{Path as UrlPath, Query, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::handlers::{Refused, Reply, Shareable, params, parsed};
use super::job_backend::{self as backend, Checkpoint};
use super::job_checks::{checkpoint, job_id};
use super::job_types::{
    Attempt, CheckpointParams, CheckpointRequest, LoadReply, SKIPPED_HEADER, STATE_LEN_MAX,
};
use super::server::Shared;
use crate::error::Failure;

pub(super) async fn save(
    State(shared): Shareable,
    UrlPath(id): UrlPath<String>,
    body: Result<Json<CheckpointRequest>, JsonRejection>,
) -> Reply<Value> {
    let id = job_id(&id)?;
    let wish = parsed(body)?;
    let state = wish.state.into_bytes().ok_or_else(|| {
        Failure::new("request-body").with("reason", "state: text or hexadecimal digits")
    })?;
    let saved = Checkpoint {
        state,
        done: wish.done,
        total: wish.total,
    };
    keep(&shared, id, wish.attempt, saved).await
}

pub(super) async fn save_state(
    State(shared): Shareable,
    UrlPath(id): UrlPath<String>,
    query: Result<Query<CheckpointParams>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Reply<Value> {
    let id = job_id(&id)?;
    let wish = params(query)?;
    let state = body.map_err(|fault| match fault {
        BytesRejection::FailedToBufferBody(fault) if fault.status() == TOO_LARGE => {
            Failure::new("checkpoint-too-long").with("most", STATE_LEN_MAX)
        }
        other => Failure::new("request-body").with("reason", other.body_text()),
    })?;
    let saved = Checkpoint {
        state: state.into(),
        done: wish.done,
        total: wish.total,
    };
    keep(&shared, id, wish.attempt, saved).await
}

async fn keep(shared: &Shared, id: &str, attempt: Attempt, saved: Checkpoint) -> Reply<Value> {
    checkpoint(&saved.state)?;
    backend::save_checkpoint(shared, id, attempt, saved).await?;
    Ok(Json(json!({})))
}

pub(super) async fn load(
    State(shared): Shareable,
    UrlPath(id): UrlPath<String>,
) -> Reply<LoadReply> {
    let loaded = backend::load_checkpoint(&shared, job_id(&id)?).await?;
    Ok(Json(loaded.into()))
}

pub(super) async fn load_state(
    State(shared): Shareable,
    UrlPath(id): UrlPath<String>,
) -> Result<Response, Refused> {
    let loaded = backend::load_checkpoint(&shared, job_id(&id)?).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (SKIPPED_HEADER, loaded.skipped.to_string()),
    ];
    let state = loaded.checkpoint.map(|saved| saved.state);
    Ok((headers, state.unwrap_or_default()).into_response())
}

const TOO_LARGE: axum::http::StatusCode = axum::http::StatusCode::PAYLOAD_TOO_LARGE;

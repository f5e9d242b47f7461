//! One function per route.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path as UrlPath, Query, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use roda::{Fence, HistoryQuery, Hlc, LockName, Message, Topic};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::follow::{ChannelStream, follow};
use super::server::Shared;
use super::types::{
    AppendReply, AppendRequest, HistoryParams, InviteReply, InviteRequest, MemberReply,
    MessageLine, MirrorParams, MirrorReply, MirrorRequest, RemoveReply, StatusReply, TopicReply,
    VerifyReply,
};
use crate::error::Failure;
use crate::i18n::{Catalogue, Language};
use crate::output::words;

pub(super) type Shareable = State<Arc<Shared>>;
pub(super) type Reply<T> = Result<Json<T>, Refused>;

/// A failure on its way to the client.
pub(crate) struct Refused(Failure);

impl<T: Into<Failure>> From<T> for Refused {
    fn from(failure: T) -> Self {
        Self(failure.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let code = self.0.code.as_str();
        let status = match code {
            "not-found" => StatusCode::NOT_FOUND,
            "old-fence" | "fence-not-held" => StatusCode::CONFLICT,
            "disk-full" | "checkpoints-full" => StatusCode::INSUFFICIENT_STORAGE,
            "stopped" => StatusCode::SERVICE_UNAVAILABLE,
            "lock-no-quorum" | "lock-no-leader" => StatusCode::SERVICE_UNAVAILABLE,
            "lock-not-held" | "lock-busy" | "lock-held-by-parent" => StatusCode::CONFLICT,
            "job-key-conflict" | "job-ended" | "job-not-ended" | "job-is-duplicate"
            | "job-attempt-over" => StatusCode::CONFLICT,
            "too-long" | "empty-text" | "checkpoint-too-long" => StatusCode::BAD_REQUEST,
            _ if ["topic-", "request-", "lock-name-", "queue-", "job-"]
                .iter()
                .any(|kind| code.starts_with(kind)) =>
            {
                StatusCode::BAD_REQUEST
            }
            _ if code.starts_with("unknown-") => StatusCode::NOT_FOUND,
            _ if code.starts_with("ambiguous-") => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let (message, _hint) = words(&Catalogue::new(Language::English), &self.0);
        let body = json!({"error": {
            "code": self.0.code, "args": self.0.args, "message": message,
        }});
        (status, Json(body)).into_response()
    }
}

pub(super) fn parsed<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Refused> {
    match body {
        Ok(Json(value)) => Ok(value),
        Err(fault) => Err(Failure::new("request-body")
            .with("reason", fault.body_text())
            .into()),
    }
}

pub(super) fn params<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Refused> {
    match query {
        Ok(Query(value)) => Ok(value),
        Err(fault) => Err(Failure::new("request-query")
            .with("reason", fault.body_text())
            .into()),
    }
}

pub(crate) async fn unknown() -> Refused {
    Failure::new("not-found").into()
}

pub(crate) async fn status(State(shared): Shareable) -> Reply<StatusReply> {
    let home = shared.home.display().to_string();
    let socket = shared.socket.display().to_string();
    let status = shared.node.status().await?;
    Ok(Json(StatusReply::new(status, home, socket)))
}

pub(crate) async fn members(State(shared): Shareable) -> Reply<Vec<MemberReply>> {
    let members = shared.node.members().await?;
    Ok(Json(members.into_iter().map(Into::into).collect()))
}

pub(crate) async fn remove(
    State(shared): Shareable,
    UrlPath(member): UrlPath<String>,
) -> Reply<RemoveReply> {
    let removed = shared.node.remove(&member).await?.to_hex();
    Ok(Json(RemoveReply { removed }))
}

pub(crate) async fn invite(
    State(shared): Shareable,
    body: Result<Json<InviteRequest>, JsonRejection>,
) -> Reply<InviteReply> {
    let wish = parsed(body)?;
    let lifetime = Duration::from_millis(wish.lifetime_ms);
    let token = shared.node.invite(wish.uses, lifetime).await?;
    let expires = i64::try_from(token.expires.0)
        .ok()
        .and_then(|millis| Timestamp::from_millisecond(millis).ok())
        .unwrap_or(Timestamp::MAX);
    Ok(Json(InviteReply {
        token: token.to_string(),
        uses: wish.uses,
        expires: format!("{expires:.3}"),
    }))
}

pub(crate) async fn leave(State(shared): Shareable) -> Reply<Value> {
    shared.node.leave().await?;
    Ok(Json(json!({})))
}

pub(crate) async fn shutdown(State(shared): Shareable) -> Reply<Value> {
    shared.stop.notify_one();
    // The answer means that everything is on disk and the home is free.
    shared.node.stopped().await?;
    Ok(Json(json!({})))
}

pub(crate) async fn topics(State(shared): Shareable) -> Reply<Vec<TopicReply>> {
    let topics = shared.node.topics().await?.into_iter();
    let topics = topics.map(|topic| TopicReply {
        topic: topic.topic.to_string(),
        messages: topic.entries,
        last: super::types::time_text(topic.last),
    });
    Ok(Json(topics.collect()))
}

pub(crate) async fn append(
    State(shared): Shareable,
    UrlPath(topic): UrlPath<String>,
    body: Result<Json<AppendRequest>, JsonRejection>,
) -> Reply<AppendReply> {
    let topic = Topic::new(&topic)?;
    let AppendRequest { texts, lock, fence } = parsed(body)?;
    let hold = hold(lock, fence)?;
    let bodies: Vec<Vec<u8>> = texts.into_iter().map(Into::into).collect();
    // All or nothing: a fault must not leave half of a request stored.
    if bodies.is_empty() || bodies.iter().any(Vec::is_empty) {
        return Err(Failure::new("empty-text").into());
    }
    if let Some(body) = bodies.iter().find(|body| body.len() > roda::BODY_LEN_MAX) {
        return Err(roda::Error::TooLong(body.len()).into());
    }
    let node = shared.node.node_id().to_hex();
    let handle = shared.node.topic(topic.clone());
    let receipt = match hold {
        None => handle.append_all(bodies).await?,
        Some((lock, fence)) => {
            let Some(seen) = shared.node.held_frontier(&lock, fence) else {
                return Err(Failure::new("fence-not-held")
                    .with("lock", lock.as_str())
                    .with("fence", fence.0)
                    .into());
            };
            handle.append_fenced(lock, fence, seen, bodies).await?
        }
    };
    Ok(Json(AppendReply::new(topic.to_string(), node, &receipt)))
}

fn hold(lock: Option<String>, fence: Option<u64>) -> Result<Option<(LockName, Fence)>, Refused> {
    let fault = |reason: String| Failure::new("request-body").with("reason", reason).into();
    match (lock, fence) {
        (None, None) => Ok(None),
        (Some(lock), Some(fence)) => match LockName::new(&lock) {
            Ok(lock) => Ok(Some((lock, Fence(fence)))),
            Err(error) => Err(fault(error.to_string())),
        },
        (Some(_), None) | (None, Some(_)) => Err(fault("lock and fence go together".to_owned())),
    }
}

fn query(params: &HistoryParams) -> HistoryQuery {
    HistoryQuery {
        since: params.since.map(Hlc),
        last: params.last,
    }
}

pub(crate) async fn history(
    State(shared): Shareable,
    UrlPath(topic): UrlPath<String>,
    wish: Result<Query<HistoryParams>, QueryRejection>,
) -> Result<Response, Refused> {
    let query = query(&params(wish)?);
    let topic = shared.node.topic(Topic::new(&topic)?);
    let mut history = topic.history(query).await?;
    let (sender, receiver) = mpsc::channel(PAGES_AHEAD);
    tokio::spawn(async move {
        loop {
            let page = match history.next_page().await {
                Ok(page) if page.is_empty() => return,
                Ok(page) => Ok(lines(&page)),
                Err(error) => Err(error),
            };
            let is_end = page.is_err();
            // An error cuts the body off, so that the client cannot take it for the whole.
            if sender.send(page).await.is_err() || is_end {
                return;
            }
        }
    });
    let body = Body::from_stream(ChannelStream(receiver));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

fn lines(page: &[Message]) -> Bytes {
    let mut text = Vec::with_capacity(page.len() * 256);
    for message in page {
        serde_json::to_writer(&mut text, &MessageLine::from(message))
            .expect("a message is plain data");
        text.push(b'\n');
    }
    text.into()
}

pub(crate) async fn events(
    State(shared): Shareable,
    UrlPath(topic): UrlPath<String>,
    wish: Result<Query<HistoryParams>, QueryRejection>,
) -> Result<Response, Refused> {
    let query = query(&params(wish)?);
    let topic = shared.node.topic(Topic::new(&topic)?);
    let (pages, mut incoming) = mpsc::channel(PAGES_AHEAD);
    let (sender, receiver) = mpsc::channel(EVENTS_AHEAD);
    let node = shared.node.clone();
    tokio::spawn(async move {
        // A reader must not keep a stopped node's process from ending.
        let ended = tokio::select! {
            ended = follow(topic, query, pages) => ended,
            ended = node.stopped() => ended,
        };
        if let Err(error) = ended {
            tracing::warn!(%error, "a reader could not be served");
        }
    });
    tokio::spawn(async move {
        while let Some(page) = incoming.recv().await {
            for event in page_events(&page) {
                if sender.send(Ok::<_, Infallible>(event)).await.is_err() {
                    return;
                }
            }
        }
    });
    let stream = Sse::new(ChannelStream(receiver)).keep_alive(KeepAlive::default());
    Ok(stream.into_response())
}

fn page_events(page: &[Message]) -> Vec<Event> {
    if page.is_empty() {
        return vec![Event::default().event("live").data("{}")];
    }
    let events = page.iter().map(|message| {
        let data =
            serde_json::to_string(&MessageLine::from(message)).expect("a message is plain data");
        Event::default().event("message").data(data)
    });
    events.collect()
}

pub(crate) async fn mirrors(State(shared): Shareable) -> Reply<Vec<MirrorReply>> {
    let mirrors = shared.node.mirrors().await?.into_iter();
    let mirrors = mirrors.map(|mirror| MirrorReply {
        topic: mirror.topic.to_string(),
        path: mirror.path.display().to_string(),
        messages: mirror.entries,
        bytes: mirror.bytes,
        waiting: mirror.waiting,
        error: mirror.error,
    });
    Ok(Json(mirrors.collect()))
}

pub(crate) async fn mirror(
    State(shared): Shareable,
    body: Result<Json<MirrorRequest>, JsonRejection>,
) -> Reply<Value> {
    let wish = parsed(body)?;
    let path = absolute(&wish.path)?;
    shared.node.mirror(Topic::new(&wish.topic)?, path).await?;
    Ok(Json(json!({})))
}

pub(crate) async fn unmirror(
    State(shared): Shareable,
    wish: Result<Query<MirrorParams>, QueryRejection>,
) -> Reply<Value> {
    let wish = params(wish)?;
    let path = absolute(&wish.path)?;
    if shared.node.unmirror(path).await? {
        Ok(Json(json!({})))
    } else {
        Err(Failure::new("unknown-mirror").with("path", path).into())
    }
}

fn absolute(path: &str) -> Result<&Path, Refused> {
    let path = Path::new(path);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(Failure::new("request-path").with("path", path).into())
    }
}

pub(crate) async fn verify(State(shared): Shareable) -> Reply<VerifyReply> {
    Ok(Json(shared.node.verify().await?.into()))
}

/// Pages that wait for a slow reader; a page has at most a few hundred messages.
const PAGES_AHEAD: usize = 4;
/// Events that wait for a slow reader.
const EVENTS_AHEAD: usize = 64;

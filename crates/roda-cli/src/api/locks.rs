//! The routes of locks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path as UrlPath, Query, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use roda::{LockInfo, LockName, NodeId, Permits, Priority, Topic};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::follow::ChannelStream;
use super::handlers::{Refused, Reply, Shareable, params, parsed};
use super::lock_types::{
    ChildRequest, HoldRequest, HolderReply, LockParams, LockReply, LocksReply, NodeName,
    ReleasedReply, WaiterReply, permits,
};
use crate::error::{Failure, Result as CommandResult};
use crate::holds::{self, Wish};

/// Checks the names of one request.
///
/// # Errors
/// Says which name is wrong and why.
pub(crate) fn lock_names(names: &[impl AsRef<str>]) -> CommandResult<Vec<LockName>> {
    if names.len() > roda::LOCKS_PER_REQUEST_MAX {
        return Err(Failure::new("lock-name-too-many")
            .with("count", names.len())
            .with("most", roda::LOCKS_PER_REQUEST_MAX));
    }
    let mut parsed: Vec<LockName> = Vec::new();
    for name in names {
        let name = LockName::new(name.as_ref())?;
        if parsed.contains(&name) {
            return Err(Failure::new("lock-name-twice").with("lock", name.as_str()));
        }
        parsed.push(name);
    }
    if parsed.is_empty() {
        return Err(Failure::new("lock-name-empty"));
    }
    Ok(parsed)
}

pub(super) async fn acquire(
    State(shared): Shareable,
    body: Result<Json<HoldRequest>, JsonRejection>,
) -> Result<Response, Refused> {
    let wish = parsed(body)?;
    let names = lock_names(&wish.locks)?;
    let mut request = shared
        .node
        .locks(names.clone())
        .priority(priority(wish.priority)?)
        .permits(wanted_permits(&wish)?);
    for topic in &wish.fresh {
        // Whatever was written under the lock comes along, whichever topics it is in.
        Topic::new(topic)?;
        request = request.fresh();
    }
    let wait = wish.wait_ms.map(Duration::from_millis);
    let hold = shared.holds.begin(names, &wish.inside)?;
    let (events, stream) = mpsc::channel(EVENTS_AHEAD);
    tokio::spawn(holds::run(
        Arc::clone(&shared),
        hold,
        Wish { request, wait },
        events,
    ));
    let body = Body::from_stream(ChannelStream(stream));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

fn priority(value: u8) -> Result<Priority, Failure> {
    let fault = || Failure::new("request-body").with("reason", "priority: 0 to 9");
    Priority::new(value).ok_or_else(fault)
}

fn wanted_permits(wish: &HoldRequest) -> Result<Permits, Failure> {
    let fault = |reason: &str| Failure::new("request-body").with("reason", reason);
    match (wish.shared, wish.permits) {
        (true, Some(_)) => Err(fault("shared or permits, not both")),
        (true, None) => Ok(Permits::SHARED),
        (false, None) => Ok(Permits::EXCLUSIVE),
        (false, Some(count)) => Permits::new(count).ok_or_else(|| fault("permits: at least 1")),
    }
}

pub(super) async fn register(
    State(shared): Shareable,
    UrlPath(hold): UrlPath<String>,
    body: Result<Json<ChildRequest>, JsonRejection>,
) -> Reply<Value> {
    let child = parsed(body)?;
    shared.holds.find(&hold)?.register(&child).await?;
    Ok(Json(json!({})))
}

pub(super) async fn release(
    State(shared): Shareable,
    UrlPath(hold): UrlPath<String>,
) -> Reply<ReleasedReply> {
    Ok(Json(shared.holds.find(&hold)?.release().await))
}

pub(super) async fn force(
    State(shared): Shareable,
    UrlPath(lock): UrlPath<String>,
) -> Reply<Value> {
    let lock = LockName::new(&lock).map_err(Failure::from)?;
    tracing::warn!("a lock is being released by force");
    shared.node.force_release(&lock).await?;
    Ok(Json(json!({})))
}

pub(super) async fn report(
    State(shared): Shareable,
    wish: Result<Query<LockParams>, QueryRejection>,
) -> Reply<LocksReply> {
    let names = match params(wish)?.names {
        Some(list) => lock_names(&list.split(',').collect::<Vec<_>>())?,
        None => Vec::new(),
    };
    let report = shared.node.lock_report(&names).await?;
    let members = shared.node.members().await?.into_iter();
    let nicks: BTreeMap<NodeId, String> =
        members.map(|member| (member.node, member.nick)).collect();
    let name = |node: NodeId| NodeName {
        node: node.to_hex(),
        nick: nicks.get(&node).cloned().unwrap_or_default(),
    };
    Ok(Json(LocksReply {
        leader: name(report.leader),
        voters: report.voters.into_iter().map(name).collect(),
        reachable: report.quorum.reachable,
        needed: report.quorum.needed(),
        locks: report
            .locks
            .into_iter()
            .map(|lock| lock_reply(lock, name))
            .collect(),
    }))
}

fn lock_reply(info: LockInfo, name: impl Fn(NodeId) -> NodeName) -> LockReply {
    let millis = |times: &[Duration], at: usize| {
        let time = times.get(at).copied().unwrap_or_default();
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    };
    let holders = info.status.holders.iter().enumerate();
    let waiters = info.status.waiters.iter().enumerate();
    LockReply {
        lock: info.status.lock.to_string(),
        holders: holders
            .map(|(at, holder)| HolderReply {
                node: name(holder.node),
                session: holder.session.0,
                state: match (holder.is_revoked, holder.is_live) {
                    (true, _) => "revoked",
                    (false, true) => "inside",
                    (false, false) => "next",
                }
                .to_owned(),
                fence: holder.fence.0,
                permits: permits(holder.permits),
                held_ms: millis(&info.holding, at),
            })
            .collect(),
        waiters: waiters
            .map(|(at, waiter)| WaiterReply {
                node: name(waiter.node),
                session: waiter.session.0,
                priority: waiter.priority.value(),
                effective: waiter.effective.value(),
                permits: permits(waiter.permits),
                waiting_ms: millis(&info.waiting, at),
                bound: waiter.bound,
            })
            .collect(),
    }
}

/// Events that wait for a client that does not read; what matters comes again.
const EVENTS_AHEAD: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_twice_or_too_many_names_are_refused() {
        assert_eq!(lock_names(&["a", "b"]).unwrap().len(), 2);
        let code = |names: &[&str]| lock_names(names).unwrap_err().code;
        assert_eq!(code(&["a", "b", "a"]), "lock-name-twice");
        assert_eq!(code(&["a", ""]), "lock-name-empty");
        assert_eq!(code(&[]), "lock-name-empty");
        assert_eq!(code(&["a b"]), "lock-name-bad-character");
        let many: Vec<String> = (0..17).map(|number| number.to_string()).collect();
        assert_eq!(lock_names(&many).unwrap_err().code, "lock-name-too-many");
    }

    #[test]
    fn permits_and_shared_exclude_each_other() {
        let mut wish = HoldRequest::default();
        assert_eq!(wanted_permits(&wish).unwrap(), Permits::EXCLUSIVE);
        wish.permits = Some(3);
        assert_eq!(wanted_permits(&wish).unwrap().value(), 3);
        wish.shared = true;
        assert_eq!(wanted_permits(&wish).unwrap_err().code, "request-body");
        wish.permits = None;
        assert_eq!(wanted_permits(&wish).unwrap(), Permits::SHARED);
        assert!(priority(10).is_err());
    }
}

//! The routes of jobs and queues.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path as UrlPath, Query, State};
use axum::response::Response;
use jiff::Timestamp;
use roda::Topic;
use tokio::time::{Instant, sleep_until};

use super::handlers::{Refused, Reply, Shareable, params, parsed};
use super::job_backend::{self as backend, JobFilter, Push};
use super::job_checks::{cron, job_id, key, payload, queue_name};
use super::job_types::{
    JobDetailReply, JobReply, JobWaitParams, JobsParams, JobsReply, PRIORITY_DEFAULT, PurgedReply,
    PushJob, PushReply, PushRequest, QueueReply, TRIES_DEFAULT,
};
use super::lines::{self, Lines};
use super::server::Shared;
use crate::error::{Failure, Result as CommandResult};

pub(super) async fn push(
    State(shared): Shareable,
    UrlPath(queue): UrlPath<String>,
    body: Result<Json<PushRequest>, JsonRejection>,
) -> Reply<PushReply> {
    let queue = queue_name(&queue)?;
    let now = Timestamp::now();
    let wishes = parsed(body)?.jobs.into_iter();
    // All are looked at before any is stored.
    let jobs = wishes
        .map(|wish| checked(wish, now))
        .collect::<CommandResult<Vec<_>>>()?;
    if jobs.is_empty() {
        return Err(Failure::new("request-body")
            .with("reason", "jobs: at least one")
            .into());
    }
    let jobs = backend::push(&shared, &queue, jobs).await?;
    Ok(Json(PushReply { jobs }))
}

fn checked(wish: PushJob, now: Timestamp) -> CommandResult<Push> {
    let fault = |reason: &str| Failure::new("request-body").with("reason", reason);
    let bytes = wish.payload.into_bytes();
    let bytes = bytes.ok_or_else(|| fault("payload: text or hexadecimal digits"))?;
    payload(&bytes)?;
    for name in [&wish.key, &wish.order_key].into_iter().flatten() {
        key(name)?;
    }
    let priority = wish.priority.unwrap_or(PRIORITY_DEFAULT);
    if priority > 9 {
        return Err(fault("priority: 0 to 9"));
    }
    if wish.cron.is_some() && (wish.delay_ms.is_some() || wish.at.is_some()) {
        return Err(fault("cron, delay_ms or at: one of them"));
    }
    if wish.cron.is_some() && wish.order_key.is_some() {
        return Err(fault("cron or order_key, not both"));
    }
    Ok(Push {
        payload: bytes,
        key: wish.key,
        not_before: not_before(wish.delay_ms, wish.at.as_deref(), now)?,
        priority,
        cron: wish.cron.as_deref().map(cron).transpose()?,
        tries_max: wish.max_tries.unwrap_or(TRIES_DEFAULT),
        order_key: wish.order_key,
        on_crash: wish.on_crash,
    })
}

/// The wall time, in milliseconds, before which a job is not started; 0: at once.
fn not_before(delay_ms: Option<u64>, at: Option<&str>, now: Timestamp) -> CommandResult<u64> {
    let fault = |reason: &str| Failure::new("request-body").with("reason", reason);
    let millis = match (delay_ms, at) {
        (None, None) | (Some(0), None) => return Ok(0),
        (Some(delay), None) => {
            let delay = i64::try_from(delay).unwrap_or(i64::MAX);
            now.as_millisecond()
                .saturating_add(delay)
                .min(Timestamp::MAX.as_millisecond())
        }
        (None, Some(at)) => {
            let at = at.parse::<Timestamp>();
            at.map_err(|_no_time| fault("at: a moment such as 2026-05-04T03:02:01Z"))?
                .as_millisecond()
        }
        (Some(_), Some(_)) => return Err(fault("delay_ms or at, not both")),
    };
    // A moment before 1970 has passed like any other.
    Ok(u64::try_from(millis).unwrap_or(0))
}

pub(super) async fn list(
    State(shared): Shareable,
    wish: Result<Query<JobsParams>, QueryRejection>,
) -> Reply<JobsReply> {
    let wish = params(wish)?;
    let filter = JobFilter {
        queue: wish.queue.as_deref().map(queue_name).transpose()?,
        state: wish.state,
        limit: wish.limit.unwrap_or(PAGE_LEN_MAX).min(PAGE_LEN_MAX),
        after: wish.after,
    };
    Ok(Json(backend::jobs(&shared, filter).await?))
}

pub(super) async fn show(
    State(shared): Shareable,
    UrlPath(id): UrlPath<String>,
) -> Reply<JobDetailReply> {
    Ok(Json(backend::job(&shared, job_id(&id)?).await?))
}

pub(super) async fn cancel(
    State(shared): Shareable,
    UrlPath(id): UrlPath<String>,
) -> Reply<JobReply> {
    Ok(Json(backend::cancel(&shared, job_id(&id)?).await?))
}

pub(super) async fn retry(
    State(shared): Shareable,
    UrlPath(id): UrlPath<String>,
) -> Reply<JobReply> {
    Ok(Json(backend::retry(&shared, job_id(&id)?).await?))
}

/// A line each time the job has changed; the body ends with the job, or with the time.
pub(super) async fn wait(
    State(shared): Shareable,
    UrlPath(id): UrlPath<String>,
    wish: Result<Query<JobWaitParams>, QueryRejection>,
) -> Result<Response, Refused> {
    let timeout = params(wish)?.timeout_ms.map(Duration::from_millis);
    // Watched before it is read: a change in between is seen.
    let changes = backend::changes(&shared);
    let first = backend::job_state(&shared, job_id(&id)?).await?;
    let told = Arc::clone(&shared);
    Ok(lines::told(shared, timeout, |lines| async move {
        watch_job(&told, first, changes, &lines).await
    }))
}

async fn watch_job(
    shared: &Arc<Shared>,
    first: JobReply,
    mut changes: tokio::sync::watch::Receiver<u64>,
    lines: &Lines,
) -> CommandResult<()> {
    let id = first.id.clone();
    let before = first.clone();
    let mut told = None;
    let mut job = first;
    loop {
        if told.as_ref() != Some(&job) {
            let mut line = serde_json::to_vec(&job).expect("a job is plain data");
            line.push(b'\n');
            if lines.send(Ok(line.into())).await.is_err() {
                return Ok(());
            }
        }
        if job.end_since(&before).is_some() || job.duplicate_of.is_some() {
            return Ok(());
        }
        told = Some(job);
        // Looked at now and then all the same: a change may be missed, an end may not.
        let soon = Instant::now() + LOOK_AGAIN;
        tokio::select! {
            changed = changes.changed() => if changed.is_err() {
                sleep_until(soon).await;
            },
            () = sleep_until(soon) => {}
        }
        job = backend::job_state(shared, &id).await?;
    }
}

pub(super) async fn queues(State(shared): Shareable) -> Reply<Vec<QueueReply>> {
    Ok(Json(backend::queues(&shared).await?))
}

pub(super) async fn queue(
    State(shared): Shareable,
    UrlPath(queue): UrlPath<String>,
) -> Reply<QueueReply> {
    Ok(Json(backend::queue(&shared, &queue_name(&queue)?).await?))
}

pub(super) async fn pause(
    State(shared): Shareable,
    UrlPath(queue): UrlPath<String>,
) -> Reply<QueueReply> {
    set_paused(&shared, &queue_name(&queue)?, true).await
}

pub(super) async fn resume(
    State(shared): Shareable,
    UrlPath(queue): UrlPath<String>,
) -> Reply<QueueReply> {
    set_paused(&shared, &queue_name(&queue)?, false).await
}

async fn set_paused(shared: &Shared, queue: &Topic, paused: bool) -> Reply<QueueReply> {
    backend::queue(shared, queue).await?;
    backend::pause(shared, queue, paused).await?;
    Ok(Json(backend::queue(shared, queue).await?))
}

pub(super) async fn purge(
    State(shared): Shareable,
    UrlPath(queue): UrlPath<String>,
) -> Reply<PurgedReply> {
    let queue = queue_name(&queue)?;
    backend::queue(&shared, &queue).await?;
    let cancelled = backend::purge(&shared, &queue).await?;
    Ok(Json(PurgedReply { cancelled }))
}

/// Jobs of one answer.
const PAGE_LEN_MAX: usize = 1000;
/// How long a change can go unnoticed.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_starts_after_its_delay_or_at_its_time() {
        let now: Timestamp = "2026-05-04T03:02:01Z".parse().unwrap();
        let millis = u64::try_from(now.as_millisecond()).unwrap();
        assert_eq!(not_before(None, None, now), Ok(0));
        assert_eq!(not_before(Some(0), None, now), Ok(0));
        assert_eq!(not_before(Some(1500), None, now), Ok(millis + 1500));
        let at = Some("2026-05-04T03:02:02Z");
        assert_eq!(not_before(None, at, now), Ok(millis + 1000));
        let code = |delay, at| not_before(delay, at, now).unwrap_err().code;
        assert_eq!(code(None, Some("tomorrow")), "request-body");
        assert_eq!(code(Some(1), at), "request-body");
        assert!(not_before(Some(u64::MAX), None, now).is_ok());
    }

    #[test]
    fn a_job_that_cannot_be_is_refused() {
        let now = Timestamp::now();
        let code = |job: PushJob| checked(job, now).unwrap_err().code;
        let job = PushJob::default();
        assert_eq!(checked(job.clone(), now).unwrap().priority, 4);
        let with = |change: fn(&mut PushJob)| {
            let mut job = job.clone();
            change(&mut job);
            job
        };
        assert_eq!(code(with(|job| job.priority = Some(10))), "request-body");
        assert_eq!(
            code(with(|job| job.key = Some("x".repeat(257)))),
            "job-key-too-long"
        );
        let recurring = |change: fn(&mut PushJob)| {
            let mut job = with(|job| job.cron = Some("0 3 * * *".to_owned()));
            assert!(checked(job.clone(), now).is_ok());
            change(&mut job);
            code(job)
        };
        assert_eq!(recurring(|job| job.delay_ms = Some(0)), "request-body");
        assert_eq!(
            recurring(|job| job.order_key = Some("a".to_owned())),
            "request-body"
        );
        assert_eq!(
            recurring(|job| job.cron = Some("0 0 30 2 *".to_owned())),
            "job-cron-never"
        );
        let long = with(|job| job.payload = vec![0; 24 * 1024 + 1].into());
        assert_eq!(code(long), "job-payload-too-long");
    }
}

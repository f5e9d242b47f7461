//! Answers whose lines come as things happen.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::follow::ChannelStream;
use super::server::Shared;
use crate::error::Result;

/// Where the lines go.
pub(super) type Lines = mpsc::Sender<std::io::Result<Bytes>>;

/// A body that ends with what is told, with the time, with the node, or when nobody reads it any more.
pub(super) fn told<F>(
    shared: Arc<Shared>,
    timeout: Option<Duration>,
    tell: impl FnOnce(Lines) -> F,
) -> Response
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (lines, stream) = mpsc::channel(LINES_AHEAD);
    let telling = tell(lines.clone());
    tokio::spawn(async move {
        let deadline = timeout.map(|timeout| Instant::now() + timeout.min(FOREVER));
        tokio::select! {
            result = telling => {
                if let Err(failure) = result {
                    // Cut off, so that the client does not take it for the end of the time.
                    drop(lines.send(Err(std::io::Error::other(failure.code))).await);
                }
            }
            () = at(deadline) => {}
            () = lines.closed() => {}
            // A client that waits must not keep a stopped node's process from ending.
            _ = shared.node.stopped() => {}
        }
    });
    let body = Body::from_stream(ChannelStream(stream));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

/// Waits for a moment, if there is one.
pub(super) async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Lines that wait for a slow reader.
const LINES_AHEAD: usize = 4;
/// A year: Tokio's clock does not reach to the end of time.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

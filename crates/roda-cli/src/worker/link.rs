//! The worker's questions to the node. A node that does not answer is asked again: the wrapper knows for how
//! long the worker may go on.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::client::Client;
use crate::api::work_types::{EndsRequest, PollReply, PollRequest};
use crate::error::Failure;

/// Where a worker asks.
#[derive(Clone)]
pub(super) struct Link {
    socket: PathBuf,
    worker: String,
}

/// A question that failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// Asking again may help.
    Passing(Failure),
    /// The node does not hold the worker's lock any more.
    Lost,
    /// It never will.
    Final(Failure),
}

/// What the node says to a question.
pub(super) type Answer<T> = Result<T, Fault>;

impl Link {
    /// To the node at this socket.
    pub(super) const fn new(socket: PathBuf, worker: String) -> Self {
        Self { socket, worker }
    }

    /// What there is to do.
    pub(super) async fn poll(self, request: PollRequest) -> Answer<PollReply> {
        self.post("poll", &request).await
    }

    /// How attempts ended.
    pub(super) async fn ends(self, request: EndsRequest) -> Answer<()> {
        let _empty: Value = self.post("ends", &request).await?;
        Ok(())
    }

    async fn post<T: DeserializeOwned>(&self, what: &str, request: &impl Serialize) -> Answer<T> {
        let lost = |error: std::io::Error| {
            Fault::Passing(Failure::new("daemon-lost").with("reason", error.to_string()))
        };
        let mut client = Client::connect(&self.socket).await.map_err(lost)?;
        let path = format!("/v1/workers/{}/{what}", self.worker);
        client.post(&path, request).await.map_err(fault)
    }
}

fn fault(failure: Failure) -> Fault {
    match failure.code.as_str() {
        "fence-not-held" => Fault::Lost,
        // What a node that stops, or comes back, answers.
        "daemon-lost" | "stopped" | "disk-full" | "store" | "lock-no-quorum" | "lock-no-leader"
        | "lock-busy" | "network" => Fault::Passing(failure),
        _ => Fault::Final(failure),
    }
}

/// Before the same is asked again.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// The longest that an answer is waited for.
pub(super) const POLL_MAX: Duration = Duration::from_secs(30);

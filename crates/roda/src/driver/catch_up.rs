//! Fetching what is missing over a stream, and feeding it to the engine.

use std::net::SocketAddr;

use roda_proto::stream::{Refusal, SyncRequest};
use roda_proto::{Input, NodeId};
use tokio::sync::mpsc;

use super::{CatchUp, Driver};
use crate::stream::{Fetched, StreamError, connect, fetch};
use crate::view::epoch_records;

/// Items that may wait between the stream and the engine.
pub(crate) const FETCHED_MAX: usize = 64;

/// What came next of a catch-up.
pub(super) enum Step {
    Item(Fetched),
    Ended(Result<(), StreamError>),
}

/// The next step of a catch-up; never, if none is under way. Cancel-safe.
pub(super) async fn next(catch_up: &mut Option<CatchUp>) -> Option<Step> {
    let Some(running) = catch_up else {
        return std::future::pending().await;
    };
    if let Some(item) = running.fetched.recv().await {
        return Some(Step::Item(item));
    }
    // The task holds the other end of the channel, so it is over, or about to be.
    let result = match (&mut running.task).await {
        Ok(result) => result,
        Err(_aborted_or_panicked) => Err(StreamError::TimedOut),
    };
    *catch_up = None;
    Some(Step::Ended(result))
}

impl Driver {
    pub(super) fn start_catch_up(&mut self, peer: Option<NodeId>, address: SocketAddr) {
        let request = SyncRequest {
            group: self.engine.group(),
            have: self.engine.version_vector(),
            epochs: self
                .engine
                .epoch_keys()
                .iter()
                .map(|epoch| epoch.tag)
                .collect(),
        };
        let identity = self.identity.clone();
        let (sink, fetched) = mpsc::channel(FETCHED_MAX);
        let task = tokio::spawn(async move {
            let stream = connect(&identity, address, peer).await?;
            fetch(stream, request, &sink).await
        });
        tracing::debug!(%address, "catching up");
        if let Some(old) = self.catch_up.replace(CatchUp { fetched, task }) {
            old.task.abort();
        }
    }

    pub(super) fn on_fetched(&mut self, step: Step) {
        match step {
            Step::Item(Fetched::Keys(keys)) => self.input(Input::Keys(epoch_records(&keys))),
            Step::Item(Fetched::Batch(bytes)) => self.input(Input::Batch(&bytes)),
            Step::Ended(result) => {
                match &result {
                    Ok(()) => {
                        self.problems.remove("refused");
                    }
                    Err(StreamError::Refused(Refusal::NotMember)) => {
                        let problem = "a member says that this node was removed from the group";
                        self.problems
                            .insert("refused".to_owned(), problem.to_owned());
                    }
                    Err(error) => tracing::debug!(%error, "catching up failed"),
                }
                self.input(Input::CatchUpEnded {
                    complete: result.is_ok(),
                });
            }
        }
    }
}

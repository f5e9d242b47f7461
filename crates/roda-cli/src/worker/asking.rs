//! A question to the node while its answer is waited for.

use std::future::Future;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::link::{Answer, Fault, RETRY_PAUSE};
use crate::error::Failure;

/// A question to the node.
pub(super) enum Asking<T> {
    /// None, and not before this moment.
    Idle(Option<Instant>),
    /// Under way.
    Asked(JoinHandle<Answer<T>>),
}

impl<T: Send + 'static> Asking<T> {
    /// Asks, in place of what was asked before.
    pub(super) fn ask(&mut self, question: impl Future<Output = Answer<T>> + Send + 'static) {
        *self = Self::Asked(tokio::spawn(question));
    }

    /// Whether nothing is under way and it may be asked now.
    pub(super) fn is_due(&self) -> bool {
        matches!(self, Self::Idle(from) if from.is_none_or(|from| Instant::now() >= from))
    }

    /// When it may be asked again.
    pub(super) fn next_moment(&self) -> Option<Instant> {
        match self {
            Self::Idle(from) => *from,
            Self::Asked(_) => None,
        }
    }

    /// Does not wait for the answer any more.
    pub(super) fn withdraw(&mut self) {
        if let Self::Asked(task) = self {
            task.abort();
        }
        *self = Self::Idle(None);
    }

    /// The answer; never if nothing was asked. Cancel-safe.
    pub(super) async fn answer(&mut self) -> Answer<T> {
        let Self::Asked(task) = self else {
            return std::future::pending().await;
        };
        let answer = task.await.unwrap_or_else(|error| {
            Err(Fault::Passing(
                Failure::new("daemon-lost").with("reason", error.to_string()),
            ))
        });
        let pause = answer.is_err().then_some(RETRY_PAUSE);
        *self = Self::Idle(pause.map(|pause| Instant::now() + pause));
        answer
    }
}

//! How voters reach each other.

use std::future::Future;
use std::time::Duration;

use roda_proto::NodeId;
use thiserror::Error;

/// Most bytes of a request or an answer.
pub(crate) const CALL_LEN_MAX: usize = 256 << 10;

/// Asks another node a question and waits for the answer; links between nodes do it in practice,
/// memory does it in tests.
pub(crate) trait Caller: Send + Sync + 'static {
    /// Sends a request of at most [`CALL_LEN_MAX`] bytes to a node whose identity the link proves,
    /// where it goes to [`RaftNode::handle_call`](super::RaftNode::handle_call), and returns the answer.
    ///
    /// Cancel-safe: dropped, the request may or may not have been answered.
    fn call(
        &self,
        to: NodeId,
        request: Vec<u8>,
        timeout: Duration,
    ) -> impl Future<Output = Result<Vec<u8>, CallError>> + Send;
}

/// Why there was no answer. The request may have arrived all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum CallError {
    /// There is no link to the node.
    #[error("not connected")]
    Unreachable,
    /// The link broke, or the node did not answer in time.
    #[error("no answer")]
    NoAnswer,
}

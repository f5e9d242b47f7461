//! The unicast stream: joining a group, and catching up with it.
//!
//! TCP with TLS 1.3, both sides proved by their node key as a raw public key (RFC 7250): no
//! certificates, no authorities, and each end knows the other's node id before the first message.

mod blob;
mod connection;
mod discover;
mod fetch;
mod identity;
mod listener;
mod serve;
#[cfg(test)]
mod tests;

use std::io;
use std::time::Duration;

use roda_proto::stream::Refusal;
use roda_proto::{NodeId, Rejected};
use thiserror::Error;

pub(crate) use self::blob::fetch_blob;
pub(crate) use self::connection::{Stream, connect};
pub(crate) use self::discover::{JoinError, discover};
pub(crate) use self::fetch::{Fetched, fetch};
pub(crate) use self::identity::TlsIdentity;
pub(crate) use self::listener::Listener;
pub(crate) use self::serve::{Handler, Page, serve};

/// Longest time from the first byte of a connection until both keys are proved.
pub(crate) const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);
/// Longest time for one message, whether it is waited for or written.
pub(crate) const MESSAGE_TIME_MAX: Duration = Duration::from_secs(10);
/// Most connections whose far end has not proved its key yet; beyond it the oldest gives way.
pub(crate) const HANDSHAKES_MAX: usize = 16;
/// Most streams served at once; a further asker is told that this node is busy.
pub(crate) const STREAMS_MAX: usize = 64;

/// Why a stream has failed. Nothing of it is a bug of this node.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum StreamError {
    /// The connection, or the far end's TLS: a stranger's key, a wrong one, an older protocol.
    #[error("connection: {0}")]
    Io(#[from] io::Error),
    /// The far end took too long.
    #[error("no progress for too long")]
    TimedOut,
    /// The far end is another node than the one that was called.
    #[error("expected node {expected}, found {found}")]
    OtherNode {
        /// Who was called.
        expected: NodeId,
        /// Who answered.
        found: NodeId,
    },
    /// The far end sent what does not belong here.
    #[error("peer broke the protocol: {0}")]
    Protocol(#[from] Rejected),
    /// The far end said no.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// The receiver of what was fetched is gone: this node stops.
    #[error("stopped")]
    Stopped,
}

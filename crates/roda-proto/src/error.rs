//! Why an input was refused. Nothing here is a bug of this node: a peer or the network is at fault.

use thiserror::Error;

/// An input was refused whole and no state changed, apart from the counter of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Error)]
#[non_exhaustive]
pub enum Rejected {
    /// Not a Roda datagram, truncated, or a frame in it does not parse.
    #[error("malformed")]
    Malformed,
    /// A protocol version this node does not speak.
    #[error("unknown protocol version")]
    Version,
    /// Sealed under a group key that this node does not have: an outsider, or this node missed a key change.
    #[error("unknown epoch")]
    UnknownEpoch,
    /// The seal does not open: forged or damaged.
    #[error("seal does not open")]
    BadSeal,
    /// Already seen, or too old for the replay window.
    #[error("replay")]
    Replay,
    /// Sealed under a group key that was replaced, and not an entry.
    #[error("superseded epoch")]
    StaleEpoch,
    /// Authentic, but the sender has not shown yet that it lives now.
    #[error("sender not proven fresh")]
    Unproven,
    /// A batch whose signature or hash is wrong.
    #[error("forged batch")]
    Forged,
    /// A batch by someone who is not a member (any more).
    #[error("author is not a member")]
    NotMember,
    /// A buffer is at its limit; the sender will be asked again later.
    #[error("buffer full")]
    Full,
    /// An author signed two logs.
    #[error("author has forked")]
    Fork,
}

//! Descriptors for which Tokio has no type of its own: of processes, of timers.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFd;

/// Lets Tokio wait for a descriptor.
///
/// # Errors
/// It is of a kind that cannot be waited for, or too many are open.
#[expect(
    deprecated,
    reason = "unsound for types that lie about their descriptor, which `OwnedFd` cannot; its \
              successor is an unsafe function, and these are forbidden here"
)]
pub(crate) fn watched(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(descriptor)
}

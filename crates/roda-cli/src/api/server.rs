//! The server's side of the control API: the socket, who may use it, and the routes.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;

use super::work::{self, Desks};
use super::{checkpoints, copies, handlers, jobs, locks, retention};
use crate::error::{Failure, Result};
use crate::holds::Holds;

/// What every handler needs.
pub(crate) struct Shared {
    /// The node.
    pub(crate) node: roda::Node,
    /// Its home.
    pub(crate) home: PathBuf,
    /// Where the API is.
    pub(crate) socket: PathBuf,
    /// Told when a client wants the node to stop.
    pub(crate) stop: Notify,
    /// Who holds locks through the API.
    pub(crate) holds: Holds,
    /// Where workers ask.
    pub(crate) desks: Desks,
    /// How long locks outlive a lost machine.
    pub(crate) timings: roda::Timings,
}

/// All routes of version 1.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/status", get(handlers::status))
        .route("/v1/members", get(handlers::members))
        .route("/v1/members/{member}", delete(handlers::remove))
        .route("/v1/invites", post(handlers::invite))
        .route("/v1/leave", post(handlers::leave))
        .route("/v1/shutdown", post(handlers::shutdown))
        .route("/v1/topics", get(handlers::topics))
        .route(
            "/v1/topics/{topic}/messages",
            get(handlers::history).post(handlers::append),
        )
        .route("/v1/topics/{topic}/events", get(handlers::events))
        .route(
            "/v1/mirrors",
            get(handlers::mirrors)
                .post(handlers::mirror)
                .delete(handlers::unmirror),
        )
        .route("/v1/holds", post(locks::acquire))
        .route("/v1/holds/{hold}", delete(locks::release))
        .route("/v1/holds/{hold}/child", post(locks::register))
        .route("/v1/locks", get(locks::report))
        .route("/v1/locks/{lock}/force", post(locks::force))
        .merge(jobs_router())
        .route("/v1/verify", post(handlers::verify))
        .fallback(handlers::unknown)
        .layer(DefaultBodyLimit::max(BODY_LEN_MAX))
        .with_state(shared)
}

fn jobs_router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/jobs", get(jobs::list))
        .route("/v1/jobs/{job}", get(jobs::show))
        .route("/v1/jobs/{job}/wait", get(jobs::wait))
        .route("/v1/jobs/{job}/copies", get(copies::copies_of))
        .route("/v1/jobs/{job}/cancel", post(jobs::cancel))
        .route("/v1/jobs/{job}/retry", post(jobs::retry))
        .route(
            "/v1/jobs/{job}/checkpoint",
            get(checkpoints::load)
                .post(checkpoints::save)
                .put(checkpoints::save_state),
        )
        .route(
            "/v1/jobs/{job}/checkpoint/state",
            get(checkpoints::load_state),
        )
        .route("/v1/queues", get(jobs::queues))
        .route("/v1/queues/{queue}", get(jobs::queue))
        .route("/v1/queues/{queue}/jobs", post(jobs::push))
        .route("/v1/queues/{queue}/pause", post(jobs::pause))
        .route("/v1/queues/{queue}/resume", post(jobs::resume))
        .route("/v1/queues/{queue}/purge", post(jobs::purge))
        .route(
            "/v1/queues/{queue}/retention",
            get(retention::get).post(retention::set),
        )
        .route("/v1/workers/{worker}/poll", post(work::poll))
        .route("/v1/workers/{worker}/ends", post(work::ends))
}

/// A socket that only its owner may use; the file goes when this is dropped.
pub(crate) struct Socket {
    listener: Option<UnixListener>,
    path: PathBuf,
    identity: (u64, u64),
}

impl Socket {
    /// Takes the place of a socket that a killed daemon left.
    ///
    /// The caller has the home to itself, so whoever listened here before is gone.
    pub(crate) fn bind(path: &Path) -> Result<Self> {
        let fault = |error| Failure::file(path, &error);
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault(error)),
            _ => {}
        }
        let listener = UnixListener::bind(path).map_err(fault)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(fault)?;
        let found = fs::symlink_metadata(path).map_err(fault)?;
        Ok(Self {
            listener: Some(listener),
            path: path.to_owned(),
            identity: (found.dev(), found.ino()),
        })
    }

    /// The listening half; `None` the second time.
    pub(crate) fn take_listener(&mut self) -> Option<OwnerListener> {
        let user = rustix::process::getuid().as_raw();
        let listener = self.listener.take()?;
        Some(OwnerListener { listener, user })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A later daemon's socket has the same name but is another file.
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if is_ours {
            // A leftover is harmless: the next start takes its place.
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Accepts connections of one user only, whatever the permissions of the file say.
pub(crate) struct OwnerListener {
    listener: UnixListener,
    user: u32,
}

impl axum::serve::Listener for OwnerListener {
    type Io = UnixStream;
    type Addr = tokio::net::unix::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = axum::serve::Listener::accept(&mut self.listener).await;
            match stream.peer_cred() {
                Ok(peer) if peer.uid() == self.user || peer.uid() == 0 => {
                    return (stream, address);
                }
                Ok(peer) => tracing::warn!(uid = peer.uid(), "refused another user"),
                Err(error) => tracing::warn!(%error, "refused a client without credentials"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// Largest request: a checkpoint as it is; and `say` sends 1 MiB of text at a time, which JSON can make
/// longer.
const BODY_LEN_MAX: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_left_by_a_killed_daemon_is_replaced_and_only_ours_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        fs::write(&path, b"").unwrap();
        let first = Socket::bind(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let second = Socket::bind(&path).unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }
}

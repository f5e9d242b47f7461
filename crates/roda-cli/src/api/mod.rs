//! The control API: HTTP and JSON over a Unix socket, described in `docs/control-api.md`.

pub(crate) mod client;
pub(crate) mod follow;
pub(crate) mod handlers;
pub(crate) mod lock_types;
pub(crate) mod locks;
pub(crate) mod server;
pub(crate) mod types;

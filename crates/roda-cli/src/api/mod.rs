//! The control API: HTTP and JSON over a Unix socket, described in `docs/control-api.md`.

pub(crate) mod blob;
mod checkpoints;
pub(crate) mod client;
pub(crate) mod copies;
pub(crate) mod follow;
pub(crate) mod handlers;
pub(crate) mod job_backend;
pub(crate) mod job_checks;
mod job_replies;
pub(crate) mod job_types;
pub(crate) mod jobs;
mod lines;
pub(crate) mod lock_types;
pub(crate) mod locks;
pub(crate) mod retention;
pub(crate) mod server;
pub(crate) mod types;
pub(crate) mod work;
pub(crate) mod work_types;

//! Queues: what becomes of jobs, in whatever order one hears of it.

mod blobs;
mod check;
mod kit;
mod lists;
mod orders;
mod past;
mod rules;

//! Jobs: each is done once, whatever ends, hangs or is cut off.

mod arena;
mod basics;
mod blobs;
mod journal;
mod judge;
mod pushing;
mod queue;
mod recurring;
mod restored;
mod resumed;
mod torture;
mod workers;

pub(crate) use basics::a_job_is_done_elsewhere;
pub(crate) use blobs::a_large_checkpoint_is_gone_on_from;
pub(crate) use recurring::a_recurring_job_comes_again_elsewhere;
pub(crate) use restored::a_destroyed_node_comes_back;
pub(crate) use torture::every_job_is_done_once;

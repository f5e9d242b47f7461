//! Locks: who is inside when, whatever ends, hangs or is cut off.

mod arena;
mod basics;
mod fresh;
mod full_disk;
mod journal;
mod lossy;
mod matrix;
mod minority;
mod sharing;
mod torture;

pub(crate) use basics::a_lock_is_taken_in_turn;
pub(crate) use fresh::the_next_holder_is_up_to_date;
pub(crate) use full_disk::a_full_disk_is_survived;
pub(crate) use lossy::a_lossy_network_is_slower_and_not_wrong;
pub(crate) use matrix::{never_the_next_before_the_last_is_dead, wired_is_twice_as_fast};
pub(crate) use minority::without_a_majority_nothing_is_granted;
pub(crate) use torture::no_update_is_lost;

//! T5: whoever holds, follows or waits has a session.

use roda_proto::token::{LockStatus, Table};

use crate::invariants::{Check, Violation};

/// The table has changed.
///
/// # Errors
/// Somebody in it has no session.
pub fn check_sessions(table: &Table, status: &[LockStatus]) -> Check {
    for lock in status {
        let holders = lock.holders.iter().map(|holder| holder.session);
        let waiters = lock.waiters.iter().map(|waiter| waiter.session);
        for session in holders.chain(waiters) {
            if table.node_of(session).is_none() {
                let detail = format!("{session:?} has ended and is in {lock:?}");
                return Err(Violation::global("T5", detail));
            }
        }
    }
    Ok(())
}

//! T1: nobody is inside together with more than it tolerates, in true time and for as long as anything
//! runs, also what is being killed and what its process has forgotten.

use std::collections::BTreeMap;

use crate::invariants::{Check, Violation};
use crate::token::client::{Hold, Job};

/// Somebody enters.
///
/// # Errors
/// A lock has more inside than one of them tolerates.
pub fn check_exclusion(hold: &Hold, inside: &BTreeMap<Job, Hold>) -> Check {
    for lock in &hold.wish.locks {
        let others = inside
            .values()
            .filter(|other| other.wish.locks.contains(lock));
        let (mut number, mut tolerated) = (1, hold.wish.permits.value());
        for other in others.clone() {
            number += 1;
            tolerated = tolerated.min(other.wish.permits.value());
        }
        if number > tolerated {
            let others: Vec<_> = others.collect();
            return Err(Violation::at(
                "T1",
                hold.job.node,
                format!("{hold:?} enters {lock}, inside are {others:?}"),
            ));
        }
    }
    Ok(())
}

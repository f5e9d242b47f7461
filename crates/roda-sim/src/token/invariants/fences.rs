//! T2: a fence is used once. T3: fences grow in true time, between those that exclude each other.

use std::collections::{BTreeMap, BTreeSet};

use roda_proto::token::{Fence, LockName, Permits};

use crate::invariants::{Check, Violation};
use crate::token::client::Hold;

#[derive(Clone, Copy, Default)]
struct Highest {
    alone: Fence,
    any: Fence,
}

/// All that were used.
#[derive(Default)]
pub struct Fences {
    used: BTreeSet<Fence>,
    highest: BTreeMap<LockName, Highest>,
}

impl Fences {
    /// Somebody enters.
    ///
    /// # Errors
    /// Its fence was used, or is not larger than those before it.
    pub fn on_enter(&mut self, hold: &Hold) -> Check {
        let fence = hold.fence;
        if !self.used.insert(fence) {
            let detail = format!("{hold:?} uses its fence again");
            return Err(Violation::at("T2", hold.job.node, detail));
        }
        let is_alone = hold.wish.permits == Permits::EXCLUSIVE;
        for lock in &hold.wish.locks {
            let highest = self.highest.entry(lock.clone()).or_default();
            let before = if is_alone { highest.any } else { highest.alone };
            if fence <= before {
                let detail = format!("{hold:?} enters {lock} after {before}");
                return Err(Violation::at("T3", hold.job.node, detail));
            }
            highest.any = highest.any.max(fence);
            if is_alone {
                highest.alone = highest.alone.max(fence);
            }
        }
        Ok(())
    }
}

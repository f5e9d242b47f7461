//! Rule 2: a grant is entered only if its fence is larger than those that were used.

use alloc::collections::BTreeMap;

use super::super::{Fence, LOCKS_MAX, LockName, Permits};
use super::Acquire;

/// The largest fences that the session has used.
///
/// Kept for at most [`LOCKS_MAX`] locks: beyond that the smallest becomes the floor for all that are
/// not kept, so that forgetting refuses too much and never too little.
#[derive(Debug, Default)]
pub(super) struct UsedFences {
    locks: BTreeMap<LockName, Used>,
    floor: Fence,
}

/// Of one lock.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    /// By whoever was alone.
    alone: Fence,
    /// By anyone.
    any: Fence,
}

impl UsedFences {
    /// Whether a grant is newer than all that must not come after it. Those that share a lock may be
    /// inside together, and so enter in any order among each other.
    #[must_use]
    pub(super) fn admits(&self, wish: &Acquire, fence: Fence) -> bool {
        wish.locks.iter().all(|lock| match self.locks.get(lock) {
            Some(used) if wish.permits == Permits::EXCLUSIVE => fence > used.any,
            Some(used) => fence > used.alone,
            None => fence > self.floor,
        })
    }

    /// A grant with fences up to `last` was entered.
    pub(super) fn note(&mut self, wish: &Acquire, last: Fence) {
        for lock in &wish.locks {
            if let Some(used) = self.locks.get_mut(lock) {
                used.note(wish.permits, last);
                continue;
            }
            self.make_room();
            let mut used = Used {
                alone: self.floor,
                any: self.floor,
            };
            used.note(wish.permits, last);
            self.locks.insert(lock.clone(), used);
        }
    }

    fn make_room(&mut self) {
        if self.locks.len() < LOCKS_MAX {
            return;
        }
        // Half at once, so that the search costs little on average.
        let mut fences: alloc::vec::Vec<Fence> = self.locks.values().map(|used| used.any).collect();
        fences.sort_unstable();
        let floor = fences[fences.len() / 2];
        self.locks.retain(|_, used| used.any > floor);
        self.floor = self.floor.max(floor);
    }
}

impl Used {
    fn note(&mut self, permits: Permits, last: Fence) {
        self.any = self.any.max(last);
        if permits == Permits::EXCLUSIVE {
            self.alone = self.alone.max(last);
        }
    }
}

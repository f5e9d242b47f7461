//! The members of a tree that have been found.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Process;

/// Who was found in a tree at the last look. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Numbers, and when each process was born.
    found: Arc<Mutex<BTreeMap<i32, u64>>>,
}

impl Known {
    /// Whether this process was found at the last look.
    pub(super) fn contains(&self, process: &Process) -> bool {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.get(&process.pid) == Some(&process.born)
    }

    /// Notes who was found now. Those of the last look that are not among them are dead.
    pub(super) fn set(&self, members: &[Process]) {
        let now = members.iter().map(|member| (member.pid, member.born));
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = now.collect();
    }
}

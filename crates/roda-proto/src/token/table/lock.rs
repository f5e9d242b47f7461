//! One lock: its grants, its queue, and what it remembers.

use alloc::collections::{BTreeMap, BTreeSet};
use core::ops::Bound;

use minicbor::{Decode, Encode};

use super::contenders::Contenders;
use super::queue::Queue;
use crate::token::{
    Fence, Frontier, GRANTS_PER_LOCK_MAX, Permits, SHORT_HOLD_MILLIS, SUCCESSORS_MAX,
};

/// A lock that is held, waited for, or remembered for its frontier.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub(super) struct Lock {
    /// What its next holder should have seen.
    #[n(0)]
    pub(super) frontier: Frontier,
    /// Grants so far.
    #[n(1)]
    pub(super) granted: u64,
    /// Most successors chosen ahead of time, now.
    #[n(2)]
    pub(super) depth: u8,
    /// When it was left by the last one, in the order in which locks were left; `None` while
    /// it is held or waited for.
    #[n(3)]
    pub(super) idle_since: Option<u64>,
    #[cbor(skip)]
    pub(super) queue: Queue,
    #[cbor(skip)]
    pub(super) outstanding: Outstanding,
    #[cbor(skip)]
    pub(super) contenders: Contenders,
}

impl Default for Lock {
    fn default() -> Self {
        Self {
            frontier: Frontier::default(),
            granted: 0,
            depth: 1,
            idle_since: None,
            queue: Queue::default(),
            outstanding: Outstanding::default(),
            contenders: Contenders::default(),
        }
    }
}

impl Lock {
    /// Learns how long a hold took. Successors chosen ahead of time save a round of the voters each,
    /// which matters for short holds only; and whoever is chosen cannot be overtaken any more.
    pub(super) fn learn(&mut self, held_millis: u64) {
        let short = held_millis < SHORT_HOLD_MILLIS;
        let deepest = u8::try_from(SUCCESSORS_MAX).unwrap_or(u8::MAX);
        self.depth = if short {
            self.depth.saturating_mul(2).min(deepest)
        } else {
            1
        };
    }

    /// Whether one more successor may be chosen ahead of time.
    pub(super) fn has_room_ahead(&self) -> bool {
        self.outstanding.frozen < usize::from(self.depth)
    }

    /// How many requests each session should have here so that the token need not wait for the voters: more
    /// than one only if holds are short, 0 if there is no use in it.
    pub(super) fn share(&self) -> u8 {
        if usize::from(self.depth) == SUCCESSORS_MAX {
            self.contenders.share()
        } else {
            0
        }
    }

    /// Whether nothing but its frontier is left of it.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.outstanding.grants.is_empty()
    }
}

/// The grants of one lock, live and chosen to follow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Outstanding {
    pub(super) grants: BTreeSet<Fence>,
    pub(super) exclusive: BTreeSet<Fence>,
    /// Permits of semaphores, and how many grants have them.
    between: BTreeMap<Permits, usize>,
    /// How many of all are not live.
    pub(super) frozen: usize,
}

/// What must be left before a waiter may enter.
pub(super) enum Behind<'a> {
    /// It may enter at once.
    Nobody,
    /// This one: whatever came before it has been left then as well.
    One(Fence),
    /// These sharing ones.
    Many(&'a BTreeSet<Fence>, Bound<Fence>),
}

impl Outstanding {
    pub(super) fn insert(&mut self, fence: Fence, permits: Permits, is_live: bool) {
        self.grants.insert(fence);
        self.frozen += usize::from(!is_live);
        if permits == Permits::EXCLUSIVE {
            self.exclusive.insert(fence);
        } else if permits != Permits::SHARED {
            *self.between.entry(permits).or_default() += 1;
        }
    }

    pub(super) fn remove(&mut self, fence: Fence, permits: Permits, is_live: bool) {
        self.grants.remove(&fence);
        self.exclusive.remove(&fence);
        self.frozen -= usize::from(!is_live);
        if let Some(count) = self.between.get_mut(&permits) {
            *count -= 1;
            if *count == 0 {
                self.between.remove(&permits);
            }
        }
    }

    /// Where a waiter with these permits would stand; `None`: it cannot be chosen yet.
    pub(super) fn behind(&self, permits: Permits) -> Option<Behind<'_>> {
        if self.grants.len() >= GRANTS_PER_LOCK_MAX {
            return None;
        }
        let is_semaphore = permits != Permits::EXCLUSIVE && permits != Permits::SHARED;
        if is_semaphore || !self.between.is_empty() {
            // Which of a semaphore's holders leaves first is not known ahead of time.
            let has_place = self.frozen == 0 && self.fits(permits);
            return has_place.then_some(Behind::Nobody);
        }
        let last_exclusive = self.exclusive.last().copied();
        let behind = match last_exclusive {
            None if permits == Permits::SHARED => Behind::Nobody,
            Some(last) if permits == Permits::SHARED => Behind::One(last),
            None if self.grants.is_empty() => Behind::Nobody,
            None => Behind::Many(&self.grants, Bound::Unbounded),
            Some(last) if self.grants.last() == Some(&last) => Behind::One(last),
            // Those that share came after the last exclusive one, and wait for it themselves.
            Some(last) => Behind::Many(&self.grants, Bound::Excluded(last)),
        };
        Some(behind)
    }

    /// Whether one more can be inside with all of them.
    fn fits(&self, permits: Permits) -> bool {
        let count = self.grants.len() + 1;
        let strictest = if self.exclusive.is_empty() {
            self.between.first_key_value().map(|(permits, _)| *permits)
        } else {
            Some(Permits::EXCLUSIVE)
        };
        let most = strictest.map_or(permits, |strictest| strictest.min(permits));
        usize::try_from(most.value()).map_or(true, |most| count <= most)
    }
}

impl Behind<'_> {
    /// Adds them to what must be left on other locks.
    pub(super) fn extend(self, after: &mut BTreeSet<Fence>) {
        match self {
            Self::Nobody => {}
            Self::One(fence) => {
                after.insert(fence);
            }
            Self::Many(grants, start) => after.extend(grants.range((start, Bound::Unbounded))),
        }
    }
}

//! The stable frontier: up to which clock every member is known to have everything.
//!
//! Two steps. A member *promises* a clock: it will write nothing at or below it (its clock is past it,
//! durably). With everyone's promises, and everyone's entries up to the head that came with each, a
//! member has all there will ever be up to the least promise: its *frontier*. The least frontier of all
//! members is *stable*: everyone has it, so no removal can take any of it back.

use core::time::Duration;

use alloc::collections::BTreeMap;
use alloc::vec;

use super::{Engine, Event, InFlight};
use crate::id::{AuthorId, NodeId, Seq};
use crate::record::Record;
use crate::time::{Hlc, Timestamp};

const RECOMPUTE_EVERY: Duration = Duration::from_millis(5);
const RECOMPUTE_PER_MEMBER: Duration = Duration::from_millis(1);

pub(super) struct Frontier {
    /// Greatest clock asked to be made durable.
    reserved: Hlc,
    /// Greatest durable clock.
    promise: Hlc,
    /// Greatest clock that was too far ahead to follow.
    put_off: Hlc,
    /// Voids on their way to the disk: until then the store shows what does not count.
    held: u32,
    own: Hlc,
    stable: Hlc,
    dirty: bool,
    not_before: Timestamp,
}

impl Frontier {
    pub(super) fn new(promise: Hlc) -> Self {
        Self {
            reserved: promise,
            promise,
            put_off: Hlc::ZERO,
            held: 0,
            own: Hlc::ZERO,
            stable: Hlc::ZERO,
            dirty: true,
            not_before: Timestamp::default(),
        }
    }

    /// Whether `clock` has yet to be made durable.
    pub(super) fn reserve(&mut self, clock: Hlc) -> bool {
        let is_new = clock > self.reserved;
        self.reserved = self.reserved.max(clock);
        is_new
    }

    /// `clock` is durable: never to be written at or below it again.
    pub(super) fn on_promise(&mut self, clock: Hlc) {
        self.promise = self.promise.max(clock);
        self.reserved = self.reserved.max(clock);
    }

    /// `clock` is too far ahead now; time, or a corrected clock, will tell.
    pub(super) fn put_off(&mut self, clock: Hlc) {
        self.put_off = self.put_off.max(clock);
    }

    pub(super) const fn mark(&mut self) {
        self.dirty = true;
    }

    pub(super) const fn hold(&mut self) {
        self.held += 1;
    }

    pub(super) const fn release(&mut self) {
        self.held -= 1;
    }

    pub(super) const fn own(&self) -> Hlc {
        self.own
    }

    pub(super) const fn stable(&self) -> Hlc {
        self.stable
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.dirty.then_some(self.not_before)
    }
}

impl Engine {
    /// The clock up to which this node has said all it will say, given that its log is known up to
    /// what was sent (or, for itself, to what is durable).
    pub(super) fn promise(&self, to_others: bool) -> Hlc {
        let in_flight = self.in_flight.iter().find_map(|(_, write)| match write {
            InFlight::Own { batch, .. } => Some(batch.hlc_first),
            _other => None,
        });
        let unsent = if to_others {
            self.multicast.first_unsent().map(|(_, hlc)| hlc)
        } else {
            None
        };
        let limit = in_flight.into_iter().chain(unsent).min();
        limit.map_or(self.frontier.promise, |hlc| {
            self.frontier.promise.min(Hlc(hlc.0 - 1))
        })
    }

    pub(super) fn poll_frontier(&mut self) {
        let now = self.now.mono;
        if !self.frontier.dirty || now < self.frontier.not_before {
            return;
        }
        let members = u32::try_from(self.membership.count()).unwrap_or(u32::MAX);
        self.frontier.dirty = false;
        self.frontier.not_before = now + RECOMPUTE_EVERY.max(RECOMPUTE_PER_MEMBER * members);
        self.follow_put_off();
        self.check_claims();
        // What a former member wrote and counts has to be here as well.
        let lacks = |(author, cut): (AuthorId, Seq)| {
            self.logs.durable(&author) < cut && !self.logs.is_frozen(&author)
        };
        let lacks_former = self.membership.cuts().any(lacks);
        if lacks_former || self.frontier.held > 0 {
            return;
        }
        let promise = self.promise(false);
        let mut claims: BTreeMap<NodeId, (Hlc, Hlc)> = BTreeMap::new();
        for (_, peer) in self.peers.iter() {
            if let Some(node) = peer.node {
                let (promise, frontier) = claims.entry(node).or_default();
                *promise = (*promise).max(peer.promise);
                *frontier = (*frontier).max(peer.frontier);
            }
        }
        let mut own = promise;
        let mut least = Hlc(u64::MAX);
        let others = self
            .membership
            .active()
            .filter(|(node, _)| **node != self.node);
        for (node, _) in others {
            let (promise, frontier) = claims.get(node).copied().unwrap_or_default();
            own = own.min(promise);
            least = least.min(frontier);
        }
        if own > self.frontier.own {
            self.frontier.own = own;
            self.on_news();
        }
        let stable = self.frontier.own.min(least);
        if stable > self.frontier.stable
            && !self.is_expelled
            && self.membership.is_active(&self.node)
        {
            self.frontier.stable = stable;
            self.event(Event::Stable(stable));
        }
    }

    /// Follows a clock that was too far ahead when it was seen, if it is not any more.
    fn follow_put_off(&mut self) {
        let clock = self.frontier.put_off;
        let wall = self.judging_wall();
        if clock > Hlc::ZERO && self.clock.observe(clock, wall).is_ok() {
            self.frontier.put_off = Hlc::ZERO;
            let clock = self.clock.last();
            if self.frontier.reserve(clock) {
                self.persist(vec![Record::Clock(clock)], InFlight::Clock(clock));
            }
        }
    }

    /// A peer's claim counts once its entries up to the head that came with it are durable here.
    fn check_claims(&mut self) {
        self.recognize_peers();
        for (author, peer) in self.peers.iter_mut() {
            if self.logs.durable(author) >= peer.beacon.head {
                peer.promise = peer.promise.max(peer.beacon.promise);
                peer.frontier = peer.frontier.max(peer.beacon.frontier);
            }
        }
    }
}

//! Sessions: who may wait for locks and hold them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use minicbor::{Decode, Encode};

use super::effects::Effects;
use super::queue::Arrival;
use super::seen::Seen;
use super::{Change, Table};
use crate::id::NodeId;
use crate::token::{
    Fence, LockOutcome, LockRefusal, RequestId, SESSION_MILLIS_MAX, SESSION_MILLIS_MIN,
    SESSIONS_MAX, SessionCause, SessionId,
};

/// One start of one node, as long as it is renewed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub(super) struct Session {
    #[n(0)]
    pub(super) node: NodeId,
    #[n(1)]
    pub(super) boot: u64,
    #[n(2)]
    pub(super) millis: u32,
    /// Of its view; grows by one with every entry that changes it.
    #[n(3)]
    pub(super) version: u64,
    /// Every request number it has used; those of `requests` are among them.
    #[n(4)]
    pub(super) seen: Seen,
    #[cbor(skip)]
    pub(super) requests: BTreeMap<RequestId, Place>,
}

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// In the queues of its locks.
    Waiting(Arrival),
    /// Chosen.
    Granted(Fence),
}

impl Table {
    pub(super) fn open(
        &mut self,
        node: NodeId,
        boot: u64,
        millis: u32,
        fx: &mut Effects,
    ) -> LockOutcome {
        if let Some(&session) = self.boots.get(&(node, boot)) {
            return LockOutcome::Opened(session);
        }
        if self.sessions.len() >= SESSIONS_MAX {
            return LockOutcome::Refused(LockRefusal::Full);
        }
        // An earlier session of the node goes on: what ran under its locks may still run.
        self.counters.session += 1;
        let id = SessionId(self.counters.session);
        let session = Session {
            node,
            boot,
            millis: millis.clamp(SESSION_MILLIS_MIN, SESSION_MILLIS_MAX),
            version: 0,
            seen: Seen::default(),
            requests: BTreeMap::new(),
        };
        self.sessions.insert(id, session);
        self.boots.insert((node, boot), id);
        fx.changes.push(Change::Opened { session: id, node });
        LockOutcome::Opened(id)
    }

    pub(super) fn end(
        &mut self,
        id: SessionId,
        cause: SessionCause,
        fx: &mut Effects,
    ) -> LockOutcome {
        let Some(session) = self.sessions.remove(&id) else {
            return LockOutcome::Done;
        };
        self.boots.remove(&(session.node, session.boot));
        fx.changes.push(Change::Ended {
            session: id,
            node: session.node,
            cause,
        });
        let mut touched = BTreeSet::new();
        let mut fences = Vec::new();
        for place in session.requests.into_values() {
            match place {
                Place::Waiting(arrival) => {
                    let waiter = self.dequeue(arrival, fx);
                    touched.extend(waiter.into_iter().flat_map(|waiter| waiter.locks));
                }
                Place::Granted(fence) => fences.push(fence),
            }
        }
        self.withdraw(&fences, &mut touched, fx);
        self.settle(touched, fx);
        LockOutcome::Done
    }
}

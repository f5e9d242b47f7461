//! What is written to the replicated log of the lock table.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use minicbor::{Decode, Encode};
use thiserror::Error;

use super::{FRONTIER_AUTHORS_MAX, Fence, LockName, Permits, Priority, RequestId, SessionId};
use crate::id::{AuthorId, NodeId, Seq};

/// The last entry of each author that a lock's next holder should have seen.
///
/// Only authors that wrote under the lock: whatever they had seen before comes with their entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Frontier(#[n(0)] pub Vec<(AuthorId, Seq)>);

impl Frontier {
    /// Takes over what `newer` knows: the later entry of each author, in the order of the authors.
    ///
    /// Of more than [`FRONTIER_AUTHORS_MAX`] authors those that only the older one names go first.
    pub fn merge(&mut self, newer: &Self) {
        self.sort();
        for (author, seq) in &newer.0 {
            match self.0.binary_search_by_key(author, |(known, _)| *known) {
                Ok(at) => self.0[at].1 = self.0[at].1.max(*seq),
                Err(at) => self.0.insert(at, (*author, *seq)),
            }
        }
        if self.0.len() > FRONTIER_AUTHORS_MAX {
            self.shorten(newer);
        }
    }

    /// Whether each author is in it once, in order, and no more than there may be.
    pub(super) fn is_canonical(&self) -> bool {
        self.0.len() <= FRONTIER_AUTHORS_MAX && self.0.is_sorted_by(|a, b| a.0 < b.0)
    }

    fn sort(&mut self) {
        if !self.0.is_sorted_by(|a, b| a.0 < b.0) {
            // The greatest entry of an author becomes the first of its run, which is the one that stays.
            self.0.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
            self.0.dedup_by_key(|(author, _)| *author);
        }
    }

    fn shorten(&mut self, newer: &Self) {
        let named: BTreeSet<AuthorId> = newer.0.iter().map(|(author, _)| *author).collect();
        let mut surplus = self.0.len() - FRONTIER_AUTHORS_MAX;
        self.0.retain(|(author, _)| {
            let stays = surplus == 0 || named.contains(author);
            surplus -= usize::from(!stays);
            stays
        });
        self.0.truncate(FRONTIER_AUTHORS_MAX);
    }
}

/// One step of the table. Every one may be applied twice, or long after it was made, without harm.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub enum LockCommand {
    /// Fences start no lower than this: seconds since 1970, shifted left by 20, of the group's first lock.
    #[n(0)]
    Start {
        /// The lowest next fence.
        #[n(0)]
        fence: Fence,
    },
    /// A node that has just started wants a session. The same boot gets the same session.
    #[n(1)]
    Open {
        /// Whose.
        #[n(0)]
        node: NodeId,
        /// Drawn at random by each start of the node.
        #[n(1)]
        boot: u64,
        /// The node's session time. Part of the session, so that every leader waits long enough,
        /// whatever its own time is. Clamped to `SESSION_MILLIS_MIN..=SESSION_MILLIS_MAX`.
        #[n(2)]
        session_millis: u32,
    },
    /// A client of the session wants all these locks at once.
    #[n(2)]
    Acquire {
        /// Whose.
        #[n(0)]
        session: SessionId,
        /// Which.
        #[n(1)]
        request: RequestId,
        /// Without repetition, at least one.
        #[n(2)]
        locks: Vec<LockName>,
        /// With how many others.
        #[n(3)]
        permits: Permits,
        /// How urgent.
        #[n(4)]
        priority: Priority,
        /// It is asked for before a client wants it. Only of a single lock, for one alone: it is not
        /// chosen to follow a grant of the same session.
        #[n(5)]
        #[cbor(default)]
        is_ahead: bool,
    },
    /// The request is not wanted any more and was never entered; the session will not enter it.
    #[n(3)]
    Cancel {
        /// Whose.
        #[n(0)]
        session: SessionId,
        /// Which.
        #[n(1)]
        request: RequestId,
    },
    /// The session has entered this grant and left it: so whoever was before it has left as well.
    #[n(4)]
    Release {
        /// Whose.
        #[n(0)]
        session: SessionId,
        /// The first fence of the grant.
        #[n(1)]
        fence: Fence,
        /// What was written under the lock, together with what the token brought.
        #[n(2)]
        frontier: Frontier,
        /// How long the lock was held. More than one entering under a block counts as one hold.
        #[n(3)]
        held_millis: u64,
    },
    /// The node stops and has left everything.
    #[n(5)]
    Close {
        /// Which.
        #[n(0)]
        session: SessionId,
    },
    /// The leader has not heard of the session for longer than its node considers it valid.
    #[n(6)]
    Expire {
        /// Which.
        #[n(0)]
        session: SessionId,
    },
    /// An operator wants whoever holds the lock to be stopped. It is free once that is done.
    #[n(7)]
    Force {
        /// Which.
        #[n(0)]
        lock: LockName,
        /// Who wants it, for the record.
        #[n(1)]
        by: NodeId,
        /// Only grants up to this fence: whoever comes later is not meant, however late this comes.
        #[n(2)]
        upto: Fence,
    },
}

/// What a command did, for whoever proposed it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum LockOutcome {
    /// Done, or it was done before.
    #[n(0)]
    Done,
    /// The session of the node that opened one.
    #[n(1)]
    Opened(#[n(0)] SessionId),
    /// Nothing changed.
    #[n(2)]
    Refused(#[n(0)] LockRefusal),
}

/// Why a command changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Error)]
#[cbor(index_only)]
#[non_exhaustive]
pub enum LockRefusal {
    /// The session has ended.
    #[n(0)]
    #[error("the session has ended")]
    NoSession,
    /// A limit is reached: locks, waiters, requests or sessions.
    #[n(1)]
    #[error("too many locks or waiters")]
    Full,
    /// No locks, too many, or one twice.
    #[n(2)]
    #[error("a request names each lock once, and at most 16")]
    BadRequest,
    /// The lock has no holder that could be stopped.
    #[n(3)]
    #[error("nobody holds the lock")]
    NotHeld,
    /// Not enough voters can be reached to decide anything.
    #[n(4)]
    #[error("too few voters can be reached")]
    NoQuorum,
    /// The node is not a member of the group, or asks in the name of another.
    #[n(5)]
    #[error("not allowed")]
    NotAllowed,
    /// The request was left, withdrawn or refused before; its number is used up.
    #[n(6)]
    #[error("the request is over")]
    Over,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum SessionCause {
    /// Its node said so.
    #[n(0)]
    Closed,
    /// It was not renewed.
    #[n(1)]
    Expired,
}

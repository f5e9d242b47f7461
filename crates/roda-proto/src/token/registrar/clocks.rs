//! When each session ends if nothing more is heard of it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use super::super::{SessionId, Timings};
use crate::time::Timestamp;

/// The clocks of all sessions, as the leader keeps them.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    sessions: BTreeMap<SessionId, Clock>,
    /// Of those that run, and of those whose end failed: when to look at them.
    due: BTreeSet<(Timestamp, SessionId)>,
}

/// The life of a session at the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    /// It ends at `until` unless it is renewed.
    Running {
        until: Timestamp,
        session_time: Duration,
    },
    /// Its end is decided and on its way into the log. There is no way back: the entry may come
    /// through at any time, so a node that was told "renewed" now would believe in a lost lease.
    Ending,
}

impl Clocks {
    /// A session begins, or its time begins anew; nothing if it is ending. Says whether it lives.
    pub(super) fn start(
        &mut self,
        now: Timestamp,
        session: SessionId,
        session_time: Duration,
    ) -> bool {
        // By the session's own time: the leader's may be shorter.
        let until = now + Timings::new(session_time).expiry();
        match self.sessions.get(&session) {
            Some(Clock::Ending) => return false,
            Some(Clock::Running { until: before, .. }) => {
                self.due.remove(&(*before, session));
            }
            None => {}
        }
        self.due.insert((until, session));
        let clock = Clock::Running {
            until,
            session_time,
        };
        self.sessions.insert(session, clock);
        true
    }

    /// The session was heard of. Says whether it lives.
    pub(super) fn renew(&mut self, now: Timestamp, session: SessionId) -> bool {
        match self.sessions.get(&session) {
            Some(Clock::Running { session_time, .. }) => {
                let session_time = *session_time;
                self.start(now, session, session_time)
            }
            Some(Clock::Ending) | None => false,
        }
    }

    /// It is known and does not end.
    #[must_use]
    pub(super) fn is_running(&self, session: SessionId) -> bool {
        matches!(self.sessions.get(&session), Some(Clock::Running { .. }))
    }

    /// The table has ended it.
    pub(super) fn remove(&mut self, session: SessionId) {
        if let Some(Clock::Running { until, .. }) = self.sessions.remove(&session) {
            self.due.remove(&(until, session));
        }
        // What failed to end is due under a time that is not kept.
        if !self.due.is_empty() {
            self.due.retain(|(_, of)| *of != session);
        }
    }

    /// To end it did not work, or nobody knows: it is to be tried again.
    pub(super) fn retry(&mut self, at: Timestamp, session: SessionId) {
        if self.sessions.get(&session) == Some(&Clock::Ending) {
            self.due.insert((at, session));
        }
    }

    /// Those whose end is to be written now.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<SessionId> {
        let mut due = Vec::new();
        while let Some((at, session)) = self.due.first().copied()
            && at <= now
        {
            self.due.pop_first();
            self.sessions.insert(session, Clock::Ending);
            due.push(session);
        }
        due
    }

    /// When to call [`Self::take_due`].
    #[must_use]
    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }
}

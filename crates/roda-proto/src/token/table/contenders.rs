//! Which sessions want a lock or have it.

use alloc::collections::BTreeMap;

use crate::token::{SUCCESSORS_MAX, SessionId};

/// The sessions of a lock's waiters and grants, and how many of both each has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Contenders(BTreeMap<SessionId, usize>);

impl Contenders {
    /// A session has one more.
    pub(super) fn add(&mut self, session: SessionId) {
        *self.0.entry(session).or_default() += 1;
    }

    /// A session has one less.
    pub(super) fn remove(&mut self, session: SessionId) {
        if let Some(count) = self.0.get_mut(&session) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&session);
            }
        }
    }

    /// How many requests of each session are enough for all places of successors to be taken; 0 if there
    /// are no two sessions, or so many that one request of each is enough.
    pub(super) fn share(&self) -> u8 {
        let count = self.0.len();
        if count < 2 {
            return 0;
        }
        match SUCCESSORS_MAX.div_ceil(count) {
            1 => 0,
            share => u8::try_from(share).unwrap_or(u8::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_of_successors_are_shared_among_the_sessions() {
        let mut contenders = Contenders::default();
        let mut shares = [0; 17];
        for (at, share) in (1..).zip(&mut shares) {
            contenders.add(SessionId(at));
            *share = contenders.share();
        }
        assert_eq!(shares, [0, 8, 6, 4, 4, 3, 3, 2, 2, 2, 2, 2, 2, 2, 2, 0, 0]);
    }

    #[test]
    fn a_session_contends_until_its_last_request_is_over() {
        let mut contenders = Contenders::default();
        for session in [1, 1, 2] {
            contenders.add(SessionId(session));
        }
        contenders.remove(SessionId(1));
        assert_eq!(contenders.share(), 8);
        contenders.remove(SessionId(1));
        assert_eq!(contenders.share(), 0);
    }
}

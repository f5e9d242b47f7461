//! This node's hybrid logical clock.

use core::time::Duration;

use crate::time::{Hlc, WallTime};

/// A clock further ahead than this is taken for wrong: its entries are kept, but do not pull ours along.
pub const OFFSET_MAX: Duration = Duration::from_secs(300);

/// Hands out clocks that grow strictly, and follow the wall and what was seen of others.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    last: Hlc,
}

impl Clock {
    /// Goes on after `last`, the greatest clock this node ever used or promised.
    #[must_use]
    pub const fn new(last: Hlc) -> Self {
        Self { last }
    }

    /// The next clock.
    pub fn tick(&mut self, wall: WallTime) -> Hlc {
        self.last = self.last.next().max(Hlc::from_millis(wall.0));
        self.last
    }

    /// Takes a peer's clock in.
    ///
    /// # Errors
    /// By how much it is ahead of `wall`, if that is more than [`OFFSET_MAX`]; it is then ignored.
    pub fn observe(&mut self, hlc: Hlc, wall: WallTime) -> Result<(), Duration> {
        // A clock that is near one that this node follows already does no further harm.
        let near = wall.0.max(self.last.millis());
        if Duration::from_millis(hlc.millis().saturating_sub(near)) > OFFSET_MAX {
            let ahead = Duration::from_millis(hlc.millis().saturating_sub(wall.0));
            return Err(ahead);
        }
        self.last = self.last.max(hlc);
        Ok(())
    }

    /// Goes on after `hlc`, however far ahead it is.
    pub fn follow(&mut self, hlc: Hlc) {
        self.last = self.last.max(hlc);
    }

    /// The greatest clock used or observed.
    #[must_use]
    pub const fn last(&self) -> Hlc {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_although_the_wall_goes_back() {
        let mut clock = Clock::new(Hlc::ZERO);
        let first = clock.tick(WallTime(1_000));
        assert_eq!(first, Hlc::from_millis(1_000));
        assert_eq!(clock.tick(WallTime(500)), first.next());
        assert_eq!(clock.tick(WallTime(1_001)), Hlc::from_millis(1_001));
    }

    #[test]
    fn it_follows_others_up_to_the_limit_and_no_further() {
        let mut clock = Clock::new(Hlc::ZERO);
        let limit = u64::try_from(OFFSET_MAX.as_millis()).unwrap();
        let beyond = Hlc::from_millis(limit + 1);
        let by = Duration::from_millis(limit + 1);
        assert_eq!(clock.observe(beyond, WallTime(0)), Err(by));
        assert_eq!(clock.last(), Hlc::ZERO);
        assert_eq!(clock.observe(Hlc::from_millis(limit), WallTime(0)), Ok(()));
        assert_eq!(clock.last(), Hlc::from_millis(limit));
        assert_eq!(
            clock.observe(beyond, WallTime(0)),
            Ok(()),
            "near a clock it follows already"
        );
    }
}

//! Whoever waits until this node durably has certain entries.
//!
//! Each waits for one entry at a time and moves on to the next when that is here, so a batch that
//! becomes durable costs a look-up, however many wait for others.

use std::collections::BTreeMap;

use roda_proto::token::{Frontier, LockRefusal};
use roda_proto::{AuthorId, Seq};
use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// Most that wait at once.
const REACHED_MAX: usize = 4096;

/// All that wait.
#[derive(Default)]
pub(super) struct Reached {
    /// By the entry that each waits for now, and a number that is its alone.
    waiting: BTreeMap<(AuthorId, Seq, u64), Waiter>,
    next: u64,
}

struct Waiter {
    /// What it waits for after that.
    rest: Vec<(AuthorId, Seq)>,
    answer: oneshot::Sender<Result<()>>,
}

impl Reached {
    /// Answers once `is_here` holds for all entries; at once, if it does already.
    pub(super) fn wait(
        &mut self,
        Frontier(entries): Frontier,
        answer: oneshot::Sender<Result<()>>,
        is_here: impl Fn(&AuthorId, Seq) -> bool,
    ) {
        let rest = entries;
        self.advance(Waiter { rest, answer }, &is_here);
    }

    /// An author's entries up to this one are durable now.
    pub(super) fn on_durable(
        &mut self,
        author: AuthorId,
        last: Seq,
        is_here: impl Fn(&AuthorId, Seq) -> bool,
    ) {
        if self.waiting.is_empty() {
            return;
        }
        let upto = (author, Seq(0), 0)..=(author, last, u64::MAX);
        let keys: Vec<_> = self.waiting.range(upto).map(|(key, _)| *key).collect();
        for key in keys {
            if let Some(waiter) = self.waiting.remove(&key) {
                self.advance(waiter, &is_here);
            }
        }
    }

    /// Something other than a new entry may have ended a wait: what is cut off never comes.
    pub(super) fn look_again(&mut self, is_here: impl Fn(&AuthorId, Seq) -> bool) {
        let settled = |(author, seq, _): &&(AuthorId, Seq, u64)| is_here(author, *seq);
        let keys: Vec<_> = self.waiting.keys().filter(settled).copied().collect();
        for key in keys {
            if let Some(waiter) = self.waiting.remove(&key) {
                self.advance(waiter, &is_here);
            }
        }
    }

    fn advance(&mut self, mut waiter: Waiter, is_here: &impl Fn(&AuthorId, Seq) -> bool) {
        while let Some((author, seq)) = waiter.rest.pop() {
            if is_here(&author, seq) {
                continue;
            }
            if self.waiting.len() >= REACHED_MAX {
                // Many of them may have given up since.
                self.waiting.retain(|_, waiter| !waiter.answer.is_closed());
            }
            if self.waiting.len() >= REACHED_MAX {
                let _gone = waiter
                    .answer
                    .send(Err(Error::LockRefused(LockRefusal::Full)));
                return;
            }
            self.waiting.insert((author, seq, self.next), waiter);
            self.next += 1;
            return;
        }
        // Whoever asked may have given up.
        let _gone = waiter.answer.send(Ok(()));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    const ANA: AuthorId = AuthorId([1; 16]);
    const BIA: AuthorId = AuthorId([2; 16]);

    /// What is durable, and who waits for more.
    #[derive(Default)]
    struct World {
        durable: RefCell<BTreeMap<AuthorId, Seq>>,
        reached: Reached,
    }

    impl World {
        fn wait(&mut self, entries: &[(AuthorId, u64)]) -> oneshot::Receiver<Result<()>> {
            let (answer, answered) = oneshot::channel();
            let entries = entries.iter().map(|(author, seq)| (*author, Seq(*seq)));
            let durable = &self.durable;
            self.reached
                .wait(Frontier(entries.collect()), answer, |author, seq| {
                    is_durable(durable, author, seq)
                });
            answered
        }

        fn becomes_durable(&mut self, author: AuthorId, last: u64) {
            self.durable.borrow_mut().insert(author, Seq(last));
            let durable = &self.durable;
            self.reached.on_durable(author, Seq(last), |author, seq| {
                is_durable(durable, author, seq)
            });
        }
    }

    fn is_durable(durable: &RefCell<BTreeMap<AuthorId, Seq>>, author: &AuthorId, seq: Seq) -> bool {
        durable
            .borrow()
            .get(author)
            .is_some_and(|last| *last >= seq)
    }

    #[test]
    fn who_waits_is_answered_once_all_is_here_in_whatever_order_it_comes() {
        let mut world = World::default();
        world.becomes_durable(ANA, 3);
        let mut nothing = world.wait(&[]);
        assert!(matches!(nothing.try_recv(), Ok(Ok(()))));
        let mut here = world.wait(&[(ANA, 3)]);
        assert!(matches!(here.try_recv(), Ok(Ok(()))));
        let mut both = world.wait(&[(ANA, 5), (BIA, 2)]);
        world.becomes_durable(ANA, 9);
        assert!(both.try_recv().is_err());
        world.becomes_durable(BIA, 1);
        assert!(both.try_recv().is_err());
        world.becomes_durable(BIA, 2);
        assert!(matches!(both.try_recv(), Ok(Ok(()))));
        assert!(world.reached.waiting.is_empty());
    }

    #[test]
    fn who_waits_for_what_can_never_come_is_answered_when_that_is_known() {
        let mut world = World::default();
        let mut lost = world.wait(&[(ANA, 5)]);
        world.reached.look_again(|_, _| false);
        assert!(lost.try_recv().is_err());
        world.reached.look_again(|_, _| true);
        assert!(matches!(lost.try_recv(), Ok(Ok(()))));
    }

    #[test]
    fn those_who_gave_up_make_room_and_then_more_are_refused() {
        let mut world = World::default();
        for _ in 0..REACHED_MAX {
            drop(world.wait(&[(ANA, 5)]));
        }
        let mut kept: Vec<_> = (0..REACHED_MAX).map(|_| world.wait(&[(ANA, 5)])).collect();
        assert_eq!(world.reached.waiting.len(), REACHED_MAX);
        let mut more = world.wait(&[(ANA, 5)]);
        let full = Error::LockRefused(LockRefusal::Full);
        assert_eq!(
            more.try_recv().unwrap().unwrap_err().to_string(),
            full.to_string()
        );
        world.becomes_durable(ANA, 5);
        assert!(
            kept.iter_mut()
                .all(|kept| matches!(kept.try_recv(), Ok(Ok(()))))
        );
    }
}

//! What will happen, in the order of virtual time; among equals in the order of scheduling.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use roda_proto::Timestamp;

struct Slot<T> {
    at: Timestamp,
    order: u64,
    what: T,
}

impl<T> PartialEq for Slot<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl<T> Eq for Slot<T> {}

impl<T> PartialOrd for Slot<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Slot<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// The future.
pub struct Queue<T> {
    heap: BinaryHeap<Reverse<Slot<T>>>,
    scheduled: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
            scheduled: 0,
        }
    }
}

impl<T> Queue<T> {
    /// Adds something to happen.
    pub fn push(&mut self, at: Timestamp, what: T) {
        let order = self.scheduled;
        self.scheduled += 1;
        self.heap.push(Reverse(Slot { at, order, what }));
    }

    /// When the next thing happens.
    #[must_use]
    pub fn next_at(&self) -> Option<Timestamp> {
        self.heap.peek().map(|slot| slot.0.at)
    }

    /// Takes the next thing.
    pub fn pop(&mut self) -> Option<(Timestamp, T)> {
        let Reverse(slot) = self.heap.pop()?;
        Some((slot.at, slot.what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_orders_first_and_scheduling_breaks_ties() {
        let mut queue = Queue::default();
        for (at, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b')] {
            queue.push(Timestamp::from_micros(at), what);
        }
        assert_eq!(queue.next_at(), Some(Timestamp::from_micros(1)));
        let order: String = std::iter::from_fn(|| queue.pop().map(|(_, what)| what)).collect();
        assert_eq!(order, "abcd");
    }
}

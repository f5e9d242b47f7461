//! The network between the nodes.

mod link;

pub use link::{Bursts, CONTROL_LEN, LinkFaults};

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use roda_proto::Via;

use crate::random::Random;

/// A copy of a datagram on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy {
    /// To which node.
    pub to: usize,
    /// Time on the way.
    pub delay: Duration,
    /// How many datagrams the link had carried before.
    pub place: u64,
}

#[derive(Clone, Copy, Default)]
struct LinkState {
    bad: bool,
    carried: u64,
}

/// Who reaches whom, and how well.
pub struct Network {
    random: Random,
    usual: LinkFaults,
    special: BTreeMap<(usize, usize), LinkFaults>,
    /// Kept only while some fault needs a memory per link: a thousand nodes have a million links.
    states: BTreeMap<(usize, usize), LinkState>,
    sides: Vec<u8>,
    cut: BTreeSet<(usize, usize)>,
    unicast_only: BTreeSet<(usize, usize)>,
}

impl Network {
    /// A network in which every link has the same faults.
    #[must_use]
    pub fn new(seed: u64, usual: LinkFaults) -> Self {
        Self {
            random: Random::new(seed, "network"),
            usual,
            special: BTreeMap::new(),
            states: BTreeMap::new(),
            sides: Vec::new(),
            cut: BTreeSet::new(),
            unicast_only: BTreeSet::new(),
        }
    }

    /// Ends all partitions, cuts and filters, and gives every link the same faults from now on.
    pub fn heal(&mut self, usual: LinkFaults) {
        self.usual = usual;
        self.special.clear();
        self.states.clear();
        self.sides.clear();
        self.cut.clear();
        self.unicast_only.clear();
    }

    /// Gives one direction faults of its own.
    pub fn set_link(&mut self, from: usize, to: usize, faults: LinkFaults) {
        self.special.insert((from, to), faults);
    }

    /// Takes them away.
    pub fn reset_link(&mut self, from: usize, to: usize) {
        self.special.remove(&(from, to));
    }

    /// Splits the nodes: only equal sides reach each other; nodes beyond the list are on side 0.
    pub fn split(&mut self, sides: Vec<u8>) {
        self.sides = sides;
    }

    /// Ends a split.
    pub fn join(&mut self) {
        self.sides.clear();
    }

    /// Nothing passes in this direction any more, or again.
    pub fn set_cut(&mut self, from: usize, to: usize, is_cut: bool) {
        if is_cut {
            self.cut.insert((from, to));
        } else {
            self.cut.remove(&(from, to));
        }
    }

    /// Multicast does not pass in this direction any more, or again.
    pub fn set_unicast_only(&mut self, from: usize, to: usize, is_unicast_only: bool) {
        if is_unicast_only {
            self.unicast_only.insert((from, to));
        } else {
            self.unicast_only.remove(&(from, to));
        }
    }

    /// Whether anything passes.
    #[must_use]
    pub fn reaches(&self, from: usize, to: usize) -> bool {
        let side = |node: usize| self.sides.get(node).copied().unwrap_or(0);
        side(from) == side(to) && !self.cut.contains(&(from, to))
    }

    /// Whether a stream can exist, which needs both directions.
    #[must_use]
    pub fn connects(&self, one: usize, other: usize) -> bool {
        self.reaches(one, other) && self.reaches(other, one)
    }

    /// Sends a datagram; the copies that will arrive are added to `copies`.
    pub fn send(&mut self, from: usize, to: usize, via: Via, len: usize, copies: &mut Vec<Copy>) {
        let filtered = via == Via::Multicast && self.unicast_only.contains(&(from, to));
        if filtered || !self.reaches(from, to) {
            return;
        }
        let faults = self.faults(from, to);
        let mut state = LinkState::default();
        let remembers = faults.bursts.is_some() || faults.tail_loss > 0.0;
        if remembers {
            state = self.states.get(&(from, to)).copied().unwrap_or_default();
            state.carried += 1;
        }
        let delays = faults.pass(len, &mut state.bad, &mut self.random);
        if remembers {
            self.states.insert((from, to), state);
        }
        for delay in [delays.first, delays.second].into_iter().flatten() {
            copies.push(Copy {
                to,
                delay,
                place: state.carried,
            });
        }
    }

    /// Whether a datagram that is about to arrive is lost as the last of its burst.
    pub fn loses_tail(&mut self, from: usize, to: usize, place: u64) -> bool {
        let tail_loss = self.faults(from, to).tail_loss;
        tail_loss > 0.0
            && self
                .states
                .get(&(from, to))
                .is_some_and(|state| state.carried == place)
            && self.random.chance(tail_loss)
    }

    fn faults(&self, from: usize, to: usize) -> LinkFaults {
        if self.special.is_empty() {
            self.usual
        } else {
            *self.special.get(&(from, to)).unwrap_or(&self.usual)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(network: &mut Network, from: usize, to: usize, via: Via) -> usize {
        let mut copies = Vec::new();
        network.send(from, to, via, 500, &mut copies);
        copies.len()
    }

    #[test]
    fn splits_cuts_and_filters_hold_until_healed() {
        let mut network = Network::new(1, LinkFaults::CLEAN);
        network.split(vec![0, 1, 1]);
        network.set_cut(1, 2, true);
        network.set_unicast_only(2, 1, true);
        assert_eq!(arrivals(&mut network, 0, 1, Via::Multicast), 0);
        assert_eq!(arrivals(&mut network, 1, 2, Via::Unicast), 0);
        assert_eq!(arrivals(&mut network, 2, 1, Via::Multicast), 0);
        assert_eq!(arrivals(&mut network, 2, 1, Via::Unicast), 1);
        assert!(!network.connects(1, 2));
        network.heal(LinkFaults::CLEAN);
        assert_eq!(arrivals(&mut network, 0, 1, Via::Multicast), 1);
        assert!(network.connects(1, 2));
    }

    #[test]
    fn only_the_last_of_a_burst_is_lost_at_its_tail() {
        let faults = LinkFaults {
            tail_loss: 1.0,
            ..LinkFaults::CLEAN
        };
        let mut network = Network::new(1, faults);
        let mut copies = Vec::new();
        for _ in 0..3 {
            network.send(0, 1, Via::Multicast, 500, &mut copies);
        }
        let lost: Vec<bool> = copies
            .iter()
            .map(|copy| network.loses_tail(0, 1, copy.place))
            .collect();
        assert_eq!(lost, [false, false, true]);
    }
}

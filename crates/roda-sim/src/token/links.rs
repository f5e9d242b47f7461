//! Connections between nodes: in order while they live, lost when they break.

use std::time::Duration;

use roda_proto::Timestamp;

use super::options::LinkOptions;
use crate::random::Random;

/// One direction of a connection.
#[derive(Clone, Copy, Debug, Default)]
struct Link {
    /// Counts connections.
    life: u64,
    /// The last arrival of this life; later messages arrive later.
    last: Timestamp,
    /// From when on there is a connection.
    up: Timestamp,
    is_cut: bool,
}

/// When a message arrives, if its connection lives until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Travel {
    /// When.
    pub arrives: Timestamp,
    /// Of the connection.
    pub life: u64,
}

/// All connections of a group.
pub struct Links {
    nodes: usize,
    links: Vec<Link>,
    options: LinkOptions,
    random: Random,
}

impl Links {
    /// Every node with every other.
    #[must_use]
    pub fn new(seed: u64, nodes: usize, options: LinkOptions) -> Self {
        Self {
            nodes,
            links: vec![Link::default(); nodes * nodes],
            options,
            random: Random::new(seed, "token links"),
        }
    }

    /// Sends a message; `None`: it is lost.
    pub fn send(&mut self, from: usize, to: usize, now: Timestamp) -> Option<Travel> {
        let delay = self.delay();
        let at = self.at(from, to);
        if self.links[at].is_cut {
            // What is sent later is not to arrive as if this had. The other direction is as good as before:
            // a network that is cut one way only.
            self.links[at].life += 1;
            return None;
        }
        let link = &mut self.links[at];
        if link.up > now {
            return None;
        }
        link.last = link.last.max(now + delay);
        Some(Travel {
            arrives: link.last,
            life: link.life,
        })
    }

    /// Whether a message arrives at the end of its way. What was on a connection that broke meanwhile may
    /// have arrived before that.
    pub fn arrives(&mut self, from: usize, to: usize, life: u64) -> bool {
        let at = self.at(from, to);
        if self.links[at].is_cut {
            self.links[at].life = self.links[at].life.max(life + 1);
            return false;
        }
        self.links[at].life == life || self.random.chance(self.options.stale)
    }

    /// For a message that arrived: whether and when it does so again. Only those of broken connections
    /// do, because whoever sent them could not know that they had arrived.
    pub fn arrives_again(&mut self, from: usize, to: usize, life: u64) -> Option<Duration> {
        let is_stale = self.links[self.at(from, to)].life != life;
        let is_again = is_stale && self.random.chance(self.options.twice);
        is_again.then(|| self.delay() * 3)
    }

    /// Breaks the connection of two nodes.
    pub fn reset(&mut self, one: usize, other: usize, now: Timestamp) {
        let up = now + self.random.duration(Duration::ZERO, self.options.reconnect);
        for at in [self.at(one, other), self.at(other, one)] {
            let link = &mut self.links[at];
            link.life += 1;
            link.up = up;
            link.last = up;
        }
    }

    /// Breaks all connections of a node, as its end does.
    pub fn reset_all(&mut self, node: usize, now: Timestamp) {
        for other in 0..self.nodes {
            self.reset(node, other, now);
        }
    }

    /// Cuts one direction, or heals it.
    pub fn cut(&mut self, from: usize, to: usize, is_cut: bool) {
        let at = self.at(from, to);
        self.links[at].is_cut = is_cut;
    }

    /// Heals everything.
    pub fn heal(&mut self) {
        for link in &mut self.links {
            link.is_cut = false;
        }
    }

    /// Whether two nodes can talk.
    #[must_use]
    pub fn is_open(&self, one: usize, other: usize) -> bool {
        let is_cut = |from, to| self.links[self.at(from, to)].is_cut;
        !is_cut(one, other) && !is_cut(other, one)
    }

    /// Whether one direction is cut.
    #[must_use]
    pub fn is_cut(&self, from: usize, to: usize) -> bool {
        self.links[self.at(from, to)].is_cut
    }

    fn delay(&mut self) -> Duration {
        self.options.delay_min + self.random.exponential(self.options.delay_mean)
    }

    const fn at(&self, from: usize, to: usize) -> usize {
        from * self.nodes + to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: LinkOptions = LinkOptions {
        delay_min: Duration::from_millis(1),
        delay_mean: Duration::from_millis(10),
        stale: 0.0,
        twice: 0.0,
        reconnect: Duration::from_millis(5),
    };

    #[test]
    fn a_connection_keeps_the_order_and_a_broken_one_loses_all() {
        let mut links = Links::new(1, 2, OPTIONS);
        let now = Timestamp::from_micros(7);
        let travels: Vec<_> = (0..20).filter_map(|_| links.send(0, 1, now)).collect();
        assert_eq!(travels.len(), 20);
        assert!(travels.is_sorted_by_key(|travel| travel.arrives));
        assert!(links.arrives(0, 1, travels[0].life));
        links.reset(1, 0, now);
        assert!(!links.arrives(0, 1, travels[1].life));
    }

    #[test]
    fn a_cut_has_one_direction() {
        let mut links = Links::new(1, 2, OPTIONS);
        links.cut(0, 1, true);
        assert_eq!(links.send(0, 1, Timestamp::default()), None);
        assert!(links.send(1, 0, Timestamp::default()).is_some());
        assert!(!links.is_open(1, 0));
    }
}

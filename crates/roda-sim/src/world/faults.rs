//! Faults of nodes and links. Each kind happens again after a random while, as long as the safety phase
//! lasts; what has two states changes between them.

use std::time::Duration;

use super::{What, World};
use crate::clock::YEAR_MS;
use crate::invariants::{Check, Origin};
use crate::network::LinkFaults;
use crate::node::Wish;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A node loses power.
    Crash,
    /// A node is stopped properly.
    Stop,
    /// The network splits or heals.
    Split,
    /// One direction dies or heals.
    Cut,
    /// One direction gets bad or recovers.
    Weak,
    /// Multicast is filtered in one direction, or passes again.
    Filter,
    /// A wall clock jumps.
    Clock,
    /// A node reads slowly, or recovers.
    Slow,
}

const ALL: [Fault; 8] = [
    Fault::Crash,
    Fault::Stop,
    Fault::Split,
    Fault::Cut,
    Fault::Weak,
    Fault::Filter,
    Fault::Clock,
    Fault::Slow,
];

impl World {
    /// Lets faults, work and attacks begin.
    pub fn unleash(&mut self) {
        for fault in ALL {
            self.next_fault(fault);
        }
        self.after(Duration::ZERO, What::Work);
        self.after(Duration::ZERO, What::Look);
        if self.options.adversary.is_some() {
            self.after(Duration::ZERO, What::Hostile);
        }
    }

    fn next_fault(&mut self, fault: Fault) {
        let faults = &self.options.faults;
        let period = match fault {
            Fault::Crash => faults.crash,
            Fault::Stop => faults.stop,
            Fault::Split => faults.split,
            Fault::Cut => faults.cut,
            Fault::Weak => faults.weak,
            Fault::Filter => faults.filter,
            Fault::Clock => faults.clock,
            Fault::Slow => faults.slow,
        };
        if let Some(period) = period {
            let delay = self.chance.faults.exponential(period);
            self.after(delay, What::Fault(fault));
        }
    }

    pub(super) fn fault(&mut self, fault: Fault) -> Check {
        if !self.is_safety_phase {
            return Ok(());
        }
        let node = self.chance.faults.below(self.nodes.len());
        let other = self.chance.faults.below(self.nodes.len());
        let ends = self.chance.faults.chance(0.5);
        self.note(node, &[50, other as u64], || {
            format!("{fault:?}, node {other}, ends: {ends}")
        });
        match fault {
            Fault::Crash => self.crash_for_a_while(node)?,
            Fault::Stop => self.stop_for_a_while(node)?,
            Fault::Split if ends => self.network.join(),
            Fault::Split => {
                let sides = self
                    .nodes
                    .iter()
                    .map(|_| u8::from(self.chance.faults.chance(0.5)));
                let sides = sides.collect();
                self.network.split(sides);
            }
            Fault::Cut => self.network.set_cut(node, other, !ends),
            Fault::Weak if ends => self.network.reset_link(node, other),
            Fault::Weak => {
                let loss = self.chance.faults.real(0.2, 0.95);
                let faults = LinkFaults {
                    loss,
                    ..self.options.network
                };
                self.network.set_link(node, other, faults);
            }
            Fault::Filter => self.network.set_unicast_only(node, other, !ends),
            Fault::Clock => self.jump(node),
            Fault::Slow => self.nodes[node].reading = (!ends).then_some(Duration::from_millis(20)),
        }
        self.next_fault(fault);
        Ok(())
    }

    fn jump(&mut self, node: usize) {
        let small = *self
            .chance
            .faults
            .pick(&[50, 5_000, 3_600_000])
            .unwrap_or(&0);
        let by = if self.chance.faults.chance(0.05) {
            YEAR_MS
        } else {
            small
        };
        let by = if self.chance.faults.chance(0.5) {
            by
        } else {
            -by
        };
        self.nodes[node].clock.jump(by);
    }

    fn crash_for_a_while(&mut self, node: usize) -> Check {
        if self.nodes[node].is_up() {
            self.crash(node, false)?;
            let down = self.chance.faults.exponential(self.options.faults.down);
            self.after(down, What::Start { node });
        }
        Ok(())
    }

    fn stop_for_a_while(&mut self, node: usize) -> Check {
        if self.nodes[node].is_up() {
            self.command(node, Wish::Stop, roda_proto::Command::Bye)?;
            let down = self.chance.faults.exponential(self.options.faults.down);
            self.after(down + Duration::from_secs(1), What::Start { node });
        }
        Ok(())
    }

    /// A node loses power and stays down.
    ///
    /// # Errors
    /// An invariant did not hold.
    pub fn power_off(&mut self, node: usize) -> Check {
        self.crash(node, false)
    }

    /// Ends all faults and starts every node again; from here on the group has to converge.
    ///
    /// # Errors
    /// An invariant did not hold.
    pub fn heal(&mut self) -> Check {
        self.is_safety_phase = false;
        self.network.heal(self.options.network_after);
        for node in 0..self.nodes.len() {
            self.nodes[node].reading = None;
            self.note(node, &[51], || "all is healed".into());
            self.start(node)?;
        }
        Ok(())
    }

    /// Feeds a timeout that nobody asked for: a timer that fires early must be harmless.
    pub(super) fn wake_early(&mut self, node: usize) -> Check {
        self.feed(node, roda_proto::Input::Timeout, Origin::World, false)?;
        Ok(())
    }
}

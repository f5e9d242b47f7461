//! What applications do, and looks at nodes in passing.

use std::time::Duration;

use roda_proto::{Command, Seq, Topic};

use super::{What, World};
use crate::invariants::{Check, Violation};
use crate::node::{Standing, Wish};
use crate::trace::hash_bytes;

const BURST_MAX: usize = 40;
const LOOK_EVERY: Duration = Duration::from_millis(250);

impl World {
    /// Some node writes something.
    pub(super) fn work(&mut self) -> Check {
        if !self.is_safety_phase || self.appends_left == 0 {
            return Ok(());
        }
        let pause = self.options.safety / u32::try_from(self.options.appends.max(1)).unwrap_or(1);
        let delay = self.chance.work.exponential(pause);
        self.after(delay, What::Work);
        let writers: Vec<usize> = (0..self.nodes.len())
            .filter(|node| self.nodes[*node].is_up())
            .filter(|node| {
                matches!(
                    self.nodes[*node].standing,
                    Standing::Member | Standing::Gone
                )
            })
            .collect();
        let Some(node) = self.chance.work.pick(&writers).copied() else {
            return Ok(());
        };
        self.appends_left -= 1;
        let count = match self.chance.work.below(4) {
            0 => self.chance.work.between(1, BURST_MAX),
            _ => 1,
        };
        // A burst is of small bodies: large ones would make runs slow without trying anything new.
        let body_max = if count > 4 {
            self.options.body_max.min(300)
        } else {
            self.options.body_max
        };
        let bodies = (0..count)
            .map(|_| {
                let len = self.chance.work.below(body_max + 1);
                self.chance.work.body(len)
            })
            .collect();
        let topic = self.chance.work.below(self.options.topics);
        self.append(node, topic, bodies)
    }

    /// Lets a node write messages.
    ///
    /// # Errors
    /// An invariant did not hold.
    pub fn append(&mut self, node: usize, topic: usize, bodies: Vec<Vec<u8>>) -> Check {
        let hashes = bodies.iter().map(|body| hash_bytes(body)).collect();
        let topic = Topic::new(&format!("topic{topic}")).map_err(|error| {
            Violation::at(
                "scenario",
                node,
                format!("the topic's name is refused: {error}"),
            )
        })?;
        self.command(
            node,
            Wish::Append(hashes),
            Command::Append { topic, bodies },
        )
    }

    /// What was acknowledged is on the disk as it was given.
    pub(super) fn check_appended(
        &self,
        node: usize,
        bodies: &[u64],
        first: Seq,
        last: Seq,
    ) -> Check {
        let wrong = |detail| Err(Violation::at("acknowledged content", node, detail));
        let machine = &self.nodes[node];
        let Some(disk) = &machine.disk else {
            return Ok(());
        };
        let seqs = disk.stored().messages(machine.author, first, last);
        if seqs.len() != bodies.len() {
            return wrong(format!(
                "entries {first}..={last} for {} messages",
                bodies.len()
            ));
        }
        for (seq, hash) in seqs.into_iter().zip(bodies) {
            let body = disk.stored().body(machine.author, seq);
            if body.is_none_or(|body| hash_bytes(&body) != *hash) {
                return wrong(format!("entry {seq} is not what was written"));
            }
        }
        Ok(())
    }

    /// Looks at some node: what it says must agree with what it has.
    pub(super) fn look(&mut self) -> Check {
        if self.is_safety_phase {
            self.after(LOOK_EVERY, What::Look);
        }
        let node = self.chance.work.below(self.nodes.len());
        self.look_at(node)?;
        if self.chance.work.chance(0.3) {
            self.wake_early(node)
        } else {
            Ok(())
        }
    }

    pub(super) fn look_at(&self, node: usize) -> Check {
        let machine = &self.nodes[node];
        if let (Some(engine), Some(disk)) = (&machine.engine, &machine.disk) {
            let vector = engine.version_vector();
            let is_synced = disk.unsynced() == 0;
            self.invariants
                .replicas
                .check_vector(node, &vector, disk.stored(), is_synced)?;
        }
        Ok(())
    }
}

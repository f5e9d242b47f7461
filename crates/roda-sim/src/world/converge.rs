//! The liveness phase: once all is healed, everyone who belongs must come to the same state.

use std::collections::BTreeSet;
use std::time::Duration;

use roda_proto::log::clock::OFFSET_MAX;
use roda_proto::{AuthorId, Hlc, NodeId};

use super::World;
use crate::clock::true_wall;
use crate::invariants::{Check, Violation};
use crate::node::Standing;

const LOOK_EVERY: Duration = Duration::from_millis(100);

impl World {
    /// Lets time pass until the group has converged; returns how long that took.
    ///
    /// # Errors
    /// An invariant did not hold, or the group did not converge in the time it has.
    pub fn converge(&mut self) -> Result<Duration, Violation> {
        let start = self.now;
        let limit = self.options.liveness_max;
        loop {
            let missing = self.missing();
            let Some(missing) = missing else {
                self.check_complete()?;
                return Ok(self.now.since(start));
            };
            if self.now.since(start) >= limit {
                let detail = format!("after {limit:?}: {missing}");
                return Err(Violation::global("liveness", detail));
            }
            self.run_for(LOOK_EVERY)?;
        }
    }

    /// Lets time pass until all nodes but one have the same entries; returns how long that took.
    ///
    /// # Errors
    /// An invariant did not hold, or it took too long.
    pub fn converge_without(&mut self, absent: usize) -> Result<Duration, Violation> {
        let start = self.now;
        let limit = self.options.liveness_max;
        while let Some(missing) = self.missing_entries_among(|node| node != absent) {
            if self.now.since(start) >= limit {
                let detail = format!("after {limit:?}: {missing}");
                return Err(Violation::global("liveness", detail));
            }
            self.run_for(LOOK_EVERY)?;
        }
        Ok(self.now.since(start))
    }

    fn staying(&self) -> impl Iterator<Item = usize> {
        (0..self.nodes.len()).filter(|node| !self.nodes[*node].doomed)
    }

    /// What still lacks, in words; `None` once converged.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        self.missing_members()
            .or_else(|| self.missing_entries())
            .or_else(|| self.missing_stability())
            .or_else(|| self.missing_contacts())
    }

    fn missing_members(&self) -> Option<String> {
        for (index, node) in self.nodes.iter().enumerate() {
            let expected = if node.doomed {
                Standing::Gone
            } else {
                Standing::Member
            };
            if node.standing != expected {
                return Some(format!(
                    "node {index} is {:?}, not {expected:?}",
                    node.standing
                ));
            }
            if !node.doomed && (!node.is_up() || !node.wishes.is_empty()) {
                return Some(format!("node {index} has unanswered {:?}", node.wishes));
            }
        }
        let expected: BTreeSet<NodeId> = self.staying().map(|node| self.nodes[node].id).collect();
        for index in self.staying() {
            let engine = self.nodes[index].engine.as_ref()?;
            let members: BTreeSet<NodeId> = engine
                .members()
                .into_iter()
                .map(|member| member.node)
                .collect();
            if members != expected {
                return Some(format!(
                    "node {index} believes in {} members {members:?}, {} belong: {expected:?}",
                    members.len(),
                    expected.len(),
                ));
            }
        }
        None
    }

    /// Which entries are not everywhere, in words.
    #[must_use]
    pub fn missing_entries(&self) -> Option<String> {
        self.missing_entries_among(|_| true)
    }

    fn missing_entries_among(&self, counts: impl Fn(usize) -> bool) -> Option<String> {
        let stored = |node: usize| {
            self.nodes[node]
                .disk
                .as_ref()
                .map(crate::disk::Disk::stored)
        };
        let heads = |node: usize| -> Vec<_> {
            let heads = stored(node).into_iter().flat_map(|stored| stored.heads());
            heads.map(|head| (head.author, head.seq)).collect()
        };
        let counted = |node: &usize| counts(*node);
        let first = self.staying().find(counted)?;
        let expected = heads(first);
        for index in self.staying().filter(counted) {
            let unsynced = self.nodes[index]
                .disk
                .as_ref()
                .map_or(0, crate::disk::Disk::unsynced);
            let here = heads(index);
            if here != expected || unsynced > 0 {
                return Some(format!(
                    "node {index} has {here:?} and {unsynced} unsynced writes, node {first} has {expected:?}"
                ));
            }
        }
        None
    }

    fn missing_stability(&self) -> Option<String> {
        for index in self.staying() {
            let node = &self.nodes[index];
            let (engine, disk) = (node.engine.as_ref()?, node.disk.as_ref()?);
            // What a clock that was far ahead has written stays tentative until that time comes.
            let wall = true_wall(self.now, OFFSET_MAX);
            let limit = Hlc::from_millis(wall.0);
            let batches = disk.stored().batches().map(|batch| batch.hlc_last);
            let newest = batches
                .filter(|hlc| *hlc <= limit)
                .max()
                .unwrap_or(Hlc::ZERO);
            if engine.stable() < newest {
                return Some(format!(
                    "node {index} is stable up to {:?}, its newest entry is of {newest:?}",
                    engine.stable()
                ));
            }
        }
        None
    }

    /// Who cannot be called: streams need an address.
    fn missing_contacts(&self) -> Option<String> {
        for index in self.staying() {
            let met = &self.nodes[index].met;
            let mut others = self.staying().filter(|other| *other != index);
            if let Some(unmet) = others.find(|other| !met.contains(&self.nodes[*other].id)) {
                return Some(format!("node {index} does not know where node {unmet} is"));
            }
        }
        None
    }

    fn check_complete(&self) -> Check {
        let authors: Vec<AuthorId> = self.staying().map(|node| self.nodes[node].author).collect();
        for index in self.staying() {
            self.look_at(index)?;
            let Some(engine) = &self.nodes[index].engine else {
                continue;
            };
            let have = engine.version_vector();
            self.invariants
                .durability
                .check_complete(index, &have, &authors)?;
        }
        Ok(())
    }
}

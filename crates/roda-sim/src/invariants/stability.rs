//! I7: below the stable frontier nothing changes any more, and the frontier never falls.
//!
//! Protects the mirror file, which only grows below the frontier and is the same bytes everywhere. What a
//! node announced before a crash still holds after it, because the file outlives the node.

use std::collections::BTreeMap;

use roda_proto::{Batch, Hlc};

use super::{Check, Violation};

#[derive(Clone, Copy, Default)]
struct Frontier {
    in_this_run: Hlc,
    ever: Hlc,
}

/// What each node announced.
#[derive(Default)]
pub struct Stability {
    frontiers: BTreeMap<usize, Frontier>,
}

impl Stability {
    /// A node starts again; until it has heard from everyone its frontier may be lower than before.
    pub fn on_start(&mut self, node: usize) {
        self.frontiers.entry(node).or_default().in_this_run = Hlc::ZERO;
    }

    /// A node announces a frontier.
    ///
    /// # Errors
    /// It announced a higher one before.
    pub fn on_stable(&mut self, node: usize, stable: Hlc) -> Check {
        let frontier = self.frontiers.entry(node).or_default();
        if stable < frontier.in_this_run {
            let detail = format!("fell from {:?} to {stable:?}", frontier.in_this_run);
            return Err(Violation::at("I7 stable frontier", node, detail));
        }
        frontier.in_this_run = stable;
        frontier.ever = stable.max(frontier.ever);
        Ok(())
    }

    /// A node delivers a batch or deletes one.
    ///
    /// # Errors
    /// It lies at or below a frontier that the node announced.
    pub fn on_change(&self, node: usize, what: &str, batch: &Batch) -> Check {
        let ever = self.frontiers.get(&node).copied().unwrap_or_default().ever;
        if batch.hlc_first > ever {
            return Ok(());
        }
        let detail = format!(
            "{what} {batch:?} of {:?} at or below the frontier {ever:?}",
            batch.hlc_first
        );
        Err(Violation::at("I7 stable frontier", node, detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frontier_falls_only_across_a_restart() {
        let mut stability = Stability::default();
        assert!(stability.on_stable(0, Hlc(5)).is_ok());
        assert!(stability.on_stable(0, Hlc(4)).is_err());
        stability.on_start(0);
        assert!(stability.on_stable(0, Hlc(4)).is_ok());
        assert_eq!(stability.frontiers[&0].ever, Hlc(5));
    }
}

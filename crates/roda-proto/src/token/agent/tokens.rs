//! Tokens that came before the table's word that makes them count.

use alloc::collections::VecDeque;

use super::super::{Fence, Frontier};

/// Most of them; beyond that the oldest is dropped, and its receiver waits for the leader instead.
pub(super) const EARLY_TOKENS_MAX: usize = 256;

/// Tokens for the present session, oldest first.
#[derive(Debug, Default)]
pub(super) struct EarlyTokens(VecDeque<Early>);

/// "`from` was left", said to `to`.
#[derive(Debug)]
struct Early {
    from: Fence,
    to: Fence,
    frontier: Frontier,
}

impl EarlyTokens {
    /// Keeps one.
    pub(super) fn keep(&mut self, from: Fence, to: Fence, frontier: Frontier) {
        if self.0.iter().any(|it| it.from == from && it.to == to) {
            return;
        }
        if self.0.len() == EARLY_TOKENS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Early { from, to, frontier });
    }

    /// Takes all for a grant.
    pub(super) fn take(&mut self, to: Fence) -> VecDeque<(Fence, Frontier)> {
        let mut taken = VecDeque::new();
        if self.0.iter().all(|it| it.to != to) {
            return taken;
        }
        for it in core::mem::take(&mut self.0) {
            if it.to == to {
                taken.push_back((it.from, it.frontier));
            } else {
                self.0.push_back(it);
            }
        }
        taken
    }
}

//! Commands on their way into the log.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::super::{COMMANDS_PER_PROPOSAL_MAX, LockCommand, RequestId, SessionId};
use crate::id::NodeId;

/// Most commands that wait; more are dropped, and whoever sent them sends them again.
pub(super) const QUEUE_MAX: usize = 16 * COMMANDS_PER_PROPOSAL_MAX;

/// Most of them of one node, so that none takes all the room.
pub(super) const QUEUE_PER_NODE_MAX: usize = QUEUE_MAX / 4;

/// What wants to know what became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A node that wants a session.
    Open {
        node: NodeId,
        boot: u64,
        sent_micros: u64,
    },
    /// A client of a node.
    Acquire {
        node: NodeId,
        session: SessionId,
        request: RequestId,
    },
    /// The same.
    Cancel {
        node: NodeId,
        session: SessionId,
        request: RequestId,
    },
    /// The clock.
    Expire(SessionId),
    /// Whoever sees what it did, or nobody.
    Unasked(Option<NodeId>),
}

/// What waits and what is under way.
#[derive(Debug, Default)]
pub(super) struct Proposals {
    queue: VecDeque<(Origin, LockCommand)>,
    /// How much of the queue is whose.
    of_node: BTreeMap<NodeId, usize>,
    /// The entry that is being agreed on: its id, and who asked for its commands. One at a time: what
    /// waits meanwhile goes together into the next one and so costs one write, and nobody who is nearer
    /// to the leader gets more turns than others for that.
    under_way: Option<(u64, Vec<Origin>)>,
}

impl Origin {
    /// The node that waits.
    #[must_use]
    pub(super) const fn node(&self) -> Option<NodeId> {
        match self {
            Self::Open { node, .. } | Self::Acquire { node, .. } | Self::Cancel { node, .. } => {
                Some(*node)
            }
            Self::Unasked(node) => *node,
            Self::Expire(_) => None,
        }
    }
}

impl Proposals {
    /// Takes a command, if there is room.
    pub(super) fn push(&mut self, origin: Origin, command: LockCommand) {
        if matches!(command, LockCommand::Open { .. })
            && let Some(waiting) = self.queue.iter_mut().find(|(waiting, _)| {
                matches!(waiting, Origin::Open { .. }) && waiting.node() == origin.node()
            })
        {
            // The node has asked again before it got an answer. Only the last question counts.
            *waiting = (origin, command);
            return;
        }
        if self.queue.len() >= QUEUE_MAX {
            return;
        }
        if let Some(node) = origin.node() {
            let count = self.of_node.entry(node).or_default();
            if *count >= QUEUE_PER_NODE_MAX {
                return;
            }
            *count += 1;
        }
        self.queue.push_back((origin, command));
    }

    /// Takes the registrar's own command, before all others.
    pub(super) fn push_own(&mut self, origin: Origin, command: LockCommand) {
        self.queue.push_front((origin, command));
    }

    /// How many commands wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// The next entry, if one may go.
    pub(super) fn take(&mut self, id: u64) -> Option<Vec<LockCommand>> {
        if self.queue.is_empty() || self.under_way.is_some() {
            return None;
        }
        let count = self.queue.len().min(COMMANDS_PER_PROPOSAL_MAX);
        let (origins, commands): (Vec<Origin>, _) = self.queue.drain(..count).unzip();
        for node in origins.iter().filter_map(Origin::node) {
            if let Some(count) = self.of_node.get_mut(&node) {
                *count = count.saturating_sub(1);
            }
        }
        if self.queue.is_empty() {
            self.of_node.clear();
        }
        self.under_way = Some((id, origins));
        Some(commands)
    }

    /// An entry is not under way any more: who had asked, in order. Empty: it is not known.
    pub(super) fn finish(&mut self, id: u64) -> Vec<Origin> {
        let ended = self.under_way.take_if(|(under_way, _)| *under_way == id);
        ended.map_or_else(Vec::new, |(_, origins)| origins)
    }
}

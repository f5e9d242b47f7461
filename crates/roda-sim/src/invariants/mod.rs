//! What must hold at every step, whatever the network, the disks and the clocks do.

mod amplification;
mod datagram_numbers;
mod durability;
mod inspector;
mod order;
mod outsiders;
mod removal;
mod repair;
mod replicas;
mod stability;

pub use amplification::Amplification;
pub use datagram_numbers::DatagramNumbers;
pub use durability::Durability;
pub use inspector::{Inspected, Inspector};
pub use order::Order;
pub use outsiders::{Effects, Origin, Outsiders};
pub use removal::Removal;
pub use repair::{RepairReport, check_repair};
pub use replicas::Replicas;
pub use stability::Stability;

use std::fmt;

/// An invariant did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: &'static str,
    /// At which node, if at one.
    pub node: Option<usize>,
    /// What was seen.
    pub detail: String,
}

impl Violation {
    /// A violation at a node.
    #[must_use]
    pub fn at(invariant: &'static str, node: usize, detail: impl fmt::Display) -> Self {
        Self {
            invariant,
            node: Some(node),
            detail: detail.to_string(),
        }
    }

    /// A violation by the group as a whole.
    #[must_use]
    pub fn global(invariant: &'static str, detail: impl fmt::Display) -> Self {
        Self {
            invariant,
            node: None,
            detail: detail.to_string(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.invariant)?;
        if let Some(node) = self.node {
            write!(f, ", node {node}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// The outcome of a check.
pub type Check = Result<(), Violation>;

/// All invariants that are checked while a simulation runs.
#[derive(Default)]
pub struct Invariants {
    /// I1.
    pub datagram_numbers: DatagramNumbers,
    /// I2, from without.
    pub outsiders: Outsiders,
    /// I2, by former members.
    pub removal: Removal,
    /// I3.
    pub amplification: Amplification,
    /// I5, the order of delivery.
    pub order: Order,
    /// I5, what is durable when.
    pub durability: Durability,
    /// I7, equal logs.
    pub replicas: Replicas,
    /// I7, the stable frontier.
    pub stability: Stability,
    /// Looks into sealed datagrams for the others.
    pub inspector: Inspector,
}

//! I3: no reply is larger than its request, or goes to an address that its owner did not prove.
//!
//! Protects third parties: a member must not be a lever for flooding someone whose address was forged.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::{Check, Violation};

/// Bytes exchanged with addresses that belong to no node.
#[derive(Default)]
pub struct Amplification {
    owed: BTreeMap<(usize, SocketAddr), usize>,
}

impl Amplification {
    /// A node got `len` bytes that claim to come from a stranger's address.
    pub fn on_receive(&mut self, node: usize, stranger: SocketAddr, len: usize) {
        *self.owed.entry((node, stranger)).or_default() += len;
    }

    /// A node sends `len` bytes to a stranger's address.
    ///
    /// # Errors
    /// More was sent to the address than came from it.
    pub fn on_transmit(&mut self, node: usize, stranger: SocketAddr, len: usize) -> Check {
        let owed = self.owed.entry((node, stranger)).or_default();
        match owed.checked_sub(len) {
            Some(rest) => {
                *owed = rest;
                Ok(())
            }
            None => Err(Violation::at(
                "I3 amplification",
                node,
                format!("sends {len} bytes to {stranger}, from which {owed} unanswered bytes came"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_gets_at_most_what_it_sent() {
        let stranger = "10.66.0.1:7000".parse().unwrap();
        let mut amplification = Amplification::default();
        assert!(amplification.on_transmit(0, stranger, 1).is_err());
        amplification.on_receive(0, stranger, 128);
        assert!(amplification.on_transmit(0, stranger, 100).is_ok());
        assert!(amplification.on_transmit(0, stranger, 29).is_err());
        assert!(amplification.on_transmit(1, stranger, 1).is_err());
    }
}

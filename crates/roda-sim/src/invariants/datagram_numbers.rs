//! I1: no (key, nonce) pair seals twice, over crashes and copies of the disk.
//!
//! Protects confidentiality and authenticity: AES-GCM with a repeated nonce gives both away. The key
//! follows from epoch, sender and number, the nonce is the number; so the three may meet only once.

use std::collections::HashMap;

use roda_proto::wire::header::{Header, SEALED};

use super::{Check, Violation};
use crate::trace::hash_bytes;

/// Every sealed datagram ever sent.
#[derive(Default)]
pub struct DatagramNumbers {
    // Looked up only, never iterated, so its random order cannot be seen.
    sent: HashMap<(u32, u64, u64), u64>,
}

impl DatagramNumbers {
    /// A node sends `payload`. The same bytes may go to several addresses.
    ///
    /// # Errors
    /// Another content was sent under the same epoch, sender and number.
    pub fn on_transmit(&mut self, node: usize, payload: &[u8]) -> Check {
        if payload.first() != Some(&SEALED) {
            return Ok(());
        }
        let header = Header::parse(payload)
            .map_err(|error| Violation::at("I1 header", node, format!("own datagram: {error}")))?;
        let id = (header.epoch.0, header.sender.0, header.number);
        let hash = hash_bytes(payload);
        if *self.sent.entry(id).or_insert(hash) == hash {
            Ok(())
        } else {
            Err(Violation::at(
                "I1 nonce reuse",
                node,
                format!("{header:?} seals two contents"),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use roda_proto::wire::codec::Writer;
    use roda_proto::{EpochTag, SenderTag};

    use super::*;

    fn datagram(number: u64, content: &[u8]) -> Vec<u8> {
        let mut writer = Writer::new();
        Header {
            epoch: EpochTag(1),
            sender: SenderTag(2),
            number,
        }
        .write(&mut writer);
        writer.raw(content);
        writer.into_vec()
    }

    #[test]
    fn only_another_content_under_the_same_number_is_a_violation() {
        let mut numbers = DatagramNumbers::default();
        assert_eq!(numbers.on_transmit(0, &datagram(1, b"a")), Ok(()));
        assert_eq!(numbers.on_transmit(0, &datagram(1, b"a")), Ok(()));
        assert_eq!(numbers.on_transmit(0, &datagram(2, b"b")), Ok(()));
        assert!(numbers.on_transmit(0, &datagram(1, b"b")).is_err());
    }
}

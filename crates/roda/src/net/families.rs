//! Which address families the peers need.
//!
//! On a network with both, a datagram on each would double all traffic. Small ones, beacons among them,
//! still go out on both, so that everyone is heard; bulk goes by IPv4 where there is IPv4, unless some
//! sender is heard by IPv6 only.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use roda_proto::wire::Header;
use tokio::time::Instant;

/// Longest datagram that goes out in both families regardless.
pub(super) const SMALL_LEN_MAX: usize = 512;
/// A sender not heard for so long needs nothing.
const FORGET_AFTER: Duration = Duration::from_secs(30);
/// How often the answer is worked out anew.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Senders remembered; tags are not proved here, so anyone can make them up.
const SENDERS_MAX: usize = 4096;

#[derive(Default)]
pub(super) struct Families {
    senders: BTreeMap<u64, Heard>,
    needs_v6: bool,
    looked: Option<Instant>,
}

#[derive(Clone, Copy, Default)]
struct Heard {
    v4: Option<Instant>,
    v6: Option<Instant>,
}

impl Families {
    /// Notes that a group datagram came from `source`.
    pub(super) fn note(&mut self, now: Instant, source: &SocketAddr, datagram: &[u8]) {
        let Ok(header) = Header::parse(datagram) else {
            return;
        };
        if self.senders.len() >= SENDERS_MAX && !self.senders.contains_key(&header.sender.0) {
            return;
        }
        let heard = self.senders.entry(header.sender.0).or_default();
        if source.is_ipv4() {
            heard.v4 = Some(now);
        } else {
            heard.v6 = Some(now);
        }
        if self
            .looked
            .is_none_or(|at| now.duration_since(at) >= LOOK_EVERY)
        {
            self.look(now);
        }
    }

    fn look(&mut self, now: Instant) {
        let is_recent =
            |at: Option<Instant>| at.is_some_and(|at| now.duration_since(at) < FORGET_AFTER);
        self.senders
            .retain(|_, heard| is_recent(heard.v4) || is_recent(heard.v6));
        self.needs_v6 = self.senders.values().any(|heard| !is_recent(heard.v4));
        self.looked = Some(now);
    }

    /// Whether bulk has to go out by IPv6 too.
    pub(super) const fn needs_v6(&self) -> bool {
        self.needs_v6
    }
}

#[cfg(test)]
mod tests {
    use roda_proto::wire::codec::Writer;
    use roda_proto::{EpochTag, SenderTag};

    use super::*;

    fn datagram(sender: u64) -> Vec<u8> {
        let mut writer = Writer::new();
        Header {
            epoch: EpochTag(1),
            sender: SenderTag(sender),
            number: 1,
        }
        .write(&mut writer);
        writer.into_vec()
    }

    #[test]
    fn bulk_needs_ipv6_only_while_someone_is_heard_by_nothing_else() {
        let (v4, v6) = (
            "10.0.0.1:1".parse().unwrap(),
            "[fd00::1]:1".parse().unwrap(),
        );
        let mut families = Families::default();
        let start = Instant::now();
        families.note(start, &v4, &datagram(1));
        families.note(start + LOOK_EVERY, &v6, &datagram(1));
        assert!(!families.needs_v6());
        families.note(start + LOOK_EVERY * 2, &v6, &datagram(2));
        assert!(families.needs_v6());
        families.note(start + FORGET_AFTER * 2, &v4, &datagram(1));
        assert!(!families.needs_v6());
    }
}

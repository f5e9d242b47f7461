//! Where a group lives on the network: addresses and port that follow from its id alone.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use roda_proto::GroupId;
use roda_proto::crypto::sha256;

/// The multicast addresses of `group`, one per family, with the same port.
///
/// IPv4: 239.192.0.0/14, the organization-local scope of RFC 2365. No address in it shares its
/// Ethernet address with 224.0.0.y, which switches flood: that would take a second octet whose low
/// seven bits are 0. IPv6: site-local scope, transient (ff15::/16), and 112 bits of hash.
pub(crate) fn group_addresses(group: &GroupId) -> (SocketAddrV4, SocketAddrV6) {
    let hash = sha256(&[b"roda group address v1", &group.0]).0;
    let host = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]) & V4_HOST_MASK;

    let mut v6 = [0; 16];
    v6[..2].copy_from_slice(&V6_PREFIX);
    v6[2..].copy_from_slice(&hash[4..18]);

    let spread = u16::from_be_bytes([hash[18], hash[19]]) % PORT_COUNT;
    let port = PORT_FIRST + spread;
    (
        SocketAddrV4::new(Ipv4Addr::from(V4_BASE | host), port),
        SocketAddrV6::new(Ipv6Addr::from(v6), port, 0, 0),
    )
}

const V4_BASE: u32 = u32::from_be_bytes([239, 192, 0, 0]);
const V4_HOST_MASK: u32 = (1 << 18) - 1;
const V6_PREFIX: [u8; 2] = [0xff, 0x15];
const PORT_FIRST: u16 = 20_000;
const PORT_COUNT: u16 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_has_an_address_of_its_own_inside_the_ranges() {
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..=255 {
            let (v4, v6) = group_addresses(&GroupId([number; 16]));
            let octets = v4.ip().octets();
            assert_eq!((octets[0], octets[1] & 0xfc), (239, 192));
            assert_ne!(
                (octets[1] & 0x7f, octets[2]),
                (0, 0),
                "would be flooded like 224.0.0.y"
            );
            assert_eq!(v6.ip().segments()[0], 0xff15);
            assert_eq!(v4.port(), v6.port());
            assert!((20_000..=29_999).contains(&v4.port()));
            seen.insert(*v6.ip());
        }
        assert_eq!(seen.len(), 256);
    }

    #[test]
    fn the_addresses_of_a_group_never_change() {
        let (v4, v6) = group_addresses(&GroupId([0; 16]));
        assert_eq!(v4.to_string(), "239.192.109.235:24217");
        assert_eq!(
            v6.to_string(),
            "[ff15:964:6e89:e774:c2ec:d464:6bbf:2c6a]:24217"
        );
    }
}

//! Which network interfaces a node uses, and with which address of each family.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use if_addrs::IfAddr;

/// Most interfaces in use at once; Linux lets a socket join on at most 20.
pub(crate) const INTERFACES_MAX: usize = 16;

/// An interface in use, with one address per family at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    /// Name, for people.
    pub(crate) name: String,
    /// Index, for the kernel.
    pub(crate) index: u32,
    /// Whether it reaches this machine only.
    pub(crate) loopback: bool,
    /// IPv4 first.
    pub(crate) addresses: Vec<Address>,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// The address itself.
    pub(crate) ip: IpAddr,
    /// Bits of it that name the network.
    pub(crate) prefix_len: u8,
}

impl Address {
    /// Whether `other` is on the network of this address.
    pub(crate) fn is_neighbour(&self, other: IpAddr) -> bool {
        let prefix_len = u32::from(self.prefix_len);
        match (self.ip, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - prefix_len.min(32)).unwrap_or(0);
                (u32::from(own) ^ u32::from(other)) & mask == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX
                    .checked_shl(128 - prefix_len.min(128))
                    .unwrap_or(0);
                (u128::from(own) ^ u128::from(other)) & mask == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    fn is_link_local(&self) -> bool {
        match self.ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        }
    }
}

/// The addresses that this machine has now.
///
/// # Errors
/// The system's.
pub(crate) fn list() -> io::Result<Vec<if_addrs::Interface>> {
    if_addrs::get_if_addrs()
}

/// The first of `wanted` that is neither an address nor a name of any interface of this machine.
///
/// An interface that is down or has no address yet is known: it will be used once it is ready.
pub(crate) fn first_unknown<'a>(
    listed: &[if_addrs::Interface],
    wanted: &'a [String],
) -> Option<&'a str> {
    wanted
        .iter()
        .map(String::as_str)
        .find(|text| match Choice::parse(text) {
            Choice::Address(ip) => !listed.iter().any(|one| one.ip() == ip),
            Choice::Name(name) => !listed.iter().any(|one| one.name == name) && !exists(name),
        })
}

/// The interfaces to use: those `wanted`, or without any wish all that can reach other machines.
///
/// If none of them is ready, loopback. Link-local addresses are used on an interface that has no
/// others. An address in `current` is kept as long as it can be, so that peers need not learn a new
/// one.
pub(crate) fn select(
    listed: &[if_addrs::Interface],
    wanted: &[String],
    current: &[Interface],
) -> Vec<Interface> {
    let choices: Vec<_> = wanted.iter().map(|text| Choice::parse(text)).collect();
    let mut by_index = BTreeMap::<u32, Vec<&if_addrs::Interface>>::new();
    for one in listed.iter().filter(|one| one.is_oper_up()) {
        if let Some(index) = one.index {
            by_index.entry(index).or_default().push(one);
        }
    }
    let mut selected: Vec<_> = by_index
        .iter()
        .filter_map(|(index, all)| interface(*index, all, |one| wants(&choices, one), current))
        .collect();
    if selected.is_empty() {
        let all = by_index.iter();
        selected.extend(all.filter_map(|(index, all)| {
            interface(*index, all, if_addrs::Interface::is_loopback, current)
        }));
    }
    if selected.len() > INTERFACES_MAX {
        tracing::warn!(
            found = selected.len(),
            used = INTERFACES_MAX,
            "too many interfaces"
        );
        selected.truncate(INTERFACES_MAX);
    }
    selected
}

/// What a person named: an address, or an interface.
enum Choice<'a> {
    Address(IpAddr),
    Name(&'a str),
}

impl<'a> Choice<'a> {
    fn parse(text: &'a str) -> Self {
        // A link-local address is often copied with its scope: fe80::1%eth0.
        let address = text.split('%').next().unwrap_or(text);
        address.parse().map_or(Self::Name(text), Self::Address)
    }
}

fn wants(choices: &[Choice<'_>], one: &if_addrs::Interface) -> bool {
    if choices.is_empty() {
        // Multicast with a TTL of 1 ends at the other side of a tunnel, so point-to-point links
        // are used only when asked for.
        return !one.is_loopback() && !one.is_p2p();
    }
    choices.iter().any(|choice| match choice {
        Choice::Address(ip) => one.ip() == *ip,
        Choice::Name(name) => one.name == *name,
    })
}

fn interface(
    index: u32,
    all: &[&if_addrs::Interface],
    wants: impl Fn(&if_addrs::Interface) -> bool,
    current: &[Interface],
) -> Option<Interface> {
    let mut wanted: Vec<_> = all
        .iter()
        .filter(|one| wants(one) && !one.ip().is_unspecified() && !one.ip().is_multicast())
        .map(|one| address(&one.addr))
        .collect();
    // Every interface has a link-local IPv6 address; using it beside an IPv4 address would double
    // all traffic on nearly every network, and reach nobody else.
    if wanted.iter().any(|address| !address.is_link_local()) {
        wanted.retain(|address| !address.is_link_local());
    }
    let current = current.iter().find(|one| one.index == index);
    let addresses: Vec<_> = [IpAddr::is_ipv4, IpAddr::is_ipv6]
        .into_iter()
        .filter_map(|is_family| best(&wanted, is_family, current))
        .collect();
    let first = all.first()?;
    (!addresses.is_empty()).then(|| Interface {
        name: first.name.clone(),
        index,
        loopback: all.iter().any(|one| one.is_loopback()),
        addresses,
    })
}

/// The one in use, or else the first listed.
fn best(
    addresses: &[Address],
    is_family: impl Fn(&IpAddr) -> bool,
    current: Option<&Interface>,
) -> Option<Address> {
    let in_use = |address: &Address| current.is_some_and(|one| one.addresses.contains(address));
    addresses
        .iter()
        .filter(|address| is_family(&address.ip))
        .min_by_key(|address| !in_use(address))
        .copied()
}

fn address(address: &IfAddr) -> Address {
    let prefix_len = match address {
        IfAddr::V4(v4) => v4.prefixlen,
        IfAddr::V6(v6) => v6.prefixlen,
    };
    Address {
        ip: address.ip(),
        prefix_len,
    }
}

/// Whether an interface of that name exists, even one that is down or has no address.
#[cfg(target_os = "linux")]
fn exists(name: &str) -> bool {
    std::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0))
        .or_else(|_no_ipv4| std::net::UdpSocket::bind((std::net::Ipv6Addr::LOCALHOST, 0)))
        .is_ok_and(|socket| rustix::net::netdevice::name_to_index(&socket, name).is_ok())
}

#[cfg(not(target_os = "linux"))]
fn exists(_name: &str) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use if_addrs::{IfOperStatus, Ifv4Addr, Ifv6Addr};

    use super::*;

    fn listed(name: &str, index: u32, address: &str, prefixlen: u8) -> if_addrs::Interface {
        let addr = match address.parse().unwrap() {
            IpAddr::V4(ip) => IfAddr::V4(Ifv4Addr {
                ip,
                netmask: ip,
                prefixlen,
                broadcast: None,
            }),
            IpAddr::V6(ip) => IfAddr::V6(Ifv6Addr {
                ip,
                netmask: ip,
                prefixlen,
                broadcast: None,
            }),
        };
        if_addrs::Interface {
            name: name.into(),
            addr,
            index: Some(index),
            oper_status: IfOperStatus::Up,
            is_p2p: name.starts_with("tun"),
        }
    }

    fn machine() -> Vec<if_addrs::Interface> {
        vec![
            listed("lo", 1, "127.0.0.1", 8),
            listed("lo", 1, "::1", 128),
            listed("eth0", 2, "169.254.3.4", 16),
            listed("eth0", 2, "10.0.0.5", 24),
            listed("eth0", 2, "10.0.0.6", 24),
            listed("eth0", 2, "fe80::5", 64),
            listed("eth0", 2, "fd00::5", 64),
            listed("eth1", 3, "10.1.0.5", 24),
            listed("tun0", 4, "10.2.0.5", 32),
        ]
    }

    fn shown(selected: &[Interface]) -> Vec<String> {
        let line = |one: &Interface| {
            let addresses: Vec<_> = one.addresses.iter().map(|at| at.ip.to_string()).collect();
            format!("{} {}", one.name, addresses.join(" "))
        };
        selected.iter().map(line).collect()
    }

    fn wanted(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn without_a_wish_all_that_reach_others_are_used_with_a_routable_address() {
        let selected = select(&machine(), &[], &[]);
        assert_eq!(shown(&selected), ["eth0 10.0.0.5 fd00::5", "eth1 10.1.0.5"]);
    }

    #[test]
    fn an_interface_that_went_down_is_left_and_the_last_one_gives_way_to_loopback() {
        let mut machine = machine();
        for one in machine.iter_mut().filter(|one| one.name == "eth0") {
            one.oper_status = IfOperStatus::Unknown;
        }
        assert_eq!(shown(&select(&machine, &[], &[])), ["eth1 10.1.0.5"]);
        machine.retain(|one| one.name != "eth1");
        assert_eq!(shown(&select(&machine, &[], &[])), ["lo 127.0.0.1 ::1"]);
        machine.clear();
        assert_eq!(select(&machine, &[], &[]), []);
    }

    #[test]
    fn a_wish_is_a_name_or_an_address() {
        let select = |texts: &[&str]| shown(&select(&machine(), &wanted(texts), &[]));
        assert_eq!(select(&["lo"]), ["lo 127.0.0.1 ::1"]);
        assert_eq!(
            select(&["tun0", "10.0.0.6"]),
            ["eth0 10.0.0.6", "tun0 10.2.0.5"]
        );
        assert_eq!(select(&["fe80::5%eth0"]), ["eth0 fe80::5"]);
    }

    #[test]
    fn the_address_in_use_is_kept_until_a_better_one_appears() {
        let mut before = machine();
        before.retain(|one| one.name == "eth0" && one.ip().is_ipv4());
        before.reverse();
        let used = select(&before, &[], &[]);
        assert_eq!(shown(&used), ["eth0 10.0.0.6"]);
        let after = select(&machine(), &wanted(&["eth0"]), &used);
        assert_eq!(shown(&after), ["eth0 10.0.0.6 fd00::5"]);

        before.push(listed("eth0", 2, "fe80::5", 64));
        let only_link_local = select(&before[2..], &[], &[]);
        assert_eq!(shown(&only_link_local), ["eth0 169.254.3.4 fe80::5"]);
        assert_eq!(
            shown(&select(&before, &[], &only_link_local)),
            ["eth0 10.0.0.6"]
        );
    }

    #[test]
    fn only_what_no_interface_has_is_unknown() {
        let machine = machine();
        assert_eq!(first_unknown(&machine, &wanted(&["eth1", "fd00::5"])), None);
        assert_eq!(
            first_unknown(&machine, &wanted(&["eth0", "no such interface"])),
            Some("no such interface")
        );
        assert_eq!(
            first_unknown(&machine, &wanted(&["10.9.9.9"])),
            Some("10.9.9.9")
        );
    }

    #[test]
    fn a_neighbour_shares_the_prefix() {
        let at = |ip: &str, prefix_len| Address {
            ip: ip.parse().unwrap(),
            prefix_len,
        };
        let near = |address: Address, other: &str| address.is_neighbour(other.parse().unwrap());
        assert!(near(at("10.0.0.5", 24), "10.0.0.255"));
        assert!(!near(at("10.0.0.5", 24), "10.0.1.5"));
        assert!(near(at("10.0.0.5", 0), "192.168.0.1"));
        assert!(!near(at("10.0.0.5", 32), "10.0.0.4"));
        assert!(near(at("fd00::5", 64), "fd00::ffff:0:0:1"));
        assert!(!near(at("fd00::5", 64), "fd00:0:0:1::5"));
        assert!(!near(at("10.0.0.5", 0), "::1"));
    }

    #[test]
    fn more_interfaces_than_the_limit_are_left_out() {
        let many: Vec<_> = (0_u8..20)
            .map(|n| {
                listed(
                    &format!("eth{n}"),
                    10 + u32::from(n),
                    &format!("10.0.{n}.1"),
                    24,
                )
            })
            .collect();
        assert_eq!(select(&many, &[], &[]).len(), INTERFACES_MAX);
    }
}

//! The network of a scenario: switches, hosts, and what goes wrong between them.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Result;
use rustix::process::{Pid, Signal, kill_process};

use super::command;

/// How long `ip` and `nft` may take on a busy machine.
const TOOL_TIMEOUT: Duration = Duration::from_secs(20);

static NAMESPACES: AtomicU32 = AtomicU32::new(0);
static KEEP: AtomicBool = AtomicBool::new(false);

/// From now on hosts stay up when their scenario ends; they end with the whole run.
pub(crate) fn keep_namespaces() {
    KEEP.store(true, Ordering::Relaxed);
}

/// A network namespace; with it go its links, and before it its processes.
struct Namespace(String);

impl Namespace {
    fn new() -> Result<Self> {
        let number = NAMESPACES.fetch_add(1, Ordering::Relaxed);
        let namespace = Self(format!("roda-{}-{number}", std::process::id()));
        ip(&["netns", "add", &namespace.0])?;
        namespace.ip(&["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    fn ip(&self, words: &[&str]) -> Result<()> {
        ip(&[&["-n", &self.0], words].concat())
    }

    /// A command that runs inside.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0, program]);
        command
    }

    fn run(&self, words: &[&str], input: &str) -> Result<()> {
        let mut inside = self.command(words[0]);
        inside.args(&words[1..]);
        command::run(inside, input.as_bytes(), TOOL_TIMEOUT)?.success()?;
        Ok(())
    }

    fn processes(&self) -> Result<Vec<Pid>> {
        let mut list = Command::new("ip");
        list.args(["netns", "pids", &self.0]);
        let output = command::run(list, b"", TOOL_TIMEOUT)?.success()?.text();
        Ok(output
            .lines()
            .filter_map(|line| Pid::from_raw(line.trim().parse().ok()?))
            .collect())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if KEEP.load(Ordering::Relaxed) {
            return;
        }
        for pid in self.processes().unwrap_or_default() {
            // It may have ended since it was listed.
            let _ended = kill_process(pid, Signal::KILL);
        }
        // The kernel removes it at the end of the run in any case.
        let _kept = ip(&["netns", "del", &self.0]);
    }
}

/// One Ethernet segment: a bridge in a namespace of its own, which floods multicast to every port.
pub(crate) struct Lan {
    namespace: Namespace,
    number: u8,
}

impl Lan {
    /// Segment `number` has the networks 10.77.`number`.0/24 and fd77:`number`::/64.
    pub(crate) fn new(number: u8) -> Result<Self> {
        let namespace = Namespace::new()?;
        // Without a querier on the segment, snooping would stop all multicast after some minutes.
        namespace.ip(&[
            "link",
            "add",
            "switch",
            "type",
            "bridge",
            "mcast_snooping",
            "0",
        ])?;
        namespace.ip(&["link", "set", "switch", "up"])?;
        Ok(Self { namespace, number })
    }
}

/// Which addresses a host gets on a segment. Link-local IPv6 addresses are there unless IPv6 is off.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Addresses {
    Both,
    OnlyIpv4,
    OnlyIpv6,
}

/// What a host's firewall does to what arrives.
#[derive(Clone, Default)]
pub(crate) struct Filter {
    /// Share of packets to drop, in thousandths.
    pub(crate) loss_per_mille: u16,
    /// Numbers of hosts from which nothing arrives.
    pub(crate) cut_off: Vec<u8>,
    /// Whether UDP multicast is dropped; neighbour discovery still works.
    pub(crate) no_multicast: bool,
    /// Share of UDP datagrams to drop, in thousandths.
    pub(crate) datagram_loss_per_mille: u16,
    /// Whether nothing arrives at all.
    pub(crate) deaf: bool,
    /// Whether nothing leaves by the first segment.
    pub(crate) mute: bool,
}

impl Filter {
    /// Loses this share of what arrives.
    pub(crate) fn loss(per_mille: u16) -> Self {
        Self {
            loss_per_mille: per_mille,
            ..Self::default()
        }
    }

    /// Lets nothing in from these hosts.
    pub(crate) fn cut_off(hosts: &[u8]) -> Self {
        Self {
            cut_off: hosts.to_vec(),
            ..Self::default()
        }
    }

    /// Nothing arrives and nothing leaves, as if the cable were pulled.
    pub(crate) fn isolated() -> Self {
        Self {
            deaf: true,
            mute: true,
            ..Self::default()
        }
    }

    fn ruleset(&self) -> String {
        let mut rules = String::from("flush ruleset\n");
        if self.mute {
            // Dropped behind the back of whoever sends: a rule for output would tell by an error.
            rules.push_str(
                "table netdev roda {\nchain output {\n\
                 type filter hook egress device \"eth0\" priority filter; policy drop;\n}\n}\n",
            );
        }
        rules.push_str(
            "table inet roda {\nchain input {\n\
             type filter hook input priority filter; policy accept;\niif \"lo\" accept\n",
        );
        if self.deaf {
            rules.push_str("counter drop\n");
        }
        if self.loss_per_mille > 0 {
            writeln!(
                rules,
                "numgen random mod 1000 < {} counter drop",
                self.loss_per_mille
            )
            .expect("writing to a string cannot fail");
        }
        if self.datagram_loss_per_mille > 0 {
            writeln!(
                rules,
                "meta l4proto udp numgen random mod 1000 < {} counter drop",
                self.datagram_loss_per_mille
            )
            .expect("writing to a string cannot fail");
        }
        for host in &self.cut_off {
            // The last byte of the hardware address is the host's number, on every segment.
            writeln!(
                rules,
                "ether saddr & 00:00:00:00:00:ff == 00:00:00:00:00:{host:02x} counter drop"
            )
            .expect("writing to a string cannot fail");
        }
        if self.no_multicast {
            rules.push_str(
                "ip daddr 224.0.0.0/4 meta l4proto udp counter drop\n\
                 ip6 daddr ff00::/8 meta l4proto udp counter drop\n",
            );
        }
        rules.push_str("}\n}\n");
        rules
    }
}

/// A host: a network namespace with a link to each segment it is plugged into.
pub(crate) struct Host {
    namespace: Namespace,
    /// Last part of its addresses.
    pub(crate) number: u8,
}

impl Host {
    /// A host without links.
    pub(crate) fn new(number: u8) -> Result<Self> {
        let namespace = Namespace::new()?;
        // Addresses are usable at once: no two hosts can have the same one here.
        namespace.run(
            &[
                "sh",
                "-c",
                "echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad",
            ],
            "",
        )?;
        Ok(Self { namespace, number })
    }

    /// Adds a link named `eth0`, `eth1`, … after the segment's number.
    pub(crate) fn plug(&self, lan: &Lan, addresses: Addresses) -> Result<()> {
        let (segment, number) = (lan.number, self.number);
        let (device, port) = (format!("eth{segment}"), format!("port{number}"));
        let hardware = format!("02:52:00:00:{segment:02x}:{number:02x}");
        lan.namespace.ip(&[
            "link",
            "add",
            &port,
            "type",
            "veth",
            "peer",
            "name",
            &device,
            "address",
            &hardware,
            "netns",
            &self.namespace.0,
        ])?;
        lan.namespace
            .ip(&["link", "set", &port, "master", "switch", "up"])?;
        if addresses == Addresses::OnlyIpv4 {
            let off = format!("echo 1 >/proc/sys/net/ipv6/conf/{device}/disable_ipv6");
            self.namespace.run(&["sh", "-c", &off], "")?;
        }
        self.namespace.ip(&["link", "set", &device, "up"])?;
        if addresses != Addresses::OnlyIpv6 {
            let address = format!("{}/24", ipv4(segment, number));
            self.namespace
                .ip(&["addr", "add", &address, "dev", &device])?;
        }
        if addresses != Addresses::OnlyIpv4 {
            let address = format!("{}/64", ipv6(segment, number));
            self.namespace
                .ip(&["addr", "add", &address, "dev", &device, "nodad"])?;
        }
        Ok(())
    }

    /// Replaces the firewall's rules.
    pub(crate) fn filter(&self, filter: &Filter) -> Result<()> {
        self.namespace.run(&["nft", "-f", "-"], &filter.ruleset())
    }

    /// All processes of this host.
    pub(crate) fn processes(&self) -> Result<Vec<Pid>> {
        self.namespace.processes()
    }

    /// A command that runs on this host.
    pub(crate) fn command(&self, program: &str) -> Command {
        self.namespace.command(program)
    }
}

/// The IPv4 address of a host on a segment.
pub(crate) const fn ipv4(segment: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, segment, host)
}

/// The IPv6 address of a host on a segment.
pub(crate) fn ipv6(segment: u8, host: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd77, segment.into(), 0, 0, 0, 0, 0, host.into())
}

fn ip(words: &[&str]) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(words);
    command::run(command, b"", TOOL_TIMEOUT)?.success()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_says_in_rules_what_it_drops() {
        assert!(!Filter::default().ruleset().contains("drop"));
        assert!(
            Filter::loss(100)
                .ruleset()
                .contains("mod 1000 < 100 counter drop")
        );
        assert!(
            Filter::cut_off(&[26])
                .ruleset()
                .contains("== 00:00:00:00:00:1a counter drop")
        );
    }
}

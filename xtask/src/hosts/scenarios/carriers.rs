//! Networks that are not the usual one.

use anyhow::{Result, ensure};

use super::{CONVERGED_WITHIN, Group, NICKS, say_together, texts};
use crate::hosts::Bench;
use crate::hosts::command::wait_for;
use crate::hosts::history::converge;
use crate::hosts::net::{Addresses, Filter, Host, Lan};
use crate::hosts::node::{Node, text};

const TOPIC: &str = "roda";
const EACH: usize = 100;

/// No multicast arrives anywhere, from the first start on.
pub(crate) fn without_multicast(bench: &Bench) -> Result<()> {
    let filter = Filter {
        no_multicast: true,
        ..Filter::default()
    };
    let group = Group::start_with(bench, 3, Addresses::Both, &filter)?;
    everyone_speaks(&group.all())?;
    carrier_becomes(&group.nodes, "unicast")?;
    // Multicast comes back without anyone's help.
    group.filter(&Filter::default())?;
    carrier_becomes(&group.nodes, "multicast")
}

/// A is on one network, C on another, B on both.
pub(crate) fn two_networks(bench: &Bench) -> Result<()> {
    let (one, other) = (Lan::new(0)?, Lan::new(1)?);
    let hosts = [Host::new(1)?, Host::new(2)?, Host::new(3)?];
    hosts[0].plug(&one, Addresses::Both)?;
    hosts[1].plug(&one, Addresses::Both)?;
    hosts[1].plug(&other, Addresses::Both)?;
    hosts[2].plug(&other, Addresses::Both)?;
    let nodes: Vec<Node<'_>> = hosts
        .into_iter()
        .zip(NICKS)
        .map(|(host, nick)| Node::new(bench, host, nick))
        .collect();
    nodes[0].create("praça")?;
    nodes[1].join(&nodes[0].invite(&[])?)?;
    nodes[2].join(&nodes[1].invite(&[])?)?;
    everyone_speaks(&nodes.iter().collect::<Vec<_>>())
}

/// There is no IPv4 address but the loopback's.
pub(crate) fn only_ipv6(bench: &Bench) -> Result<()> {
    let group = Group::start_with(bench, 3, Addresses::OnlyIpv6, &Filter::default())?;
    everyone_speaks(&group.all())?;
    carrier_becomes(&group.nodes, "multicast")
}

fn everyone_speaks(nodes: &[&Node<'_>]) -> Result<()> {
    let said: Vec<Vec<String>> = nodes.iter().map(|node| texts(&node.nick, EACH)).collect();
    let says: Vec<_> = nodes
        .iter()
        .zip(&said)
        .map(|(node, texts)| (*node, texts.as_slice()))
        .collect();
    say_together(TOPIC, &says, CONVERGED_WITHIN)?;
    let said = said.concat();
    let history = converge(nodes, TOPIC, said.len(), CONVERGED_WITHIN)?;
    history.ensure_exactly(&said)?;
    ensure!(!history.bytes.is_empty(), "the history is empty");
    Ok(())
}

fn carrier_becomes(nodes: &[Node<'_>], expected: &str) -> Result<()> {
    for node in nodes {
        let what = format!("{} to say {expected}", node.nick);
        wait_for(&what, CONVERGED_WITHIN, || {
            let status = node.status()?;
            let carrier = text(&status, "/carrier")?;
            Ok(if carrier == expected {
                Ok(())
            } else {
                Err(carrier.to_owned())
            })
        })?;
    }
    Ok(())
}

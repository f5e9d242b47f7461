//! What `roda status` shows of the driver.

use std::collections::BTreeMap;

use roda_proto::group::Carrier;
use roda_proto::{Counters, MemberInfo, Presence};

use super::Driver;
use crate::types::{InterfaceStatus, Status};

impl Driver {
    pub(super) fn status(&self) -> Status {
        let members = self.engine.members();
        let online = |member: &&MemberInfo| member.presence < Presence::Down;
        let nick = members
            .first()
            .map(|member| member.nick.clone())
            .unwrap_or_default();
        let interfaces = self
            .net
            .interfaces()
            .iter()
            .map(|interface| InterfaceStatus {
                name: interface.name.clone(),
                addresses: interface
                    .addresses
                    .iter()
                    .map(|address| address.ip)
                    .collect(),
                index: interface.index,
            });
        let carriers: Vec<_> = self.engine.carriers().into_iter().collect();
        let mut counters = counters(self.engine.counters());
        counters.insert("datagrams_dropped", self.net.dropped());
        Status {
            group: self.engine.group().to_hex(),
            group_name: self.engine.group_name().unwrap_or_default().to_owned(),
            node: self.engine.node().to_hex(),
            author: self.engine.author().to_hex(),
            nick,
            pid: std::process::id(),
            uptime: self.started.elapsed(),
            epoch: self
                .engine
                .epoch_keys()
                .first()
                .map_or(0, |epoch| epoch.tag.0),
            carrier: match carriers[..] {
                [] => "none",
                [Carrier::Multicast] => "multicast",
                [Carrier::Unicast] => "unicast",
                _ => "mixed",
            },
            interfaces: interfaces.collect(),
            multicast_groups: self.net.groups(),
            addresses: self.net.local_addresses(),
            stream_port: self.config.stream_port,
            members: members.len(),
            members_online: members.iter().filter(online).count(),
            entries: self.engine.entries(),
            stable: self.engine.stable(),
            next_timer: self.deadline.map(|deadline| deadline.reason),
            counters,
            rejected: self
                .engine
                .counters()
                .rejected
                .iter()
                .map(|(why, n)| (why.to_string(), *n))
                .collect(),
            problems: self.problems(),
        }
    }

    fn problems(&self) -> Vec<String> {
        let ahead = self.engine.clock_ahead().as_secs();
        let clock = (ahead > 0).then(|| {
            format!("this machine's clock is {ahead} s ahead of the group's, which is used instead")
        });
        let twin = self.engine.twin().map(|address| {
            format!("another node with this node's identity runs at {address}; stop one of them")
        });
        let standing = self.problems.values().cloned();
        standing.chain(clock).chain(twin).collect()
    }
}

fn counters(counters: &Counters) -> BTreeMap<&'static str, u64> {
    BTreeMap::from([
        ("datagrams_received", counters.datagrams_received),
        ("datagrams_sent", counters.datagrams_sent),
        ("bytes_sent", counters.bytes_sent),
        ("nacks_sent", counters.nacks_sent),
        ("nacks_received", counters.nacks_received),
        ("repairs_sent", counters.repairs_sent),
        ("duplicates", counters.duplicates),
        ("batches_received", counters.batches_received),
        ("catch_ups", counters.catch_ups),
        ("beacons_sent", counters.beacons_sent),
    ])
}

//! Carrying out what engines ask for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use roda_proto::{Destination, Output, Record, Seq, Via, WriteId};

use super::{Arrival, What, World};
use crate::invariants::Check;
use crate::network::Copy;
use crate::node::index_of;
use crate::trace::hash_bytes;

impl World {
    pub(super) fn handle_outputs(&mut self, node: usize, outputs: Vec<Output>) -> Check {
        for output in outputs {
            match output {
                Output::Persist { id, records } => self.persist(node, id, records)?,
                Output::Transmit { to, payload } => self.transmit(node, to, payload)?,
                Output::Event(event) => self.event(node, event)?,
                _ => {}
            }
        }
        self.schedule_wake(node);
        Ok(())
    }

    fn persist(&mut self, node: usize, id: WriteId, records: Vec<Record>) -> Check {
        self.note(node, &[10, id.0], || format!("stores {id:?}: {records:?}"));
        for record in &records {
            if let Record::Batch(batch) = record {
                self.invariants.durability.on_persist(node, batch)?;
                if batch.author == self.nodes[node].author {
                    self.nodes[node].written = batch.last;
                    self.invariants.removal.on_write(self.now, batch);
                }
            }
        }
        let options = self.options.disk;
        let mut latency = options.latency_min;
        if !options.latency_mean.is_zero() {
            latency += self.chance.disks.exponential(options.latency_mean);
        }
        if self.is_safety_phase && self.chance.disks.chance(options.stall) {
            latency += self
                .chance
                .disks
                .duration(Duration::ZERO, Duration::from_secs(1));
        }
        let machine = &mut self.nodes[node];
        if let Some(disk) = &mut machine.disk {
            disk.submit(id, records);
        }
        machine.disk_free = machine.disk_free.max(self.now + latency);
        let boot = machine.boot;
        self.queue
            .push(machine.disk_free, What::Synced { node, boot, id });
        Ok(())
    }

    fn transmit(&mut self, node: usize, to: Destination, payload: Vec<u8>) -> Check {
        self.inspect(node, to, &payload)?;
        let captured = self.hostile.capture(&self.options, node, &payload);
        let payload: Arc<[u8]> = Arc::from(payload);
        match to {
            Destination::Group => {
                for other in 0..self.nodes.len() {
                    if other != node || self.options.loopback {
                        self.carry(node, other, Via::Multicast, &payload, captured);
                    }
                }
            }
            Destination::Address(address) => match self.node_at(&address) {
                Some(other) => self.carry(node, other, Via::Unicast, &payload, captured),
                None => {
                    let amplification = &mut self.invariants.amplification;
                    amplification.on_transmit(node, address, payload.len())?;
                }
            },
        }
        Ok(())
    }

    fn node_at(&self, address: &SocketAddr) -> Option<usize> {
        index_of(address).filter(|index| {
            self.nodes
                .get(*index)
                .is_some_and(|node| node.address == *address)
        })
    }

    fn carry(
        &mut self,
        from: usize,
        to: usize,
        via: Via,
        payload: &Arc<[u8]>,
        captured: Option<usize>,
    ) {
        if !self.nodes[to].is_up() {
            return;
        }
        let mut copies: Vec<Copy> = Vec::new();
        self.network.send(from, to, via, payload.len(), &mut copies);
        for copy in copies {
            let arrival = Arrival {
                from: Some(from),
                source: self.nodes[from].address,
                to,
                via,
                payload: Arc::clone(payload),
                place: copy.place,
                captured,
            };
            self.after(copy.delay, What::Arrive(arrival));
        }
    }

    fn inspect(&mut self, node: usize, to: Destination, payload: &[u8]) -> Check {
        self.totals.datagrams += 1;
        self.totals.bytes += payload.len() as u64;
        self.invariants
            .datagram_numbers
            .on_transmit(node, payload)?;
        let inspected = self.invariants.inspector.open(node, payload)?;
        let hash = hash_bytes(payload);
        self.note(node, &[11, hash], || {
            format!(
                "sends {} bytes to {to:?} ({hash:016x}): {inspected:?}",
                payload.len()
            )
        });
        let Some(inspected) = inspected else {
            return Ok(());
        };
        self.nodes[node].tag = Some(inspected.sender);
        self.totals.nacks += inspected.nacks as u64;
        self.totals.fragments += inspected.batches.len() as u64;
        let machine = &self.nodes[node];
        if let Some(disk) = &machine.disk {
            let durable = |author: &roda_proto::AuthorId| -> Seq { disk.stored().last(author) };
            inspected.check_durable(node, durable)?;
        }
        self.invariants
            .removal
            .on_transmit(node, machine.author, &inspected)
    }
}

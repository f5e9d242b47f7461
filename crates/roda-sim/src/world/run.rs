//! Running engines: starting, feeding, waking and crashing them.

use std::time::Duration;

use roda_proto::{Config, Engine, Event, Input, Output, Rejected, Seed, Timestamp, WriteId};

use roda_proto::wire::header::{Header, SEALED};

use super::{Arrival, What, World, store_violation};
use crate::disk::Synced;
use crate::invariants::{Check, Effects, Origin, Violation};
use crate::node::{STREAM_PORT, Standing, Wish};
use crate::trace::hash_bytes;

/// Outputs after one input; more means that an engine never drains.
const OUTPUTS_MAX: usize = 1_000_000;
/// Wake-ups in a row at one moment; more means that a timer never moves.
const SPINS_MAX: u32 = 1_000;
/// Datagrams that wait at a slow reader; the rest is lost, as in a socket's buffer.
const UNREAD_MAX: u32 = 256;

impl World {
    /// Starts a node from its disk.
    pub(super) fn start(&mut self, node: usize) -> Check {
        let origin = Timestamp::from_micros(self.chance.engines.bits() >> 24);
        let seed = Seed(self.chance.engines.bytes());
        let machine = &mut self.nodes[node];
        let (Some(disk), None) = (&machine.disk, &machine.engine) else {
            return Ok(());
        };
        machine.boot += 1;
        machine.tag = None;
        machine.met.clear();
        machine.clock.restart(self.now, origin);
        machine.written = disk.stored().last(&machine.author);
        (machine.disk_free, machine.reader_free) = (self.now, self.now);
        (machine.deadline, machine.wake, machine.spins) = (None, None, 0);
        let config = Config {
            stream_port: STREAM_PORT,
            contacts: machine.contacts.clone(),
            grtt: self.options.grtt,
            ..Config::default()
        };
        self.invariants.order.on_start(node, disk.stored().heads());
        self.invariants.stability.on_start(node);
        self.invariants.durability.on_start(node, machine.author);
        let snapshot = disk.snapshot();
        let engine = Engine::new(config, seed, snapshot, machine.clock.now(self.now));
        machine.engine = Some(engine);
        let boot = machine.boot;
        self.note(node, &[1, boot.into()], || format!("starts, run {boot}"));
        let outputs = self.drain(node)?;
        self.handle_outputs(node, outputs)?;
        if self.nodes[node].standing == Standing::Member {
            self.after(Duration::ZERO, What::Introduce { node, boot });
        }
        Ok(())
    }

    /// Gives one input to an engine and carries out what it asks for.
    pub(super) fn feed(
        &mut self,
        node: usize,
        input: Input<'_>,
        origin: Origin,
        claims_seal: bool,
    ) -> Result<Option<Rejected>, Violation> {
        let machine = &mut self.nodes[node];
        let now = machine.clock.now(self.now);
        let Some(engine) = &mut machine.engine else {
            return Ok(None);
        };
        let refused = engine.handle_input(now, input).err();
        let outputs = self.drain(node)?;
        let effects = effects_of(&outputs);
        let code = refused.map_or(0, |refused| 1 + hash_bytes(refused.to_string().as_bytes()));
        self.trace.note(self.now, node, &[2, code], || {
            refused.map_or_else(
                || "takes it".into(),
                |refused| format!("refuses: {refused}"),
            )
        });
        self.invariants.outsiders.on_input(
            node,
            origin,
            claims_seal,
            refused.is_some(),
            effects,
        )?;
        self.handle_outputs(node, outputs)?;
        Ok(refused)
    }

    fn drain(&mut self, node: usize) -> Result<Vec<Output>, Violation> {
        let machine = &mut self.nodes[node];
        let Some(engine) = &mut machine.engine else {
            return Ok(Vec::new());
        };
        let mut outputs = Vec::new();
        while outputs.len() < OUTPUTS_MAX {
            match engine.poll_output() {
                Output::Wait(deadline) => {
                    machine.deadline = deadline.map(|wait| machine.clock.to_world(wait.at));
                    return Ok(outputs);
                }
                output => outputs.push(output),
            }
        }
        Err(Violation::at("drain", node, "outputs never end"))
    }

    /// Makes sure that the node wakes at its deadline.
    pub(super) fn schedule_wake(&mut self, node: usize) {
        let machine = &mut self.nodes[node];
        let Some(deadline) = machine.deadline else {
            return;
        };
        let at = deadline.max(self.now);
        if machine.wake.is_none_or(|wake| at < wake) {
            machine.wake = Some(at);
            self.queue.push(at, What::Wake { node });
        }
    }

    pub(super) fn wake(&mut self, node: usize) -> Check {
        let machine = &mut self.nodes[node];
        if machine.wake != Some(self.now) {
            return Ok(());
        }
        machine.wake = None;
        if machine.deadline.is_none_or(|deadline| deadline > self.now) {
            self.schedule_wake(node);
            return Ok(());
        }
        self.feed(node, Input::Timeout, Origin::World, false)?;
        let machine = &mut self.nodes[node];
        let spins = machine
            .deadline
            .is_some_and(|deadline| deadline <= self.now);
        machine.spins = if spins { machine.spins + 1 } else { 0 };
        if machine.spins > SPINS_MAX {
            return Err(Violation::at("timer", node, "wakes forever at one moment"));
        }
        Ok(())
    }

    pub(super) fn arrive(&mut self, arrival: Arrival) -> Check {
        let lost = arrival
            .from
            .is_some_and(|from| self.network.loses_tail(from, arrival.to, arrival.place));
        if lost {
            return Ok(());
        }
        let machine = &mut self.nodes[arrival.to];
        let Some(reading) = machine.reading else {
            return self.read(&arrival);
        };
        let free = machine.reader_free.max(self.now);
        if free.since(self.now) > reading * UNREAD_MAX {
            return Ok(());
        }
        machine.reader_free = free + reading;
        self.queue.push(machine.reader_free, What::Read(arrival));
        Ok(())
    }

    pub(super) fn read(&mut self, arrival: &Arrival) -> Check {
        let node = arrival.to;
        if !self.nodes[node].is_up() {
            return Ok(());
        }
        let hash = hash_bytes(&arrival.payload);
        self.note(node, &[3, hash], || {
            format!(
                "gets {} bytes from {} ({hash:016x})",
                arrival.payload.len(),
                arrival.source
            )
        });
        if crate::node::index_of(&arrival.source).is_none() {
            let amplification = &mut self.invariants.amplification;
            amplification.on_receive(node, arrival.source, arrival.payload.len());
        }
        let origin = self.origin_of(arrival);
        let claims_seal = self.claims_foreign_seal(arrival);
        if matches!(origin, Origin::Forged | Origin::Replayed) {
            // What is due anyway must not be taken for an effect of the datagram.
            self.feed(node, Input::Timeout, Origin::World, false)?;
        }
        let mut payload = arrival.payload.to_vec();
        let input = Input::Datagram {
            source: arrival.source,
            via: arrival.via,
            payload: &mut payload,
        };
        let refused = self.feed(node, input, origin, claims_seal)?;
        if let (None, Some(captured)) = (refused, arrival.captured) {
            let boot = self.nodes[node].boot;
            self.hostile.on_accepted(captured, node, boot);
        }
        Ok(())
    }

    /// Whether a datagram says that another run sealed it. One that names the receiver's own run is
    /// taken for its own multicast coming back and left unopened.
    fn claims_foreign_seal(&self, arrival: &Arrival) -> bool {
        Header::parse(&arrival.payload)
            .is_ok_and(|header| Some(header.sender) != self.nodes[arrival.to].tag)
    }

    pub(super) fn synced(&mut self, node: usize, boot: u32, id: WriteId) -> Check {
        let machine = &mut self.nodes[node];
        let (Some(disk), true) = (&mut machine.disk, machine.boot == boot) else {
            return Ok(());
        };
        let synced = disk
            .sync(id)
            .map_err(|error| store_violation(node, &error))?;
        self.note(node, &[4, id.0], || format!("has {id:?} on disk"));
        self.on_durable(node, synced)?;
        self.feed(node, Input::Persisted(id), Origin::World, false)?;
        Ok(())
    }

    /// A node loses power; some of what was not synced survives by luck.
    pub(super) fn crash(&mut self, node: usize, keeps_all: bool) -> Check {
        let machine = &mut self.nodes[node];
        let (Some(disk), true) = (&mut machine.disk, machine.engine.is_some()) else {
            return Ok(());
        };
        let unsynced = disk.unsynced();
        let kept = if keeps_all {
            unsynced
        } else {
            self.chance.faults.below(unsynced + 1)
        };
        machine.engine = None;
        machine.boot += 1;
        (machine.deadline, machine.wake) = (None, None);
        let synced = disk
            .crash(kept)
            .map_err(|error| store_violation(node, &error))?;
        let wishes: Vec<Wish> = std::mem::take(&mut machine.wishes).into_values().collect();
        self.totals.crashes += u64::from(!keeps_all);
        self.note(node, &[5], || {
            format!("is down; {kept} of {unsynced} unsynced writes survive")
        });
        self.on_durable(node, synced)?;
        wishes
            .into_iter()
            .for_each(|wish| self.wish_again(node, &wish));
        Ok(())
    }

    pub(super) fn stopped(&mut self, node: usize, boot: u32) -> Check {
        if self.nodes[node].boot == boot {
            self.crash(node, true)
        } else {
            Ok(())
        }
    }

    fn on_durable(&mut self, node: usize, synced: Synced) -> Check {
        use roda_proto::Record;
        for batch in &synced.voided {
            self.invariants
                .stability
                .on_change(node, "deletes", batch)?;
        }
        for record in &synced.records {
            match record {
                Record::Batch(batch) => {
                    self.invariants.durability.on_durable(node, batch);
                    self.invariants.replicas.on_durable(node, batch)?;
                }
                Record::Epoch(epoch) => {
                    self.invariants.inspector.learn(epoch);
                    self.invariants.removal.on_key(node, epoch.tag);
                }
                Record::Void { author, above } => {
                    self.invariants.order.on_void(node, *author, *above);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn effects_of(outputs: &[Output]) -> Effects {
    let mut effects = Effects::default();
    for output in outputs {
        match output {
            Output::Persist { .. } => effects.persists += 1,
            Output::Event(Event::CatchUp { .. }) => {}
            Output::Event(_) => effects.events += 1,
            Output::Transmit { payload, .. } => {
                let sealed = payload.first() == Some(&SEALED);
                effects.sealed += usize::from(sealed);
            }
            _ => {}
        }
    }
    effects
}

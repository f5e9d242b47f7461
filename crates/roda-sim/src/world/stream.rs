//! Catch-up over a stream: both ends are proved by their node keys, so the adversary has no part in it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use roda_proto::{Batch, EpochRecord, Input, NodeId};

use super::{What, World};
use crate::invariants::{Check, Origin};
use crate::node::{STREAM_PORT, index_of};

const BATCHES_AT_ONCE: usize = 8;

pub(super) enum Part {
    Keys(Vec<EpochRecord>),
    Batch(Arc<Batch>),
}

/// An open stream.
pub(super) struct Stream {
    asker: usize,
    asker_boot: u32,
    server: usize,
    server_boot: u32,
    parts: VecDeque<Part>,
    breaks_after: Option<usize>,
}

impl World {
    pub(super) fn stream_delay(&mut self) -> Duration {
        let (low, high) = (Duration::from_micros(300), Duration::from_millis(5));
        self.chance.streams.duration(low, high)
    }

    pub(super) fn stream_open(
        &mut self,
        asker: usize,
        boot: u32,
        address: SocketAddr,
        peer: Option<NodeId>,
    ) -> Check {
        if self.nodes[asker].boot != boot {
            return Ok(());
        }
        let server = index_of(&address).filter(|index| *index < self.nodes.len());
        let proved = server.filter(|server| {
            let id = self.nodes[*server].id;
            address.port() == STREAM_PORT
                && peer.is_none_or(|peer| peer == id)
                && self.network.connects(asker, *server)
                && self.knows(asker, *server)
                && self.knows(*server, asker)
        });
        if let Some(server) = proved {
            self.open_stream(asker, server);
            return Ok(());
        }
        // Connecting fails in the end even where nobody is, as behind an address that an adversary offered.
        self.end_stream(asker, false)
    }

    /// Whether a node is up and takes the other one for a member.
    pub(super) fn knows(&self, node: usize, other: usize) -> bool {
        let id = self.nodes[other].id;
        self.nodes[node]
            .engine
            .as_ref()
            .is_some_and(|engine| engine.members().iter().any(|member| member.node == id))
    }

    /// Starts sending all that the asking node lacks.
    pub(super) fn open_stream(&mut self, asker: usize, server: usize) {
        let (Some(asking), Some(serving), Some(disk)) = (
            &self.nodes[asker].engine,
            &self.nodes[server].engine,
            &self.nodes[server].disk,
        ) else {
            return;
        };
        let lacking = disk.stored().lacking(&asking.version_vector());
        let mut parts: VecDeque<Part> = [Part::Keys(serving.epoch_keys())].into();
        parts.extend(lacking.into_iter().map(Part::Batch));
        let breaks = self.is_safety_phase && self.chance.streams.chance(self.options.stream_breaks);
        let breaks_after = breaks.then(|| self.chance.streams.below(parts.len() + 1));
        let (id, count) = (self.streams_opened, parts.len());
        self.streams_opened += 1;
        self.totals.streams += 1;
        let stream = Stream {
            asker,
            asker_boot: self.nodes[asker].boot,
            server,
            server_boot: self.nodes[server].boot,
            parts,
            breaks_after,
        };
        self.streams.insert(id, stream);
        self.note(asker, &[30, id], || {
            format!("opens stream {id} to node {server}: {count} parts")
        });
        let delay = self.stream_delay();
        self.after(delay, What::StreamStep { stream: id });
    }

    pub(super) fn stream_step(&mut self, id: u64) -> Check {
        let Some(mut stream) = self.streams.remove(&id) else {
            return Ok(());
        };
        let (asker, server) = (stream.asker, stream.server);
        if self.nodes[asker].boot != stream.asker_boot {
            return Ok(());
        }
        let is_broken = self.nodes[server].boot != stream.server_boot
            || !self.network.connects(asker, server)
            || stream.breaks_after == Some(0);
        if is_broken {
            return self.end_stream(asker, false);
        }
        for _ in 0..BATCHES_AT_ONCE {
            let refused = match stream.parts.pop_front() {
                None => return self.end_stream(asker, true),
                Some(Part::Keys(keys)) => {
                    self.feed(asker, Input::Keys(keys), Origin::World, false)?
                }
                Some(Part::Batch(batch)) => {
                    self.feed(asker, Input::Batch(batch.bytes()), Origin::World, false)?
                }
            };
            if let Some(refused) = refused {
                self.note(asker, &[31, id], || {
                    format!("refuses a part of stream {id}: {refused}")
                });
                return self.end_stream(asker, false);
            }
            stream.breaks_after = stream.breaks_after.map(|parts| parts.saturating_sub(1));
            if self.nodes[asker].boot != stream.asker_boot || stream.breaks_after == Some(0) {
                break;
            }
        }
        self.streams.insert(id, stream);
        let delay = self.stream_delay();
        self.after(delay, What::StreamStep { stream: id });
        Ok(())
    }

    fn end_stream(&mut self, asker: usize, complete: bool) -> Check {
        self.note(asker, &[32, u64::from(complete)], || {
            format!("ends its stream, complete: {complete}")
        });
        let input = Input::CatchUpEnded { complete };
        self.feed(asker, input, Origin::World, false)?;
        if complete {
            self.has_caught_up(asker)
        } else {
            Ok(())
        }
    }
}

//! Datagrams in, fragments out.

use core::net::SocketAddr;

use super::{Destination, Engine, Event, Via};
use crate::crypto::SEAL_LEN;
use crate::error::Rejected;
use crate::group::{Allowed, Presence};
use crate::id::{SenderTag, Seq};
use crate::multicast::inbound::Progress;
use crate::multicast::{Outgoing, nack_frame};
use crate::wire::frame::FRAME_HEADER_LEN;
use crate::wire::header::HEADER_LEN;
use crate::wire::join::{Offer, Probe};
use crate::wire::{Fragment, Frame, Header, Nack};

/// Length of a datagram that echoes a path token: its frame is a kind and 64 bits.
pub(super) const ECHO_LEN: usize = HEADER_LEN + FRAME_HEADER_LEN + TOKEN_LEN_MAX + SEAL_LEN;
/// Most bytes of a path token in CBOR.
const TOKEN_LEN_MAX: usize = 9;

/// Where a frame came from.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    pub(super) sender: SenderTag,
    pub(super) source: SocketAddr,
    pub(super) via: Via,
    /// Bytes that may go to an address that is not proved: the length of the datagram, without the echoes
    /// that it is answered with.
    pub(super) room: usize,
    /// Whether its echoes are no longer than itself.
    pub(super) may_echo: bool,
}

impl Engine {
    pub(super) fn on_datagram(
        &mut self,
        source: SocketAddr,
        via: Via,
        payload: &mut [u8],
    ) -> Result<(), Rejected> {
        self.counters.datagrams_received += 1;
        if let Some(probe) = Probe::parse(payload) {
            return self.on_probe(source, &probe);
        }
        if let Some(offer) = Offer::parse(payload) {
            return self.on_offer(source, &offer);
        }
        let now = self.now.mono;
        let len = payload.len();
        let epoch = Header::parse(payload).ok().map(|header| header.epoch);
        let opened = match self.secure.open(now, payload) {
            Ok(Some(opened)) => opened,
            Ok(None) => return Ok(()),
            Err(reason) => {
                if let (Rejected::UnknownEpoch, Some(epoch)) = (reason, epoch) {
                    self.want_probe(epoch);
                }
                return Err(reason);
            }
        };
        let frames = Frame::parse_all(opened.body)?;
        let is_entry = |frame: &Frame<'_>| matches!(frame, Frame::Fragment(_));
        if !opened.current && !frames.iter().all(is_entry) {
            return Err(Rejected::StaleEpoch);
        }
        self.peers
            .on_datagram(now, opened.sender, via == Via::Multicast);
        let is_path = |frame: &&Frame<'_>| matches!(frame, Frame::Path(_));
        let echoes = frames.iter().filter(is_path).count() * ECHO_LEN;
        let arrival = Arrival {
            sender: opened.sender,
            source,
            via,
            room: len.saturating_sub(echoes),
            may_echo: echoes <= len,
        };
        let mut result = Ok(());
        for frame in frames {
            // One bad frame does not undo the others; the first reason is reported.
            let one = self.on_frame(arrival, frame);
            result = result.and(one);
        }
        result
    }

    fn on_frame(&mut self, arrival: Arrival, frame: Frame<'_>) -> Result<(), Rejected> {
        let Arrival { sender, source, .. } = arrival;
        // Entries prove themselves; everything else counts only from a sender known to live now.
        let is_proven = self.peers.is_proven(sender);
        match frame {
            Frame::Fragment(fragment) => self.on_fragment(&fragment),
            Frame::Beacon(beacon) => self.on_beacon(arrival, beacon),
            Frame::Path(token) => {
                self.on_path(arrival, token);
                Ok(())
            }
            Frame::Nack(nack) => self.on_nack(&nack, is_proven),
            Frame::Echo(_) | Frame::Attach(_) | Frame::Peers(_) | Frame::Bye(_) if !is_proven => {
                Err(Rejected::Unproven)
            }
            Frame::Echo(token) => {
                self.on_echo(arrival, token);
                Ok(())
            }
            Frame::Attach(token) => {
                self.on_attach(sender, source, token);
                Ok(())
            }
            Frame::Peers(peers) => {
                self.on_peers(&peers);
                Ok(())
            }
            Frame::Bye(_author) => {
                if self.peers.on_bye(sender) {
                    self.event(Event::MembersChanged);
                }
                Ok(())
            }
        }
    }

    fn on_fragment(&mut self, fragment: &Fragment<'_>) -> Result<(), Rejected> {
        let author = fragment.author;
        let last = Seq(fragment.first.0 + u64::from(fragment.count) - 1);
        if let Some(node) = self.logs.node_of(&author)
            && matches!(self.membership.allowed(&node, &author), Allowed::UpTo(cut) if last > cut)
        {
            return Err(Rejected::NotMember);
        }
        if self.logs.is_frozen(&author) {
            return Err(Rejected::Fork);
        }
        let now = self.now.mono;
        let accepted = self.logs.accepted(&author);
        let members = self.members_for_backoff();
        let progress =
            self.multicast
                .on_fragment(now, fragment, accepted, members, &mut self.rng)?;
        let bytes = match progress {
            Progress::Complete(bytes) => bytes,
            Progress::Partial => return Ok(()),
            Progress::Duplicate => {
                self.counters.duplicates += 1;
                return Ok(());
            }
        };
        let result = self.on_batch(&bytes).and_then(|batch| {
            // Someone labelled another batch with this author's name.
            if (batch.author, batch.first) == (author, fragment.first) {
                Ok(())
            } else {
                Err(Rejected::Forged)
            }
        });
        if result.is_err() {
            self.multicast
                .on_refused(now, &author, fragment.first, members, &mut self.rng);
        }
        result
    }

    /// A request by a sender that is not proven to live now may be a replay: it is answered within a
    /// budget, because in a large group the proofs take their time.
    fn on_nack(&mut self, nack: &Nack, is_proven: bool) -> Result<(), Rejected> {
        let now = self.now.mono;
        if !is_proven && !self.unproven_nacks.take(now) {
            return Err(Rejected::Unproven);
        }
        self.counters.nacks_received += 1;
        // In a large group it takes a while until all are proved; not having met the author yet says
        // nothing, and the third round asks the others anyway.
        let is_author_here = self.peers.get(&nack.author).is_none()
            || self.peers.presence(now, &nack.author) < Presence::Down;
        let members = self.members_for_backoff();
        self.multicast
            .on_nack(now, nack, is_author_here, members, &mut self.rng);
        Ok(())
    }

    pub(super) fn poll_multicast(&mut self) {
        let now = self.now.mono;
        let members = self.members_for_backoff();
        let mut outgoing = alloc::vec::Vec::new();
        self.multicast
            .poll(now, members, &mut self.rng, &mut |item| outgoing.push(item));
        let was_busy = !outgoing.is_empty();
        for item in outgoing {
            match item {
                Outgoing::Fragment { frame, is_repair } => {
                    self.counters.repairs_sent += u64::from(is_repair);
                    self.send_to_group(&frame);
                }
                Outgoing::Nack(nack) => {
                    self.counters.nacks_sent += 1;
                    self.send_to_group(&nack_frame(nack));
                }
                Outgoing::CatchUp(_author) => self.want_catch_up(),
            }
        }
        if was_busy && self.multicast.is_idle() {
            self.on_news();
            self.write_drafts();
        }
    }

    pub(super) fn send_bye(&mut self) {
        let frame = Frame::Bye(self.author).to_vec();
        self.send_to_group(&frame);
    }

    pub(super) fn send_plain(&mut self, to: Destination, payload: alloc::vec::Vec<u8>) {
        self.transmit(to, payload);
    }
}

//! When what is missing is fetched over a stream, and how a node that missed a key change finds one.

use alloc::collections::VecDeque;
use core::net::SocketAddr;
use core::time::Duration;

use rand_core::Rng;

use super::budget::Budget;
use super::{Destination, Engine, Event};
use crate::error::Rejected;
use crate::group::presence::Peer;
use crate::id::{AuthorId, EpochTag};
use crate::time::Timestamp;
use crate::wire::join::{Offer, Probe};

/// Pause after a catch-up that went well.
const PAUSE: Duration = Duration::from_millis(50);
/// Pause after one that failed, doubled up to the next.
const PAUSE_FAILED: Duration = Duration::from_millis(500);
const PAUSE_FAILED_MAX: Duration = Duration::from_secs(8);
/// A driver that never says how a catch-up ended does not stop the next one for ever.
const RUN_MAX: Duration = Duration::from_secs(600);
/// Offers per second, whoever asks.
const OFFERS_PER_SECOND: u32 = 20;
/// Addresses remembered where a catch-up failed.
const FAILED_MAX: usize = 16;

#[derive(Default)]
enum State {
    #[default]
    Idle,
    Running {
        since: Timestamp,
        address: SocketAddr,
    },
}

#[derive(Default)]
pub(super) struct CatchUps {
    state: State,
    wanted: bool,
    not_before: Timestamp,
    failures: u32,
    /// Nonce of the probe that waits for an offer.
    probe: Option<[u8; 8]>,
    /// Where a catch-up failed since one went well; offers from there come last.
    failed: VecDeque<SocketAddr>,
    probe_wanted: Option<EpochTag>,
    probe_not_before: Timestamp,
    offers: Option<Budget>,
}

impl CatchUps {
    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        let catch_up = match self.state {
            State::Idle => self.wanted.then_some(self.not_before),
            State::Running { since, .. } => Some(since + RUN_MAX),
        };
        let probe = self.probe_wanted.map(|_epoch| self.probe_not_before);
        catch_up.into_iter().chain(probe).min()
    }

    fn note_end(&mut self, ended: &State, complete: bool) {
        if complete {
            self.failed.clear();
        } else if let State::Running { address, .. } = ended {
            self.failed.push_back(*address);
            if self.failed.len() > FAILED_MAX {
                self.failed.pop_front();
            }
        }
    }
}

impl Engine {
    pub(super) fn want_catch_up(&mut self) {
        self.catch_ups.wanted = true;
    }

    /// Datagrams under an unknown key: perhaps this node missed a key change.
    pub(super) fn want_probe(&mut self, epoch: EpochTag) {
        // One that left has to be heard by those who changed the key meanwhile.
        if !self.is_silent() {
            self.catch_ups.probe_wanted = Some(epoch);
        }
    }

    pub(super) fn poll_catch_ups(&mut self) {
        let now = self.now.mono;
        if let State::Running { since, .. } = self.catch_ups.state
            && now.since(since) >= RUN_MAX
        {
            self.on_catch_up_ended(false);
        }
        let is_due = self.catch_ups.probe_not_before <= now;
        if let Some(epoch) = self.catch_ups.probe_wanted.take_if(|_epoch| is_due) {
            self.back_off_probe();
            if self.catch_ups.probe.is_some() {
                // No other offer came.
                self.catch_ups.failed.clear();
            }
            let mut nonce = [0; 8];
            self.rng.fill_bytes(&mut nonce);
            self.catch_ups.probe = Some(nonce);
            let datagram = Probe::by_member(self.group_tag, nonce, epoch).encode();
            let contacts: alloc::vec::Vec<SocketAddr> =
                self.config.contacts.iter().take(8).copied().collect();
            for address in contacts {
                self.send_plain(Destination::Address(address), datagram.clone());
            }
            self.send_plain(Destination::Group, datagram);
        }
        let is_idle = matches!(self.catch_ups.state, State::Idle);
        if self.catch_ups.wanted && is_idle && self.catch_ups.not_before <= now {
            self.catch_ups.wanted = false;
            if let Some((peer, address)) = self.choose_server() {
                self.start_catch_up(peer, address);
            }
        }
    }

    fn back_off_probe(&mut self) {
        let pause = PAUSE_FAILED * (1 << self.catch_ups.failures.min(6));
        self.catch_ups.probe_not_before = self.now.mono + pause.min(PAUSE_FAILED_MAX);
    }

    fn start_catch_up(&mut self, peer: Option<crate::NodeId>, address: SocketAddr) {
        self.catch_ups.state = State::Running {
            since: self.now.mono,
            address,
        };
        self.multicast.is_suspended = true;
        self.counters.catch_ups += 1;
        self.event(Event::CatchUp { peer, address });
    }

    /// One of the peers that have most, at random, so that many newcomers spread over many servers.
    fn choose_server(&mut self) -> Option<(Option<crate::NodeId>, SocketAddr)> {
        let now = self.now.mono;
        let own = self.logs.entries();
        let is_known = |peer: &Peer| {
            let is_member = |node| self.membership.is_active(&node);
            peer.stream_port != 0 && peer.node.is_some_and(is_member)
        };
        // Whom this node does not know yet may not know it either: only if nobody else has more.
        let has_known = self
            .peers
            .online(now)
            .any(|(_, peer)| is_known(peer) && peer.beacon.entries > own);
        let serves = |peer: &Peer| {
            is_known(peer) || (!has_known && peer.stream_port != 0 && peer.node.is_none())
        };
        let most = self
            .peers
            .online(now)
            .filter(|(_, peer)| serves(peer))
            .map(|(_, peer)| peer.beacon.entries)
            .max()?;
        // Whoever is ahead in its own log may be the only one who has that, however little else.
        let is_best = |author: &AuthorId, peer: &Peer| {
            let is_ahead = peer.beacon.head > self.logs.accepted(author);
            serves(peer) && (peer.beacon.entries == most || is_ahead)
        };
        let best = || {
            let online = self.peers.online(now);
            online.filter(|(author, peer)| is_best(author, peer))
        };
        let count = best().count();
        let chosen = usize::try_from(self.rng.next_u32()).unwrap_or(0) % count.max(1);
        let mut serving = best();
        serving
            .nth(chosen)
            .map(|(_, peer)| (peer.node, peer.stream_address()))
    }

    pub(super) fn on_catch_up_ended(&mut self, complete: bool) {
        let ended = core::mem::take(&mut self.catch_ups.state);
        self.catch_ups.note_end(&ended, complete);
        self.multicast.is_suspended = false;
        self.catch_ups.failures = if complete {
            0
        } else {
            self.catch_ups.failures.saturating_add(1)
        };
        let pause = if complete {
            PAUSE
        } else {
            PAUSE_FAILED * (1 << self.catch_ups.failures.min(6))
        };
        self.catch_ups.not_before = self.now.mono + pause.min(PAUSE_FAILED_MAX);
        self.beacons_after_catch_up();
    }

    fn beacons_after_catch_up(&mut self) {
        self.prompt_beacon();
        self.frontier.mark();
    }

    pub(super) fn on_probe(&mut self, source: SocketAddr, probe: &Probe) -> Result<(), Rejected> {
        if probe.group_tag != self.group_tag || self.config.stream_port == 0 || self.is_expelled {
            return Err(Rejected::UnknownEpoch);
        }
        // The sender's own probe loops back to it.
        if Some(probe.nonce) == self.catch_ups.probe {
            return Ok(());
        }
        // Another one that has only old keys is no help.
        if probe.is_by_member() && !self.is_current_epoch(probe.epoch) {
            return Err(Rejected::UnknownEpoch);
        }
        let now = self.now.mono;
        if !self
            .catch_ups
            .offers
            .get_or_insert(Budget::new(OFFERS_PER_SECOND))
            .take(now)
        {
            return Err(Rejected::Full);
        }
        let offer = Offer {
            group_tag: self.group_tag,
            nonce: probe.nonce,
            stream_port: self.config.stream_port,
        };
        self.send_plain(Destination::Address(source), offer.encode());
        Ok(())
    }

    pub(super) fn on_offer(&mut self, source: SocketAddr, offer: &Offer) -> Result<(), Rejected> {
        if offer.group_tag != self.group_tag || self.catch_ups.probe != Some(offer.nonce) {
            return Err(Rejected::Unproven);
        }
        let address = SocketAddr::new(source.ip(), offer.stream_port);
        let is_known_bad = self.catch_ups.failed.contains(&address);
        if matches!(self.catch_ups.state, State::Idle) && !is_known_bad {
            self.catch_ups.probe = None;
            self.start_catch_up(None, address);
        }
        Ok(())
    }
}

//! Beacons: when they go out and what is in them; and what others' beacons mean here.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

use super::datagrams::Arrival;
use super::paths::CONTACT_FRAMES_LEN;
use super::{Config, Destination, Engine, Event, Via};
use crate::error::Rejected;
use crate::group::presence::Heard;
use crate::group::{Allowed, Carrier, Presence};
use crate::id::{AuthorId, NodeId, SenderTag, Seq};
use crate::multicast::backoff::jitter;
use crate::time::Timestamp;
use crate::wire::codec::Writer;
use crate::wire::frame::pad;
use crate::wire::{Beacon, Frame};

/// How long nothing is written after a start, unless a peer is heard sooner.
pub(super) const SETTLE: Duration = Duration::from_millis(300);
/// Least pause between two beacons.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_PER_MEMBER: Duration = Duration::from_millis(4);
/// The first beacon after news comes this soon, then the pauses double.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// Least pause between two lists of all heads.
const HEADS_EVERY: Duration = Duration::from_millis(250);
/// Above so many members, beacons become rarer, so that their sum stays bounded.
const FULL_RATE_MEMBERS: u32 = 64;
/// Heads in one beacon, so that it fits a datagram.
const HEADS_MAX: usize = 28;
/// Asks, and answers, in one beacon.
const TAGS_MAX: usize = 20;
/// A gap of more entries than this is fetched over a stream at once.
const LAG_FOR_CATCH_UP: u64 = 4096;

pub(super) struct Beacons {
    at: Timestamp,
    last: Timestamp,
    pause: Duration,
    pause_max: Duration,
    asks: BTreeSet<SenderTag>,
    answers: BTreeSet<SenderTag>,
    wants_heads: bool,
    heads_sent: Option<Timestamp>,
    /// Authors whose heads come next, when there are more than fit.
    heads_after: Option<AuthorId>,
    seen: Vec<(NodeId, Presence)>,
}

impl Beacons {
    pub(super) fn new(config: &Config, now: Timestamp) -> Self {
        Self {
            at: now,
            last: now,
            pause: FIRST_PAUSE,
            pause_max: config.beacon_interval,
            asks: BTreeSet::new(),
            answers: BTreeSet::new(),
            wants_heads: true,
            heads_sent: None,
            heads_after: None,
            seen: Vec::new(),
        }
    }

    pub(super) const fn next_deadline(&self) -> Option<Timestamp> {
        Some(self.at)
    }

    /// Asks senders to tell what they have.
    pub(super) fn ask(&mut self, tags: impl IntoIterator<Item = SenderTag>) {
        self.asks.extend(tags);
    }
}

impl Engine {
    fn member_count(&self) -> u32 {
        u32::try_from(self.membership.count()).unwrap_or(u32::MAX)
    }

    fn beacon_pause_min(&self) -> Duration {
        PAUSE_MIN.max(PAUSE_PER_MEMBER * self.member_count())
    }

    /// A beacon is wanted soon, but not more often than the group's size allows.
    pub(super) fn prompt_beacon(&mut self) {
        let now = self.now.mono;
        let spread = FIRST_PAUSE.max(self.beacon_pause_min() / 4);
        let soon = now + FIRST_PAUSE / 2 + jitter(spread, &mut self.rng);
        let at = soon.max(self.beacons.last + self.beacon_pause_min());
        self.beacons.at = self.beacons.at.min(at);
        self.beacons.pause = FIRST_PAUSE;
    }

    /// Something became durable: others want to know, soon after the last of it.
    pub(super) fn on_news(&mut self) {
        let now = self.now.mono;
        let pause = self.beacon_pause_min() / 2 * 5;
        let soon = now + self.multicast.grtt() / 2 + jitter(FIRST_PAUSE, &mut self.rng);
        self.beacons.at = self.beacons.at.min(soon.max(self.beacons.last + pause));
        self.beacons.pause = FIRST_PAUSE;
    }

    pub(super) fn poll_beacons(&mut self) {
        let now = self.now.mono;
        if now < self.beacons.at {
            return;
        }
        if self.is_silent() {
            self.beacons.at = now + self.beacons.pause_max;
            return;
        }
        self.send_beacons();
        let members = self.member_count();
        let pause_max = self
            .beacons
            .pause_max
            .max(self.beacons.pause_max * members / FULL_RATE_MEMBERS)
            .min(self.beacons.pause_max * 4);
        self.peers.expect_every(pause_max);
        let pause = self
            .beacons
            .pause
            .max(self.beacon_pause_min())
            .min(pause_max);
        let spread = jitter(pause / 4, &mut self.rng);
        self.beacons.last = now;
        self.beacons.at = now + pause * 7 / 8 + spread;
        self.beacons.pause = (pause * 2).min(pause_max);
        self.watch_presence();
    }

    fn send_beacons(&mut self) {
        let beacon = self.beacon();
        let frame = Frame::Beacon(beacon.clone()).to_vec();
        self.counters.beacons_sent += 1;
        if let Some(datagram) = self.secure.seal(&frame) {
            self.transmit(Destination::Group, datagram);
        }
        let targets = self.take_unicast_targets();
        for address in targets {
            // A plain answer is answered no more, or two nodes would go on for ever.
            let is_deaf = !self.peers.is_heard_by_multicast(self.now.mono, &address);
            let mut writer = Writer::new();
            Frame::Beacon(Beacon {
                is_deaf,
                ..beacon.clone()
            })
            .write(&mut writer);
            Frame::Path(self.paths.token(&address)).write(&mut writer);
            pad(&mut writer, CONTACT_FRAMES_LEN);
            if let Some(datagram) = self.secure.seal(writer.as_slice()) {
                self.transmit(Destination::Address(address), datagram);
            }
        }
        self.send_challenges();
        self.send_attach_requests();
    }

    fn beacon(&mut self) -> Beacon {
        let unsent = self.multicast.first_unsent().map(|(seq, _)| Seq(seq.0 - 1));
        let head = unsent
            .unwrap_or_else(|| self.logs.durable(&self.author))
            .min(self.logs.durable(&self.author));
        let wants_heads = core::mem::take(&mut self.beacons.wants_heads);
        let heads = if wants_heads {
            self.next_heads(head)
        } else {
            Vec::new()
        };
        let take = |tags: &mut BTreeSet<SenderTag>| -> Vec<SenderTag> {
            let taken: Vec<SenderTag> = tags.iter().take(TAGS_MAX).copied().collect();
            taken.iter().for_each(|tag| {
                tags.remove(tag);
            });
            taken
        };
        Beacon {
            author: Some(self.author),
            head,
            promise: self.promise(true),
            frontier: self.frontier.own(),
            digest: if unsent.is_some() {
                0
            } else {
                self.logs.digest()
            },
            stream_port: self.config.stream_port,
            heads,
            asks: take(&mut self.beacons.asks),
            answers: take(&mut self.beacons.answers),
            wall: self.now.wall.0,
            entries: self.logs.entries(),
            is_deaf: false,
        }
    }

    /// The next part of the version vector; the rest follows with the next beacons.
    fn next_heads(&mut self, own_head: Seq) -> Vec<(AuthorId, Seq)> {
        self.beacons.heads_sent = Some(self.now.mono);
        let after = self.beacons.heads_after.take();
        let rest = self
            .logs
            .vector()
            .filter(|(author, _)| after.is_none_or(|after| *author > after));
        let mut heads: Vec<(AuthorId, Seq)> = rest.take(HEADS_MAX + 1).collect();
        if heads.len() > HEADS_MAX {
            heads.truncate(HEADS_MAX);
            self.beacons.heads_after = heads.last().map(|(author, _)| *author);
            self.beacons.wants_heads = true;
        }
        for (author, seq) in &mut heads {
            if *author == self.author {
                *seq = own_head;
            }
        }
        heads
    }

    fn watch_presence(&mut self) {
        let now = self.now.mono;
        let nodes = self.peers.by_node(now);
        let seen: Vec<(NodeId, Presence)> = nodes
            .iter()
            .map(|(node, seen)| (*node, seen.presence))
            .collect();
        if seen != self.beacons.seen {
            self.beacons.seen = seen;
            self.event(Event::MembersChanged);
        }
    }

    pub(super) fn on_beacon(&mut self, arrival: Arrival, beacon: Beacon) -> Result<(), Rejected> {
        let Arrival {
            sender: tag,
            source,
            via,
            ..
        } = arrival;
        let now = self.now.mono;
        let own = self.secure.tag();
        let heard = self
            .peers
            .on_beacon(now, tag, own, source, via == Via::Multicast, &beacon);
        let Some(author) = beacon.author else {
            return Ok(());
        };
        if let Heard::Unproven { ask } = heard {
            // What it says others have written was true at some time; that is enough to ask for it.
            self.learn_heads(author, &beacon);
            match (ask, via) {
                (true, Via::Multicast) => {
                    self.beacons.asks.insert(tag);
                    self.prompt_beacon();
                }
                (true, Via::Unicast) => self.challenge(arrival, Some(tag), None),
                (false, _) => {}
            }
            return Err(Rejected::Unproven);
        }
        let is_asked = beacon.asks.contains(&own);
        if is_asked {
            self.beacons.answers.insert(tag);
            self.beacons.wants_heads = true;
            self.prompt_beacon();
        }
        let (has_proved, again) = self.peers.get_mut(&author).map_or((false, false), |peer| {
            (peer.has_proved(&source), peer.challenge_again(now))
        });
        if !has_proved {
            if heard == Heard::Appeared || via == Via::Unicast || again {
                self.challenge(arrival, None, is_asked.then_some(tag));
            }
        } else if via == Via::Unicast && beacon.is_deaf {
            self.paths.reply_to.insert(source);
        }
        self.meet(heard, author, &beacon);
        self.learn_heads(author, &beacon);
        self.settle_by(&beacon);
        self.catch_up_by(author, &beacon);
        self.compare(&beacon);
        self.note_copies(author, &beacon);
        self.frontier.mark();
        Ok(())
    }

    fn meet(&mut self, heard: Heard, author: AuthorId, beacon: &Beacon) {
        let wall = self.now.wall;
        let offset =
            i64::try_from(i128::from(beacon.wall) - i128::from(wall.0)).unwrap_or(i64::MAX);
        if let Some(peer) = self.peers.get_mut(&author) {
            peer.wall_offset = offset;
        }
        self.recognize(&author);
        if heard == Heard::Appeared {
            self.beacons.wants_heads = true;
            self.prompt_beacon();
            self.event(Event::MembersChanged);
        }
    }

    /// The greatest number of entries that a beacon shows to be missing, of authors that are here and of
    /// those that are not.
    fn learn_heads(&mut self, author: AuthorId, beacon: &Beacon) {
        let now = self.now.mono;
        let members = self.members_for_backoff();
        for (known, seq) in beacon.heads.iter().chain([&(author, beacon.head)]) {
            let accepted = self.logs.accepted(known);
            if *known == self.author {
                if *seq > accepted && !self.is_expelled {
                    self.event(Event::Amnesia);
                }
                continue;
            }
            let seq = self.countable(known, *seq);
            if seq > accepted && !self.logs.is_frozen(known) {
                self.multicast
                    .announce(now, known, seq, accepted, members, &mut self.rng);
            }
        }
    }

    /// How much of what an author is said to have written counts.
    fn countable(&self, author: &AuthorId, seq: Seq) -> Seq {
        let node = self.logs.node_of(author);
        match node.map(|node| self.membership.allowed(&node, author)) {
            Some(Allowed::UpTo(cut)) => cut.min(seq),
            Some(Allowed::All | Allowed::NotYet) | None => seq,
        }
    }

    /// What is far behind, or written by someone who is not here to repair it, comes over a stream.
    fn catch_up_by(&mut self, author: AuthorId, beacon: &Beacon) {
        let now = self.now.mono;
        let is_wanted = beacon
            .heads
            .iter()
            .chain([&(author, beacon.head)])
            .any(|(known, seq)| {
                let seq = self.countable(known, *seq);
                let lag = seq.0.saturating_sub(self.logs.accepted(known).0);
                let is_author_here = self.peers.presence(now, known) < Presence::Down;
                let counts = *known != self.author && !self.logs.is_frozen(known);
                counts && (lag > LAG_FOR_CATCH_UP || (lag > 0 && !is_author_here))
            });
        if is_wanted {
            self.want_catch_up();
        }
    }

    /// A peer told what it knows of this author: nothing was forgotten.
    fn settle_by(&mut self, beacon: &Beacon) {
        if beacon.digest == self.logs.digest() || !beacon.heads.is_empty() {
            self.settle_at = None;
        }
    }

    /// Different logs and no list of heads: say what is here, so that either side can ask.
    fn compare(&mut self, beacon: &Beacon) {
        let now = self.now.mono;
        let differs =
            beacon.digest != 0 && beacon.digest != self.logs.digest() && self.multicast.is_idle();
        let pause = HEADS_EVERY.max(PAUSE_PER_MEMBER * self.member_count());
        let due = self
            .beacons
            .heads_sent
            .is_none_or(|at| now.since(at) >= pause);
        if differs && due && !self.beacons.wants_heads {
            self.beacons.wants_heads = true;
            self.prompt_beacon();
        }
    }

    /// The carrier over which the online peers are heard, if it is the same for all.
    #[must_use]
    pub fn carriers(&self) -> BTreeSet<Carrier> {
        let now = self.now.mono;
        let nodes = self.peers.by_node(now);
        let of_members = nodes
            .iter()
            .filter(|(node, _)| self.membership.is_active(node));
        of_members.map(|(_, seen)| seen.carrier).collect()
    }
}

//! Reliable multicast: fragments out, fragments in, NACKs and repairs (after RFC 5401 and RFC 5740).

pub mod backoff;
pub mod inbound;
pub mod outbound;
pub mod rate;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use rand_core::Rng;

use crate::error::Rejected;
use crate::id::{AuthorId, EpochTag, Seq};
use crate::log::Batch;
use crate::multicast::backoff::{BACKOFF_FREE_MEMBERS, jitter, nack_backoff};
use crate::multicast::inbound::{Armed, Inbound, Progress};
pub use crate::multicast::outbound::Gate;
use crate::multicast::outbound::Outbound;
use crate::multicast::rate::Rate;
use crate::time::{Hlc, Timestamp};
use crate::wire::header::DATAGRAM_LEN_MAX;
use crate::wire::{Fragment, Frame, Nack};

/// Bytes of incomplete batches held; fragments beyond it are dropped and asked for again.
pub const ASSEMBLY_BYTES_MAX: usize = 16 << 20;
/// Authors whose streams are followed.
pub const STREAMS_MAX: usize = 16 * 1024;
/// From this round on, other holders than the author repair too.
pub const HOLDERS_HELP_FROM: u8 = 3;
/// After so many silent rounds the rest is fetched over a stream.
pub const ROUNDS_BEFORE_CATCH_UP: u8 = 5;
const GRTT_MIN: Duration = Duration::from_millis(2);
const GRTT_MAX: Duration = Duration::from_millis(500);
const REORDER_MIN: Duration = Duration::from_millis(1);
const ROUND_WAIT_MAX: Duration = Duration::from_secs(1);

/// Something to send to the whole group.
pub enum Outgoing {
    /// A piece of a batch.
    Fragment {
        /// Its frame.
        frame: Vec<u8>,
        /// Whether someone asked for it.
        is_repair: bool,
    },
    /// A request for what is missing.
    Nack(Nack),
    /// Requests stay unanswered: fetch this author's entries over a stream.
    CatchUp(AuthorId),
}

/// The multicast part.
pub struct Multicast {
    own: AuthorId,
    streams: BTreeMap<AuthorId, Inbound>,
    timers: BTreeSet<(Timestamp, AuthorId)>,
    assembly_bytes: usize,
    outbound: Outbound,
    rate: Rate,
    grtt: Duration,
    /// While a catch-up runs, NACKs would only ask for the same again.
    pub is_suspended: bool,
}

impl Multicast {
    /// Nothing heard, nothing to send.
    #[must_use]
    pub fn new(own: AuthorId, rate_max: u64, grtt: Duration, now: Timestamp) -> Self {
        Self {
            own,
            streams: BTreeMap::new(),
            timers: BTreeSet::new(),
            assembly_bytes: 0,
            outbound: Outbound::default(),
            rate: Rate::new(rate_max, now),
            grtt: grtt.clamp(GRTT_MIN, GRTT_MAX),
            is_suspended: false,
        }
    }

    /// The estimate of the greatest round-trip time within the group.
    #[must_use]
    pub const fn grtt(&self) -> Duration {
        self.grtt
    }

    /// What may leave from now on.
    pub fn set_gate(&mut self, gate: Gate) {
        self.outbound.set_gate(gate);
    }

    /// Queues a batch of this node.
    pub fn publish(&mut self, batch: &Arc<Batch>, written_under: Option<EpochTag>) {
        self.outbound.publish(batch, written_under);
    }

    /// Keeps another's batch for repairs.
    pub fn keep(&mut self, batch: &Arc<Batch>) {
        self.outbound.keep(batch, None);
    }

    /// Whether own writing should pause.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.outbound.is_full()
    }

    /// Whether nothing waits to be sent.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.outbound.is_idle()
    }

    /// The first own entry that was not sent completely yet, and its clock.
    #[must_use]
    pub fn first_unsent(&self) -> Option<(Seq, Hlc)> {
        self.outbound.first_unsent()
    }

    fn stream(&mut self, author: &AuthorId, accepted: Seq) -> Option<&mut Inbound> {
        if !self.streams.contains_key(author) && self.streams.len() >= STREAMS_MAX {
            return None;
        }
        let inbound = self.streams.entry(*author).or_default();
        inbound.on_accepted(accepted);
        Some(inbound)
    }

    /// Takes a fragment in; `accepted` is how far the log has come. Returns the batch if it is complete.
    ///
    /// # Errors
    /// [`Rejected::Full`] or [`Rejected::Forged`]; the fragment was dropped.
    pub fn on_fragment(
        &mut self,
        now: Timestamp,
        fragment: &Fragment<'_>,
        accepted: Seq,
        members: usize,
        rng: &mut impl Rng,
    ) -> Result<Progress, Rejected> {
        self.outbound
            .on_repair_heard(now, fragment.author, fragment.first, fragment.index);
        let room = ASSEMBLY_BYTES_MAX.saturating_sub(self.assembly_bytes);
        let inbound = self
            .stream(&fragment.author, accepted)
            .ok_or(Rejected::Full)?;
        let before = inbound.bytes();
        let progress = inbound.on_fragment(now, fragment, room);
        let after = inbound.bytes();
        let asked_at = if matches!(progress, Ok(Progress::Partial | Progress::Complete(_))) {
            inbound.asked_at.take()
        } else {
            None
        };
        self.assembly_bytes = (self.assembly_bytes + after).saturating_sub(before);
        if let Some(asked_at) = asked_at {
            self.sample_grtt(now.since(asked_at));
        }
        if progress != Ok(Progress::Duplicate) {
            self.arm(now, &fragment.author, members, rng);
        }
        progress
    }

    fn sample_grtt(&mut self, sample: Duration) {
        let next = if sample > self.grtt {
            (self.grtt + sample) / 2
        } else {
            (self.grtt * 31 + sample) / 32
        };
        self.grtt = next.clamp(GRTT_MIN, GRTT_MAX);
    }

    fn reorder(&self) -> Duration {
        (self.grtt / 4).max(REORDER_MIN)
    }

    fn arm(&mut self, now: Timestamp, author: &AuthorId, members: usize, rng: &mut impl Rng) {
        let (reorder, tail) = (self.reorder(), self.grtt * 2);
        let Some(inbound) = self.streams.get_mut(author) else {
            return;
        };
        let old = inbound.armed;
        // Drawing a back-off per fragment would be wasteful: only when the timer is to be set anew.
        let backoff =
            if matches!(old, Some(Armed::Hole(_))) || (old.is_some() && !inbound.has_hole()) {
                Duration::ZERO
            } else {
                nack_backoff(self.grtt, members, rng)
            };
        if !(matches!(old, Some(Armed::Tail(_))) && !inbound.has_hole() && !inbound.is_level()) {
            inbound.arm(now, reorder + backoff, tail + backoff);
        }
        let new = inbound.armed;
        self.retime(author, old, new);
    }

    fn retime(&mut self, author: &AuthorId, old: Option<Armed>, new: Option<Armed>) {
        if let Some(old) = old {
            self.timers.remove(&(old.at(), *author));
        }
        if let Some(new) = new {
            self.timers.insert((new.at(), *author));
        }
    }

    /// Somebody says that an author has written up to `seq`; returns how many entries are missing.
    pub fn announce(
        &mut self,
        now: Timestamp,
        author: &AuthorId,
        seq: Seq,
        accepted: Seq,
        members: usize,
        rng: &mut impl Rng,
    ) -> u64 {
        if seq <= accepted && !self.streams.contains_key(author) {
            return 0;
        }
        let Some(inbound) = self.stream(author, accepted) else {
            return 0;
        };
        if seq > inbound.announced {
            inbound.announced = seq;
            self.arm(now, author, members, rng);
        }
        self.streams.get(author).map_or(0, Inbound::lag)
    }

    /// The log has come this far.
    pub fn on_accepted(
        &mut self,
        now: Timestamp,
        author: &AuthorId,
        seq: Seq,
        members: usize,
        rng: &mut impl Rng,
    ) {
        let Some(inbound) = self.streams.get_mut(author) else {
            return;
        };
        let before = inbound.bytes();
        inbound.on_accepted(seq);
        let after = inbound.bytes();
        self.assembly_bytes = (self.assembly_bytes + after).saturating_sub(before);
        let old = inbound.armed;
        // What was missing may have come: judge anew, with fresh patience.
        inbound.armed = None;
        self.retime(author, old, None);
        self.arm(now, author, members, rng);
    }

    /// A batch that was complete was no good.
    pub fn on_refused(
        &mut self,
        now: Timestamp,
        author: &AuthorId,
        first: Seq,
        members: usize,
        rng: &mut impl Rng,
    ) {
        if let Some(inbound) = self.streams.get_mut(author) {
            inbound.on_refused(first);
            self.arm(now, author, members, rng);
        }
    }

    /// What the author wrote beyond `seq` never counted.
    pub fn cut(&mut self, author: &AuthorId, seq: Seq) {
        self.outbound.cut(author, seq);
        let Some(inbound) = self.streams.get_mut(author) else {
            return;
        };
        self.assembly_bytes = self.assembly_bytes.saturating_sub(inbound.bytes());
        let old = inbound.armed;
        inbound.cut(seq);
        self.retime(author, old, None);
    }

    /// Answers or suppresses by another's NACK.
    pub fn on_nack(
        &mut self,
        now: Timestamp,
        nack: &Nack,
        author_is_online: bool,
        members: usize,
        rng: &mut impl Rng,
    ) {
        self.suppress(now, nack, members, rng);
        let delay = if nack.author == self.own {
            None
        } else if nack.round >= HOLDERS_HELP_FROM || !author_is_online {
            // Spread the helpers out, so that the first one's repair silences the others.
            Some(jitter(self.grtt, rng) + nack_backoff(self.grtt, members, rng))
        } else {
            return;
        };
        self.outbound.on_nack(now, nack, delay, self.grtt);
    }

    fn suppress(&mut self, now: Timestamp, nack: &Nack, members: usize, rng: &mut impl Rng) {
        if members <= BACKOFF_FREE_MEMBERS {
            return;
        }
        let wait = self.round_wait(1) + nack_backoff(self.grtt, members, rng);
        let Some(inbound) = self.streams.get_mut(&nack.author) else {
            return;
        };
        let Some(old) = inbound.armed else { return };
        let (gaps, parts) = inbound.missing(false);
        let is_gap_covered =
            |from: Seq, to: Seq| nack.gaps.iter().any(|gap| gap.from <= from && to <= gap.to);
        let covered = gaps.iter().all(|gap| is_gap_covered(gap.from, gap.to))
            && parts.iter().all(|part| {
                is_gap_covered(part.first, part.first)
                    || nack.parts.iter().any(|other| {
                        other.first == part.first && part.missing & !other.missing == 0
                    })
            });
        if covered && !(gaps.is_empty() && parts.is_empty()) {
            let new = Some(Armed::Hole(now + wait));
            inbound.armed = new;
            self.retime(&nack.author, Some(old), new);
        }
    }

    fn round_wait(&self, round: u8) -> Duration {
        (self.grtt * 3 * (1 << u32::from(round.clamp(1, 6) - 1)) / 2).min(ROUND_WAIT_MAX)
    }

    /// Does what is due; `emit` gets what to send. At most a bucket's worth of fragments at a time.
    pub fn poll(
        &mut self,
        now: Timestamp,
        members: usize,
        rng: &mut impl Rng,
        emit: &mut impl FnMut(Outgoing),
    ) {
        while let Some((at, author)) = self.timers.first().copied() {
            if at > now {
                break;
            }
            self.on_timer(now, &author, members, rng, emit);
        }
        self.outbound.release_delayed(now, self.grtt);
        self.rate.refill(now, !self.outbound.is_idle());
        while let Some((frame, is_repair)) = self.outbound.peek() {
            if !self
                .rate
                .take(DATAGRAM_LEN_MAX.min(frame.len() + 37), is_repair)
            {
                break;
            }
            self.outbound.advance(now);
            emit(Outgoing::Fragment { frame, is_repair });
        }
    }

    fn on_timer(
        &mut self,
        now: Timestamp,
        author: &AuthorId,
        members: usize,
        rng: &mut impl Rng,
        emit: &mut impl FnMut(Outgoing),
    ) {
        let (grtt, suspended) = (self.grtt, self.is_suspended);
        let backoff = nack_backoff(grtt, members, rng);
        let Some(inbound) = self.streams.get(author) else {
            return;
        };
        let round = inbound.round.saturating_add(1);
        let wait = self.round_wait(round) + backoff;
        let Some(inbound) = self.streams.get_mut(author) else {
            return;
        };
        let old = inbound.armed;
        let is_quiet = now.since(inbound.arrived) >= grtt;
        let (gaps, parts) = inbound.missing(is_quiet);
        inbound.armed = if inbound.is_level() {
            None
        } else if gaps.is_empty() && parts.is_empty() {
            Some(Armed::Tail(inbound.arrived + grtt * 2))
        } else {
            if !suspended {
                inbound.round = round;
                inbound.asked_at.get_or_insert(now);
                if round >= ROUNDS_BEFORE_CATCH_UP {
                    emit(Outgoing::CatchUp(*author));
                }
                emit(Outgoing::Nack(Nack {
                    author: *author,
                    round,
                    gaps,
                    parts,
                }));
            }
            Some(Armed::Hole(now + wait))
        };
        let new = inbound.armed.map(|armed| match armed {
            Armed::Tail(at) => Armed::Tail(at.max(now + REORDER_MIN)),
            Armed::Hole(at) => Armed::Hole(at),
        });
        inbound.armed = new;
        self.retime(author, old, new);
    }

    /// When [`Self::poll`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<(Timestamp, &'static str)> {
        let nack = self.timers.first().map(|(at, _)| (*at, "nack"));
        let delayed = self.outbound.next_delayed().map(|at| (at, "repair"));
        let send = (!self.outbound.is_idle()).then(|| (self.rate.ready_at(), "rate"));
        [nack, delayed, send].into_iter().flatten().min()
    }
}

/// A NACK as a frame.
#[must_use]
pub fn nack_frame(nack: Nack) -> Vec<u8> {
    Frame::Nack(nack).to_vec()
}

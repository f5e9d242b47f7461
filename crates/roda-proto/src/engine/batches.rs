//! Batches: from arrival over the disk to delivery.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::{Engine, Event, InFlight, WriteId};
use crate::error::Rejected;
use crate::group::Membership;
use crate::group::control::Control;
use crate::id::{AuthorId, NodeId};
use crate::log::clock::OFFSET_MAX;
use crate::log::outbox::{IN_FLIGHT_FULL_MAX, IN_FLIGHT_MAX};
use crate::log::{Batch, Verdict};
use crate::record::{EpochRecord, Record};
use crate::time::WallTime;

const OFFSET_MAX_MILLIS: i64 = OFFSET_MAX.as_secs() as i64 * 1000;
/// Rounds in which voided admissions may void more; each takes at least one author away.
const CUT_ROUNDS_MAX: usize = 64;

impl Engine {
    /// A complete batch came, by multicast or over a stream.
    pub(super) fn on_batch(&mut self, bytes: &[u8]) -> Result<Arc<Batch>, Rejected> {
        let batch = Arc::new(Batch::parse(bytes)?);
        if batch.last <= self.logs.accepted(&batch.author)
            || self.logs.is_pending(&batch.author, batch.first)
        {
            return Ok(batch);
        }
        if !batch.verify() {
            return Err(Rejected::Forged);
        }
        if batch.author == self.author {
            if !self.is_expelled {
                self.event(Event::Amnesia);
            }
            return Ok(batch);
        }
        match self.offer(&batch) {
            Ok(Verdict::Accepted) => {
                self.on_accepted(&batch);
                self.accept_waiting();
            }
            Ok(Verdict::Waits | Verdict::Duplicate) => {}
            Err(Rejected::Fork) => {
                self.freeze(&batch.author);
                return Err(Rejected::Fork);
            }
            Err(reason) => return Err(reason),
        }
        Ok(batch)
    }

    /// A batch came over a stream. The other side may not know yet who was removed or frozen: what of
    /// theirs does not count is passed over, so that the rest of the stream is not lost.
    pub(super) fn on_streamed(&mut self, bytes: &[u8]) -> Result<(), Rejected> {
        match self.on_batch(bytes) {
            Ok(_) => Ok(()),
            Err(reason @ (Rejected::NotMember | Rejected::Fork)) => {
                *self.counters.rejected.entry(reason).or_insert(0) += 1;
                Ok(())
            }
            Err(reason) => Err(reason),
        }
    }

    fn offer(&mut self, batch: &Arc<Batch>) -> Result<Verdict, Rejected> {
        if self.removing.contains(&batch.node) {
            return Err(Rejected::NotMember);
        }
        self.logs.offer(batch, &self.membership)
    }

    fn freeze(&mut self, author: &AuthorId) {
        if !self.logs.is_frozen(author) {
            self.logs.freeze(author);
            self.persist(vec![Record::Frozen(*author)], InFlight::Other);
            self.event(Event::Forked(*author));
        }
    }

    fn accept_waiting(&mut self) {
        loop {
            let mut has_moved = false;
            for batch in self.logs.take_candidates() {
                match self.offer(&batch) {
                    Ok(Verdict::Accepted) => {
                        self.on_accepted(&batch);
                        has_moved = true;
                    }
                    Ok(Verdict::Waits | Verdict::Duplicate) => {}
                    Err(Rejected::Fork) => self.freeze(&batch.author),
                    Err(_reason) => self.refuse_batch(&batch.author, &batch),
                }
            }
            if !has_moved {
                return;
            }
        }
    }

    fn refuse_batch(&mut self, author: &AuthorId, batch: &Batch) {
        let members = self.members_for_backoff();
        self.multicast
            .on_refused(self.now.mono, author, batch.first, members, &mut self.rng);
    }

    fn on_accepted(&mut self, batch: &Arc<Batch>) {
        self.counters.batches_received += 1;
        let wall = self.judging_wall();
        if let Err(by) = self.clock.observe(batch.hlc_last, wall) {
            self.frontier.put_off(batch.hlc_last);
            self.event(Event::ClockAhead {
                node: batch.node,
                by,
            });
        }
        let clock = self.clock.last();
        let members = self.members_for_backoff();
        self.multicast.on_accepted(
            self.now.mono,
            &batch.author,
            batch.last,
            members,
            &mut self.rng,
        );
        let mut records = vec![Record::Batch(Arc::clone(batch))];
        if self.frontier.reserve(clock) {
            records.push(Record::Clock(clock));
        }
        self.persist(
            records,
            InFlight::Received {
                batch: Arc::clone(batch),
                clock,
            },
        );
    }

    /// The wall clock, unless it is far ahead of the middle one of the group: then that.
    pub(super) fn sane_wall(&self) -> WallTime {
        let (low, _) = self.peers.median_wall_offsets(self.now.mono);
        let is_far = low < -OFFSET_MAX_MILLIS;
        WallTime(
            self.now
                .wall
                .0
                .saturating_add_signed(if is_far { low } else { 0 }),
        )
    }

    /// By how much this node's wall clock is ahead of the group's, if that is so much that it is not used.
    #[must_use]
    pub fn clock_ahead(&self) -> core::time::Duration {
        let ahead = self.now.wall.0.saturating_sub(self.sane_wall().0);
        core::time::Duration::from_millis(ahead)
    }

    /// The wall clock by which others' clocks are judged: the middle one of the group, if this node's is
    /// far behind it.
    pub(super) fn judging_wall(&self) -> WallTime {
        let (_, high) = self.peers.median_wall_offsets(self.now.mono);
        let is_far = high > OFFSET_MAX_MILLIS;
        WallTime(
            self.now
                .wall
                .0
                .saturating_add_signed(if is_far { high } else { 0 }),
        )
    }

    /// A newcomer writes nothing before it has its own admission: its first entry has to come after it
    /// in every order, and its clock past all that is stable without it.
    fn may_write(&self) -> bool {
        let is_member = self.membership.is_active(&self.node);
        !self.is_expelled && (is_member || (self.is_founding && self.control.is_empty()))
    }

    /// Seals what waits to be written, as far as the disk and the network keep up.
    pub(super) fn write_drafts(&mut self) {
        loop {
            let control_only = !self.is_sending_safe();
            let in_flight_max = if self.outbox.fills_a_batch() {
                IN_FLIGHT_FULL_MAX
            } else {
                IN_FLIGHT_MAX
            };
            // What follows a new key is written under it.
            let makes_key = |(_, write): &(WriteId, InFlight)| matches!(write, InFlight::Own { epochs, .. } if !epochs.is_empty());
            let is_ready = self.own_in_flight < in_flight_max
                && !self.in_flight.iter().any(makes_key)
                && !self.outbox.is_empty(control_only)
                && !self.multicast.is_full()
                && self.settle_at.is_none()
                && self.keys.pending().is_none()
                && self.may_write();
            if !is_ready {
                return;
            }
            let deps = self.logs.take_deps();
            let wall = self.sane_wall();
            let sealed = self.outbox.seal(
                &self.signing_key,
                self.incarnation,
                self.logs.tip(&self.author),
                &deps,
                (&mut self.clock, wall),
                control_only,
            );
            self.logs.accept(&sealed.batch);
            let epochs = sealed.records.iter().filter_map(|record| match record {
                Record::Epoch(epoch) => Some(epoch.clone()),
                _other => None,
            });
            let epochs: Vec<EpochRecord> = epochs.collect();
            let mut records = vec![Record::Batch(Arc::clone(&sealed.batch))];
            records.extend(sealed.records);
            let key = self.secure.epochs().next().map(|epoch| epoch.tag);
            self.own_in_flight += 1;
            self.persist(
                records,
                InFlight::Own {
                    batch: sealed.batch,
                    finished: sealed.finished,
                    epochs,
                    key,
                },
            );
        }
    }

    pub(super) fn on_persisted(&mut self, id: WriteId) {
        let Some((expected, _)) = self.in_flight.front() else {
            return;
        };
        assert!(*expected == id, "writes are confirmed in order");
        let Some((_, in_flight)) = self.in_flight.pop_front() else {
            return;
        };
        match in_flight {
            InFlight::Own {
                batch,
                finished,
                epochs,
                key,
            } => {
                self.own_in_flight -= 1;
                self.logs.on_durable(&batch);
                self.frontier.on_promise(batch.hlc_last);
                if batch.last <= self.logs.durable(&batch.author) {
                    self.multicast.publish(&batch, key);
                }
                for done in finished {
                    let (command, first, last, hlc) =
                        (done.command, done.first, done.last, done.hlc);
                    self.event(Event::Done {
                        command,
                        first,
                        last,
                        hlc,
                    });
                }
                self.deliver(&batch);
                for epoch in epochs {
                    self.keys.set_pending(epoch);
                }
            }
            InFlight::Received { batch, clock } => {
                self.logs.on_durable(&batch);
                self.frontier.on_promise(clock);
                if batch.last <= self.logs.durable(&batch.author) {
                    self.multicast.keep(&batch);
                }
                self.deliver(&batch);
            }
            InFlight::Epoch(epoch) => self.on_epoch_durable(epoch),
            InFlight::Clock(clock) => {
                self.frontier.on_promise(clock);
                self.frontier.mark();
                self.on_news();
            }
            InFlight::Void => {
                self.frontier.release();
                self.frontier.mark();
            }
            InFlight::Other => {}
        }
    }

    fn deliver(&mut self, batch: &Arc<Batch>) {
        if batch.last > self.logs.durable(&batch.author) {
            return; // Voided meanwhile.
        }
        self.event(Event::Delivered(Arc::clone(batch)));
        self.frontier.mark();
        self.on_news();
        if batch.has_control() {
            let was_member = self.membership.is_active(&self.node);
            self.control.push(Arc::clone(batch));
            let controls = self.membership.apply(batch);
            for control in controls {
                self.on_control(&batch.node, control);
            }
            if !was_member && self.membership.is_active(&self.node) {
                // Whatever became stable without this node is below its admission, and nothing it
                // writes may be: it follows that clock however far ahead it seems.
                self.clock.follow(batch.hlc_last);
            }
            self.event(Event::MembersChanged);
            self.accept_waiting();
        }
    }

    fn on_control(&mut self, by: &NodeId, control: Control) {
        match control {
            Control::Found { .. } | Control::Profile { .. } | Control::Invite { .. } => {}
            Control::Admit { invite, .. } => {
                if *by == self.node
                    && let Some(at) = self.admitting.iter().position(|waiting| *waiting == invite)
                {
                    self.admitting.remove(at);
                }
                self.on_recipients_changed();
            }
            Control::Remove { node, .. } => {
                self.removing.retain(|removing| *removing != node);
                self.on_removal();
            }
            Control::Leave { .. } => self.on_removal(),
            Control::Rotate {
                epoch,
                created,
                wraps,
            } => {
                self.on_recipients_changed();
                self.on_rotate(by, epoch, created, &wraps);
            }
        }
    }

    /// Someone's membership ended: what it wrote beyond that never counted.
    pub(super) fn on_removal(&mut self) {
        for _ in 0..CUT_ROUNDS_MAX {
            let voided = self.logs.apply_cuts(&self.membership);
            if voided.is_empty() {
                break;
            }
            let is_void = |batch: &Batch| {
                voided
                    .iter()
                    .any(|(author, seq)| batch.author == *author && batch.first > *seq)
            };
            let before = self.control.len();
            self.control.retain(|batch| !is_void(batch));
            let records = voided.iter().map(|(author, above)| Record::Void {
                author: *author,
                above: *above,
            });
            self.frontier.hold();
            self.persist(records.collect(), InFlight::Void);
            for (author, seq) in &voided {
                self.multicast.cut(author, *seq);
                self.event(Event::Voided {
                    author: *author,
                    above: *seq,
                });
            }
            if self.control.len() < before {
                // Among the void entries were admissions: fold again without them.
                self.membership = Membership::new(self.group);
                for batch in &self.control {
                    self.membership.apply(batch);
                }
            }
        }
        if self.membership.is_expelled(&self.node) && !self.is_expelled {
            self.is_expelled = true;
            self.event(Event::Expelled);
        }
        self.on_recipients_changed();
    }
}

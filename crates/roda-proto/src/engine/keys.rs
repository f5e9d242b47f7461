//! Group keys: rotation, wrapping, switching.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use rand_core::Rng;
use zeroize::Zeroizing;

use super::{Engine, Event, InFlight};
use crate::crypto;
use crate::group::control::{Control, WRAPS_PER_ENTRY, Wrap, wrap_info};
use crate::id::{EpochTag, NodeId};
use crate::log::{Draft, EntryKind};
use crate::multicast::Gate;
use crate::multicast::backoff::jitter;
use crate::record::{EpochRecord, Record};
use crate::time::{Hlc, Timestamp};

/// How long the others wait for whoever removed a member to change the key, before one of them does.
const ROTATION_GRACE: Duration = Duration::from_secs(2);
/// In larger groups the wait is drawn from a longer time, so that few change the key at once.
const ROTATION_SPREAD_MEMBERS: u32 = 64;

/// What is going on with group keys.
#[derive(Default)]
pub(super) struct Keys {
    /// Made here and durable; used as soon as the entries that carry it have left under the old key.
    pending: Option<EpochRecord>,
    rotate_at: Option<Timestamp>,
}

impl Keys {
    pub(super) const fn pending(&self) -> Option<&EpochRecord> {
        self.pending.as_ref()
    }

    pub(super) fn set_pending(&mut self, epoch: EpochRecord) {
        self.pending = Some(epoch);
    }

    pub(super) const fn next_deadline(&self) -> Option<Timestamp> {
        self.rotate_at
    }
}

impl Engine {
    /// The entries of a new key for everybody but `without`, and the record of the key.
    pub(super) fn rotation(&mut self, without: Option<NodeId>) -> (VecDeque<Vec<u8>>, Record) {
        let mut secret = Zeroizing::new([0; 32]);
        self.rng.fill_bytes(&mut *secret);
        let epoch = crypto::epoch_tag(&secret);
        let wall = self.sane_wall();
        let created = self.clock.tick(wall);
        let info = wrap_info(&self.group, epoch);
        let others = self
            .membership
            .active()
            .filter(|(node, _)| **node != self.node && Some(**node) != without);
        let mut wraps: Vec<Wrap> = Vec::new();
        for (node, member) in others {
            // A member whose key is no key can still ask for the secret over a stream.
            let sealed = member
                .wrap_key
                .and_then(|key| crypto::wrap(&key, &info, &secret, &mut self.rng));
            wraps.push(Wrap {
                node: *node,
                sealed: sealed.unwrap_or_default(),
            });
        }
        let mut bodies: VecDeque<Vec<u8>> = wraps
            .chunks(WRAPS_PER_ENTRY)
            .map(|wraps| {
                Control::Rotate {
                    epoch,
                    created,
                    wraps: wraps.to_vec(),
                }
                .encode()
            })
            .collect();
        if bodies.is_empty() {
            bodies.push_back(
                Control::Rotate {
                    epoch,
                    created,
                    wraps: Vec::new(),
                }
                .encode(),
            );
        }
        (
            bodies,
            Record::Epoch(EpochRecord {
                tag: epoch,
                secret,
                created,
            }),
        )
    }

    pub(super) fn on_rotate(&mut self, by: &NodeId, epoch: EpochTag, created: Hlc, wraps: &[Wrap]) {
        if *by == self.node || self.is_silent() || self.knows_epoch(epoch) {
            return;
        }
        let info = wrap_info(&self.group, epoch);
        let secret = wraps
            .iter()
            .find(|wrap| wrap.node == self.node)
            .and_then(|wrap| self.wrap_key.unwrap(&info, &wrap.sealed))
            .filter(|secret| crypto::epoch_tag(secret) == epoch);
        match secret {
            Some(secret) => {
                let record = EpochRecord {
                    tag: epoch,
                    secret,
                    created,
                };
                self.persist(vec![Record::Epoch(record.clone())], InFlight::Epoch(record));
            }
            // In another part of many wraps, or admitted while the key was made.
            None => self.want_probe(epoch),
        }
    }

    pub(super) fn is_current_epoch(&self, tag: EpochTag) -> bool {
        self.secure
            .epochs()
            .take(1)
            .chain(self.keys.pending())
            .any(|epoch| epoch.tag == tag)
    }

    fn knows_epoch(&self, tag: EpochTag) -> bool {
        self.secure
            .epochs()
            .chain(self.keys.pending())
            .any(|epoch| epoch.tag == tag)
    }

    /// Keys came over a stream from a member.
    pub(super) fn on_keys(&mut self, epochs: Vec<EpochRecord>) {
        for epoch in epochs {
            let is_true = crypto::epoch_tag(&epoch.secret) == epoch.tag;
            // A peer that is behind would bring back keys that were forgotten for good.
            let current = self.secure.epochs().next();
            let is_newer = current.is_none_or(|current| epoch.created >= current.created);
            if is_true && is_newer && !self.knows_epoch(epoch.tag) {
                self.persist(vec![Record::Epoch(epoch.clone())], InFlight::Epoch(epoch));
            }
        }
    }

    pub(super) fn on_epoch_durable(&mut self, epoch: EpochRecord) {
        let before = self.secure.epochs().next().map(|epoch| epoch.tag);
        self.secure.add_epoch(epoch, self.now.mono);
        self.choose_epoch(before);
    }

    /// Sends under the newest key that nobody has who does not belong.
    fn choose_epoch(&mut self, before: Option<EpochTag>) {
        let (membership, node) = (&self.membership, &self.node);
        self.secure
            .rank(|epoch| membership.is_leaked(epoch, node), self.now.mono);
        let after = self.secure.epochs().next().map(|epoch| epoch.tag);
        let leaked = after.filter(|_| !self.is_sending_safe());
        self.multicast
            .set_gate(leaked.map_or(Gate::Open, Gate::Leaked));
        if let (true, Some(tag)) = (before != after, after) {
            self.event(Event::EpochChanged(tag));
            self.prompt_beacon();
        }
        self.schedule_rotation();
    }

    /// Members have changed: so may have the keys that may be used.
    pub(super) fn on_recipients_changed(&mut self) {
        let before = self.secure.epochs().next().map(|epoch| epoch.tag);
        self.choose_epoch(before);
    }

    /// Whether everyone who has the key in use belongs. Until then only control entries are written.
    pub(super) fn is_sending_safe(&self) -> bool {
        // Asked for every input, so it is what the last ranking found.
        !self.secure.is_current_leaked()
    }

    /// Plans a new key if someone who does not belong has the one in use, or a member does not.
    fn schedule_rotation(&mut self) {
        let fits = |epoch| {
            !self.membership.is_leaked(epoch, &self.node) && self.membership.is_for_all(epoch)
        };
        let is_member = self.membership.is_active(&self.node);
        if self.secure.epochs().next().is_none_or(fits) || !is_member {
            self.keys.rotate_at = None;
        } else if self.keys.rotate_at.is_none() {
            let members = u32::try_from(self.membership.count()).unwrap_or(u32::MAX);
            let spread = ROTATION_GRACE * (1 + members / ROTATION_SPREAD_MEMBERS);
            let wait = ROTATION_GRACE + jitter(spread, &mut self.rng);
            self.keys.rotate_at = Some(self.now.mono + wait);
        }
    }

    pub(super) fn poll_keys(&mut self) {
        let now = self.now.mono;
        if self.multicast.is_idle()
            && let Some(epoch) = self.keys.pending.take()
        {
            self.on_epoch_durable(epoch);
        }
        if self.keys.rotate_at.is_some_and(|at| at <= now) {
            self.keys.rotate_at = None;
            let (bodies, record) = self.rotation(None);
            self.outbox.push(Draft {
                command: None,
                kind: EntryKind::Control,
                topic: None,
                bodies,
                records: vec![record],
            });
            self.write_drafts();
        }
        let forgotten = self.secure.forget_superseded(now);
        if !forgotten.is_empty() {
            self.persist(
                forgotten.into_iter().map(Record::ForgetEpoch).collect(),
                InFlight::Other,
            );
        }
    }
}

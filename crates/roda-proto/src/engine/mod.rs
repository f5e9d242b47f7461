//! The engine: routes between the protocol parts and keeps their outputs in order.
//!
//! Parts never call each other. After each input the engine seals what may be written, fires what is
//! due, and leaves the outputs in a queue for the driver.

mod api;
mod batches;
mod beacons;
mod budget;
mod catch_up;
mod commands;
mod copies;
mod datagrams;
mod frontier;
mod keys;
mod paths;

#[cfg(test)]
mod tests;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;

pub use api::{
    Command, CommandError, CommandId, Config, Counters, Deadline, Destination, Event, Input,
    Output, Seed, Via, WriteId,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use crate::crypto::{self, SigningKey, WrapKey};
use crate::error::Rejected;
use crate::group::membership::Member;
use crate::group::presence::Peers;
use crate::group::{InviteId, MemberInfo, Membership, Presence};
use crate::id::{AuthorId, EpochTag, GroupId, Incarnation, NodeId, Seq};
use crate::log::{Batch, Clock, Finished, Logs, Outbox};
use crate::multicast::Multicast;
use crate::record::{EpochRecord, Record, Snapshot};
use crate::secure::Secure;
use crate::stream::Refusal;
use crate::time::{Hlc, Now, Timestamp};
use crate::wire::join::group_tag;

use beacons::Beacons;
use budget::Budget;
use catch_up::CatchUps;
pub use copies::COPIES_AUTHORS_MAX;
use copies::Copies;
use frontier::Frontier;
use keys::Keys;
use paths::Paths;

/// Requests of senders not proven to live now that are answered.
const UNPROVEN_NACKS_PER_SECOND: u32 = 20;

/// A write that the driver has not confirmed yet.
enum InFlight {
    Own {
        batch: Arc<Batch>,
        finished: Vec<Finished>,
        epochs: Vec<EpochRecord>,
        /// The group key when it was written.
        key: Option<EpochTag>,
    },
    Received {
        batch: Arc<Batch>,
        clock: Hlc,
    },
    Epoch(EpochRecord),
    Clock(Hlc),
    Void,
    Other,
}

/// The protocol engine of one node in one group.
pub struct Engine {
    config: Config,
    rng: ChaCha20Rng,
    node: NodeId,
    author: AuthorId,
    incarnation: Incarnation,
    group: GroupId,
    group_tag: [u8; 8],
    signing_key: SigningKey,
    wrap_key: WrapKey,
    secure: Secure,
    membership: Membership,
    control: Vec<Arc<Batch>>,
    peers: Peers,
    multicast: Multicast,
    logs: Logs,
    outbox: Outbox,
    clock: Clock,
    beacons: Beacons,
    paths: Paths,
    catch_ups: CatchUps,
    copies: Copies,
    frontier: Frontier,
    keys: Keys,
    in_flight: VecDeque<(WriteId, InFlight)>,
    next_write: u64,
    own_in_flight: usize,
    unproven_nacks: Budget,
    /// Nothing is written before the peers had a chance to say that they know more of this author.
    settle_at: Option<Timestamp>,
    has_refused_busy: bool,
    is_expelled: bool,
    /// Told to found the group: the founding entry is written without a membership.
    is_founding: bool,
    /// Leaving: nothing may follow that entry.
    is_leaving: bool,
    /// Members whose removal is on its way to the disk: nothing more of them is taken.
    removing: Vec<NodeId>,
    /// Admissions on their way to the disk: they count as uses already.
    admitting: Vec<InviteId>,
    outputs: VecDeque<Output>,
    counters: Counters,
    now: Now,
}

impl Engine {
    /// Starts from what the store recovered.
    #[must_use]
    pub fn new(config: Config, seed: Seed, recovered: Snapshot, now: Now) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed.0);
        let identity = &recovered.identity;
        let signing_key = SigningKey::from_seed(&identity.seed);
        let node = signing_key.public();
        let author = crypto::author_id(&node, &identity.incarnation);
        let mut boot = [0; 16];
        rng.fill_bytes(&mut boot);
        let tag = crypto::sender_tag(&author, &boot);
        let mut membership = Membership::new(identity.group);
        // A newcomer that stopped before it wrote anything still follows the clock of its admission.
        let mut admitted = Hlc::ZERO;
        for batch in &recovered.control {
            let was_member = membership.is_active(&node);
            membership.apply(batch);
            if !was_member && membership.is_active(&node) {
                admitted = admitted.max(batch.hlc_last);
            }
        }
        let own_head = recovered
            .heads
            .iter()
            .filter(|head| head.author == author)
            .map(|head| head.hlc)
            .max();
        let clock = recovered
            .clock
            .max(own_head.unwrap_or(Hlc::ZERO))
            .max(admitted);
        let has_company = membership.count() > 1;
        let mut engine = Self {
            node,
            author,
            incarnation: identity.incarnation,
            group: identity.group,
            group_tag: group_tag(&identity.group),
            wrap_key: WrapKey::from_seed(&identity.seed),
            signing_key,
            secure: Secure::new(tag, recovered.epochs, now.mono),
            is_expelled: membership.is_expelled(&node),
            membership,
            control: recovered.control,
            peers: Peers::new(config.beacon_interval),
            multicast: Multicast::new(author, config.rate_max, config.grtt, now.mono),
            logs: Logs::new(author, &recovered.heads, &recovered.frozen),
            outbox: Outbox::default(),
            clock: Clock::new(clock),
            beacons: Beacons::new(&config, now.mono),
            paths: Paths::new(&config, now.mono, &mut rng),
            catch_ups: CatchUps::default(),
            copies: Copies::default(),
            frontier: Frontier::new(clock),
            keys: Keys::default(),
            in_flight: VecDeque::new(),
            next_write: 0,
            own_in_flight: 0,
            settle_at: has_company.then(|| now.mono + beacons::SETTLE),
            unproven_nacks: Budget::new(UNPROVEN_NACKS_PER_SECOND),
            has_refused_busy: false,
            is_founding: false,
            is_leaving: false,
            removing: Vec::new(),
            admitting: Vec::new(),
            outputs: VecDeque::new(),
            counters: Counters::default(),
            config,
            rng,
            now,
        };
        // A removal may have reached the disk without what it voids.
        engine.on_removal();
        engine
    }

    /// Takes one input. Call [`Self::poll_output`] until `Wait` before the next one.
    ///
    /// # Errors
    /// The input was refused whole and nothing changed but a counter.
    pub fn handle_input(&mut self, now: Now, input: Input<'_>) -> Result<(), Rejected> {
        // A monotonic clock that goes back would make timers fire in the wrong order.
        self.now = Now {
            mono: now.mono.max(self.now.mono),
            wall: now.wall,
        };
        let result = match input {
            Input::Datagram {
                source,
                via,
                payload,
            } => self.on_datagram(source, via, payload),
            Input::Persisted(id) => {
                self.on_persisted(id);
                Ok(())
            }
            Input::Command(id, command) => {
                self.on_command(id, command);
                Ok(())
            }
            Input::Batch(bytes) => self.on_streamed(bytes),
            Input::Keys(epochs) => {
                self.on_keys(epochs);
                Ok(())
            }
            Input::WantCopies(wanted) => {
                self.on_want_copies(wanted);
                Ok(())
            }
            Input::CatchUpEnded { complete } => {
                self.on_catch_up_ended(complete);
                Ok(())
            }
            Input::Timeout => Ok(()),
        };
        if let Err(reason) = result {
            *self.counters.rejected.entry(reason).or_insert(0) += 1;
        }
        self.settle();
        result
    }

    /// Does all that became possible or due.
    fn settle(&mut self) {
        let now = self.now.mono;
        if self.settle_at.is_some_and(|at| at <= now) {
            self.settle_at = None;
        }
        self.write_drafts();
        self.poll_multicast();
        self.poll_keys();
        self.poll_catch_ups();
        self.poll_frontier();
        self.poll_copies();
        self.poll_beacons();
        if self.has_refused_busy && self.outbox.is_half_empty() {
            self.has_refused_busy = false;
            self.event(Event::Writable);
        }
    }

    /// The next thing to do; `Wait` when there is none.
    #[must_use]
    pub fn poll_output(&mut self) -> Output {
        self.outputs
            .pop_front()
            .unwrap_or_else(|| Output::Wait(self.next_deadline()))
    }

    fn next_deadline(&self) -> Option<Deadline> {
        let deadlines = [
            self.settle_at.map(|at| (at, "settle")),
            self.multicast.next_deadline(),
            self.beacons.next_deadline().map(|at| (at, "beacon")),
            self.keys.next_deadline().map(|at| (at, "rotate key")),
            self.secure.next_deadline().map(|at| (at, "forget key")),
            self.frontier.next_deadline().map(|at| (at, "frontier")),
            self.catch_ups.next_deadline().map(|at| (at, "catch up")),
            self.copies.next_deadline().map(|at| (at, "copies")),
        ];
        deadlines
            .into_iter()
            .flatten()
            .min()
            .map(|(at, reason)| Deadline { at, reason })
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn persist(&mut self, records: Vec<Record>, in_flight: InFlight) {
        let id = WriteId(self.next_write);
        self.next_write += 1;
        self.in_flight.push_back((id, in_flight));
        self.outputs.push_back(Output::Persist { id, records });
    }

    fn transmit(&mut self, to: Destination, payload: Vec<u8>) {
        self.counters.datagrams_sent += 1;
        self.counters.bytes_sent += payload.len() as u64;
        self.outputs.push_back(Output::Transmit { to, payload });
    }

    /// Seals frames for all members; peers that multicast does not reach get the same datagram by unicast.
    fn send_to_group(&mut self, frames: &[u8]) {
        let Some(datagram) = self.secure.seal(frames) else {
            return;
        };
        let attached: Vec<_> = self.peers.attached(self.now.mono).collect();
        for address in attached {
            self.transmit(Destination::Address(address), datagram.clone());
        }
        self.transmit(Destination::Group, datagram);
    }

    /// Removed nodes are silent. One that left still tells so, until it is stopped.
    fn is_silent(&self) -> bool {
        self.is_expelled && !self.membership.has_left(&self.node)
    }

    fn members_for_backoff(&self) -> usize {
        self.membership.count()
    }

    /// Whether appending is possible now; otherwise it answers [`CommandError::Busy`].
    #[must_use]
    pub const fn has_room(&self) -> bool {
        self.outbox.has_room()
    }

    /// Takes over what `old` was asked to write and did not begin to, and returns those commands.
    pub fn inherit(&mut self, old: Self) -> Vec<CommandId> {
        self.outbox = old.outbox;
        self.outbox.drop_begun();
        self.outbox.commands()
    }

    /// This node.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// This node's author.
    #[must_use]
    pub const fn author(&self) -> AuthorId {
        self.author
    }

    /// The group.
    #[must_use]
    pub const fn group(&self) -> GroupId {
        self.group
    }

    /// The group's name for people, once known.
    #[must_use]
    pub fn group_name(&self) -> Option<&str> {
        self.membership.name.as_deref()
    }

    /// Members as known now, this node first.
    #[must_use]
    pub fn members(&self) -> Vec<MemberInfo> {
        let heard = self.peers.by_node(self.now.mono);
        let info = |(node, member): (&NodeId, &Member)| {
            let seen = heard.get(node);
            let has = seen.map(|seen| seen.peer.beacon.entries);
            let (presence, behind) = if *node == self.node {
                (Presence::Here, Some(0))
            } else {
                let behind = has.map(|has| self.logs.entries().saturating_sub(has));
                (seen.map_or(Presence::Down, |seen| seen.presence), behind)
            };
            MemberInfo {
                node: *node,
                nick: member.nick().into(),
                presence,
                behind,
                carrier: seen.map(|seen| seen.carrier),
            }
        };
        let mut members: Vec<MemberInfo> = self.membership.active().map(info).collect();
        members.sort_by_key(|member| (member.presence != Presence::Here, member.node));
        members
    }

    /// Where a second node runs under the identity of this one: its database was copied, or restored
    /// while the original lives. Each has a log of its own, but links to the node reach only one of
    /// them at a time.
    #[must_use]
    pub fn twin(&self) -> Option<SocketAddr> {
        let heard = self.peers.by_node(self.now.mono);
        let twin = heard.get(&self.node)?;
        let is_there = twin.presence == Presence::Online;
        is_there.then(|| twin.peer.stream_address())
    }

    /// Whether a node is a member now.
    #[must_use]
    pub fn is_member(&self, node: &NodeId) -> bool {
        self.membership.is_active(node)
    }

    /// The last durable entry of every author.
    #[must_use]
    pub fn version_vector(&self) -> Vec<(AuthorId, Seq)> {
        self.logs.vector().collect()
    }

    /// This node's author and its last durable entry.
    #[must_use]
    pub fn head(&self) -> (AuthorId, Seq) {
        (self.author, self.logs.durable(&self.author))
    }

    /// Whether this node durably has an entry, or will never have it: it was cut off, or its author
    /// signed two logs.
    #[must_use]
    pub fn is_settled(&self, author: &AuthorId, seq: Seq) -> bool {
        self.logs.is_settled(author, seq, &self.membership)
    }

    /// Number of durable entries.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.logs.entries()
    }

    /// Group keys any member may be given over a stream: the newest first.
    #[must_use]
    pub fn epoch_keys(&self) -> Vec<EpochRecord> {
        // Nobody gets a key that no entry gives to it: else a removed one could have a key that the
        // others take for safe.
        let is_for_all = |epoch: &&EpochRecord| self.membership.is_for_all(epoch);
        let current = self.secure.epochs().find(is_for_all);
        let pending = self.keys.pending().filter(is_for_all);
        pending.into_iter().chain(current).cloned().collect()
    }

    /// The node behind an author.
    #[must_use]
    pub fn node_of(&self, author: &AuthorId) -> Option<NodeId> {
        self.logs.node_of(author)
    }

    /// The stable frontier.
    #[must_use]
    pub const fn stable(&self) -> Hlc {
        self.frontier.stable()
    }

    /// What happened how often.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Checks an invite without using it.
    ///
    /// # Errors
    /// Why the invite would be refused now.
    pub fn check_invite(&self, invite: &InviteId, now: Now) -> Result<(), Refusal> {
        self.membership.check_invite(invite, now.wall)
    }
}

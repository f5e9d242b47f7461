//! The types that Raft is instantiated with, and how an entry is written down.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::sync::Arc;

use minicbor::{Decode, Encode};
use openraft::{CommittedLeaderId, EntryPayload, LogId, Membership, StoredMembership, Vote};
use roda_proto::NodeId;
use roda_proto::token::LockCommand;
use roda_store::{LogPlace, LogVote};

use super::ConsensusError;

/// Most bytes of an entry: with everything around it, it must fit into one call.
pub(super) const ENTRY_LEN_MAX: usize = 192 << 10;
/// Most nodes in a membership: voters that come and go, and what stayed of earlier attempts.
const NODES_MAX: usize = 64;
/// Most voters of one configuration.
const VOTERS_MAX: usize = 16;
/// No election and no log ever gets that far; a number beyond it is a lie that could overflow.
const NUMBER_MAX: u64 = 1 << 62;
/// No two voters are ever that many elections apart: a member must not use up all terms at once.
const TERMS_APART_MAX: u64 = 1 << 32;

openraft::declare_raft_types!(
    /// Raft for the lock table.
    pub(super) Types:
        D = Proposal,
        R = (),
        NodeId = u64,
        Node = RaftPeer,
        Entry = openraft::Entry<Types>,
        SnapshotData = Cursor<Vec<u8>>,
        Responder = openraft::impls::OneshotResponder<Types>,
        AsyncRuntime = openraft::TokioRuntime,
);

pub(super) type Place = LogId<u64>;
pub(super) type Entry = openraft::Entry<Types>;
pub(super) type Payload = EntryPayload<Types>;
pub(super) type Ballot = Vote<u64>;
pub(super) type Members = Membership<u64, RaftPeer>;
pub(super) type StoredMembers = StoredMembership<u64, RaftPeer>;
pub(super) type StorageError = openraft::StorageError<u64>;

/// The node behind a raft id. A node has another raft id after it lost its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RaftPeer {
    pub(super) node: NodeId,
}

impl Default for RaftPeer {
    // Only asked for by the library's own tests; a voter always comes with its node.
    fn default() -> Self {
        Self {
            node: NodeId([0; NodeId::LEN]),
        }
    }
}

/// Commands on their way into the log, encoded once.
#[derive(Clone)]
pub(super) struct Proposal {
    inner: Arc<Commands>,
    /// The proposer's own name for it; only in the memory of the node that proposed it.
    pub(super) id: Option<u64>,
}

struct Commands {
    list: Vec<LockCommand>,
    encoded: Vec<u8>,
}

impl Proposal {
    /// # Errors
    /// [`ConsensusError::TooLong`].
    pub(super) fn new(id: u64, list: Vec<LockCommand>) -> Result<Self, ConsensusError> {
        let encoded = encode(&list);
        let len = encoded.len();
        if len > ENTRY_LEN_MAX {
            let max = ENTRY_LEN_MAX;
            return Err(ConsensusError::TooLong { len, max });
        }
        Ok(Self {
            inner: Arc::new(Commands { list, encoded }),
            id: Some(id),
        })
    }

    pub(super) fn commands(&self) -> &[LockCommand] {
        &self.inner.list
    }

    fn decode(encoded: &[u8]) -> Option<Self> {
        let list = decode(encoded)?;
        let encoded = encoded.to_vec();
        Some(Self {
            inner: Arc::new(Commands { list, encoded }),
            id: None,
        })
    }
}

impl std::fmt::Debug for Proposal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.inner.list.len();
        f.debug_struct("Proposal")
            .field("commands", &count)
            .finish()
    }
}

/// What an entry holds, as one byte and the rest.
pub(super) fn encode_body(payload: &Payload) -> Vec<u8> {
    match payload {
        EntryPayload::Blank => vec![BLANK],
        EntryPayload::Normal(proposal) => prefixed(COMMANDS, &proposal.inner.encoded),
        EntryPayload::Membership(members) => {
            prefixed(MEMBERS, &encode(&MembersForm::from(members)))
        }
    }
}

/// Bytes that [`encode_body`] would write, about.
pub(super) fn body_len(payload: &Payload) -> usize {
    match payload {
        EntryPayload::Blank => 1,
        EntryPayload::Normal(proposal) => 1 + proposal.inner.encoded.len(),
        EntryPayload::Membership(members) => 64 + 48 * members.nodes().count(),
    }
}

/// `None`: it is none that this version could have written.
pub(super) fn decode_body(body: &[u8]) -> Option<Payload> {
    let (kind, rest) = body.split_first()?;
    match *kind {
        BLANK if rest.is_empty() => Some(EntryPayload::Blank),
        COMMANDS => Proposal::decode(rest).map(EntryPayload::Normal),
        MEMBERS => {
            let form: MembersForm = decode(rest)?;
            form.into_members().map(EntryPayload::Membership)
        }
        _ => None,
    }
}

const BLANK: u8 = 0;
const COMMANDS: u8 = 1;
const MEMBERS: u8 = 2;

fn prefixed(kind: u8, rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(1 + rest.len());
    body.push(kind);
    body.extend_from_slice(rest);
    body
}

/// Who votes, as it is written down.
#[derive(Debug, Encode, Decode)]
pub(super) struct MembersForm {
    #[n(0)]
    configs: Vec<Vec<u64>>,
    #[n(1)]
    nodes: Vec<(u64, NodeId)>,
}

impl From<&Members> for MembersForm {
    fn from(members: &Members) -> Self {
        let configs = members.get_joint_config().iter();
        let nodes = members.nodes();
        Self {
            configs: configs.map(|ids| ids.iter().copied().collect()).collect(),
            nodes: nodes.map(|(id, peer)| (*id, peer.node)).collect(),
        }
    }
}

impl MembersForm {
    /// `None` unless every voter has a node, and there is at least one.
    fn into_members(self) -> Option<Members> {
        let nodes: BTreeMap<u64, RaftPeer> = self
            .nodes
            .into_iter()
            .map(|(id, node)| (id, RaftPeer { node }))
            .collect();
        let configs: Vec<BTreeSet<u64>> = self
            .configs
            .into_iter()
            .map(|ids| ids.into_iter().collect())
            .collect();
        let is_sound = |ids: &BTreeSet<u64>| {
            (1..=VOTERS_MAX).contains(&ids.len()) && ids.iter().all(|id| nodes.contains_key(id))
        };
        let sound = (1..=2).contains(&configs.len())
            && configs.iter().all(is_sound)
            && nodes.len() <= NODES_MAX
            && nodes.keys().all(|id| *id <= NUMBER_MAX * 2);
        sound.then(|| Members::new(configs, nodes))
    }
}

/// A membership and where it was decided, as it is written down.
#[derive(Debug, Encode, Decode)]
pub(super) struct StoredMembersForm {
    #[n(0)]
    place: Option<PlaceForm>,
    #[n(1)]
    members: Option<MembersForm>,
}

impl From<&StoredMembers> for StoredMembersForm {
    fn from(stored: &StoredMembers) -> Self {
        let members = stored.membership();
        let is_known = !members.get_joint_config().is_empty();
        Self {
            place: stored.log_id().map(PlaceForm::from),
            members: is_known.then(|| members.into()),
        }
    }
}

impl StoredMembersForm {
    /// `None` if it is unsound.
    pub(super) fn into_stored(self) -> Option<StoredMembers> {
        let place = self.place.map(PlaceForm::into_place).transpose_sound()?;
        let members = match self.members {
            Some(form) => form.into_members()?,
            None => Members::default(),
        };
        Some(StoredMembers::new(place, members))
    }
}

/// A place in the log, as it is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct PlaceForm {
    #[n(0)]
    term: u64,
    #[n(1)]
    leader: u64,
    #[n(2)]
    index: u64,
}

impl From<Place> for PlaceForm {
    fn from(place: Place) -> Self {
        Self {
            term: place.leader_id.term,
            leader: place.leader_id.node_id,
            index: place.index,
        }
    }
}

impl PlaceForm {
    /// `None` if a number is absurd.
    pub(super) fn into_place(self) -> Option<Place> {
        let is_sound = self.term < NUMBER_MAX && self.index < NUMBER_MAX;
        is_sound.then(|| place(self.term, self.leader, self.index))
    }
}

/// Of an optional thing that may be unsound: unsound as a whole, or there or not.
pub(super) trait TransposeSound<T> {
    fn transpose_sound(self) -> Option<Option<T>>;
}

impl<T> TransposeSound<T> for Option<Option<T>> {
    fn transpose_sound(self) -> Self {
        match self {
            None => Some(None),
            Some(None) => None,
            Some(sound) => Some(sound),
        }
    }
}

/// A vote, as it is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct BallotForm {
    #[n(0)]
    term: u64,
    #[n(1)]
    leader: u64,
    #[n(2)]
    committed: bool,
}

impl From<Ballot> for BallotForm {
    fn from(ballot: Ballot) -> Self {
        Self {
            term: ballot.leader_id.term,
            leader: ballot.leader_id.node_id,
            committed: ballot.committed,
        }
    }
}

impl BallotForm {
    /// `None` if a number is absurd.
    pub(super) fn into_ballot(self) -> Option<Ballot> {
        (self.term < NUMBER_MAX).then(|| ballot(self.term, self.leader, self.committed))
    }
}

pub(super) fn place(term: u64, leader: u64, index: u64) -> Place {
    LogId::new(CommittedLeaderId::new(term, leader), index)
}

pub(super) fn ballot(term: u64, leader: u64, committed: bool) -> Ballot {
    let mut ballot = Vote::new(term, leader);
    ballot.committed = committed;
    ballot
}

/// Whether a vote may follow upon another: its term is not absurdly far ahead.
pub(super) const fn is_near(later: &Ballot, own: &Ballot) -> bool {
    later.leader_id.term <= own.leader_id.term.saturating_add(TERMS_APART_MAX)
}

pub(super) fn to_log_place(place: Place) -> LogPlace {
    LogPlace {
        term: place.leader_id.term,
        leader: place.leader_id.node_id,
        index: place.index,
    }
}

pub(super) fn from_log_place(found: LogPlace) -> Place {
    place(found.term, found.leader, found.index)
}

pub(super) fn to_log_vote(vote: Ballot) -> LogVote {
    LogVote {
        term: vote.leader_id.term,
        leader: vote.leader_id.node_id,
        committed: vote.committed,
    }
}

pub(super) fn from_log_vote(found: LogVote) -> Ballot {
    ballot(found.term, found.leader, found.committed)
}

pub(super) fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("writing to memory cannot fail")
}

/// `None` unless it is exactly one value.
pub(super) fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Option<T> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = decoder.decode().ok()?;
    (decoder.position() == bytes.len()).then_some(value)
}

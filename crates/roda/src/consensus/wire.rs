//! What voters send each other. Every byte is another node's word: what is decoded here is sound in
//! itself (numbers in range, entries without gaps, a membership with voters), or refused.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use openraft::raft::{AppendEntriesRequest, VoteRequest};
use roda_proto::{GroupId, NodeId};

use super::CALL_LEN_MAX;
use super::types::{
    Ballot, BallotForm, Entry, Place, PlaceForm, TransposeSound, Types, decode, decode_body,
    encode, encode_body,
};

/// Goes up with every change of what is below.
const VERSION: u8 = 1;
/// Most voters that an answer names.
const VOTERS_NAMED_MAX: usize = 16;
/// Bytes of a snapshot in one request.
pub(super) const CHUNK_LEN: usize = 192 << 10;

/// A request: who asks whom, and what.
#[derive(Debug, Encode, Decode)]
pub(super) struct Request {
    #[n(0)]
    version: u8,
    #[n(1)]
    pub(super) cluster: GroupId,
    /// Raft id of the sender.
    #[n(2)]
    pub(super) sender: u64,
    /// Which opening of the sender's log this is.
    #[n(3)]
    pub(super) generation: u64,
    /// Raft id of the receiver, as the sender knows it; 0 if it does not.
    #[n(4)]
    pub(super) receiver: u64,
    /// The last generation of the receiver that the sender knows; 0: none.
    #[n(5)]
    pub(super) known: u64,
    #[n(6)]
    pub(super) ask: Ask,
}

#[derive(Debug, Encode, Decode)]
pub(super) enum Ask {
    /// Who are you, and who leads?
    #[n(0)]
    Hello,
    #[n(1)]
    Append(#[n(0)] AppendForm),
    #[n(2)]
    Vote(#[n(0)] VoteForm),
    #[n(3)]
    Snapshot(#[n(0)] ChunkForm),
}

/// An answer to a request.
#[derive(Debug, Encode, Decode)]
pub(super) struct Reply {
    #[n(0)]
    version: u8,
    /// Raft id of who answers.
    #[n(1)]
    pub(super) sender: u64,
    #[n(2)]
    pub(super) generation: u64,
    #[n(3)]
    pub(super) answer: Answer,
}

#[derive(Debug, Encode, Decode)]
pub(super) enum Answer {
    #[n(0)]
    Hello(#[n(0)] Acquaintance),
    /// The entries are on disk.
    #[n(1)]
    Appended,
    /// The entry before them is another one.
    #[n(2)]
    Conflict,
    /// It has promised itself to a later leader.
    #[n(3)]
    HigherVote(#[n(0)] BallotForm),
    #[n(4)]
    Voted {
        #[n(0)]
        ballot: BallotForm,
        #[n(1)]
        last: Option<PlaceForm>,
        #[n(2)]
        is_granted: bool,
    },
    /// A part of a snapshot has arrived, or all of it and is on disk.
    #[n(5)]
    Received(#[n(0)] BallotForm),
    /// The snapshot has to be sent from its beginning.
    #[n(6)]
    OutOfOrder,
    /// This is not the raft id that was asked; the one in the answer is.
    #[n(7)]
    OtherId,
    /// The sender's log was put back to an earlier state: this generation of it was seen.
    #[n(8)]
    SenderReverted(#[n(0)] u64),
    /// Nothing that a healthy voter would say; or no answer is possible now.
    #[n(9)]
    Unwilling,
}

/// Who leads, as far as a node knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct Acquaintance {
    #[n(0)]
    pub(super) term: u64,
    #[n(1)]
    pub(super) leader: Option<NodeId>,
    #[n(2)]
    pub(super) voters: Vec<NodeId>,
}

#[derive(Debug, Encode, Decode)]
pub(super) struct AppendForm {
    #[n(0)]
    ballot: BallotForm,
    #[n(1)]
    before: Option<PlaceForm>,
    #[n(2)]
    committed: Option<PlaceForm>,
    #[n(3)]
    entries: Vec<(PlaceForm, ByteVec)>,
}

#[derive(Debug, Encode, Decode)]
pub(super) struct VoteForm {
    #[n(0)]
    ballot: BallotForm,
    #[n(1)]
    last: Option<PlaceForm>,
}

/// A part of a snapshot.
#[derive(Debug, Encode, Decode)]
pub(super) struct ChunkForm {
    #[n(0)]
    pub(super) ballot: BallotForm,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(super) head: Vec<u8>,
    #[n(2)]
    pub(super) offset: u64,
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(super) data: Vec<u8>,
    #[n(4)]
    pub(super) is_last: bool,
}

/// Who sends a request, and to whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope {
    pub(super) cluster: GroupId,
    pub(super) sender: u64,
    pub(super) generation: u64,
    pub(super) receiver: u64,
    pub(super) known: u64,
}

impl Envelope {
    pub(super) fn encode(self, ask: Ask) -> Vec<u8> {
        encode(&Request {
            version: VERSION,
            cluster: self.cluster,
            sender: self.sender,
            generation: self.generation,
            receiver: self.receiver,
            known: self.known,
            ask,
        })
    }
}

impl Request {
    /// `None` if it is too long or no request of this version.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let request: Self = (bytes.len() <= CALL_LEN_MAX)
            .then(|| decode(bytes))
            .flatten()?;
        let is_id = |id: u64| id <= i64::MAX.unsigned_abs();
        let is_sound = request.version == VERSION
            && request.sender != 0
            && is_id(request.sender)
            && is_id(request.receiver)
            && is_id(request.generation)
            && is_id(request.known);
        is_sound.then_some(request)
    }
}

impl Reply {
    pub(super) fn encode(sender: u64, generation: u64, answer: Answer) -> Vec<u8> {
        encode(&Self {
            version: VERSION,
            sender,
            generation,
            answer,
        })
    }

    /// `None` if it is too long or no answer of this version.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let reply: Self = (bytes.len() <= CALL_LEN_MAX)
            .then(|| decode(bytes))
            .flatten()?;
        let is_sound = reply.version == VERSION
            && (1..=i64::MAX.unsigned_abs()).contains(&reply.sender)
            && reply.generation <= i64::MAX.unsigned_abs()
            && match &reply.answer {
                Answer::Hello(known) => known.voters.len() <= VOTERS_NAMED_MAX,
                _ => true,
            };
        is_sound.then_some(reply)
    }
}

impl AppendForm {
    pub(super) fn of(request: &AppendEntriesRequest<Types>) -> Self {
        let entries = request.entries.iter();
        let form = |entry: &Entry| (entry.log_id.into(), encode_body(&entry.payload).into());
        Self {
            ballot: request.vote.into(),
            before: request.prev_log_id.map(PlaceForm::from),
            committed: request.leader_commit.map(PlaceForm::from),
            entries: entries.map(form).collect(),
        }
    }

    /// The vote on which it is sent, if the numbers make sense.
    pub(super) fn ballot(&self) -> Option<Ballot> {
        self.ballot.into_ballot()
    }

    /// The library takes what it is given for sound: here it is found out whether it is.
    pub(super) fn into_request(self, leader: u64) -> Option<AppendEntriesRequest<Types>> {
        let vote = self.ballot.into_ballot()?;
        let prev_log_id = self.before.map(PlaceForm::into_place).transpose_sound()?;
        let committed = self
            .committed
            .map(PlaceForm::into_place)
            .transpose_sound()?;
        let mut entries = Vec::new();
        let mut last = prev_log_id;
        for (place, body) in self.entries {
            let log_id = place.into_place()?;
            let follows = log_id.index == last.map_or(0, |last| last.index + 1)
                && last.is_none_or(|last| last.leader_id <= log_id.leader_id);
            let payload = decode_body(&body).filter(|_| follows)?;
            entries.push(Entry { log_id, payload });
            last = Some(log_id);
        }
        let is_leader = vote.committed && vote.leader_id.node_id == leader;
        let is_before = last.is_none_or(|last| last.leader_id <= vote.leader_id);
        (is_leader && is_before).then(|| AppendEntriesRequest {
            vote,
            prev_log_id,
            entries,
            leader_commit: committed_within(committed, last),
        })
    }
}

/// What may be taken for committed: only what the leader has just shown to be in the log here.
fn committed_within(committed: Option<Place>, last: Option<Place>) -> Option<Place> {
    let (committed, last) = (committed?, last?);
    if committed.index >= last.index {
        return Some(last);
    }
    (committed.leader_id <= last.leader_id).then_some(committed)
}

impl VoteForm {
    pub(super) fn of(request: &VoteRequest<u64>) -> Self {
        Self {
            ballot: request.vote.into(),
            last: request.last_log_id.map(PlaceForm::from),
        }
    }

    pub(super) fn into_request(self, candidate: u64) -> Option<VoteRequest<u64>> {
        let vote = self.ballot.into_ballot()?;
        let last_log_id = self.last.map(PlaceForm::into_place).transpose_sound()?;
        let is_candidate = !vote.committed && vote.leader_id.node_id == candidate;
        is_candidate.then_some(VoteRequest { vote, last_log_id })
    }
}

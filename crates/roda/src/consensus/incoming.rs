//! Requests of other voters. Nothing that another node sends may make the library panic, so only what
//! is sound reaches it; what a leader says about the *content* of the log has to be believed.

use std::io::Cursor;

use openraft::Snapshot;
use openraft::raft::AppendEntriesResponse;
use roda_proto::NodeId;
use roda_proto::token::Table;
use tokio::time::Instant;

use super::Candidate;
use super::life::Life;
use super::machine::decode_head;
use super::peers::is_earlier;
use super::types::{Ballot, BallotForm, PlaceForm, Types, decode, is_near};
use super::wire::{Acquaintance, Answer, AppendForm, Ask, ChunkForm, Reply, Request, VoteForm};

/// Most bytes of a snapshot that another node may send.
const SNAPSHOT_LEN_MAX: usize = 256 << 20;

/// A snapshot that arrives in parts.
#[derive(Default)]
pub(super) struct Receiving {
    sender: u64,
    ballot: Option<Ballot>,
    head: Vec<u8>,
    data: Vec<u8>,
}

impl Life {
    /// Answers a request that `from` sent; `None`: it deserves no answer. Cancel-safe.
    pub(super) async fn handle(
        &self,
        from: NodeId,
        request: &[u8],
        known: impl FnOnce() -> Acquaintance,
    ) -> Option<Vec<u8>> {
        let request = Request::decode(request)?;
        if request.cluster != self.cluster || from == self.node {
            return None;
        }
        if !self.is_trusted(from, request.sender) {
            return None;
        }
        let answer = match request.ask {
            Ask::Hello => Answer::Hello(known()),
            Ask::Append(_) | Ask::Vote(_) | Ask::Snapshot(_) => self.admit(from, request).await?,
        };
        Some(Reply::encode(self.raft_id, self.generation, answer))
    }

    /// Whether the sender belongs to the group, or votes still although it has left.
    fn is_trusted(&self, from: NodeId, sender: u64) -> bool {
        let candidates = self.candidates.borrow();
        let is_member = |one: &Candidate| one.node == from && one.is_member;
        candidates.is_empty()
            || candidates.iter().any(is_member)
            || self.node_of(sender) == Some(from)
    }

    /// Answers a request that is Raft's, if it is meant for this log and comes from one that has not
    /// gone back.
    async fn admit(&self, from: NodeId, request: Request) -> Option<Answer> {
        if request.receiver != self.raft_id {
            return Some(Answer::OtherId);
        }
        let (sender, generation) = (request.sender, request.generation);
        // A leader that was elected while this node was away is not known here; who is known under
        // another name is a liar.
        if sender == self.raft_id || self.node_of(sender).is_some_and(|node| node != from) {
            return None;
        }
        if request.known == self.generation {
            self.peers.on_noticed();
        } else if is_earlier(self.generation, request.known) {
            if self.is_from_leader(sender, &request.ask) {
                self.on_reverted(request.known);
            }
            return Some(Answer::Unwilling);
        }
        match self.peers.meet(from, sender, generation).await {
            Ok(Ok(())) => {}
            Ok(Err(reverted)) => return Some(Answer::SenderReverted(reverted.known)),
            Err(_disk) => return None,
        }
        match request.ask {
            Ask::Append(form) => self.append(sender, form).await,
            Ask::Vote(form) => self.vote(sender, form).await,
            Ask::Snapshot(chunk) => self.receive(sender, chunk).await,
            Ask::Hello => None,
        }
    }

    /// Whether it is what only a leader would send, and no leader of the past. Only a leader can tell
    /// a voter to begin anew: it could overwrite the voter's log as well.
    fn is_from_leader(&self, sender: u64, ask: &Ask) -> bool {
        let ballot = match ask {
            Ask::Append(form) => form.ballot(),
            Ask::Snapshot(chunk) => chunk.ballot.into_ballot(),
            Ask::Hello | Ask::Vote(_) => None,
        };
        let is_leader = |ballot: &Ballot| ballot.committed && ballot.leader_id.node_id == sender;
        let ballot = ballot.filter(is_leader);
        ballot.is_some_and(|ballot| ballot >= self.current_ballot())
    }

    async fn append(&self, leader: u64, form: AppendForm) -> Option<Answer> {
        let request = form.into_request(leader);
        let Some(request) =
            request.filter(|request| is_near(&request.vote, &self.current_ballot()))
        else {
            tracing::debug!(leader, "unsound entries refused");
            return Some(Answer::Unwilling);
        };
        let answer = self.raft.append_entries(request).await.ok()?;
        Some(match answer {
            AppendEntriesResponse::Success => {
                self.on_heard(Instant::now());
                Answer::Appended
            }
            AppendEntriesResponse::Conflict => {
                self.on_heard(Instant::now());
                Answer::Conflict
            }
            AppendEntriesResponse::HigherVote(ballot) => Answer::HigherVote(ballot.into()),
            AppendEntriesResponse::PartialSuccess(_) => Answer::Unwilling,
        })
    }

    async fn vote(&self, candidate: u64, form: VoteForm) -> Option<Answer> {
        let is_known = self.node_of(self.raft_id).is_some();
        let request = form.into_request(candidate).filter(|_| is_known);
        let request = request.filter(|request| is_near(&request.vote, &self.current_ballot()));
        let Some(request) = request else {
            return Some(Answer::Unwilling);
        };
        let answer = self.raft.vote(request).await.ok()?;
        Some(Answer::Voted {
            ballot: BallotForm::from(answer.vote),
            last: answer.last_log_id.map(PlaceForm::from),
            is_granted: answer.vote_granted,
        })
    }

    async fn receive(&self, leader: u64, chunk: ChunkForm) -> Option<Answer> {
        let is_leader = |ballot: &Ballot| ballot.committed && ballot.leader_id.node_id == leader;
        let Some(ballot) = chunk.ballot.into_ballot().filter(is_leader) else {
            return Some(Answer::Unwilling);
        };
        let current = self.current_ballot();
        if !is_near(&ballot, &current) {
            return Some(Answer::Unwilling);
        }
        if ballot < current {
            return Some(Answer::HigherVote(current.into()));
        }
        self.on_heard(Instant::now());
        // One at a time: the lock is held while the snapshot is installed.
        let mut receiving = self.receiving.lock().await;
        let is_last = chunk.is_last;
        match receiving.take_chunk(leader, ballot, chunk) {
            Taken::More if !is_last => return Some(Answer::Received(ballot.into())),
            Taken::More => {}
            Taken::OutOfOrder => return Some(Answer::OutOfOrder),
            Taken::TooLong => return Some(Answer::Unwilling),
        }
        let complete = std::mem::take(&mut *receiving);
        let Some(snapshot) = self.sound_snapshot(complete) else {
            tracing::warn!(leader, "unsound snapshot refused");
            return Some(Answer::Unwilling);
        };
        let answer = self
            .raft
            .install_full_snapshot(ballot, snapshot)
            .await
            .ok()?;
        Some(if answer.vote == ballot {
            Answer::Received(ballot.into())
        } else {
            Answer::HigherVote(answer.vote.into())
        })
    }

    /// The library replaces the table by whatever it is given.
    fn sound_snapshot(&self, complete: Receiving) -> Option<Snapshot<Types>> {
        let meta = decode_head(&complete.head)?;
        let last = meta.last_log_id?;
        let is_ahead = self.machine.applied_index() <= Some(last.index);
        let is_table = decode::<Table>(&complete.data).is_some();
        (is_ahead && is_table).then(|| Snapshot {
            meta,
            snapshot: Box::new(Cursor::new(complete.data)),
        })
    }
}

enum Taken {
    More,
    OutOfOrder,
    TooLong,
}

impl Receiving {
    fn take_chunk(&mut self, sender: u64, ballot: Ballot, chunk: ChunkForm) -> Taken {
        if chunk.offset == 0 {
            *self = Self {
                sender,
                ballot: Some(ballot),
                head: chunk.head,
                data: chunk.data,
            };
            return Taken::More;
        }
        let follows = self.sender == sender
            && self.ballot == Some(ballot)
            && self.head == chunk.head
            && self.data.len() as u64 == chunk.offset;
        if !follows {
            return Taken::OutOfOrder;
        }
        if self.data.len() + chunk.data.len() > SNAPSHOT_LEN_MAX {
            *self = Self::default();
            return Taken::TooLong;
        }
        self.data.extend_from_slice(&chunk.data);
        Taken::More
    }
}

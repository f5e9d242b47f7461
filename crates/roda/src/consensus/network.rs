//! Calls to other voters, as the library makes them. No answer of another node may make it panic: an
//! answer that no healthy voter would give counts as none.

use std::sync::Arc;
use std::time::Duration;

use openraft::error::{
    InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, Unreachable,
};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use roda_proto::{GroupId, NodeId};
use thiserror::Error;
use tokio::time::Instant;

use super::machine::encode_head;
use super::peers::Peers;
use super::types::{Ballot, BallotForm, PlaceForm, RaftPeer, TransposeSound, Types, is_near};
use super::wire::{Acquaintance, Answer, AppendForm, Ask, ChunkForm, Envelope, Reply, VoteForm};
use super::{CallError, Caller};

/// Calls other nodes in the name of one log.
pub(super) struct Network<C> {
    pub(super) caller: Arc<C>,
    pub(super) peers: Arc<Peers>,
    pub(super) cluster: GroupId,
    pub(super) raft_id: u64,
    pub(super) generation: u64,
    /// A node without a link is not tried again sooner.
    pub(super) backoff: Duration,
}

impl<C> Clone for Network<C> {
    fn clone(&self) -> Self {
        Self {
            caller: Arc::clone(&self.caller),
            peers: Arc::clone(&self.peers),
            ..*self
        }
    }
}

/// Why another node's answer is of no use.
#[derive(Clone, Copy, Debug, Error)]
pub(super) enum AskError {
    /// None came.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The node has another log now.
    #[error("the node takes part under another id")]
    Lost,
    /// The node's log is in an earlier state, or that of this node is.
    #[error("a log was put back to an earlier state")]
    Reverted,
    /// It does not want to, or it makes no sense.
    #[error("refused")]
    Refused,
}

impl<C: Caller> Network<C> {
    /// Asks a node who it is and who leads; the answer comes with its raft id.
    pub(super) async fn hello(
        &self,
        node: NodeId,
        timeout: Duration,
    ) -> Result<(u64, Acquaintance), AskError> {
        let reply = self.send(node, 0, Ask::Hello, timeout).await?;
        match reply.answer {
            Answer::Hello(known) => Ok((reply.sender, known)),
            _ => Err(AskError::Refused),
        }
    }

    async fn ask(
        &self,
        (raft_id, node): (u64, NodeId),
        ask: Ask,
        timeout: Duration,
    ) -> Result<Answer, AskError> {
        let reply = self.send(node, raft_id, ask, timeout).await?;
        if reply.sender != raft_id {
            self.peers.on_lost(raft_id);
            return Err(AskError::Lost);
        }
        match self.peers.meet(node, raft_id, reply.generation).await {
            Ok(Ok(())) => {}
            Ok(Err(_reverted)) => {
                self.peers.on_lost(raft_id);
                return Err(AskError::Reverted);
            }
            Err(_disk) => return Err(AskError::Refused),
        }
        match reply.answer {
            Answer::SenderReverted(known) => {
                tracing::debug!(%node, known, own = self.generation, "this log was put back");
                return Err(AskError::Reverted);
            }
            Answer::OtherId | Answer::Unwilling | Answer::Hello(_) => {
                return Err(AskError::Refused);
            }
            Answer::Appended
            | Answer::Conflict
            | Answer::HigherVote(_)
            | Answer::Voted { .. }
            | Answer::Received(_)
            | Answer::OutOfOrder => {}
        }
        self.peers.on_answer(raft_id, Instant::now());
        self.peers.on_noticed();
        Ok(reply.answer)
    }

    async fn send(
        &self,
        node: NodeId,
        receiver: u64,
        ask: Ask,
        timeout: Duration,
    ) -> Result<Reply, AskError> {
        let envelope = Envelope {
            cluster: self.cluster,
            sender: self.raft_id,
            generation: self.generation,
            receiver,
            known: self.peers.generation(node, receiver),
        };
        let answer = self.caller.call(node, envelope.encode(ask), timeout);
        let answer = answer.await.map_err(AskError::Call)?;
        Reply::decode(&answer).ok_or(AskError::Refused)
    }

    /// A later vote that another node names. One for this node it could only have from this node
    /// itself, so it is a lie, or this log was put back.
    fn later(&self, form: BallotForm, than: &Ballot) -> Option<Ballot> {
        let ballot = form.into_ballot()?;
        let is_sound =
            ballot > *than && is_near(&ballot, than) && ballot.leader_id.node_id != self.raft_id;
        is_sound.then_some(ballot)
    }
}

impl<C: Caller> RaftNetworkFactory<Types> for Network<C> {
    type Network = Line<C>;

    async fn new_client(&mut self, target: u64, peer: &RaftPeer) -> Line<C> {
        Line {
            network: self.clone(),
            raft_id: target,
            node: peer.node,
        }
    }
}

/// Calls to one voter.
pub(super) struct Line<C> {
    network: Network<C>,
    raft_id: u64,
    node: NodeId,
}

impl<C: Caller> Line<C> {
    async fn ask(&self, ask: Ask, option: &RPCOption) -> Result<Answer, AskError> {
        let to = (self.raft_id, self.node);
        self.network.ask(to, ask, option.hard_ttl()).await
    }

    async fn append(
        &self,
        rpc: AppendEntriesRequest<Types>,
        option: &RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, AskError> {
        let peers = &self.network.peers;
        let term = rpc.vote.leader_id.term;
        let answer = self.ask(Ask::Append(AppendForm::of(&rpc)), option).await?;
        match answer {
            Answer::Appended => {
                let last = rpc.entries.last().map(|entry| entry.log_id);
                if let Some(last) = last.or(rpc.prev_log_id) {
                    peers.on_matching(term, self.raft_id, last.index);
                }
                Ok(AppendEntriesResponse::Success)
            }
            Answer::Conflict => {
                let before = rpc.prev_log_id.ok_or(AskError::Refused)?;
                let who = (self.node, self.raft_id);
                let checked = peers.on_conflict(term, who, before.index).await;
                checked.map_err(|_reverted| AskError::Reverted)?;
                Ok(AppendEntriesResponse::Conflict)
            }
            Answer::HigherVote(ballot) => {
                let later = self.network.later(ballot, &rpc.vote);
                let later = later.ok_or(AskError::Refused)?;
                Ok(AppendEntriesResponse::HigherVote(later))
            }
            _ => Err(AskError::Refused),
        }
    }

    async fn poll(
        &self,
        rpc: VoteRequest<u64>,
        option: &RPCOption,
    ) -> Result<VoteResponse<u64>, AskError> {
        let vote = rpc.vote;
        let answer = self.ask(Ask::Vote(VoteForm::of(&rpc)), option).await?;
        let Answer::Voted {
            ballot,
            last,
            is_granted,
        } = answer
        else {
            return Err(AskError::Refused);
        };
        let last = last.map(PlaceForm::into_place).transpose_sound();
        let last = last.ok_or(AskError::Refused)?;
        let ballot = ballot.into_ballot().ok_or(AskError::Refused)?;
        let is_other = ballot.leader_id.node_id != vote.leader_id.node_id;
        let is_sound = ballot == vote || !is_granted && is_other && is_near(&ballot, &vote);
        if !is_sound {
            return Err(AskError::Refused);
        }
        Ok(VoteResponse::new(ballot, last, is_granted))
    }
}

impl<C: Caller> RaftNetwork<Types> for Line<C> {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RPCError<u64, RaftPeer, RaftError<u64>>> {
        self.append(rpc, &option).await.map_err(rpc_error)
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<Types>,
        option: RPCOption,
    ) -> Result<
        InstallSnapshotResponse<u64>,
        RPCError<u64, RaftPeer, RaftError<u64, InstallSnapshotError>>,
    > {
        let (vote, is_last) = (rpc.vote, rpc.done);
        let last = rpc.meta.last_log_id;
        let segment = openraft::SnapshotSegmentId {
            id: rpc.meta.snapshot_id.clone(),
            offset: rpc.offset,
        };
        let chunk = ChunkForm {
            ballot: vote.into(),
            head: encode_head(&rpc.meta),
            offset: rpc.offset,
            data: rpc.data,
            is_last,
        };
        match self.ask(Ask::Snapshot(chunk), &option).await {
            Ok(Answer::Received(ballot)) => {
                let ballot = ballot.into_ballot().filter(|found| *found == vote);
                let vote = ballot.ok_or_else(|| rpc_error(AskError::Refused))?;
                if let Some(last) = last.filter(|_| is_last) {
                    let (peers, term) = (&self.network.peers, vote.leader_id.term);
                    peers.on_matching(term, self.raft_id, last.index);
                }
                Ok(InstallSnapshotResponse { vote })
            }
            Ok(Answer::HigherVote(ballot)) => {
                let later = self.network.later(ballot, &vote);
                let vote = later.ok_or_else(|| rpc_error(AskError::Refused))?;
                Ok(InstallSnapshotResponse { vote })
            }
            Ok(Answer::OutOfOrder) if segment.offset > 0 => {
                let mismatch = openraft::error::SnapshotMismatch {
                    expect: openraft::SnapshotSegmentId {
                        offset: 0,
                        ..segment.clone()
                    },
                    got: segment,
                };
                let error = RaftError::APIError(InstallSnapshotError::SnapshotMismatch(mismatch));
                Err(RPCError::RemoteError(RemoteError::new(self.raft_id, error)))
            }
            Ok(_) => Err(rpc_error(AskError::Refused)),
            Err(error) => Err(rpc_error(error)),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<u64>,
        option: RPCOption,
    ) -> Result<VoteResponse<u64>, RPCError<u64, RaftPeer, RaftError<u64>>> {
        self.poll(rpc, &option).await.map_err(rpc_error)
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(self.network.backoff))
    }
}

/// Whoever did not answer in time is tried again with the next entry; all others after a while.
fn rpc_error<E: std::error::Error>(error: AskError) -> RPCError<u64, RaftPeer, E> {
    match error {
        AskError::Call(CallError::NoAnswer) => NetworkError::new(&error).into(),
        AskError::Call(CallError::Unreachable)
        | AskError::Lost
        | AskError::Reverted
        | AskError::Refused => Unreachable::new(&error).into(),
    }
}

//! Serving and fetching with a log in memory.

use std::sync::Arc;

use roda_proto::stream::{EpochKey, JoinRequest, Refusal, SyncRequest, join_proof_message};
use roda_proto::{AuthorId, EpochTag, GroupId, Hash, Hlc, NodeId, Seq, crypto};
use tokio::sync::mpsc;

use super::{identity, pair};
use crate::stream::connection::Stream;
use crate::stream::{Fetched, Handler, Page, StreamError, fetch, serve};

pub(super) const GROUP: GroupId = GroupId([5; 16]);

/// A member that holds one author's batches, one entry each.
pub(super) struct Memory {
    pub(super) node: NodeId,
    pub(super) batches: Vec<Arc<[u8]>>,
    pub(super) admits: Result<(), Refusal>,
    pub(super) members: Vec<NodeId>,
    pub(super) blobs: Vec<Vec<u8>>,
    /// Fails after the first page.
    pub(super) breaks: bool,
}

impl Memory {
    pub(super) fn new(node: NodeId) -> Self {
        let lens = [0, 1, 23, 24, 255, 256, 65_535, 65_536];
        Self {
            node,
            batches: lens.iter().map(|len| vec![7; *len].into()).collect(),
            admits: Ok(()),
            members: vec![identity(1).node()],
            blobs: Vec::new(),
            breaks: false,
        }
    }
}

pub(super) const AUTHOR: AuthorId = AuthorId([3; 16]);

pub(super) fn keys() -> Vec<EpochKey> {
    let key = |number| EpochKey {
        secret: [number; 32],
        created: Hlc(number.into()),
    };
    vec![key(1), key(2)]
}

impl Handler for Memory {
    type Cursor = usize;
    type Blob = Vec<u8>;

    fn group(&self) -> GroupId {
        GROUP
    }

    async fn admit(&self, peer: NodeId, request: JoinRequest) -> Result<(), Refusal> {
        let message = join_proof_message(&GROUP, &peer, &self.node);
        if !crypto::verify(&request.invite.0, &message, &request.proof) {
            return Err(Refusal::BadProof);
        }
        assert_eq!((request.nick.as_str(), request.wrap_key), ("ana", [4; 32]));
        self.admits
    }

    async fn sync_allowed(&self, peer: NodeId) -> Result<(), Refusal> {
        if self.members.contains(&peer) {
            Ok(())
        } else {
            Err(Refusal::NotMember)
        }
    }

    fn link_allowed(&self, _peer: NodeId) -> Result<(), Refusal> {
        Err(Refusal::NotMember)
    }

    async fn link(&self, _stream: Stream, _port: u16) -> Result<(), StreamError> {
        Ok(())
    }

    async fn keys_except(&self, known: &[EpochTag]) -> Result<Vec<EpochKey>, Refusal> {
        let is_new = |key: &EpochKey| !known.contains(&crypto::epoch_tag(&key.secret));
        Ok(keys().into_iter().filter(is_new).collect())
    }

    async fn blob(&self, hash: Hash) -> Result<Vec<u8>, Refusal> {
        let found = self
            .blobs
            .iter()
            .find(|blob| crypto::content_hash(blob) == hash);
        found.cloned().ok_or(Refusal::NoBlob)
    }

    async fn batches_after(
        &self,
        have: &[(AuthorId, Seq)],
        cursor: usize,
    ) -> Result<Page<usize>, Refusal> {
        let page_len = 3;
        if self.breaks && cursor > 0 {
            return Err(Refusal::Busy);
        }
        let had = have.iter().find(|(author, _)| *author == AUTHOR);
        let had = had.map_or(0, |(_, seq)| usize::try_from(seq.0).unwrap());
        let start = cursor.max(had);
        let end = self.batches.len().min(start + page_len);
        Ok(Page {
            batches: self.batches[start..end].to_vec(),
            next: (end < self.batches.len()).then_some(end),
        })
    }
}

fn request(group: GroupId, have: u64) -> SyncRequest {
    SyncRequest {
        group,
        have: vec![(AUTHOR, Seq(have))],
        epochs: vec![crypto::epoch_tag(&keys()[0].secret)],
    }
}

/// Everything that arrives, and how both sides end.
async fn exchange(
    (caller, called): (Stream, Stream),
    memory: &Memory,
    request: SyncRequest,
) -> (
    Vec<Fetched>,
    Result<(), StreamError>,
    Result<(), StreamError>,
) {
    // Smaller than what is fetched, so that the sink holds up the stream.
    let (sink, mut source) = mpsc::channel(1);
    let fetching = async {
        let fetched = fetch(caller, request, &sink).await;
        drop(sink);
        fetched
    };
    let collecting = async {
        let mut all = Vec::new();
        while let Some(fetched) = source.recv().await {
            all.push(fetched);
        }
        all
    };
    let (all, fetched, served) = tokio::join!(collecting, fetching, serve(called, memory));
    (all, fetched, served)
}

#[tokio::test]
async fn a_member_gets_exactly_what_it_lacks() {
    let memory = Memory::new(identity(2).node());
    let (all, fetched, served) = exchange(pair().await, &memory, request(GROUP, 1)).await;
    fetched.unwrap();
    served.unwrap();
    let mut expected = vec![Fetched::Keys(keys()[1..].to_vec())];
    let missing = memory.batches[1..].iter();
    expected.extend(missing.map(|batch| Fetched::Batch(batch.to_vec())));
    assert!(all == expected, "{} items", all.len());
}

#[tokio::test]
async fn a_member_of_another_group_and_a_stranger_get_nothing() {
    let mut memory = Memory::new(identity(2).node());
    let other = request(GroupId([6; 16]), 0);
    let (all, fetched, served) = exchange(pair().await, &memory, other).await;
    assert_eq!(all, []);
    assert_refused(fetched, Refusal::OtherGroup);
    assert_refused(served, Refusal::OtherGroup);

    memory.members.clear();
    let (all, fetched, _) = exchange(pair().await, &memory, request(GROUP, 0)).await;
    assert_eq!(all, []);
    assert_refused(fetched, Refusal::NotMember);
}

#[tokio::test]
async fn a_refusal_in_the_middle_is_no_end() {
    let mut memory = Memory::new(identity(2).node());
    memory.breaks = true;
    let (all, fetched, _) = exchange(pair().await, &memory, request(GROUP, 0)).await;
    assert_eq!(all.len(), 1 + 3);
    assert_refused(fetched, Refusal::Busy);
}

#[tokio::test]
async fn a_fetcher_whose_node_stops_hangs_up() {
    let memory = Memory::new(identity(2).node());
    let (caller, called) = pair().await;
    let (sink, source) = mpsc::channel(1);
    drop(source);
    let fetching = fetch(caller, request(GROUP, 0), &sink);
    let (fetched, _served) = tokio::join!(fetching, serve(called, &memory));
    assert!(matches!(fetched, Err(StreamError::Stopped)));
}

fn assert_refused(result: Result<(), StreamError>, expected: Refusal) {
    assert!(matches!(result, Err(StreamError::Refused(refusal)) if refusal == expected));
}

//! Members that say what no healthy voter would.

use openraft::raft::{AppendEntriesRequest, VoteRequest};

use super::*;
use crate::consensus::types::{
    Ballot, BallotForm, Entry, Payload, Place, PlaceForm, Types, ballot, place,
};
use crate::consensus::wire::{
    Answer, AppendForm, Ask, ChunkForm, Envelope, Reply, Request, VoteForm,
};

/// Raft id of the liar.
const LIAR: u64 = 99;

fn envelope(receiver: u64, known: u64) -> Envelope {
    Envelope {
        cluster: CLUSTER,
        sender: LIAR,
        generation: 1,
        receiver,
        known,
    }
}

#[test]
fn garbage_is_no_request() {
    let sound = envelope(1, 1).encode(Ask::Hello);
    assert!(Request::decode(&sound).is_some());
    for end in 0..sound.len() {
        assert!(Request::decode(&sound[..end]).is_none());
    }
    for at in 0..sound.len() {
        for bit in 0..8 {
            let mut bent = sound.clone();
            bent[at] ^= 1 << bit;
            // Whatever comes out, it does not panic.
            let _decoded = Request::decode(&bent);
        }
    }
    // An array of four billion entries, in six bytes.
    assert!(Request::decode(&[0x87, 1, 0x9a, 0xff, 0xff, 0xff]).is_none());
}

#[test]
fn absurd_numbers_are_refused() {
    let form = PlaceForm::from(place(u64::MAX, 1, 1));
    assert!(form.into_place().is_none());
    let form = PlaceForm::from(place(1, 1, u64::MAX));
    assert!(form.into_place().is_none());
    assert!(
        BallotForm::from(ballot(u64::MAX, 1, true))
            .into_ballot()
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_not_asked_cannot_make_a_voter_forget() {
    let mut world = World::of(1).await;
    world.admit([1, 9]);
    world.leader([1]).await;
    world.propose(1).await.unwrap();
    let node = world.node(1);
    let raft_id = node.raft_id().unwrap();
    // Neither by another group, nor in the voter's own name, nor by a greater generation alone.
    let other = Envelope {
        cluster: GroupId([8; 16]),
        ..envelope(raft_id, 0)
    };
    assert!(
        node.handle_call(id(9), &other.encode(Ask::Hello))
            .await
            .is_none()
    );
    let itself = Envelope {
        sender: raft_id,
        ..envelope(raft_id, 1000)
    };
    let vote = || vote(5);
    assert!(
        node.handle_call(id(9), &itself.encode(vote()))
            .await
            .is_none()
    );
    let later = envelope(raft_id, 1000);
    assert!(
        node.handle_call(id(9), &later.encode(vote()))
            .await
            .is_some()
    );
    world.propose(1).await.unwrap();
    assert_eq!(node.raft_id(), Some(raft_id));
    assert_eq!(world.sessions(1), 2);
    world.end().await;
}

fn vote(term: u64) -> Ask {
    Ask::Vote(VoteForm::of(&VoteRequest {
        vote: ballot(term, LIAR, false),
        last_log_id: Some(place(term, LIAR, 1000)),
    }))
}

fn entries(
    vote: Ballot,
    before: Option<Place>,
    committed: Option<Place>,
    places: &[Place],
) -> AppendForm {
    let entry = |log_id: &Place| Entry {
        log_id: *log_id,
        payload: Payload::Blank,
    };
    AppendForm::of(&AppendEntriesRequest {
        vote,
        prev_log_id: before,
        entries: places.iter().map(entry).collect(),
        leader_commit: committed,
    })
}

fn taken(form: AppendForm) -> Option<AppendEntriesRequest<Types>> {
    form.into_request(LIAR)
}

#[test]
fn only_a_leader_appends_and_only_without_gaps() {
    let leads = ballot(5, LIAR, true);
    let at = |term, index| place(term, 1, index);
    let before = Some(at(3, 7));
    assert!(taken(entries(leads, before, None, &[at(3, 8), at(4, 9)])).is_some());
    assert!(taken(entries(leads, None, None, &[at(0, 0), at(1, 1)])).is_some());
    for (what, form) in [
        (
            "not elected",
            entries(ballot(5, LIAR, false), before, None, &[]),
        ),
        (
            "another leads",
            entries(ballot(5, 98, true), before, None, &[]),
        ),
        ("a gap", entries(leads, before, None, &[at(3, 9)])),
        (
            "a gap behind the first",
            entries(leads, before, None, &[at(3, 8), at(3, 10)]),
        ),
        (
            "not from the beginning",
            entries(leads, None, None, &[at(1, 1)]),
        ),
        ("terms go back", entries(leads, before, None, &[at(2, 8)])),
        ("from the future", entries(leads, before, None, &[at(6, 8)])),
    ] {
        assert!(taken(form).is_none(), "{what}");
    }
}

#[test]
fn no_more_is_committed_than_what_the_leader_has_shown() {
    let leads = ballot(5, LIAR, true);
    let at = |term, index| place(term, 1, index);
    let committed = |committed, places: &[Place]| {
        let form = entries(leads, Some(at(3, 7)), Some(committed), places);
        taken(form).unwrap().leader_commit
    };
    assert_eq!(committed(at(4, 1_000_000), &[]), Some(at(3, 7)));
    assert_eq!(committed(at(2, 1_000_000), &[at(4, 8)]), Some(at(4, 8)));
    assert_eq!(committed(at(3, 6), &[]), Some(at(3, 6)));
    assert_eq!(committed(at(4, 6), &[]), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn unsound_requests_of_a_member_leave_a_voter_as_it_is() {
    let mut world = World::of(2).await;
    world.admit([1, 9]);
    world.leader([1]).await;
    world.propose(1).await.unwrap();
    let node = world.node(1);
    let receiver = node.raft_id().unwrap();
    let far = 1 << 40;
    let chunk = |data: Vec<u8>, offset, is_last| {
        Ask::Snapshot(ChunkForm {
            ballot: BallotForm::from(ballot(far / 1000, LIAR, true)),
            head: vec![1, 2, 3],
            offset,
            data,
            is_last,
        })
    };
    for ask in [
        Ask::Append(entries(ballot(far, LIAR, true), None, None, &[])),
        vote(far),
        chunk(vec![0; 100], 0, true),
        chunk(vec![0; 100], 1 << 50, false),
        Ask::Append(entries(ballot(9, receiver, true), None, None, &[])),
    ] {
        let answer = node
            .handle_call(id(9), &envelope(receiver, 0).encode(ask))
            .await;
        let answer = Reply::decode(&answer.unwrap()).unwrap().answer;
        assert!(
            matches!(answer, Answer::Unwilling | Answer::OutOfOrder),
            "{answer:?}"
        );
    }
    world.propose(1).await.unwrap();
    assert_eq!(world.role(1).term, 1);
    // Whoever is no member is not even told that.
    let hello = envelope(receiver, 0).encode(Ask::Hello);
    assert!(node.handle_call(id(9), &hello).await.is_some());
    assert!(node.handle_call(id(8), &hello).await.is_none());
    world.end().await;
}

/// Answers every call in the same way.
struct Parrot(fn(&Request) -> Answer);

impl Caller for Parrot {
    async fn call(&self, _: NodeId, request: Vec<u8>, _: Duration) -> Result<Vec<u8>, CallError> {
        let request = Request::decode(&request).unwrap();
        let answer = (self.0)(&request);
        Ok(Reply::encode(request.receiver, 1 << 32, answer))
    }
}

async fn ask_for_vote(parrot: fn(&Request) -> Answer) -> Option<bool> {
    use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};

    use crate::consensus::network::Network;
    use crate::consensus::peers::Peers;
    use crate::consensus::types::RaftPeer;
    use crate::consensus::writer::Writer;

    let home = tempfile::tempdir().unwrap();
    let log = RaftLog::open(&home.path().join("locks.db"), CLUSTER, 1).unwrap();
    let (writer, found) = Writer::start(log).unwrap();
    let mut network = Network {
        caller: Arc::new(Parrot(parrot)),
        peers: Arc::new(Peers::new(writer, &found)),
        cluster: CLUSTER,
        raft_id: 1,
        generation: 1 << 32,
        backoff: Duration::from_millis(1),
    };
    let mut line = network.new_client(2, &RaftPeer { node: id(2) }).await;
    let request = VoteRequest {
        vote: ballot(5, 1, false),
        last_log_id: None,
    };
    let answer = line
        .vote(request, RPCOption::new(Duration::from_secs(1)))
        .await;
    answer.ok().map(|answer| answer.vote_granted)
}

#[tokio::test]
async fn an_answer_that_no_healthy_voter_gives_counts_as_none() {
    fn voted(ballot: Ballot, is_granted: bool) -> Answer {
        Answer::Voted {
            ballot: ballot.into(),
            last: None,
            is_granted,
        }
    }
    assert_eq!(
        ask_for_vote(|_| voted(ballot(5, 1, false), true)).await,
        Some(true)
    );
    assert_eq!(
        ask_for_vote(|_| voted(ballot(6, 3, false), false)).await,
        Some(false)
    );
    // An election of the asking node that it knows nothing of; absurd terms; another question's answer.
    assert_eq!(
        ask_for_vote(|_| voted(ballot(6, 1, true), false)).await,
        None
    );
    assert_eq!(
        ask_for_vote(|_| voted(ballot(1 << 50, 3, false), false)).await,
        None
    );
    assert_eq!(ask_for_vote(|_| Answer::Appended).await, None);
}

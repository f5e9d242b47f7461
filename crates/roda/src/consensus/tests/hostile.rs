//! Members that say what no healthy voter would.

use super::*;
use crate::consensus::types::{BallotForm, PlaceForm, ballot, place};
use crate::consensus::wire::{Ask, Envelope, Request};

fn envelope(receiver: u64, known: u64) -> Envelope {
    Envelope {
        cluster: CLUSTER,
        sender: 99,
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
    use crate::consensus::wire::VoteForm;
    let request = openraft::raft::VoteRequest {
        vote: ballot(term, 99, false),
        last_log_id: None,
    };
    Ask::Vote(VoteForm::of(&request))
}

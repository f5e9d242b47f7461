//! A group whose nodes come and go.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_single_node_decides_alone_and_goes_on_after_a_restart() {
    let mut world = World::of(1).await;
    world.leader([1]).await;
    for _ in 0..10 {
        world.propose(1).await.unwrap();
    }
    world.node(1).confirm().await.unwrap();
    let before = world.role(1);
    world.stop(1).await;
    world.start(1).await;
    world.leader([1]).await;
    world.node(1).confirm().await.unwrap();
    assert_eq!(world.sessions(1), 10);
    assert!(
        world.role(1).term > before.term,
        "a restart is another term"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_proposed_comes_back_applied_under_its_id() {
    let mut world = World::of(1).await;
    world.leader([1]).await;
    let index = world.propose(1).await.unwrap();
    let id = world.next;
    let applied = world.applied.get_mut(&1).unwrap().recv().await.unwrap();
    assert_eq!((applied.index, applied.id), (index, Some(id)));
    assert_eq!(applied.applied.outcomes.len(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_have_one_voter_and_three_have_three() {
    let mut world = World::of(3).await;
    world.admit([1, 2]);
    world.voters([1], 1).await;
    world.admit([1, 2, 3]);
    world.voters([1], 3).await;
    let told = world
        .until(2, "told", |role| role.leader == Some(id(1)))
        .await;
    assert!(!told.is_leading);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_vote_knows_who_leads() {
    let world = World::of(4).await;
    world.voters([1], 3).await;
    let outside: Vec<u8> = (1..=4)
        .filter(|node| !world.role(1).voters.contains(&id(*node)))
        .collect();
    assert_eq!(outside.len(), 1);
    let role = world.until(outside[0], "told", |role| {
        role.leader == Some(id(1)) && role.voters.len() == 3
    });
    assert!(!role.await.is_leading);
    let refused = world.node(outside[0]).confirm().await;
    assert!(
        matches!(refused, Err(ConsensusError::NotLeader(_))),
        "{refused:?}"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_cut_off_is_replaced_and_confirms_nothing() {
    let mut world = World::of(3).await;
    let old = world.voters([1], 3).await;
    world.propose(old).await.unwrap();
    world.isolate(old, true);
    let others: Vec<u8> = (1..=3).filter(|node| *node != old).collect();
    let new = world.leader(others.clone()).await;
    let refused = world.node(old).confirm().await;
    match refused {
        Err(ConsensusError::NoQuorum(quorum)) => {
            assert_eq!((quorum.voters, quorum.needed()), (3, 2))
        }
        other => panic!("{other:?}"),
    }
    let refused = world.propose(old).await;
    assert!(
        matches!(refused, Err(ConsensusError::NoQuorum(_))),
        "{refused:?}"
    );
    world.propose_somewhere(others).await;
    world.node(new).confirm().await.unwrap();
    world.isolate(old, false);
    let led = |role: &Role| !role.is_leading && role.leader.is_some();
    world.until(old, "led by another", led).await;
    world.until_sessions(old, 2).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_restart_at_once_and_forget_nothing() {
    let mut world = World::of(3).await;
    let leader = world.voters([1], 3).await;
    for _ in 0..50 {
        world.propose(leader).await.unwrap();
    }
    for node in 1..=3 {
        world.stop(node).await;
    }
    for node in 1..=3 {
        world.start(node).await;
    }
    let leader = world.leader(1..=3).await;
    assert_eq!(world.sessions(leader), 50);
    world.propose_somewhere(1..=3).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_voters_become_five_while_proposals_run() {
    let mut world = World::of(7).await;
    world.admit([1]);
    world.voters([1], 1).await;
    for (members, voters) in [(3, 3), (7, 5)] {
        world.admit(1..=members);
        let mut done = 0;
        while done < 20 || world.role(world.leader(1..=7).await).voters.len() != voters {
            world.propose_somewhere(1..=7).await;
            done += 1;
        }
    }
    let count = usize::try_from(world.next).unwrap();
    let leader = world.voters(1..=7, 5).await;
    for voter in world.role(leader).voters {
        // Some proposals may have been repeated, none may be missing twice.
        world
            .until_sessions(voter.0[0], count.min(world.sessions(leader)))
            .await;
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voter_that_stays_away_is_replaced_by_a_steady_member() {
    let mut world = World::of(4).await;
    let leader = world.voters([1], 3).await;
    let voters = world.role(leader).voters;
    let gone = (1..=4)
        .find(|node| *node != leader && voters.contains(&id(*node)))
        .unwrap();
    world.stop(gone).await;
    world.miss(gone);
    let replaced = |role: &Role| role.voters.len() == 3 && !role.voters.contains(&id(gone));
    world.until(leader, "rid of it", replaced).await;
    world.propose(leader).await.unwrap();
    // It comes back, and does not disturb.
    let term = world.role(leader).term;
    world.start(gone).await;
    let told = |role: &Role| role.leader == Some(id(leader)) && !role.voters.contains(&id(gone));
    world.until(gone, "told", told).await;
    assert_eq!(world.role(leader).term, term);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_leaves_votes_no_more() {
    let mut world = World::of(4).await;
    let leader = world.voters([1], 3).await;
    let left = (1..=4)
        .find(|node| *node != leader && world.role(leader).voters.contains(&id(*node)))
        .unwrap();
    world.admit((1..=4).filter(|node| *node != left));
    let replaced = |role: &Role| role.voters.len() == 3 && !role.voters.contains(&id(left));
    world.until(leader, "rid of it", replaced).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_about_to_leave_hands_over() {
    let world = World::of(4).await;
    let leader = world.voters([1], 3).await;
    world.prepare_to_leave(leader);
    let others: Vec<u8> = (1..=4).filter(|node| *node != leader).collect();
    let next = world.voters(others, 3).await;
    assert!(!world.role(next).voters.contains(&id(leader)));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_voter_hands_over_before_it_leaves() {
    let mut world = World::of(2).await;
    world.voters([1], 1).await;
    world.propose(1).await.unwrap();
    world.prepare_to_leave(1);
    world.leader([2]).await;
    world.until(1, "told", |role| role.voters == [id(2)]).await;
    world.admit([2]);
    world.stop(1).await;
    world.propose(2).await.unwrap();
    assert_eq!(world.sessions(2), 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_has_left_leads_no_more() {
    let mut world = World::of(4).await;
    let leader = world.voters([1], 3).await;
    world.admit((1..=4).filter(|node| *node != leader));
    let others: Vec<u8> = (1..=4).filter(|node| *node != leader).collect();
    let next = world.voters(others, 3).await;
    assert!(!world.role(next).voters.contains(&id(leader)));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_gets_the_table_and_then_votes() {
    let mut world = World::of(3).await;
    world.admit([1]);
    world.leader([1]).await;
    for _ in 0..20 {
        world.propose(1).await.unwrap();
    }
    // All of it is compacted: only a snapshot can tell a newcomer.
    world.node(1).compact().await;
    world.propose(1).await.unwrap();
    world.admit([1, 2, 3]);
    world.voters([1], 3).await;
    world.until_sessions(2, 21).await;
    world.until_sessions(3, 21).await;
    // And it is on its disk.
    world.stop(2).await;
    world.start(2).await;
    assert!(world.sessions(2) >= 20);
    world.end().await;
}

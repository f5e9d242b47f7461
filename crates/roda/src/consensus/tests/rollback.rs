//! Voters that lose their log, or get an earlier one back.

use super::*;

async fn three() -> (World, u8, u8) {
    let world = World::of(3).await;
    let leader = world.voters([1], 3).await;
    let other = if leader == 3 { 2 } else { 3 };
    (world, leader, other)
}

/// The raft id of a node's log. It must not run.
fn raft_id(world: &World, node: u8) -> u64 {
    let log = RaftLog::open(&world.path(node), CLUSTER, fresh_raft_id().unwrap()).unwrap();
    log.raft_id()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voter_that_lost_its_log_is_replaced_by_itself_under_another_id() {
    let (mut world, leader, lost) = three().await;
    world.propose(leader).await.unwrap();
    world.stop(lost).await;
    let before = raft_id(&world, lost);
    world.wipe(lost);
    world.start(lost).await;
    world.until_sessions(lost, 1).await;
    // With it and the leader there is a quorum again only if it votes.
    world.voters([leader], 3).await;
    let third = (1..=3)
        .find(|node| *node != leader && *node != lost)
        .unwrap();
    world
        .until(lost, "a voter", |role| role.leader == Some(id(leader)))
        .await;
    settle(&world, leader, lost, before).await;
    world.stop(third).await;
    world.propose(leader).await.unwrap();
    world.stop(lost).await;
    assert_ne!(raft_id(&world, lost), before);
    world.end().await;
}

/// Waits until the old raft id is not in the membership of the leader any more.
async fn settle(world: &World, leader: u8, node: u8, before: u64) {
    let looking = async {
        while world.node(leader).knows(before) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let done = timeout(PATIENCE, looking).await;
    let leads = || world.role(leader);
    done.unwrap_or_else(|_| panic!("{node} is still a voter under its old id: {:?}", leads()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_put_back_is_noticed_by_its_generation() {
    let (mut world, leader, back) = three().await;
    world.propose(leader).await.unwrap();
    world.stop(back).await;
    let before = raft_id(&world, back);
    let saved = read_all(&world, back);
    // It runs, promises something, stops; then the earlier state of the same file comes back.
    world.start(back).await;
    world.propose(leader).await.unwrap();
    world.until_sessions(back, 2).await;
    world.stop(back).await;
    write_all(&world, back, &saved);
    assert_eq!(raft_id(&world, back), before);
    write_all(&world, back, &saved);
    world.start(back).await;
    settle(&world, leader, back, before).await;
    world.voters([leader], 3).await;
    world.until_sessions(back, 2).await;
    world.propose(leader).await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_lost_what_it_acknowledged_does_not_bring_the_leader_down() {
    let (mut world, leader, back) = three().await;
    world.stop(back).await;
    let before = raft_id(&world, back);
    world.start(back).await;
    for _ in 0..20 {
        world.propose(leader).await.unwrap();
    }
    world.until_sessions(back, 20).await;
    // The same id, a later generation, but only the beginning of the log: no count tells.
    world.stop(back).await;
    cut_log(&world, back);
    world.start(back).await;
    settle(&world, leader, back, before).await;
    world.voters([leader], 3).await;
    world.until_sessions(back, 20).await;
    world.propose(leader).await.unwrap();
    assert!(world.role(leader).is_leading);
    world.end().await;
}

/// All bytes of a log, without its inode.
fn read_all(world: &World, node: u8) -> Vec<u8> {
    std::fs::read(world.path(node)).unwrap()
}

/// Puts bytes back into the same file, as a machine that returns to an earlier snapshot of its disk.
fn write_all(world: &World, node: u8, bytes: &[u8]) {
    std::fs::write(world.path(node), bytes).unwrap();
    for suffix in ["-wal", "-shm"] {
        let mut path = world.path(node).into_os_string();
        path.push(suffix);
        let _absent = std::fs::remove_file(path);
    }
}

/// Removes all but the first entries, and what was learned from later ones.
fn cut_log(world: &World, node: u8) {
    use roda_store::LogWrite;
    let mut log = RaftLog::open(&world.path(node), CLUSTER, fresh_raft_id().unwrap()).unwrap();
    log.write(&[LogWrite::Truncate(8)]).unwrap();
    let left = log.entries(0..8, usize::MAX).unwrap();
    let last = left.last().unwrap().place;
    log.write(&[LogWrite::Committed(last)]).unwrap();
}

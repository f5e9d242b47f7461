//! How fast three voters decide, with real files. Run by name:
//! `cargo test --release -p roda --lib consensus::tests::speed -- --ignored --nocapture`

use super::*;

const PROPOSALS: usize = 5_000;
const IN_FLIGHT: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn proposals_per_second_of_three_voters() {
    let world = World::of(3).await;
    let leader = world.voters([1], 3).await;
    for in_flight in [1, IN_FLIGHT, 8] {
        measure(&world.node(leader), in_flight).await;
    }
    world.end().await;
}

async fn measure(node: &RaftNode, in_flight: usize) {
    let begin = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for lane in 0..in_flight {
        let node = node.clone();
        tasks.spawn(async move {
            let mut times = Vec::new();
            for number in 0..PROPOSALS / in_flight {
                let command = LockCommand::Open {
                    node: id(u8::try_from(lane).unwrap() + 1),
                    boot: u64::try_from(number % 8).unwrap(),
                    session_millis: 1000,
                };
                let asked = Instant::now();
                node.propose(0, vec![command]).await.unwrap();
                times.push(asked.elapsed());
            }
            times
        });
    }
    let mut times: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    let took = begin.elapsed();
    times.sort_unstable();
    let rate = times.len() as f64 / took.as_secs_f64();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    let (p50, p99) = (at(50), at(99));
    println!("{in_flight} in flight: {rate:.0}/s, p50 {p50:?}, p99 {p99:?}");
}

//! How fast the lock table is: commands per second of contenders for one lock, and how long a step takes
//! of a lock with a full queue.

#![expect(clippy::print_stdout, reason = "what a benchmark is for")]

use std::time::{Duration, Instant};

use roda_proto::NodeId;
use roda_proto::token::{
    Fence, Frontier, LockCommand, LockName, Permits, Priority, RequestId, SessionId, Table,
    WAITERS_PER_LOCK_MAX,
};

const ROUNDS: u32 = 20;

fn main() {
    for held_millis in [0, 1000] {
        let rates = (0..ROUNDS).map(|_| contend(20, 10_000, held_millis));
        let best = rates.fold(0.0, f64::max);
        println!("20 sessions, held {held_millis} ms: {best:.0} commands/s, best of {ROUNDS}");
    }
    for locks in [1, 2] {
        let (mean, p99, slow) = drain_full_queue(locks);
        let steps = 2 * WAITERS_PER_LOCK_MAX;
        println!(
            "{WAITERS_PER_LOCK_MAX} waiters for {locks} lock(s): {mean:?} a step, 99 of 100 within {p99:?}, {slow} of {steps} above 100 µs"
        );
    }
}

/// Every session asks again with the command that releases.
fn contend(sessions: u8, rounds: u64, held_millis: u64) -> f64 {
    let mut table = opened(sessions);
    let mut request = 0;
    let mut queue = std::collections::VecDeque::new();
    for session in 1..=u64::from(sessions) {
        request += 1;
        table.apply(&[acquire(session, request, 1)]);
        queue.push_back(SessionId(session));
    }
    let begin = Instant::now();
    for _ in 0..rounds {
        let session = queue.pop_front().expect("all are in it");
        let view = table.view(session).expect("nothing expires");
        request += 1;
        table.apply(&[
            release(session, view.grants[0].fence, held_millis),
            acquire(session.0, request, 1),
        ]);
        queue.push_back(session);
    }
    let commands = u32::try_from(rounds * 2).expect("few");
    f64::from(commands) / begin.elapsed().as_secs_f64()
}

fn drain_full_queue(locks: usize) -> (Duration, Duration, usize) {
    let mut table = opened(200);
    let mut steps = Vec::new();
    let mut timed = |table: &mut Table, command: LockCommand| {
        let begin = Instant::now();
        let applied = table.apply(&[command]);
        steps.push(begin.elapsed());
        applied
    };
    for number in 0..WAITERS_PER_LOCK_MAX {
        let number = u64::try_from(number).expect("few");
        let _queued = timed(&mut table, acquire(1 + number % 200, number, locks));
    }
    for _ in 0..WAITERS_PER_LOCK_MAX {
        let status = table.sessions().find_map(|(session, ..)| {
            let view = table.view(session)?;
            let live = view.grants.iter().find(|grant| grant.after.is_empty())?;
            Some((session, live.fence))
        });
        let (session, fence) = status.expect("somebody is inside");
        let _left = timed(&mut table, release(session, fence, 0));
    }
    let count = u32::try_from(steps.len()).expect("few");
    steps.sort_unstable();
    let p99 = steps[steps.len() * 99 / 100];
    let slow = steps.iter().filter(|step| step.as_micros() > 100).count();
    (steps.iter().sum::<Duration>() / count, p99, slow)
}

fn opened(sessions: u8) -> Table {
    let mut table = Table::new();
    for number in 1..=sessions {
        table.apply(&[LockCommand::Open {
            node: NodeId([number; 32]),
            boot: 1,
            session_millis: 4000,
        }]);
    }
    table
}

fn acquire(session: u64, request: u64, locks: usize) -> LockCommand {
    let names = ["render/one", "render/two"];
    let names = names.iter().take(locks);
    LockCommand::Acquire {
        session: SessionId(session),
        request: RequestId(request),
        locks: names
            .map(|name| LockName::new(name).expect("a good name"))
            .collect(),
        permits: Permits::EXCLUSIVE,
        priority: Priority::default(),
        is_ahead: false,
    }
}

fn release(session: SessionId, fence: Fence, held_millis: u64) -> LockCommand {
    LockCommand::Release {
        session,
        fence,
        frontier: Frontier::default(),
        held_millis,
    }
}

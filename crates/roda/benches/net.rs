//! Prints what a datagram costs on loopback, one per system call and many.
//!
//! Run with `cargo bench -p roda --bench net`.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
#![expect(clippy::print_stdout, reason = "results are this program's purpose")]

// The module is private to the library, so it is compiled into the bench once more; and with
// `cfg(test)`, although nothing collects its tests.
#[allow(unused, reason = "the bench uses a part of the module")]
#[path = "../src/net/mod.rs"]
mod net;

use std::time::{Duration, Instant};

use roda_proto::{Destination, GroupId};

use net::{Net, RecvBatch};

const DATAGRAM_LEN: usize = 1200;
/// Fits the smallest receive buffer in use, so that nothing is lost between two calls of `recv`.
const BURST: usize = 64;
const ROUNDS: u32 = 2000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!("{DATAGRAM_LEN}-byte datagrams on loopback, µs per datagram, one thread");
    println!(
        "{:<10} {:>9} {:>8} {:>8} {:>8}",
        "", "segments", "send", "receive", "lost"
    );
    for to_group in [true, false] {
        for segments in [1, 2, 16] {
            measure(to_group, segments).await;
        }
    }
}

/// Sends in bursts and reads each burst before the next, timing both halves on their own.
async fn measure(to_group: bool, segments: usize) {
    let lo = ["127.0.0.1".to_owned()];
    let group = GroupId(*b"roda benchmark 1");
    let (from, to) = match (Net::open(&group, &lo), Net::open(&group, &lo)) {
        (Ok(from), Ok(to)) => (from, to),
        (Err(error), _) | (_, Err(error)) => return eprintln!("error: {error}"),
    };
    let destination = if to_group {
        Destination::Group
    } else {
        Destination::Address(to.local_addresses()[0])
    };
    let datagrams = vec![vec![7; DATAGRAM_LEN]; BURST];
    let (mut sending, mut receiving, mut received) = (Duration::ZERO, Duration::ZERO, 0);
    let (mut at_home, mut at_peer) = (RecvBatch::new(), RecvBatch::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for run in datagrams.chunks(segments) {
            from.send(&destination, run).await;
        }
        sending += start.elapsed();
        let start = Instant::now();
        received += drain(&to, &mut at_peer).await;
        receiving += start.elapsed();
        if to_group {
            drain(&from, &mut at_home).await;
        }
    }
    let sent = ROUNDS * u32::try_from(BURST).unwrap_or(u32::MAX);
    let each = |spent: Duration, count: u32| spent.as_secs_f64() * 1e6 / f64::from(count.max(1));
    let name = if to_group { "multicast" } else { "unicast" };
    let (send, receive) = (each(sending, sent), each(receiving, received));
    let lost = sent - received;
    println!("{name:<10} {segments:>9} {send:>8.2} {receive:>8.2} {lost:>8}");
}

/// Reads what has arrived, up to one burst.
async fn drain(net: &Net, batch: &mut RecvBatch) -> u32 {
    let mut count = 0;
    while usize::try_from(count).is_ok_and(|count| count < BURST) {
        let waiting = tokio::time::timeout(Duration::from_millis(50), net.recv(batch));
        let Ok((_via, datagrams)) = waiting.await else {
            break;
        };
        count += u32::try_from(datagrams.count()).unwrap_or(u32::MAX);
    }
    count
}

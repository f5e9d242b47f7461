//! Sending runs of datagrams from one address of one interface.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use rustix::io::Errno;
use tokio::time::{Instant, timeout_at};

use super::interfaces::Address;
use super::socket::Socket;

/// Most datagrams handed to the system with one call. Longer bursts overflow receivers' buffers.
pub(crate) const SEGMENTS_MAX: usize = 16;
/// Longest time that one call waits for sockets to take more; what is left then is dropped.
pub(crate) const SEND_WAIT_MAX: Duration = Duration::from_millis(20);
/// Most bytes handed to the system with one call: one UDP payload.
const RUN_LEN_MAX: usize = 65_000;

/// The sending side of one interface and family.
pub(super) struct Sender {
    pub(super) socket: Socket,
    pub(super) interface: u32,
    pub(super) loopback: bool,
    pub(super) address: Address,
    /// The group's address, with the interface as its scope.
    pub(super) group: SocketAddr,
    /// Datagrams per call: 2 until such a call has succeeded, 1 for good once one has failed.
    segments: AtomicUsize,
    /// Sends that failed since the last success because the network is not there.
    failures: AtomicUsize,
}

/// What became of the datagrams of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) dropped: usize,
    /// The interface may have changed: look again.
    pub(super) suspicious: bool,
}

/// How long a call with several sockets may still wait, all in all.
#[derive(Default)]
pub(super) struct Patience(Option<Instant>);

impl Patience {
    async fn wait(&mut self, socket: &Socket) -> bool {
        let end = *self.0.get_or_insert_with(|| Instant::now() + SEND_WAIT_MAX);
        matches!(timeout_at(end, socket.writable()).await, Ok(Ok(())))
    }
}

impl Sender {
    pub(super) fn new(
        socket: Socket,
        interface: u32,
        loopback: bool,
        address: Address,
        group: SocketAddr,
    ) -> Self {
        let probing = socket.segments_offered().clamp(1, 2);
        Self {
            socket,
            interface,
            loopback,
            address,
            group: with_scope(group, interface),
            segments: AtomicUsize::new(probing),
            failures: AtomicUsize::new(0),
        }
    }

    /// How well this sender suits `to`; lower is better, `None` if not at all.
    pub(super) fn distance(&self, to: &SocketAddr) -> Option<u8> {
        if self.address.ip.is_ipv4() != to.is_ipv4() {
            return None;
        }
        if let SocketAddr::V6(to) = to
            && to.scope_id() != 0
        {
            return (to.scope_id() == self.interface).then_some(0);
        }
        if self.address.is_neighbour(to.ip()) {
            Some(0)
        } else if self.loopback == to.ip().is_loopback() {
            Some(1)
        } else {
            Some(2)
        }
    }

    /// Sends all `datagrams` in order, several at once where they have the same length.
    ///
    /// Cancel-safe: dropped, it has sent a first part of them.
    pub(super) async fn send(
        &self,
        to: SocketAddr,
        datagrams: &[Vec<u8>],
        scratch: &mut Vec<u8>,
        patience: &mut Patience,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let mut rest = datagrams;
        while !rest.is_empty() {
            let run = run_len(rest, self.segments.load(Relaxed));
            let next = match self.send_run(to, &rest[..run], scratch) {
                Ok(()) => {
                    self.on_sent(run);
                    run
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !patience.wait(&self.socket).await {
                        outcome.dropped += rest.len();
                        return outcome;
                    }
                    0
                }
                // Drivers and tunnels without segmentation say so only when it is tried.
                Err(error) if run > 1 && is_errno(&error, &[Errno::IO, Errno::INVAL]) => {
                    tracing::debug!(local = %self.socket.local(), %error, "one datagram per call");
                    self.segments.store(1, Relaxed);
                    0
                }
                Err(error) if is_errno(&error, &GONE) => {
                    outcome.dropped += rest.len();
                    outcome.suspicious = self.failures.fetch_add(1, Relaxed) == 0;
                    return outcome;
                }
                Err(error) => {
                    tracing::trace!(local = %self.socket.local(), %to, %error, "sending failed");
                    outcome.dropped += run;
                    run
                }
            };
            rest = &rest[next..];
        }
        outcome
    }

    /// Whether datagrams are received from `source` when this sender sent them.
    pub(super) fn is_source(&self, source: &SocketAddr) -> bool {
        let local = self.socket.local();
        local.port() == source.port() && local.ip() == source.ip()
    }

    fn send_run(&self, to: SocketAddr, run: &[Vec<u8>], scratch: &mut Vec<u8>) -> io::Result<()> {
        if let [datagram] = run {
            return self.socket.try_send(to, datagram, None);
        }
        scratch.clear();
        for datagram in run {
            scratch.extend_from_slice(datagram);
        }
        self.socket.try_send(to, scratch, run.first().map(Vec::len))
    }

    fn on_sent(&self, run: usize) {
        if run > 1 {
            self.segments.store(SEGMENTS_MAX, Relaxed);
        }
        // A plain store would make every send write a cache line that other threads read.
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
    }
}

/// How many of the first `datagrams` can go in one call: all but the last have the same length.
fn run_len(datagrams: &[Vec<u8>], segments: usize) -> usize {
    let Some(len) = datagrams.first().map(Vec::len).filter(|len| *len > 0) else {
        return datagrams.len().min(1);
    };
    let fitting = (RUN_LEN_MAX / len).clamp(1, segments.max(1));
    let equal = datagrams
        .iter()
        .take(fitting)
        .take_while(|datagram| datagram.len() == len)
        .count();
    match datagrams.get(equal) {
        Some(last) if equal < fitting && (1..len).contains(&last.len()) => equal + 1,
        _ => equal,
    }
}

fn with_scope(address: SocketAddr, interface: u32) -> SocketAddr {
    match address {
        SocketAddr::V4(_) => address,
        SocketAddr::V6(mut v6) => {
            v6.set_scope_id(interface);
            SocketAddr::V6(v6)
        }
    }
}

fn is_errno(error: &io::Error, among: &[Errno]) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| among.contains(&errno))
}

/// The interface, its address or its route is not there (any more).
const GONE: [Errno; 5] = [
    Errno::NETUNREACH,
    Errno::NETDOWN,
    Errno::ADDRNOTAVAIL,
    Errno::NODEV,
    Errno::NXIO,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn lens(lens: &[usize]) -> Vec<Vec<u8>> {
        lens.iter().map(|len| vec![0; *len]).collect()
    }

    #[test]
    fn a_run_is_of_equal_length_but_for_a_shorter_last_one() {
        assert_eq!(run_len(&lens(&[]), 16), 0);
        assert_eq!(run_len(&lens(&[9]), 16), 1);
        assert_eq!(run_len(&lens(&[9, 9, 9]), 16), 3);
        assert_eq!(run_len(&lens(&[9, 9, 3, 9]), 16), 3);
        assert_eq!(run_len(&lens(&[9, 9, 10]), 16), 2);
        assert_eq!(run_len(&lens(&[9, 9, 0]), 16), 2);
        assert_eq!(run_len(&lens(&[0, 0]), 16), 1);
    }

    #[test]
    fn a_run_keeps_to_the_limits_of_number_and_bytes() {
        assert_eq!(run_len(&lens(&[9; 40]), SEGMENTS_MAX), 16);
        assert_eq!(run_len(&lens(&[9; 40]), 2), 2);
        assert_eq!(run_len(&lens(&[9; 40]), 1), 1);
        assert_eq!(run_len(&lens(&[9, 3]), 1), 1);
        assert_eq!(run_len(&lens(&[9000; 40]), SEGMENTS_MAX), 7);
        assert_eq!(run_len(&lens(&[70_000; 2]), SEGMENTS_MAX), 1);
    }
}

//! The baseline: plain multicast with `sendto` and `recvfrom`, nothing else.

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use socket2::{SockAddr, Socket};

use super::tally::{Phase, Tally, message};
use super::worker::Sender;
use super::{Job, System};
use crate::error::Result;
use crate::net;

/// Sends plain datagrams.
pub(crate) struct RawSender {
    socket: Socket,
    group: SockAddr,
    is_batched: bool,
}

impl RawSender {
    /// Opens the socket.
    pub(crate) fn open(job: &Job) -> Result<Self> {
        let group = group(job);
        Ok(Self {
            socket: open(job)?,
            group: group.into(),
            is_batched: job.system == System::RawBatched,
        })
    }
}

impl Sender for RawSender {
    async fn send_until(&mut self, size: usize, end: Instant) -> Result<u64> {
        let per_datagram = if self.is_batched {
            (DATAGRAM_LEN / size).max(1)
        } else {
            1
        };
        let mut sent = 0;
        let mut datagram = Vec::with_capacity(DATAGRAM_LEN);
        while Instant::now() < end {
            datagram.clear();
            for _ in 0..per_datagram {
                datagram.extend_from_slice(&message(Phase::Speed, size));
            }
            self.socket
                .send_to(&datagram, &self.group)
                .map_err(net::failure)?;
            sent += per_datagram as u64;
        }
        Ok(sent)
    }

    async fn send_one(&mut self, message: Vec<u8>) -> Result<()> {
        self.socket
            .send_to(&message, &self.group)
            .map_err(net::failure)?;
        Ok(())
    }
}

/// Starts a thread that counts what arrives.
pub(crate) fn receive(job: &Job, tally: Tally) -> Result<()> {
    let socket = open(job)?;
    let (size, loss) = (job.size, job.loss);
    std::thread::spawn(move || {
        let mut datagram = [0; 2048];
        let mut dice = Dice(super::tally::now_ns() | 1);
        // The thread ends with the process.
        while let Ok(len) = (&socket).read(&mut datagram) {
            if !dice.falls_below(loss) {
                tally.add(datagram[..len].chunks(size));
            }
        }
    });
    Ok(())
}

fn open(job: &Job) -> Result<Socket> {
    let interface = net::find_interface(&job.iface)?;
    let socket = net::multicast_socket(group(job), Some(&interface)).map_err(net::failure)?;
    // The kernel caps it at its own maximum; what it grants is part of the result.
    socket
        .set_recv_buffer_size(RECEIVE_BUFFER_LEN)
        .map_err(net::failure)?;
    Ok(socket)
}

const fn group(job: &Job) -> SocketAddrV4 {
    SocketAddrV4::new(GROUP, job.port)
}

/// A small random number generator (xorshift64), good enough for dropping datagrams.
struct Dice(u64);

impl Dice {
    fn falls_below(&mut self, share: f64) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // The upper 32 bits are exact in a double.
        f64::from((self.0 >> 32) as u32) < share * f64::from(u32::MAX)
    }
}

/// A group of the organisation-local scope that nothing else here uses.
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 77, 77);
/// What a datagram of Roda holds at most.
const DATAGRAM_LEN: usize = 1200;
const RECEIVE_BUFFER_LEN: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dice_fall_as_often_as_they_should() {
        let mut dice = Dice(42);
        let hits = (0..100_000).filter(|_| dice.falls_below(0.1)).count();
        assert!((9_500..10_500).contains(&hits), "{hits}");
        assert!(!(0..1000).any(|_| dice.falls_below(0.0)));
    }
}

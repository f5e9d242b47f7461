//! What the machine can do at best: wait for the disk, and pass a bare datagram on.

use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use super::rounds::Turn;
use crate::error::{Failure, Result};
use crate::net;

/// How often one process can append to a file and wait for the disk, per second.
pub(crate) fn disk_syncs_per_s(directory: &Path) -> Result<f64> {
    let path = directory.join("sync");
    let fault = |error| Failure::file(&path, &error);
    let mut file = File::create(&path).map_err(fault)?;
    let (start, mut syncs) = (Instant::now(), 0_u32);
    while start.elapsed() < DISK_TIME {
        file.write_all(&[0; ENTRY_LEN]).map_err(fault)?;
        file.sync_data().map_err(fault)?;
        syncs += 1;
    }
    Ok(f64::from(syncs) / start.elapsed().as_secs_f64())
}

/// A place in a ring in which one datagram goes round. Whoever has it is inside.
pub(crate) struct RingPlace {
    socket: UdpSocket,
    next: u16,
}

impl RingPlace {
    /// A place of which nobody knows yet.
    pub(crate) fn open() -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(net::failure)?;
        socket
            .set_read_timeout(Some(LOST_AFTER))
            .map_err(net::failure)?;
        Ok(Self { socket, next: 0 })
    }

    /// Its port.
    pub(crate) fn port(&self) -> Result<u16> {
        Ok(self.socket.local_addr().map_err(net::failure)?.port())
    }

    /// From now on the datagram goes there.
    pub(crate) const fn set_next(&mut self, port: u16) {
        self.next = port;
    }

    /// Brings the datagram into the ring.
    pub(crate) fn start(port: u16) -> Result<()> {
        Self {
            next: port,
            ..Self::open()?
        }
        .pass_on()
    }

    /// Until the end of the process. Without this the datagram would rest where it arrives just after
    /// the last round of a place, and those behind it would wait for ever.
    pub(crate) fn keep_passing_on(&self) -> Result<()> {
        let place = Self {
            socket: self.socket.try_clone().map_err(net::failure)?,
            next: self.next,
        };
        std::thread::spawn(
            move || {
                while place.receive().is_ok() && place.pass_on().is_ok() {}
            },
        );
        Ok(())
    }

    fn receive(&self) -> Result<()> {
        self.socket
            .recv(&mut [0; DATAGRAM_LEN])
            .map_err(net::failure)?;
        Ok(())
    }

    fn pass_on(&self) -> Result<()> {
        // Who has left the ring at the end refuses it, and the socket tells with the next call.
        self.socket
            .send_to(&[0; DATAGRAM_LEN], (Ipv4Addr::LOCALHOST, self.next))
            .map_err(net::failure)?;
        Ok(())
    }
}

/// The calls block: nothing else runs in such a process.
impl Turn for RingPlace {
    type Held = ();

    async fn acquire(&mut self) -> Result<()> {
        self.receive()
    }

    async fn release(&mut self, (): ()) -> Result<()> {
        self.pass_on()
    }
}

/// About the size of an entry that grants a lock.
const ENTRY_LEN: usize = 256;
/// About the size of a token.
const DATAGRAM_LEN: usize = 100;
const DISK_TIME: Duration = Duration::from_millis(500);
/// Loopback loses nothing as a rule; a ring that has lost its datagram must not hang.
const LOST_AFTER: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_datagram_goes_round() {
        let mut places = [RingPlace::open().unwrap(), RingPlace::open().unwrap()];
        let ports = [places[0].port().unwrap(), places[1].port().unwrap()];
        places[0].set_next(ports[1]);
        places[1].set_next(ports[0]);
        RingPlace::start(ports[0]).unwrap();
        for turn in 0..4 {
            let place = &mut places[turn % 2];
            place.acquire().await.unwrap();
            place.release(()).await.unwrap();
        }
    }
}

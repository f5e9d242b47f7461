//! Accepting streams, within limits that strangers cannot raise.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use roda_proto::stream::Refusal;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::connection::Stream;
use super::identity::TlsIdentity;
use super::{HANDSHAKE_TIME_MAX, HANDSHAKES_MAX, STREAMS_MAX};

/// Connections that the system keeps waiting.
const BACKLOG: i32 = 128;
/// Pause after a failure to accept, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts streams on a port of its own, over IPv4 and IPv6.
pub(crate) struct Listener {
    socket: TcpListener,
    acceptor: TlsAcceptor,
    handshakes: JoinSet<Option<Stream>>,
    /// Handshakes under way, the oldest first.
    waiting: VecDeque<AbortHandle>,
    places: Arc<Semaphore>,
}

impl Listener {
    /// Listens on a free port of every address.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn bind(identity: &TlsIdentity) -> io::Result<Self> {
        let socket = listen((Ipv6Addr::UNSPECIFIED, 0).into())
            .or_else(|_no_ipv6| listen((Ipv4Addr::UNSPECIFIED, 0).into()))?;
        Ok(Self {
            socket: TcpListener::from_std(socket.into())?,
            acceptor: TlsAcceptor::from(identity.server()),
            handshakes: JoinSet::new(),
            waiting: VecDeque::new(),
            places: Arc::new(Semaphore::new(STREAMS_MAX)),
        })
    }

    /// The port it listens on.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }

    /// The next stream whose far end has proved its key. It keeps its place until it is dropped.
    ///
    /// Cancel-safe: handshakes under way go on with the next call.
    pub(crate) async fn accept(&mut self) -> Stream {
        loop {
            tokio::select! {
                Some(ended) = self.handshakes.join_next() => {
                    if let Ok(Some(stream)) = ended {
                        return stream;
                    }
                }
                accepted = self.socket.accept() => match accepted {
                    Ok((tcp, address)) => self.start_handshake(tcp, address),
                    Err(error) => {
                        tracing::debug!(%error, "cannot accept a stream");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    fn start_handshake(&mut self, tcp: TcpStream, address: SocketAddr) {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let acceptor = self.acceptor.clone();
        let places = Arc::clone(&self.places);
        self.waiting.retain(|waiting| !waiting.is_finished());
        // Who has waited longest gives way: strangers that say nothing must not keep others out, and an
        // honest handshake takes milliseconds.
        while self.waiting.len() >= HANDSHAKES_MAX {
            if let Some(oldest) = self.waiting.pop_front() {
                oldest.abort();
            }
        }
        let handshake = self.handshakes.spawn(async move {
            let proved = timeout(
                HANDSHAKE_TIME_MAX,
                handshake(acceptor, tcp, address, places),
            );
            proved.await.ok().flatten()
        });
        self.waiting.push_back(handshake);
    }
}

async fn handshake(
    acceptor: TlsAcceptor,
    tcp: TcpStream,
    address: SocketAddr,
    places: Arc<Semaphore>,
) -> Option<Stream> {
    let proved = async {
        tcp.set_nodelay(true)?;
        let tls = acceptor.accept(tcp).await?;
        Stream::new(TlsStream::Server(tls), address)
    };
    let stream = match proved.await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%address, %error, "stream not accepted");
            return None;
        }
    };
    match places.try_acquire_owned() {
        Ok(place) => Some(stream.with_permit(place)),
        Err(_all_taken) => {
            if let Err(error) = stream.refuse(Refusal::Busy).await {
                tracing::debug!(%address, %error, "busy");
            }
            None
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

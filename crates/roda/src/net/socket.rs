//! UDP sockets: opening them, and reading and writing through `quinn-udp`.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::task::{Context, Poll};

use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Kernel buffer asked for in each direction; what the system grants may be less.
const BUFFER_LEN: usize = 4 * 1024 * 1024;
/// Errors skipped in a row while reading. They belong to earlier sends (ICMP), so each read takes
/// one away, but the number of those waiting is not ours to trust.
const ERRORS_SKIPPED_MAX: usize = 16;

/// A socket with what `quinn-udp` knows about it.
pub(super) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
}

impl Socket {
    /// A socket that hears `group` wherever it has joined it.
    ///
    /// Several processes of one machine can listen on the same group.
    pub(super) fn listening(group: SocketAddr) -> io::Result<Self> {
        let socket = new_socket(group.is_ipv4())?;
        socket.set_reuse_address(true)?;
        #[cfg(all(unix, not(target_os = "linux")))]
        socket.set_reuse_port(true)?;
        // Without this the socket gets what any process of the machine has joined.
        #[cfg(target_os = "linux")]
        if group.is_ipv4() {
            socket.set_multicast_all_v4(false)?;
        } else {
            socket.set_multicast_all_v6(false)?;
        }
        socket.bind(&SocketAddr::new(unspecified(group.is_ipv4()), group.port()).into())?;
        Self::from_socket(socket)
    }

    /// A socket for one address of one interface: for unicast both ways, and for sending multicast.
    ///
    /// `port` is a wish: another one is taken if it is not free.
    pub(super) fn sending(ip: IpAddr, interface: u32, port: u16) -> io::Result<Self> {
        let socket = new_socket(ip.is_ipv4())?;
        bind_address(&socket, ip, interface, port)?;
        // The loop is for other homes on this machine. One hop: the group is one LAN's matter.
        match ip {
            IpAddr::V4(ip) => {
                set_interface_v4(&socket, ip, interface)?;
                socket.set_multicast_ttl_v4(1)?;
                socket.set_multicast_loop_v4(true)?;
            }
            IpAddr::V6(_) => {
                socket.set_multicast_if_v6(interface)?;
                socket.set_multicast_hops_v6(1)?;
                socket.set_multicast_loop_v6(true)?;
            }
        }
        Self::from_socket(socket)
    }

    fn from_socket(socket: socket2::Socket) -> io::Result<Self> {
        // Sets non-blocking mode, "don't fragment" and receive offload where available.
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let io = UdpSocket::from_std(socket.into())?;
        let local = io.local_addr()?;
        Ok(Self { io, state, local })
    }

    /// The address it is bound to.
    pub(super) const fn local(&self) -> SocketAddr {
        self.local
    }

    /// Most datagrams of equal length that the system says it can send with one call.
    pub(super) fn segments_offered(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// Joins `group` on an interface; joining twice is no error.
    pub(super) fn join(&self, group: IpAddr, interface: u32) -> io::Result<()> {
        let socket = SockRef::from(&self.io);
        let joined = match group {
            IpAddr::V4(ip) => {
                socket.join_multicast_v4_n(&ip, &InterfaceIndexOrAddress::Index(interface))
            }
            IpAddr::V6(ip) => socket.join_multicast_v6(&ip, interface),
        };
        match joined {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(()),
            other => other,
        }
    }

    /// Leaves `group` on an interface.
    pub(super) fn leave(&self, group: IpAddr, interface: u32) -> io::Result<()> {
        let socket = SockRef::from(&self.io);
        match group {
            IpAddr::V4(ip) => {
                socket.leave_multicast_v4_n(&ip, &InterfaceIndexOrAddress::Index(interface))
            }
            IpAddr::V6(ip) => socket.leave_multicast_v6(&ip, interface),
        }
    }

    /// Sends `contents`, cut into datagrams of `segment_len`, or tells that it would block.
    pub(super) fn try_send(
        &self,
        destination: SocketAddr,
        contents: &[u8],
        segment_len: Option<usize>,
    ) -> io::Result<()> {
        let transmit = Transmit {
            destination,
            ecn: None,
            contents,
            segment_size: segment_len,
            src_ip: None,
        };
        self.io.try_io(Interest::WRITABLE, || {
            self.state.try_send(UdpSockRef::from(&self.io), &transmit)
        })
    }

    /// Waits until sending may succeed. Cancel-safe.
    pub(super) async fn writable(&self) -> io::Result<()> {
        self.io.writable().await
    }

    /// Reads as many datagrams as are there, and tells how many elements of `metas` were filled.
    pub(super) fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<usize> {
        for _ in 0..ERRORS_SKIPPED_MAX {
            if self.io.poll_recv_ready(cx).is_pending() {
                return Poll::Pending;
            }
            let received = self.io.try_io(Interest::READABLE, || {
                self.state.recv(UdpSockRef::from(&self.io), buffers, metas)
            });
            match received {
                Ok(count) => return Poll::Ready(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => tracing::trace!(local = %self.local, %error, "receiving failed"),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn new_socket(v4: bool) -> io::Result<socket2::Socket> {
    let domain = if v4 { Domain::IPV4 } else { Domain::IPV6 };
    let socket = socket2::Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if !v4 {
        socket.set_only_v6(true)?;
    }
    grow_buffers(&socket);
    Ok(socket)
}

/// Asks for large buffers, beyond the system's limit where this process may; small ones only mean
/// more repairs, so a refusal is no error.
fn grow_buffers(socket: &socket2::Socket) {
    #[cfg(target_os = "linux")]
    {
        use rustix::net::sockopt;
        let receiving = sockopt::set_socket_recv_buffer_size_force(socket, BUFFER_LEN);
        let sending = sockopt::set_socket_send_buffer_size_force(socket, BUFFER_LEN);
        if receiving.is_ok() && sending.is_ok() {
            return;
        }
    }
    let granted = socket
        .set_recv_buffer_size(BUFFER_LEN)
        .and_then(|()| socket.set_send_buffer_size(BUFFER_LEN));
    if let Err(error) = granted {
        tracing::debug!(%error, "small socket buffers");
    }
}

fn bind_address(socket: &socket2::Socket, ip: IpAddr, interface: u32, port: u16) -> io::Result<()> {
    let address = |port| match ip {
        IpAddr::V6(ip) if ip.is_unicast_link_local() => {
            SocketAddr::V6(SocketAddrV6::new(ip, port, 0, interface))
        }
        ip => SocketAddr::new(ip, port),
    };
    match socket.bind(&address(port).into()) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && port != 0 => {
            socket.bind(&address(0).into())
        }
        other => other,
    }
}

/// By index where possible: two interfaces may have the same address.
#[cfg(target_os = "linux")]
fn set_interface_v4(socket: &socket2::Socket, ip: Ipv4Addr, interface: u32) -> io::Result<()> {
    rustix::net::sockopt::set_ip_multicast_if_with_ifindex(
        socket,
        &Ipv4Addr::UNSPECIFIED,
        &ip,
        interface,
    )?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn set_interface_v4(socket: &socket2::Socket, ip: Ipv4Addr, _interface: u32) -> io::Result<()> {
    socket.set_multicast_if_v4(&ip)
}

const fn unspecified(v4: bool) -> IpAddr {
    if v4 {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    } else {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    }
}

//! Plain multicast sockets, for the classroom program and for the baseline of the benchmark.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use crate::error::{Failure, Result};

/// A socket that hears `group` and sends to it no farther than this network.
pub(crate) fn multicast_socket(
    group: SocketAddrV4,
    interface: Option<&InterfaceIndexOrAddress>,
) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    // Several programs on one machine hear the same group.
    socket.set_reuse_address(true)?;
    socket.set_multicast_ttl_v4(1)?;
    socket.set_multicast_loop_v4(true)?;
    let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, group.port());
    socket.bind(&any.into())?;
    match interface {
        None => socket.join_multicast_v4(group.ip(), &Ipv4Addr::UNSPECIFIED)?,
        Some(interface) => socket.join_multicast_v4_n(group.ip(), interface)?,
    }
    match interface {
        None => {}
        Some(InterfaceIndexOrAddress::Address(address)) => socket.set_multicast_if_v4(address)?,
        Some(InterfaceIndexOrAddress::Index(index)) => {
            rustix::net::sockopt::set_ip_multicast_if_with_ifindex(
                &socket,
                group.ip(),
                &Ipv4Addr::UNSPECIFIED,
                *index,
            )?;
        }
    }
    Ok(socket)
}

/// An interface by its address or its name.
pub(crate) fn find_interface(text: &str) -> Result<InterfaceIndexOrAddress> {
    if let Ok(IpAddr::V4(address)) = text.parse() {
        return Ok(InterfaceIndexOrAddress::Address(address));
    }
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).map_err(failure)?;
    rustix::net::netdevice::name_to_index(&socket, text)
        .map(InterfaceIndexOrAddress::Index)
        .map_err(|_no_such| Failure::new("unknown-interface").with("interface", text))
}

/// A failed socket operation.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err wants"
)]
pub(crate) fn failure(error: io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::AddrInUse => "port-in-use",
        _ => "network",
    };
    Failure::new(code).with("reason", error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_known_by_name_or_address() {
        assert!(matches!(
            find_interface("lo"),
            Ok(InterfaceIndexOrAddress::Index(_))
        ));
        assert!(matches!(
            find_interface("127.0.0.1"),
            Ok(InterfaceIndexOrAddress::Address(_))
        ));
        assert_eq!(
            find_interface("nope0").unwrap_err().code,
            "unknown-interface"
        );
    }
}

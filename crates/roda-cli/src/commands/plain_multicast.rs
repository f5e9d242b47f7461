//! `roda chat --plain-multicast`: talks to a classroom program that sends bare UTF-8 datagrams.
//!
//! Nothing of Roda's protocol is used here, so nothing is encrypted, repaired or stored.

use std::net::SocketAddrV4;

use jiff::Zoned;
use tokio::net::UdpSocket;

use super::{App, input};
use crate::error::{Failure, Result};
use crate::net;
use crate::output::escaped_bytes;

pub(super) async fn run(app: &App, group: &str, interface: Option<&str>) -> Result<()> {
    let group = parse_group(group)?;
    let socket = open(group, interface)?;
    let values = [("group", group.to_string().into())];
    app.ui.note(&app.ui.text("plain-warning", &values));
    let mut input = input::chunks();
    let mut datagram = [0; DATAGRAM_LEN_MAX];
    loop {
        tokio::select! {
            received = socket.recv_from(&mut datagram) => {
                let (len, sender) = received.map_err(net::failure)?;
                let time = Zoned::now();
                app.ui.line(&format!(
                    "[{}] {}: {}",
                    time.strftime("%H:%M:%S"),
                    sender.ip(),
                    escaped_bytes(&datagram[..len])
                ))?;
            }
            chunk = input.recv() => match chunk {
                Some(lines) => send(app, &socket, group, &lines?).await?,
                None => return Ok(()),
            },
        }
    }
}

async fn send(app: &App, socket: &UdpSocket, group: SocketAddrV4, lines: &[String]) -> Result<()> {
    for line in lines {
        if line.len() > DATAGRAM_LEN_MAX {
            // The next line may be short, so a long one does not end the conversation.
            app.ui.failure(
                &Failure::new("plain-too-long")
                    .with("bytes", line.len())
                    .with("most", DATAGRAM_LEN_MAX),
            );
            continue;
        }
        socket
            .send_to(line.as_bytes(), group)
            .await
            .map_err(net::failure)?;
    }
    Ok(())
}

fn parse_group(text: &str) -> Result<SocketAddrV4> {
    text.parse::<SocketAddrV4>()
        .ok()
        .filter(|group| group.ip().is_multicast() && group.port() != 0)
        .ok_or_else(|| Failure::new("usage-group").with("value", text))
}

fn open(group: SocketAddrV4, interface: Option<&str>) -> Result<UdpSocket> {
    let chosen = interface.map(net::find_interface).transpose()?;
    let socket = net::multicast_socket(group, chosen.as_ref()).map_err(net::failure)?;
    socket.set_nonblocking(true).map_err(net::failure)?;
    UdpSocket::from_std(socket.into()).map_err(net::failure)
}

/// What the classroom program reads at once; it would silently lose the rest.
const DATAGRAM_LEN_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_multicast_group_with_a_port_is_taken() {
        assert!(parse_group("224.1.1.1:5007").is_ok());
        for bad in [
            "224.1.1.1",
            "10.0.0.1:5007",
            "224.1.1.1:0",
            "[ff02::1]:5007",
            "x",
        ] {
            assert_eq!(parse_group(bad).unwrap_err().code, "usage-group", "{bad}");
        }
    }
}

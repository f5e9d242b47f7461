//! Conversation with the classroom program, played by a bare socket on loopback.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::process::Stdio;
use std::time::Duration;

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use crate::roda::{Lines, roda};

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 1, 1, 1);

/// What the classroom program does: SO_REUSEADDR, bind to the port, join, read 1,024 bytes.
fn classroom(port: u16) -> UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket
        .bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port).into())
        .unwrap();
    let interface = InterfaceIndexOrAddress::Address(Ipv4Addr::LOCALHOST);
    socket.join_multicast_v4_n(&GROUP, &interface).unwrap();
    socket.set_multicast_if_v4(&Ipv4Addr::LOCALHOST).unwrap();
    let socket: UdpSocket = socket.into();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    socket
}

fn port() -> u16 {
    // Whoever binds with SO_REUSEADDR later shares it; what counts is that no other test has it.
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

#[test]
fn lines_go_out_as_bare_datagrams_and_long_ones_are_refused() {
    let port = port();
    let program = classroom(port);
    let group = format!("{GROUP}:{port}");
    let mut child = roda()
        .args(["chat", "--plain-multicast", &group, "--iface", "lo"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let longest = "y".repeat(1024);
    writeln!(stdin, "olá\n{}\n{longest}", "x".repeat(1025)).unwrap();
    drop(stdin);
    let mut buffer = [0; 2048];
    let (len, _) = program.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..len], "olá".as_bytes());
    let (len, _) = program.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..len], longest.as_bytes());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(stderr.starts_with("WARNING: plain multicast"), "{stderr}");
    let refused =
        "error: a plain message has at most 1024 bytes, this one has 1025; it was not sent";
    assert!(stderr.contains(refused), "{stderr}");
}

#[test]
fn what_arrives_is_shown_with_time_and_address_and_cannot_steer_the_terminal() {
    let port = port();
    let program = classroom(port);
    let group = format!("{GROUP}:{port}");
    let mut command = roda();
    command
        .args(["chat", "--plain-multicast", &group, "--iface", "127.0.0.1"])
        .stdin(Stdio::piped());
    let lines = Lines::of_talkative(command);
    program
        .send_to("oi\u{1b}[2J\u{7}".as_bytes(), (GROUP, port))
        .unwrap();
    let line = lines.take(1).remove(0);
    let (time, rest) = line.split_at("[hh:mm:ss] ".len());
    assert!(time.starts_with('[') && time.ends_with("] "), "{line}");
    assert_eq!(rest, "127.0.0.1: oi\\u{1b}[2J\\u{7}");
}

//! Programs that a scenario runs on a host beside Roda: one that listens, one that attacks.

use std::fs;
use std::io::{ErrorKind, Write, stdout};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use socket2::{Domain, Protocol, Socket, Type};

use super::random::Random;

/// Largest UDP payload over IPv4.
const PAYLOAD_LEN_MAX: usize = 65_507;
/// Datagrams sent between two pauses of a millisecond: about 20,000 a second.
const BURST: u64 = 20;

/// A datagram as it came over the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Captured {
    pub(crate) source: SocketAddr,
    pub(crate) payload: Vec<u8>,
}

impl Captured {
    /// One line of a capture.
    fn to_line(&self) -> String {
        let hex: String = self
            .payload
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{} {hex}", self.source)
    }

    fn from_line(line: &str) -> Option<Self> {
        let (source, hex) = line.split_once(' ')?;
        let payload = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok())
            .collect::<Option<_>>()?;
        Some(Self {
            source: source.parse().ok()?,
            payload,
        })
    }

    /// All datagrams of a capture.
    pub(crate) fn parse(text: &str) -> Result<Vec<Self>> {
        text.lines()
            .map(|line| Self::from_line(line).context("a damaged line in a capture"))
            .collect()
    }
}

/// `capture INTERFACE GROUP COUNT SECONDS READY`: joins the group and prints what arrives.
///
/// Ends after `COUNT` datagrams or `SECONDS`; makes the file `READY` once it listens.
pub(crate) fn capture(words: &[String]) -> Result<()> {
    let [interface, group, count, seconds, ready] = words else {
        bail!("usage: capture INTERFACE GROUP COUNT SECONDS READY");
    };
    let (interface, group): (Ipv4Addr, SocketAddr) = (interface.parse()?, group.parse()?);
    let (mut left, seconds): (usize, u64) = (count.parse()?, seconds.parse()?);
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_recv_buffer_size(4 << 20)?;
    socket.bind(&SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), group.port()).into())?;
    let socket = UdpSocket::from(socket);
    if let IpAddr::V4(group) = group.ip()
        && group.is_multicast()
    {
        socket.join_multicast_v4(&group, &interface)?;
    }
    fs::write(ready, "")?;
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut buffer = vec![0; PAYLOAD_LEN_MAX];
    let mut lines = stdout().lock();
    while left > 0 {
        let rest = deadline.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            break;
        }
        socket.set_read_timeout(Some(rest))?;
        match socket.recv_from(&mut buffer) {
            Ok((len, source)) => {
                let payload = buffer[..len].to_vec();
                writeln!(lines, "{}", Captured { source, payload }.to_line())?;
                left -= 1;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// `send INTERFACE COUNT TARGET…`: sends numbered datagrams to each target.
pub(crate) fn send(words: &[String]) -> Result<()> {
    let [interface, count, targets @ ..] = words else {
        bail!("usage: send INTERFACE COUNT TARGET…");
    };
    let targets = addresses(targets)?;
    let interface = interface.parse()?;
    let sender = Sender::new(interface, interface, 0)?;
    let mut pace = Pace::default();
    for number in 0..count.parse::<u32>()? {
        for target in &targets {
            sender.send(&number.to_be_bytes(), *target)?;
            pace.wait();
        }
    }
    Ok(())
}

/// `attack replay|spoof|forge|garbage INTERFACE CAPTURE SECONDS TARGET…`: sends hostile datagrams to
/// each target for that long and prints how many.
///
/// `replay` repeats what was captured, `spoof` does so under the original source address, `forge`
/// changes it, `garbage` makes something up.
pub(crate) fn attack(words: &[String]) -> Result<()> {
    let [mode, interface, capture, seconds, targets @ ..] = words else {
        bail!("usage: attack MODE INTERFACE CAPTURE SECONDS TARGET…");
    };
    let captured = Captured::parse(&fs::read_to_string(capture)?)?;
    ensure!(!captured.is_empty(), "the capture is empty");
    let (interface, targets) = (interface.parse()?, addresses(targets)?);
    let deadline = Instant::now() + Duration::from_secs(seconds.parse()?);
    let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
    let own = Sender::new(interface, interface, 0)?;
    let mut pace = Pace::default();
    while Instant::now() < deadline {
        for number in 0..captured.len() {
            let original = &captured[number];
            let payload = match mode.as_str() {
                "replay" | "spoof" => original.payload.clone(),
                "forge" => forge(
                    original,
                    &captured[random.below(captured.len())],
                    &mut random,
                ),
                "garbage" => garbage(&mut random),
                _ => bail!("unknown attack {mode:?}"),
            };
            for target in &targets {
                match original.source.ip() {
                    IpAddr::V4(source) if mode == "spoof" => {
                        Sender::new(interface, source, original.source.port())?
                            .send(&payload, *target)?;
                    }
                    _ => own.send(&payload, *target)?,
                }
                pace.wait();
            }
        }
    }
    writeln!(stdout(), "{}", pace.sent)?;
    Ok(())
}

/// `occupy COUNT READY TARGET…`: opens that many TCP connections to each target, says nothing on some
/// and nonsense on others, and holds them for as long as it runs.
pub(crate) fn occupy(words: &[String]) -> Result<()> {
    let [count, ready, targets @ ..] = words else {
        bail!("usage: occupy COUNT READY TARGET…");
    };
    let mut random = Random::new(1);
    let mut held = Vec::new();
    for number in 0..count.parse::<usize>()? {
        for target in addresses(targets)? {
            // A node may refuse, or close at once; that is its right.
            if let Ok(mut stream) = TcpStream::connect_timeout(&target, Duration::from_secs(2)) {
                if number.is_multiple_of(2) {
                    let _refused = stream.write_all(&garbage(&mut random));
                }
                held.push(stream);
            }
        }
    }
    ensure!(!held.is_empty(), "nobody answers on {targets:?}");
    fs::write(ready, held.len().to_string())?;
    loop {
        std::thread::park();
    }
}

/// Sends in bursts with pauses between them.
#[derive(Default)]
struct Pace {
    sent: u64,
}

impl Pace {
    fn wait(&mut self) {
        self.sent += 1;
        if self.sent.is_multiple_of(BURST) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A socket that sends by one interface.
struct Sender(UdpSocket);

impl Sender {
    fn new(interface: Ipv4Addr, source: Ipv4Addr, port: u16) -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        if source != interface {
            // Lets it send from an address that is another host's.
            socket.set_ip_transparent_v4(true)?;
        }
        socket.bind(&SocketAddr::new(source.into(), port).into())?;
        socket.set_multicast_if_v4(&interface)?;
        Ok(Self(socket.into()))
    }

    fn send(&self, payload: &[u8], target: SocketAddr) -> Result<()> {
        match self.0.send_to(payload, target) {
            Ok(_) => Ok(()),
            // A full queue, or the target's "nobody listens here" for an earlier datagram.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::ConnectionRefused
                ) || error.raw_os_error() == Some(105) =>
            {
                Ok(())
            }
            Err(error) => Err(error).with_context(|| format!("sending to {target}")),
        }
    }
}

/// A captured datagram with one thing wrong: a byte, its length, or another one's body or header.
fn forge(original: &Captured, other: &Captured, random: &mut Random) -> Vec<u8> {
    let mut payload = original.payload.clone();
    let len = payload.len();
    if len == 0 {
        return garbage(random);
    }
    match random.below(5) {
        // The header is short; most of what it can do wrong is found there.
        0 => payload[random.below(len.min(32))] ^= 1 << random.below(8),
        1 => payload[random.below(len)] ^= 1 << random.below(8),
        2 => payload.truncate(random.below(len)),
        3 => payload.extend_from_slice(&garbage(random)[..1]),
        _ => {
            let cut = random.below(len.min(other.payload.len()) + 1);
            payload.truncate(cut);
            payload.extend_from_slice(&other.payload[cut..]);
        }
    }
    payload
}

fn garbage(random: &mut Random) -> Vec<u8> {
    // Mostly of the usual size, sometimes so long that the network must cut it.
    let len = match random.below(20) {
        0 => 1 + random.below(9_000),
        _ => 1 + random.below(1_400),
    };
    (0..len).map(|_| random.byte()).collect()
}

fn addresses(words: &[String]) -> Result<Vec<SocketAddr>> {
    words
        .iter()
        .map(|word| word.parse().with_context(|| format!("no address: {word}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(payload: &[u8]) -> Captured {
        Captured {
            source: "10.77.0.1:9000".parse().unwrap(),
            payload: payload.to_vec(),
        }
    }

    #[test]
    fn a_capture_survives_a_round_trip() {
        let lines = format!(
            "{}\n{}\n",
            captured(b"ab").to_line(),
            captured(b"").to_line()
        );
        let parsed = Captured::parse(&lines).unwrap();
        assert_eq!(parsed, [captured(b"ab"), captured(b"")]);
        assert!(Captured::parse("10.77.0.1:9000 abc").is_err());
    }

    #[test]
    fn a_forgery_always_differs_in_some_run() {
        let mut random = Random::new(1);
        let (original, other) = (captured(&[7; 40]), captured(&[8; 50]));
        let changed = (0..100)
            .filter(|_| forge(&original, &other, &mut random) != original.payload)
            .count();
        assert!(changed > 90);
    }
}

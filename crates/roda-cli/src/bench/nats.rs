//! NATS core as a second yardstick: a minimal client of its text protocol, and the server's process.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use super::tally::{Phase, Tally, message};
use super::worker::Sender;
use crate::error::{Failure, Result};

/// A server of our own; it ends when this is dropped.
pub(crate) struct Server {
    _process: Child,
    /// Where it listens, on 127.0.0.1.
    pub(crate) port: u16,
}

/// Where `nats-server` is, if it is installed.
pub(crate) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join("nats-server"))
        .find(|program| program.is_file())
}

impl Server {
    /// Starts one on a free port.
    pub(crate) async fn start(program: &Path, directory: &Path) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(failure)?
            .port();
        let config = directory.join("nats.conf");
        // With its defaults it cuts off a subscriber that is 64 MiB behind, and the rest is lost.
        let text =
            format!("host: 127.0.0.1\nport: {port}\nmax_pending: 1GB\nwrite_deadline: \"60s\"\n");
        std::fs::write(&config, text).map_err(|error| Failure::file(&config, &error))?;
        let process = Command::new(program)
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Failure::file(program, &error))?;
        for _ in 0..CONNECT_TRIES {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                let _process = process;
                return Ok(Self { _process, port });
            }
            tokio::time::sleep(CONNECT_PAUSE).await;
        }
        Err(Failure::new("bench-nats"))
    }
}

/// Publishes without waiting for anything but the end.
pub(crate) struct Publisher {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
}

impl Publisher {
    /// Connects.
    pub(crate) fn connect(port: u16) -> Result<Self> {
        let (stream, answers) = connect(port).map_err(failure)?;
        Ok(Self { stream, answers })
    }

    /// Waits until the server has taken everything.
    fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(b"PING\r\n")?;
        let mut line = String::new();
        while line != "PONG\r\n" {
            line.clear();
            if self.answers.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line == "PING\r\n" {
                self.stream.write_all(b"PONG\r\n")?;
            }
        }
        Ok(())
    }
}

impl Sender for Publisher {
    async fn send_until(&mut self, size: usize, end: Instant) -> Result<u64> {
        let mut sent = 0;
        let mut buffer = Vec::with_capacity(BUFFER_LEN + 2048);
        while Instant::now() < end {
            buffer.clear();
            while buffer.len() < BUFFER_LEN {
                publish(&mut buffer, &message(Phase::Speed, size));
                sent += 1;
            }
            self.stream.write_all(&buffer).map_err(failure)?;
        }
        self.flush().map_err(failure)?;
        Ok(sent)
    }

    async fn send_one(&mut self, message: Vec<u8>) -> Result<()> {
        let mut buffer = Vec::new();
        publish(&mut buffer, &message);
        self.stream.write_all(&buffer).map_err(failure)
    }
}

fn publish(buffer: &mut Vec<u8>, message: &[u8]) {
    write!(buffer, "PUB {SUBJECT} {}\r\n", message.len()).expect("writing to memory cannot fail");
    buffer.extend_from_slice(message);
    buffer.extend_from_slice(b"\r\n");
}

/// Starts a thread that counts what arrives.
pub(crate) fn subscribe(port: u16, tally: Tally) -> Result<()> {
    let (mut stream, mut answers) = connect(port).map_err(failure)?;
    stream
        .write_all(format!("SUB {SUBJECT} 1\r\nPING\r\n").as_bytes())
        .map_err(failure)?;
    let mut line = String::new();
    // The answer to our PING says that the subscription is in force.
    while line != "PONG\r\n" {
        line.clear();
        if answers.read_line(&mut line).map_err(failure)? == 0 {
            return Err(Failure::new("bench-nats"));
        }
    }
    // The thread ends with the connection, at the latest with the process.
    std::thread::spawn(move || drop(count(&mut stream, &mut answers, &tally)));
    Ok(())
}

fn count(
    stream: &mut TcpStream,
    answers: &mut BufReader<TcpStream>,
    tally: &Tally,
) -> io::Result<()> {
    let mut line = Vec::new();
    let mut messages: Vec<Vec<u8>> = Vec::new();
    loop {
        line.clear();
        if answers.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.starts_with(b"PING") {
            stream.write_all(b"PONG\r\n")?;
        } else if let Some(len) = message_len(&line) {
            let mut body = vec![0; len + 2];
            answers.read_exact(&mut body)?;
            body.truncate(len);
            messages.push(body);
        }
        if messages.len() >= MESSAGES_TOGETHER || answers.buffer().is_empty() {
            tally.add(messages.iter().map(Vec::as_slice));
            messages.clear();
        }
    }
}

/// `MSG SUBJECT SID LEN`.
fn message_len(line: &[u8]) -> Option<usize> {
    let rest = line.strip_prefix(b"MSG ")?;
    let text = std::str::from_utf8(rest).ok()?;
    let len = text.split_ascii_whitespace().last()?.parse().ok()?;
    (len <= MESSAGE_LEN_MAX).then_some(len)
}

fn connect(port: u16) -> io::Result<(TcpStream, BufReader<TcpStream>)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.write_all(b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\n")?;
    let answers = BufReader::with_capacity(BUFFER_LEN, stream.try_clone()?);
    Ok((stream, answers))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err wants"
)]
fn failure(error: io::Error) -> Failure {
    Failure::new("network").with("reason", error.to_string())
}

const SUBJECT: &str = "bench";
const BUFFER_LEN: usize = 64 * 1024;
const MESSAGES_TOGETHER: usize = 512;
const MESSAGE_LEN_MAX: usize = 64 * 1024;
const CONNECT_TRIES: u32 = 100;
const CONNECT_PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_messages_are_read_and_others_ignored() {
        assert_eq!(message_len(b"MSG bench 1 100\r\n"), Some(100));
        assert_eq!(message_len(b"MSG bench 1 reply.to 7\r\n"), Some(7));
        assert_eq!(message_len(b"INFO {}\r\n"), None);
        assert_eq!(message_len(b"MSG bench 1 99999999\r\n"), None);
    }
}

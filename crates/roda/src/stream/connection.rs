//! One stream: framed messages between two nodes that know each other's key.

use std::net::SocketAddr;
use std::time::Duration;
use std::{io, mem};

use roda_proto::stream::{LinkFrame, Refusal, Request, Response, STREAM_MESSAGE_LEN_MAX};
use roda_proto::{NodeId, Rejected, stream};
use rustls::CommonState;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, TlsStream};

use super::identity::{ALPN, TlsIdentity, node_of};
use super::{HANDSHAKE_TIME_MAX, MESSAGE_TIME_MAX, StreamError};

/// Written in one go where possible: one batch of the largest size and its frame.
const WRITE_BUFFER_LEN: usize = 72 * 1024;
const LENGTH_LEN: usize = 4;
/// Room made for a message before any of it has come.
const READ_LEN_MIN: usize = 4096;
/// Longest wait for the far end to close, so that the last answer is not lost with the connection.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(1);

/// A stream whose far end has proved that it is `peer`.
pub(crate) struct Stream {
    /// Who is at the far end.
    pub(crate) peer: NodeId,
    /// Where it is.
    pub(crate) address: SocketAddr,
    io: BufWriter<TlsStream<TcpStream>>,
    // Invariant: holds at most one message; nothing is read beyond it.
    inbox: Vec<u8>,
    /// Its place among the streams that the listener allows.
    permit: Option<OwnedSemaphorePermit>,
}

/// Calls `address` and proves both keys. With `expected`, the far end must be that node.
///
/// Cancel-safe: dropped, the connection is closed.
///
/// # Errors
/// Nobody answers in time, the far end does not speak the protocol, or is another node.
pub(crate) async fn connect(
    identity: &TlsIdentity,
    address: SocketAddr,
    expected: Option<NodeId>,
) -> Result<Stream, StreamError> {
    let connecting = async {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::IpAddress(address.ip().into());
        let connector = TlsConnector::from(identity.client());
        let tls = connector.connect(name, tcp).await?;
        Stream::new(TlsStream::Client(tls), address)
    };
    let stream = timeout(HANDSHAKE_TIME_MAX, connecting)
        .await
        .map_err(|_elapsed| StreamError::TimedOut)??;
    match expected {
        Some(expected) if expected != stream.peer => Err(StreamError::OtherNode {
            expected,
            found: stream.peer,
        }),
        Some(_) | None => Ok(stream),
    }
}

impl Stream {
    /// Takes over a connection after its handshake.
    pub(super) fn new(tls: TlsStream<TcpStream>, address: SocketAddr) -> Result<Self, StreamError> {
        let peer = peer_of(tls.get_ref().1).ok_or(Rejected::Malformed)?;
        Ok(Self {
            peer,
            address,
            io: BufWriter::with_capacity(WRITE_BUFFER_LEN, tls),
            inbox: Vec::new(),
            permit: None,
        })
    }

    pub(super) fn with_permit(mut self, permit: OwnedSemaphorePermit) -> Self {
        self.permit = Some(permit);
        self
    }

    /// Sends what the calling side says, at once.
    ///
    /// # Errors
    /// The connection fails or the far end does not read.
    pub(crate) async fn send_request(&mut self, request: &Request) -> Result<(), StreamError> {
        self.write_frame(&[&stream::encode(request)]).await?;
        self.flush().await
    }

    /// Writes an answer; it may stay in a buffer until [`Self::flush`].
    ///
    /// # Errors
    /// The connection fails or the far end does not read.
    pub(crate) async fn send_response(&mut self, response: &Response) -> Result<(), StreamError> {
        self.write_frame(&[&stream::encode(response)]).await
    }

    /// Writes the same as `Response::Batch` does, without copying the batch first.
    ///
    /// # Errors
    /// The connection fails or the far end does not read.
    pub(crate) async fn send_batch(&mut self, batch: &[u8]) -> Result<(), StreamError> {
        let len = u32::try_from(batch.len()).map_err(|_too_long| Rejected::Malformed)?;
        let [a, b, c, d] = len.to_be_bytes();
        // CBOR: an array of the variant's number and an array of its one field, a byte string.
        let long = [0x82, 0x02, 0x81, 0x5a, a, b, c, d];
        let header: &[u8] = match len {
            0..=23 => &[0x82, 0x02, 0x81, 0x40 | d],
            24..=0xff => &[0x82, 0x02, 0x81, 0x58, d],
            0x100..=0xffff => &[0x82, 0x02, 0x81, 0x59, c, d],
            _ => &long,
        };
        self.write_frame(&[header, batch]).await
    }

    /// Sends what was written.
    ///
    /// # Errors
    /// The connection fails or the far end does not read.
    pub(crate) async fn flush(&mut self) -> Result<(), StreamError> {
        in_time(self.io.flush()).await
    }

    /// The next request.
    ///
    /// Cancel-safe: what was read so far is kept.
    ///
    /// # Errors
    /// The connection ends or fails, the message is too long, malformed, or not whole in time.
    pub(crate) async fn recv_request(&mut self) -> Result<Request, StreamError> {
        let frame = in_time(self.read_frame()).await?;
        Ok(stream::decode(&frame[LENGTH_LEN..])?)
    }

    /// The next answer.
    ///
    /// Cancel-safe: what was read so far is kept.
    ///
    /// # Errors
    /// The connection ends or fails, the message is too long, malformed, or not whole in time.
    pub(crate) async fn recv_response(&mut self) -> Result<Response, StreamError> {
        let frame = in_time(self.read_frame()).await?;
        Ok(stream::decode(&frame[LENGTH_LEN..])?)
    }

    /// Sends frames of a link, all in one go.
    ///
    /// # Errors
    /// The connection fails or the far end does not read.
    pub(crate) async fn send_frames(&mut self, frames: &[Vec<u8>]) -> Result<(), StreamError> {
        for frame in frames {
            self.write_frame(&[frame]).await?;
        }
        self.flush().await
    }

    /// The next frame of a link, however long it takes to come.
    ///
    /// Cancel-safe: what was read so far is kept.
    ///
    /// # Errors
    /// The connection ends or fails, the frame is too long or malformed.
    pub(crate) async fn recv_frame(&mut self) -> Result<LinkFrame, StreamError> {
        let frame = self.read_frame().await?;
        Ok(stream::decode(&frame[LENGTH_LEN..])?)
    }

    /// Returns when the far end closes a link, on which it has nothing to say, or says why not.
    ///
    /// Cancel-safe.
    pub(crate) async fn closed(&mut self) -> StreamError {
        let said = match self.read_frame().await {
            Ok(frame) => stream::decode(&frame[LENGTH_LEN..]),
            Err(error) => return error.into(),
        };
        match said {
            Ok(Response::Refused(refusal)) => StreamError::Refused(refusal),
            Ok(_other) => Rejected::Malformed.into(),
            Err(malformed) => malformed.into(),
        }
    }

    /// Unacknowledged data breaks the connection after this time, not after the system's many minutes.
    pub(crate) fn limit_silence(&self, time: Duration) -> Result<(), StreamError> {
        let socket = self.io.get_ref().get_ref().0;
        #[cfg(target_os = "linux")]
        socket2::SockRef::from(socket).set_tcp_user_timeout(Some(time))?;
        let keepalive = socket2::TcpKeepalive::new()
            .with_time(time)
            .with_interval(time);
        socket2::SockRef::from(socket).set_tcp_keepalive(&keepalive)?;
        Ok(())
    }

    /// Gives its place among the answered streams to the next asker.
    pub(crate) fn release_place(&mut self) {
        self.permit = None;
    }

    /// Says no and closes.
    pub(crate) async fn refuse(mut self, refusal: Refusal) -> Result<(), StreamError> {
        self.send_response(&Response::Refused(refusal)).await?;
        self.close().await
    }

    /// Sends the rest and waits a moment for the far end to close: an earlier end of this side would
    /// make the system drop what is still under way.
    pub(crate) async fn close(mut self) -> Result<(), StreamError> {
        self.flush().await?;
        in_time(self.io.shutdown()).await?;
        let ignored = async {
            let mut rest = [0; 1024];
            while self.io.read(&mut rest).await.is_ok_and(|len| len > 0) {}
        };
        // Nothing depends on how the far end takes its leave.
        let _closed_by_peer = timeout(CLOSE_TIME_MAX, ignored).await.is_ok();
        Ok(())
    }

    /// Sends bytes that need not be a message.
    #[cfg(test)]
    pub(super) async fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.io.write_all(bytes).await?;
        self.io.flush().await
    }

    async fn write_frame(&mut self, parts: &[&[u8]]) -> Result<(), StreamError> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if len > STREAM_MESSAGE_LEN_MAX {
            return Err(Rejected::Malformed.into());
        }
        let len = u32::try_from(len).expect("the largest message fits in 32 bits");
        in_time(async {
            self.io.write_all(&len.to_be_bytes()).await?;
            for part in parts {
                self.io.write_all(part).await?;
            }
            Ok(())
        })
        .await
    }

    /// A whole message with its length in front.
    async fn read_frame(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let missing = match self.inbox.split_first_chunk::<LENGTH_LEN>() {
                None => LENGTH_LEN - self.inbox.len(),
                Some((len, rest)) => {
                    let len = u32::from_be_bytes(*len);
                    let len = usize::try_from(len).unwrap_or(usize::MAX);
                    if len > STREAM_MESSAGE_LEN_MAX {
                        let error = format!("a message of {len} bytes");
                        return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                    }
                    if rest.len() == len {
                        return Ok(mem::take(&mut self.inbox));
                    }
                    len - rest.len()
                }
            };
            // The buffer grows with what has come, not with what was announced, so that announcing
            // much costs the far end as much as this node.
            let room = missing.min(self.inbox.len().max(READ_LEN_MIN));
            self.inbox.reserve(room);
            let limit = u64::try_from(room).unwrap_or(u64::MAX);
            let mut limited = (&mut self.io).take(limit);
            if limited.read_buf(&mut self.inbox).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

fn peer_of(tls: &CommonState) -> Option<NodeId> {
    let [key] = tls.peer_certificates()? else {
        return None;
    };
    // A far end that names no protocol is accepted by TLS, but speaks another one.
    (tls.alpn_protocol() == Some(ALPN)).then(|| node_of(key))?
}

async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> Result<T, StreamError> {
    match timeout(MESSAGE_TIME_MAX, work).await {
        Ok(done) => Ok(done?),
        Err(_elapsed) => Err(StreamError::TimedOut),
    }
}

//! Buffers for received datagrams.

use std::array;
use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use quinn_udp::RecvMeta;
use roda_proto::Via;

use super::socket::Socket;

/// Messages read with one call; each can hold many datagrams of one sender.
const MESSAGES_MAX: usize = 16;
/// The system joins datagrams of equal length up to one largest UDP payload.
const MESSAGE_LEN_MAX: usize = 65_536;

/// Room for what one call of `recv` reads. To be made once and used again and again.
pub(crate) struct RecvBatch {
    /// Only the pages that were written to take up memory.
    buffer: Box<[u8]>,
    metas: [RecvMeta; MESSAGES_MAX],
    filled: usize,
}

impl RecvBatch {
    /// An empty batch.
    pub(crate) fn new() -> Self {
        Self {
            buffer: vec![0; MESSAGES_MAX * MESSAGE_LEN_MAX].into_boxed_slice(),
            metas: [RecvMeta::default(); MESSAGES_MAX],
            filled: 0,
        }
    }

    /// The datagrams in order of arrival, each with its source.
    pub(super) fn datagrams(&mut self) -> impl Iterator<Item = (SocketAddr, &mut [u8])> {
        self.buffer
            .chunks_exact_mut(MESSAGE_LEN_MAX)
            .zip(&self.metas[..self.filled])
            .flat_map(|(buffer, meta)| {
                buffer[..meta.len]
                    .chunks_mut(meta.stride.max(1))
                    .map(move |datagram| (meta.addr, datagram))
            })
    }

    /// Reads from one socket.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        socket: &Socket,
        via: Via,
    ) -> Poll<()> {
        let mut chunks = self.buffer.chunks_exact_mut(MESSAGE_LEN_MAX);
        let mut buffers: [IoSliceMut<'_>; MESSAGES_MAX] =
            array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        self.filled = 0;
        let Poll::Ready(filled) = socket.poll_recv(cx, &mut buffers, &mut self.metas) else {
            return Poll::Pending;
        };
        self.filled = filled;
        for meta in &mut self.metas[..filled] {
            meta.len = meta.len.min(MESSAGE_LEN_MAX);
            // The group's sockets are bound to every address of the machine, but nobody of the
            // group sends to their port except by multicast.
            let to_group = meta.dst_ip.is_none_or(|ip| ip.is_multicast());
            if via == Via::Multicast && !to_group {
                meta.len = 0;
            }
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_datagrams_are_handed_out_one_by_one() {
        let mut batch = RecvBatch::new();
        for (start, meta) in batch.metas.iter_mut().enumerate().take(3) {
            meta.addr = SocketAddr::from(([10, 0, 0, 1], 7000 + u16::try_from(start).unwrap()));
            (meta.len, meta.stride) = [(25, 10), (0, 0), (7, 7)][start];
        }
        batch.filled = 3;
        let seen: Vec<_> = batch
            .datagrams()
            .map(|(source, datagram)| (source.port(), datagram.len()))
            .collect();
        assert_eq!(seen, [(7000, 10), (7000, 10), (7000, 5), (7002, 7)]);
    }
}

//! Frames: what a sealed datagram holds, one after another, each `type u8 · length u16 · body`.
//!
//! A fragment's body has a fixed layout (`author 16 · first u64 · count u16 · length u32 · index u16 ·
//! data`); all others are CBOR arrays, in which unknown trailing fields are skipped. Unknown frame
//! types are skipped too, so that an older node does no harm.

use alloc::vec::Vec;

use minicbor::{Decode, Encode};

use crate::error::Rejected;
use crate::id::{AuthorId, SenderTag, Seq};
use crate::stream;
use crate::time::Hlc;
use crate::wire::codec::{Reader, Writer};

/// Length of a fragment's body before its data.
pub const FRAGMENT_HEADER_LEN: usize = 16 + 8 + 2 + 4 + 2;
/// Bytes of a batch in each fragment but the last. Wire format: every holder cuts the same way.
pub const FRAGMENT_DATA_LEN: usize = 1120;
/// Most fragments of a batch; one bit each fits a word.
pub const FRAGMENTS_MAX: usize = crate::log::BATCH_LEN_MAX.div_ceil(FRAGMENT_DATA_LEN);
const _: () = assert!(FRAGMENTS_MAX <= 64);
/// Type of frames that say nothing and only make a datagram longer.
const PADDING: u8 = 0;
/// Bytes before a frame's body.
pub const FRAME_HEADER_LEN: usize = 3;

const FRAGMENT: u8 = 1;
const NACK: u8 = 2;
const BEACON: u8 = 3;
const PATH: u8 = 4;
const ATTACH: u8 = 5;
const PEERS: u8 = 6;
const BYE: u8 = 7;
const ECHO: u8 = 8;

/// One item of a sealed datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A piece of a batch.
    Fragment(Fragment<'a>),
    /// "I miss these."
    Nack(Nack),
    /// "I am here; this is what I have."
    Beacon(Beacon),
    /// "If you get this at that address, send it back in [`Frame::Echo`]."
    Path(u64),
    /// "Your multicast does not reach me: send to this address too", with the token of a [`Frame::Path`].
    Attach(u64),
    /// "I do": the token of a [`Frame::Path`], from the address to which it was sent.
    Echo(u64),
    /// Where other members are.
    Peers(Vec<Peer>),
    /// "I stop now."
    Bye(AuthorId),
}

/// A piece of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// Whose batch.
    pub author: AuthorId,
    /// Its first entry.
    pub first: Seq,
    /// Number of its entries.
    pub count: u16,
    /// Its length in bytes.
    pub len: u32,
    /// Which piece.
    pub index: u16,
    /// `FRAGMENT_DATA_LEN` bytes, fewer in the last piece.
    pub data: &'a [u8],
}

/// A request for what is missing of one author.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Nack {
    /// Whose entries.
    #[n(0)]
    pub author: AuthorId,
    /// The how-manieth request in a row; others than the author help from the third on.
    #[n(1)]
    pub round: u8,
    /// Ranges of entries of which nothing is here.
    #[n(2)]
    pub gaps: Vec<Gap>,
    /// Batches of which some fragments are here.
    #[n(3)]
    pub parts: Vec<Part>,
}

/// A range of entries, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Gap {
    /// First missing entry.
    #[n(0)]
    pub from: Seq,
    /// Last missing entry.
    #[n(1)]
    pub to: Seq,
}

/// Missing fragments of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Part {
    /// First entry of the batch.
    #[n(0)]
    pub first: Seq,
    /// Missing fragments: bit n stands for fragment n.
    #[n(1)]
    pub missing: u64,
}

/// A sign of life that carries what a receiver needs to find what it lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Beacon {
    /// The sender's author.
    #[n(0)]
    pub author: Option<AuthorId>,
    /// Its last durable entry.
    #[n(1)]
    pub head: Seq,
    /// It will write no entry at or below this clock.
    #[n(2)]
    pub promise: Hlc,
    /// It has every entry up to this clock.
    #[n(3)]
    pub frontier: Hlc,
    /// Sum over all (author, last entry) it has; equal sums mean equal logs.
    #[n(4)]
    pub digest: u64,
    /// TCP port of its stream.
    #[n(5)]
    pub stream_port: u16,
    /// Part of its version vector, when some peer seems to need it.
    #[n(6)]
    pub heads: Vec<(AuthorId, Seq)>,
    /// Senders it asks to prove that they live now.
    #[n(7)]
    pub asks: Vec<SenderTag>,
    /// Senders to whom it proves so.
    #[n(8)]
    pub answers: Vec<SenderTag>,
    /// Its wall clock in milliseconds, to find clocks that are wrong.
    #[n(9)]
    pub wall: u64,
    /// Number of all entries it has.
    #[n(10)]
    pub entries: u64,
    /// Sent by unicast, because multicast of the receiver is not heard: please answer the same way.
    #[n(11)]
    pub is_deaf: bool,
}

/// Where a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Peer {
    /// 4 or 16 bytes as IPv6 (mapped).
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub ip: [u8; 16],
    /// UDP port.
    #[n(1)]
    pub port: u16,
}

impl<'a> Frame<'a> {
    /// Parses all frames of a datagram; unknown types are left out.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] if any known frame does not parse.
    pub fn parse_all(body: &'a [u8]) -> Result<Vec<Self>, Rejected> {
        let mut reader = Reader::new(body);
        let mut frames = Vec::new();
        while !reader.is_empty() {
            let kind = reader.u8()?;
            let len = usize::from(reader.u16()?);
            if let Some(frame) = Self::parse(kind, reader.take(len)?)? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    fn parse(kind: u8, body: &'a [u8]) -> Result<Option<Self>, Rejected> {
        Ok(Some(match kind {
            FRAGMENT => Self::Fragment(Fragment::parse(body)?),
            NACK => Self::Nack(stream::decode(body)?),
            BEACON => Self::Beacon(stream::decode(body)?),
            PATH => Self::Path(stream::decode(body)?),
            ATTACH => Self::Attach(stream::decode(body)?),
            PEERS => Self::Peers(stream::decode(body)?),
            BYE => Self::Bye(stream::decode(body)?),
            ECHO => Self::Echo(stream::decode(body)?),
            _newer => return Ok(None),
        }))
    }

    /// Appends the frame.
    pub fn write(&self, writer: &mut Writer) {
        match self {
            Self::Fragment(fragment) => fragment.write(writer),
            Self::Nack(nack) => write_cbor(writer, NACK, nack),
            Self::Beacon(beacon) => write_cbor(writer, BEACON, beacon),
            Self::Path(token) => write_cbor(writer, PATH, token),
            Self::Attach(token) => write_cbor(writer, ATTACH, token),
            Self::Echo(token) => write_cbor(writer, ECHO, token),
            Self::Peers(peers) => write_cbor(writer, PEERS, peers),
            Self::Bye(author) => write_cbor(writer, BYE, author),
        }
    }

    /// The frame alone.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        self.write(&mut writer);
        writer.into_vec()
    }
}

/// Appends a frame that says nothing, so that `writer` holds `len` bytes, or a few more.
///
/// # Panics
/// If `len` is beyond the size of a frame; datagrams are far below it.
pub fn pad(writer: &mut Writer, len: usize) {
    let missing = len.saturating_sub(writer.len());
    if missing > 0 {
        let body = missing.saturating_sub(FRAME_HEADER_LEN);
        writer.u8(PADDING);
        writer.u16(u16::try_from(body).expect("datagrams are bounded far below 64 KiB"));
        (0..body).for_each(|_| writer.u8(0));
    }
}

fn write_cbor<T: Encode<()>>(writer: &mut Writer, kind: u8, body: &T) {
    let body = stream::encode(body);
    writer.u8(kind);
    writer.u16(u16::try_from(body.len()).expect("frames are bounded far below 64 KiB"));
    writer.raw(&body);
}

impl<'a> Fragment<'a> {
    fn parse(body: &'a [u8]) -> Result<Self, Rejected> {
        let mut reader = Reader::new(body);
        let fragment = Self {
            author: AuthorId(reader.array()?),
            first: Seq(reader.u64()?),
            count: reader.u16()?,
            len: reader.u32()?,
            index: reader.u16()?,
            data: reader.take(body.len() - reader.position())?,
        };
        if fragment.is_consistent() {
            Ok(fragment)
        } else {
            Err(Rejected::Malformed)
        }
    }

    fn is_consistent(&self) -> bool {
        let len = self.len as usize;
        let at = usize::from(self.index) * FRAGMENT_DATA_LEN;
        let last = self.first.0.checked_add(u64::from(self.count));
        self.first.0 > 0
            && self.count > 0
            && last.is_some()
            && len <= crate::log::BATCH_LEN_MAX
            && at < len
            && self.data.len() == FRAGMENT_DATA_LEN.min(len - at)
    }

    fn write(&self, writer: &mut Writer) {
        writer.u8(FRAGMENT);
        writer.u16(u16::try_from(FRAGMENT_HEADER_LEN + self.data.len()).expect("fits a datagram"));
        writer.raw(&self.author.0);
        writer.u64(self.first.0);
        writer.u16(self.count);
        writer.u32(self.len);
        writer.u16(self.index);
        writer.raw(self.data);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn round_trip(frame: &Frame<'_>) {
        let bytes = frame.to_vec();
        assert_eq!(
            Frame::parse_all(&bytes).as_deref(),
            Ok(core::slice::from_ref(frame))
        );
        for end in 1..bytes.len() {
            assert_eq!(
                Frame::parse_all(&bytes[..end]),
                Err(Rejected::Malformed),
                "cut at {end}"
            );
        }
    }

    #[test]
    fn every_frame_survives_a_round_trip_and_no_cut_one_is_accepted() {
        let author = AuthorId([7; 16]);
        let fragment = Fragment {
            author,
            first: Seq(1),
            count: 2,
            len: 5,
            index: 0,
            data: b"hello",
        };
        round_trip(&Frame::Fragment(fragment));
        round_trip(&Frame::Nack(Nack {
            author,
            round: 1,
            gaps: vec![Gap {
                from: Seq(3),
                to: Seq(9),
            }],
            parts: vec![Part {
                first: Seq(10),
                missing: 0b1000_1111,
            }],
        }));
        let beacon = Beacon {
            author: Some(author),
            heads: vec![(author, Seq(4))],
            ..Beacon::default()
        };
        round_trip(&Frame::Beacon(beacon));
        round_trip(&Frame::Path(77));
        round_trip(&Frame::Attach(77));
        round_trip(&Frame::Echo(77));
        round_trip(&Frame::Peers(vec![Peer {
            ip: [1; 16],
            port: 9,
        }]));
        round_trip(&Frame::Bye(author));
    }

    #[test]
    fn a_fragment_has_these_bytes() {
        let author = AuthorId([0xaa; 16]);
        let fragment = Fragment {
            author,
            first: Seq(1),
            count: 2,
            len: 3,
            index: 0,
            data: b"abc",
        };
        let mut expected = vec![1, 0, 35];
        expected.extend([0xaa; 16]);
        expected.extend([0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 3, 0, 0]);
        expected.extend(b"abc");
        assert_eq!(Frame::Fragment(fragment).to_vec(), expected);
    }

    #[test]
    fn a_fragment_that_contradicts_itself_is_refused() {
        let fragment = Fragment {
            author: AuthorId([7; 16]),
            first: Seq(1),
            count: 1,
            len: 5,
            index: 0,
            data: b"hello",
        };
        for bad in [
            Fragment {
                first: Seq(0),
                ..fragment
            },
            Fragment {
                count: 0,
                ..fragment
            },
            Fragment { len: 6, ..fragment },
            Fragment {
                index: 1,
                ..fragment
            },
            Fragment {
                len: 70_000,
                ..fragment
            },
            Fragment {
                first: Seq(u64::MAX),
                ..fragment
            },
        ] {
            assert_eq!(
                Frame::parse_all(&Frame::Fragment(bad).to_vec()),
                Err(Rejected::Malformed)
            );
        }
    }

    #[test]
    fn an_unknown_frame_is_skipped() {
        let mut bytes = vec![200, 0, 2, 9, 9];
        bytes.extend(Frame::Path(1).to_vec());
        assert_eq!(Frame::parse_all(&bytes), Ok(vec![Frame::Path(1)]));
    }
}

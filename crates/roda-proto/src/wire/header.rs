//! The header of a sealed datagram: 21 bytes, all authenticated.
//!
//! ```text
//! version+type  u8   0x10: version 1, type 0 (sealed frames)
//! epoch tag     u32
//! sender tag    u64
//! number        u64  of the datagram, never repeated by one sender; the AEAD nonce
//! ```

use crate::error::Rejected;
use crate::id::{EpochTag, SenderTag};
use crate::wire::codec::{Reader, Writer};

/// Length of the header.
pub const HEADER_LEN: usize = 21;
/// Largest datagram, so that no path has to fragment it.
pub const DATAGRAM_LEN_MAX: usize = 1200;
/// First byte of a sealed datagram.
pub const SEALED: u8 = 0x10;
/// First byte of a [`crate::wire::join::Probe`].
pub const PROBE: u8 = 0x1f;
/// First byte of a [`crate::wire::join::Offer`].
pub const OFFER: u8 = 0x1e;

/// The header of a sealed datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Under which group key.
    pub epoch: EpochTag,
    /// By which run of which node.
    pub sender: SenderTag,
    /// The how-manieth datagram of that run.
    pub number: u64,
}

impl Header {
    /// Parses the start of a sealed datagram.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] or [`Rejected::Version`].
    pub fn parse(datagram: &[u8]) -> Result<Self, Rejected> {
        let mut reader = Reader::new(datagram);
        let first = reader.u8()?;
        if first >> 4 != SEALED >> 4 {
            return Err(Rejected::Version);
        }
        if first != SEALED {
            return Err(Rejected::Malformed);
        }
        Ok(Self {
            epoch: EpochTag(reader.u32()?),
            sender: SenderTag(reader.u64()?),
            number: reader.u64()?,
        })
    }

    /// Writes the header.
    pub fn write(&self, writer: &mut Writer) {
        writer.u8(SEALED);
        writer.u32(self.epoch.0);
        writer.u64(self.sender.0);
        writer.u64(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_these_bytes() {
        let header = Header {
            epoch: EpochTag(0x0102_0304),
            sender: SenderTag(5),
            number: 6,
        };
        let mut writer = Writer::new();
        header.write(&mut writer);
        assert_eq!(
            writer.as_slice(),
            [
                0x10, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 6
            ]
        );
        assert_eq!(writer.len(), HEADER_LEN);
        assert_eq!(Header::parse(writer.as_slice()), Ok(header));
        assert_eq!(
            Header::parse(&writer.as_slice()[..20]),
            Err(Rejected::Malformed)
        );
        assert_eq!(Header::parse(&[0x20; 30]), Err(Rejected::Version));
    }
}

//! Invite tokens: `roda1` and the lower-case base32 of a short fixed layout with a checksum.
//!
//! ```text
//! version  u8  1
//! group    16 bytes
//! seed     16 bytes  of the invite's Ed25519 key; the group knows only the public half
//! expires  u64       milliseconds since 1970
//! hints    u8 n, then n × (family u8 4|6, address 4|16 bytes, port u16)
//! check     4 bytes  of the SHA-256 of all before
//! ```

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use data_encoding::{BASE32_NOPAD, Encoding};
use minicbor::{Decode, Encode};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::crypto::{self, SigningKey};
use crate::error::Rejected;
use crate::id::{GroupId, NodeId};
use crate::time::WallTime;
use crate::wire::codec::{Reader, Writer};

/// What every invite token starts with.
pub const TOKEN_PREFIX: &str = "roda1";
/// Most addresses in a token.
pub const HINTS_MAX: usize = 8;
const TOKEN_LEN_MAX: usize = 512;
const VERSION: u8 = 1;
const ENCODING: Encoding = BASE32_NOPAD;

/// Names an invite: its public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
#[cbor(transparent)]
pub struct InviteId(#[n(0)] pub NodeId);

/// The right to join a group. Whoever has it can join until it expires or is used up.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteToken {
    /// Which group.
    pub group: GroupId,
    /// Secret half of the invite's key.
    pub seed: Zeroizing<[u8; 16]>,
    /// After this the members refuse it.
    pub expires: WallTime,
    /// Unicast addresses of members, for networks without multicast.
    pub hints: Vec<SocketAddr>,
}

/// Why a text is no invite token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InviteTokenError {
    /// Something else altogether.
    #[error("an invite token starts with {TOKEN_PREFIX:?}")]
    NoToken,
    /// Cut off or mistyped.
    #[error("the invite token is damaged or cut off")]
    Damaged,
    /// Made by a newer version.
    #[error("the invite token is of a newer version of Roda")]
    Newer,
}

impl core::fmt::Debug for InviteToken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("InviteToken")
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

impl InviteToken {
    /// The key with which a joiner proves that it has the token.
    #[must_use]
    pub fn signing_key(&self) -> SigningKey {
        let mut seed = Zeroizing::new([0; 32]);
        seed[..16].copy_from_slice(&*self.seed);
        SigningKey::from_seed(&crypto::derive(&seed, b"invite", &self.group.0))
    }

    /// The public name of the invite.
    #[must_use]
    pub fn id(&self) -> InviteId {
        InviteId(self.signing_key().public())
    }

    /// Parses what [`core::fmt::Display`] printed; surrounding white space is allowed.
    ///
    /// # Errors
    /// Says whether the text is no token, a damaged one, or a newer one.
    pub fn parse(text: &str) -> Result<Self, InviteTokenError> {
        let body = text
            .trim()
            .strip_prefix(TOKEN_PREFIX)
            .ok_or(InviteTokenError::NoToken)?;
        if body.len() > TOKEN_LEN_MAX {
            return Err(InviteTokenError::Damaged);
        }
        let bytes = ENCODING
            .decode(body.to_ascii_uppercase().as_bytes())
            .map_err(|_not_base32| InviteTokenError::Damaged)?;
        let (content, check) = bytes
            .split_last_chunk::<4>()
            .ok_or(InviteTokenError::Damaged)?;
        if crypto::sha256(&[content]).0[..4] != *check {
            return Err(InviteTokenError::Damaged);
        }
        if content.first() != Some(&VERSION) {
            return Err(InviteTokenError::Newer);
        }
        Self::read(&content[1..]).map_err(|_short| InviteTokenError::Damaged)
    }

    fn read(content: &[u8]) -> Result<Self, Rejected> {
        let mut reader = Reader::new(content);
        let group = GroupId(reader.array()?);
        let seed = Zeroizing::new(reader.array()?);
        let expires = WallTime(reader.u64()?);
        let count = usize::from(reader.u8()?);
        if count > HINTS_MAX {
            return Err(Rejected::Malformed);
        }
        let hints = (0..count)
            .map(|_| read_address(&mut reader))
            .collect::<Result<_, _>>()?;
        if reader.is_empty() {
            Ok(Self {
                group,
                seed,
                expires,
                hints,
            })
        } else {
            Err(Rejected::Malformed)
        }
    }
}

impl core::fmt::Display for InviteToken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut writer = Writer::new();
        writer.u8(VERSION);
        writer.raw(&self.group.0);
        writer.raw(&*self.seed);
        writer.u64(self.expires.0);
        let hints = &self.hints[..self.hints.len().min(HINTS_MAX)];
        writer.u8(u8::try_from(hints.len()).expect("HINTS_MAX fits in 8 bits"));
        for hint in hints {
            write_address(&mut writer, hint);
        }
        let check = crypto::sha256(&[writer.as_slice()]);
        writer.raw(&check.0[..4]);
        let text: String = ENCODING.encode(writer.as_slice());
        write!(f, "{TOKEN_PREFIX}{}", text.to_ascii_lowercase())
    }
}

pub(crate) fn read_address(reader: &mut Reader<'_>) -> Result<SocketAddr, Rejected> {
    let ip = match reader.u8()? {
        4 => IpAddr::V4(Ipv4Addr::from(reader.array::<4>()?)),
        6 => IpAddr::V6(Ipv6Addr::from(reader.array::<16>()?)),
        _ => return Err(Rejected::Malformed),
    };
    Ok(SocketAddr::new(ip, reader.u16()?))
}

pub(crate) fn write_address(writer: &mut Writer, address: &SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => {
            writer.u8(4);
            writer.raw(&ip.octets());
        }
        IpAddr::V6(ip) => {
            writer.u8(6);
            writer.raw(&ip.octets());
        }
    }
    writer.u16(address.port());
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;

    fn token() -> InviteToken {
        InviteToken {
            group: GroupId([1; 16]),
            seed: Zeroizing::new([2; 16]),
            expires: WallTime(1_700_000_000_000),
            hints: vec![
                "10.0.0.1:7000".parse().unwrap(),
                "[fd00::1]:7001".parse().unwrap(),
            ],
        }
    }

    #[test]
    fn a_token_survives_a_round_trip() {
        let text = format!(" {}\n", token());
        assert_eq!(InviteToken::parse(&text), Ok(token()));
    }

    #[test]
    fn a_token_cut_or_changed_anywhere_is_called_damaged() {
        let text = token().to_string();
        for end in TOKEN_PREFIX.len()..text.len() {
            assert_eq!(
                InviteToken::parse(&text[..end]),
                Err(InviteTokenError::Damaged)
            );
        }
        let mut changed = text.clone();
        changed.replace_range(20..21, if &text[20..21] == "a" { "b" } else { "a" });
        assert_eq!(InviteToken::parse(&changed), Err(InviteTokenError::Damaged));
        assert_eq!(InviteToken::parse("hello"), Err(InviteTokenError::NoToken));
    }
}

//! Names and numbers of the token protocol.

use alloc::sync::Arc;
use core::fmt;

use minicbor::{Decode, Encode};
use thiserror::Error;

use crate::text::checked_text;

/// Longest lock name, in bytes.
pub const LOCK_NAME_LEN_MAX: usize = 128;

/// Name of a lock: letters and digits of any script, `-`, `_`, `.`, `:` and `/`, not starting with `-`.
///
/// Cheap to clone: the lock table has the same name in many places.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockName(Arc<str>);

/// Why a text is no lock name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LockNameError {
    /// Nothing at all.
    #[error("a lock name cannot be empty")]
    Empty,
    /// More than [`LOCK_NAME_LEN_MAX`] bytes.
    #[error("a lock name has at most {LOCK_NAME_LEN_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// A character outside the allowed ones.
    #[error("a lock name cannot contain {0:?}")]
    BadCharacter(char),
    /// `-` would look like an option.
    #[error("a lock name cannot start with {0:?}")]
    BadStart(char),
}

impl LockName {
    /// Checks a name.
    ///
    /// # Errors
    /// Says which rule the name breaks.
    pub fn new(name: &str) -> Result<Self, LockNameError> {
        if name.len() > LOCK_NAME_LEN_MAX {
            return Err(LockNameError::TooLong(name.len()));
        }
        match name.chars().next() {
            None => return Err(LockNameError::Empty),
            Some('-') => return Err(LockNameError::BadStart('-')),
            Some(_) => {}
        }
        match name
            .chars()
            .find(|c| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/')))
        {
            Some(bad) => Err(LockNameError::BadCharacter(bad)),
            None => Ok(Self(name.into())),
        }
    }
}

impl fmt::Debug for LockName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LockName({} bytes)", self.0.len())
    }
}

checked_text!(LockName, LockNameError, "not a lock name");

/// Number of a grant. Every later grant in the group has a larger one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Fence(#[n(0)] pub u64);

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One connection of a node to the lock table; ends for good when it is not renewed in time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct SessionId(#[n(0)] pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names a request within its session; the node chooses it and never uses it twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct RequestId(#[n(0)] pub u64);

/// How urgent a request is: 0 (least, the default) to 9.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Encode)]
#[cbor(transparent)]
pub struct Priority(#[n(0)] u8);

impl Priority {
    /// The highest.
    pub const MAX: Self = Self(9);

    /// `None` above 9.
    #[must_use]
    pub const fn new(value: u8) -> Option<Self> {
        if value <= Self::MAX.0 {
            Some(Self(value))
        } else {
            None
        }
    }

    /// 0 to 9.
    #[must_use]
    pub const fn value(self) -> u8 {
        self.0
    }
}

impl<'b, C> Decode<'b, C> for Priority {
    fn decode(
        decoder: &mut minicbor::Decoder<'b>,
        _context: &mut C,
    ) -> Result<Self, minicbor::decode::Error> {
        Self::new(decoder.u8()?).ok_or_else(|| minicbor::decode::Error::message("priority"))
    }
}

/// With how many others at most, itself included, a holder shares the lock.
///
/// A holder may be inside together with others only if their number is within the permits of *each*.
/// 1 is an exclusive lock, "any number" is a reader's, and what lies between is a semaphore.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode)]
#[cbor(transparent)]
pub struct Permits(#[n(0)] u32);

impl Permits {
    /// Alone.
    pub const EXCLUSIVE: Self = Self(1);
    /// With any number of others that share.
    pub const SHARED: Self = Self(u32::MAX);

    /// `None` for 0.
    #[must_use]
    pub const fn new(value: u32) -> Option<Self> {
        if value == 0 { None } else { Some(Self(value)) }
    }

    /// At least 1.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0
    }
}

impl<'b, C> Decode<'b, C> for Permits {
    fn decode(
        decoder: &mut minicbor::Decoder<'b>,
        _context: &mut C,
    ) -> Result<Self, minicbor::decode::Error> {
        Self::new(decoder.u32()?).ok_or_else(|| minicbor::decode::Error::message("permits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_confuse_a_shell_are_refused() {
        assert!(LockName::new("render/impressão:1").is_ok());
        assert_eq!(LockName::new(""), Err(LockNameError::Empty));
        assert_eq!(LockName::new("-x"), Err(LockNameError::BadStart('-')));
        assert_eq!(LockName::new("a,b"), Err(LockNameError::BadCharacter(',')));
        assert_eq!(LockName::new("a b"), Err(LockNameError::BadCharacter(' ')));
        let longest = "x".repeat(LOCK_NAME_LEN_MAX);
        assert!(LockName::new(&longest).is_ok());
        let too_long = LockName::new(&(longest + "x"));
        assert_eq!(too_long, Err(LockNameError::TooLong(129)));
    }

    #[test]
    fn numbers_out_of_range_do_not_decode() {
        let bytes = minicbor::to_vec(10_u8).unwrap();
        assert!(minicbor::decode::<Priority>(&bytes).is_err());
        let bytes = minicbor::to_vec(0_u32).unwrap();
        assert!(minicbor::decode::<Permits>(&bytes).is_err());
        let bytes = minicbor::to_vec("a b").unwrap();
        assert!(minicbor::decode::<LockName>(&bytes).is_err());
    }
}

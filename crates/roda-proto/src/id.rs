//! Identifiers. Every one is a newtype, so that none can stand where another is meant.

use alloc::string::String;
use core::fmt;

use data_encoding::HEXLOWER;
use minicbor::{Decode, Encode};

macro_rules! bytes_id {
    ($(#[$meta:meta])* $name:ident, $len:expr) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        #[cbor(transparent)]
        pub struct $name(#[n(0)] #[cbor(with = "minicbor::bytes")] pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// The bytes themselves.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// The full value in lower-case hexadecimal.
            #[must_use]
            pub fn to_hex(&self) -> String {
                HEXLOWER.encode(&self.0)
            }

            /// The first eight hexadecimal digits, for people.
            #[must_use]
            pub fn short(&self) -> String {
                HEXLOWER.encode(&self.0[..4])
            }

            /// Parses the full hexadecimal form; `None` if it is anything else.
            #[must_use]
            pub fn from_hex(text: &str) -> Option<Self> {
                let bytes = HEXLOWER.decode(text.as_bytes()).ok()?;
                Some(Self(bytes.try_into().ok()?))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.to_hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }
    };
}

bytes_id!(
    /// A node: its Ed25519 public key.
    NodeId,
    32
);
bytes_id!(
    /// One life of a node's database: a wiped, cloned or restored database draws a new one.
    Incarnation,
    8
);
bytes_id!(
    /// The author of a log: the hash of a node and one of its incarnations.
    AuthorId,
    16
);
bytes_id!(
    /// A group: the hash of the entry that founded it.
    GroupId,
    16
);
bytes_id!(
    /// A digest of 32 bytes: SHA-256, or BLAKE3 of a batch's content.
    Hash,
    32
);

impl Hash {
    /// Stands before the first batch of an author.
    pub const ZERO: Self = Self([0; 32]);
}

macro_rules! number_id {
    ($(#[$meta:meta])* $name:ident, $inner:ty) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Encode, Decode)]
        #[cbor(transparent)]
        pub struct $name(#[n(0)] pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// Place of an entry in its author's log, from 1, without gaps. 0 means "nothing yet".
    Seq,
    u64
);
number_id!(
    /// Names one run of one sender; every boot draws a new one.
    SenderTag,
    u64
);
number_id!(
    /// Names an epoch secret on the wire: the first four bytes of its hash.
    EpochTag,
    u32
);

impl Seq {
    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

//! Checkpoints: from where a job can go on.

use alloc::vec::Vec;

use minicbor::data::Type;
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

use crate::crypto;
use crate::id::Hash;

/// Most bytes of a state that stands within its entry. A larger one is a *blob*: the entry only names it,
/// and whoever may need it asks for it.
pub const STATE_LEN_MAX: usize = 24 * 1024;
/// Most bytes of a state at all.
pub const BLOB_LEN_MAX: usize = 16 * 1024 * 1024;

/// From where a job can go on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Checkpoint {
    /// BLAKE3 of the state, by whoever made it.
    #[n(0)]
    pub hash: Hash,
    /// How much is done, in units of the job.
    #[n(1)]
    pub done: Option<u64>,
    /// How much there is to do.
    #[n(2)]
    pub total: Option<u64>,
    /// What the job needs to go on.
    #[n(3)]
    pub state: CheckpointState,
}

/// Where the state of a checkpoint is: on the wire its bytes, or a blob's length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointState {
    /// Here, at most [`STATE_LEN_MAX`] bytes.
    Whole(Vec<u8>),
    /// Beside the log: so many bytes, more than [`STATE_LEN_MAX`] and at most [`BLOB_LEN_MAX`].
    Blob(u32),
}

impl Checkpoint {
    /// A checkpoint of a state, which it holds or, if it is long, only names.
    #[must_use]
    pub fn new(state: impl AsRef<[u8]>, done: Option<u64>, total: Option<u64>) -> Self {
        let state = state.as_ref();
        let len = u32::try_from(state.len()).unwrap_or(u32::MAX);
        Self {
            hash: crypto::content_hash(state),
            done,
            total,
            state: if state.len() > STATE_LEN_MAX {
                CheckpointState::Blob(len)
            } else {
                CheckpointState::Whole(state.to_vec())
            },
        }
    }

    /// The state, if it is here and is the one that the hash was made of.
    #[must_use]
    pub fn into_whole(self) -> Option<Vec<u8>> {
        match self.state {
            CheckpointState::Whole(state) => {
                (crypto::content_hash(&state) == self.hash).then_some(state)
            }
            CheckpointState::Blob(_) => None,
        }
    }

    /// Length of the blob that it names, if it names one.
    #[must_use]
    pub const fn blob(&self) -> Option<u32> {
        match self.state {
            CheckpointState::Whole(_) => None,
            CheckpointState::Blob(len) => Some(len),
        }
    }
}

impl CheckpointState {
    /// Bytes of the state, wherever it is.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Whole(state) => state.len(),
            Self::Blob(len) => usize::try_from(*len).unwrap_or(usize::MAX),
        }
    }

    /// Whether it is where one of its length has to be. Were there two ways to say the same, a blob of a
    /// few bytes could make members ask for what they could have been told.
    pub(super) fn is_in_place(&self) -> bool {
        match self {
            Self::Whole(state) => state.len() <= STATE_LEN_MAX,
            Self::Blob(_) => (STATE_LEN_MAX + 1..=BLOB_LEN_MAX).contains(&self.len()),
        }
    }
}

impl<C> Encode<C> for CheckpointState {
    fn encode<W: encode::Write>(
        &self,
        encoder: &mut Encoder<W>,
        _context: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        match self {
            Self::Whole(state) => encoder.bytes(state)?.ok(),
            Self::Blob(len) => encoder.u32(*len)?.ok(),
        }
    }
}

impl<'b, C> Decode<'b, C> for CheckpointState {
    fn decode(decoder: &mut Decoder<'b>, _context: &mut C) -> Result<Self, decode::Error> {
        if decoder.datatype()? == Type::Bytes {
            Ok(Self::Whole(decoder.bytes()?.to_vec()))
        } else {
            Ok(Self::Blob(decoder.u32()?))
        }
    }
}

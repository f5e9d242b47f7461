//! Messages of the unicast stream: joining, and catching up.
//!
//! On the wire each is a `u32` length and that many bytes of CBOR. The stream itself is TLS 1.3 with
//! raw public keys on both sides, so each end knows the other's [`NodeId`](crate::NodeId) before the first message.

use alloc::string::String;
use alloc::vec::Vec;

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use crate::error::Rejected;
use crate::group::InviteId;
use crate::id::{AuthorId, EpochTag, GroupId, Hash, Seq};
use crate::time::Hlc;
use crate::token::LockMessage;

/// Largest message on a stream.
pub const STREAM_MESSAGE_LEN_MAX: usize = 256 * 1024;
/// Bytes of each part of a blob but the last.
pub const BLOB_PART_LEN: usize = 64 * 1024;

/// What the connecting side says, once.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// "I have an invite; admit me."
    #[n(0)]
    Join(#[n(0)] JoinRequest),
    /// "I am a member; send me what I lack."
    #[n(1)]
    Sync(#[n(0)] SyncRequest),
    /// "I am a member; from now on I send you [`LinkFrame`]s." There is no answer, but for a refusal.
    #[n(2)]
    Link(#[n(0)] LinkRequest),
    /// "I am a member; send me this blob."
    #[n(3)]
    Blob(#[n(0)] BlobRequest),
}

/// A member's wish for a large checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BlobRequest {
    /// Which group.
    #[n(0)]
    pub group: GroupId,
    /// Of the blob; nothing else can be asked for.
    #[n(1)]
    pub hash: Hash,
}

/// A member's wish to be listened to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LinkRequest {
    /// Which group.
    #[n(0)]
    pub group: GroupId,
    /// Where the calling node's own stream listens.
    #[n(1)]
    pub stream_port: u16,
}

/// What is sent on a link, in one direction only; the other direction is a link of its own.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum LinkFrame {
    /// About locks.
    #[n(0)]
    Lock(#[n(0)] LockMessage),
    /// A question that wants a reply.
    #[n(1)]
    Call {
        /// Names it between the two ends.
        #[n(0)]
        id: u64,
        /// Who is to answer.
        #[n(1)]
        service: CallService,
        /// In that service's own form.
        #[n(2)]
        body: ByteVec,
    },
    /// The reply.
    #[n(2)]
    Reply {
        /// The question's.
        #[n(0)]
        id: u64,
        /// `None`: it will not be answered.
        #[n(1)]
        body: Option<ByteVec>,
    },
}

/// What a question on a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum CallService {
    /// The voters' replicated log.
    #[n(0)]
    Consensus,
    /// Holders and waiters of locks.
    #[n(1)]
    LockReport,
}

/// A joiner's request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct JoinRequest {
    /// Which group.
    #[n(0)]
    pub group: GroupId,
    /// Which invite.
    #[n(1)]
    pub invite: InviteId,
    /// Signature of the invite's key over [`join_proof_message`].
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub proof: Vec<u8>,
    /// X25519 key to which group keys are to be wrapped.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub wrap_key: [u8; 32],
    /// Name for people.
    #[n(4)]
    pub nick: String,
}

/// A member's request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SyncRequest {
    /// Which group.
    #[n(0)]
    pub group: GroupId,
    /// The last durable entry of every author known.
    #[n(1)]
    pub have: Vec<(AuthorId, Seq)>,
    /// Group keys known.
    #[n(2)]
    pub epochs: Vec<EpochTag>,
}

/// What the accepting side answers: keys, then batches in causal order, then `Done`; to the request for a
/// blob its parts, then `Done`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Response {
    /// No, and why.
    #[n(0)]
    Refused(#[n(0)] Refusal),
    /// Group keys that the asking side lacks.
    #[n(1)]
    Keys(#[n(0)] Vec<EpochKey>),
    /// A batch that the asking side lacks.
    #[n(2)]
    Batch(#[n(0)] ByteVec),
    /// That was all.
    #[n(3)]
    Done,
    /// The next [`BLOB_PART_LEN`] bytes of a blob; the last part may be shorter.
    #[n(4)]
    Part(#[n(0)] ByteVec),
}

/// A group key on its way through the stream.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct EpochKey {
    /// The secret.
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub secret: [u8; 32],
    /// When it was made.
    #[n(1)]
    pub created: Hlc,
}

impl core::fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("EpochKey")
            .field("created", &self.created)
            .finish_non_exhaustive()
    }
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
#[non_exhaustive]
pub enum Refusal {
    /// This node belongs to another group.
    #[n(0)]
    OtherGroup,
    /// No such invite is known here (yet).
    #[n(1)]
    UnknownInvite,
    /// The invite has expired.
    #[n(2)]
    Expired,
    /// The invite was used as often as it allows.
    #[n(3)]
    UsedUp,
    /// The proof does not fit the invite.
    #[n(4)]
    BadProof,
    /// The asking node is not a member (any more).
    #[n(5)]
    NotMember,
    /// The group has as many members as it can have.
    #[n(6)]
    GroupFull,
    /// Try again, or ask someone else.
    #[n(7)]
    Busy,
    /// The blob is not here: ask someone else.
    #[n(8)]
    NoBlob,
}

/// What a joiner signs with the invite's key: both ends are named, so nobody can pass the proof on.
#[must_use]
pub fn join_proof_message(
    group: &GroupId,
    joiner: &crate::NodeId,
    admitter: &crate::NodeId,
) -> Vec<u8> {
    [b"roda join v1".as_slice(), &group.0, &joiner.0, &admitter.0].concat()
}

/// CBOR of a message, without the length.
#[must_use]
pub fn encode<T: Encode<()>>(message: &T) -> Vec<u8> {
    minicbor::to_vec(message).expect("writing to memory cannot fail")
}

/// Parses exactly one message.
///
/// # Errors
/// [`Rejected::Malformed`] if it does not parse or something follows it.
pub fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, Rejected> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let message = decoder.decode().map_err(|_invalid| Rejected::Malformed)?;
    if decoder.position() == bytes.len() {
        Ok(message)
    } else {
        Err(Rejected::Malformed)
    }
}

//! What the engine asks to make durable, and what it wants back when it starts.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use crate::id::{AuthorId, EpochTag, GroupId, Hash, Incarnation, NodeId, Seq};
use crate::log::Batch;
use crate::time::Hlc;

/// One durable change. Records of one [`crate::Output::Persist`] become durable together or not at all.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Record {
    /// A batch of entries, verified, next in its author's log.
    Batch(Arc<Batch>),
    /// An epoch secret to keep (replaces the record of the same tag).
    Epoch(EpochRecord),
    /// An epoch secret to forget for good.
    ForgetEpoch(EpochTag),
    /// Entries of a removed author above `above` never counted: delete them.
    Void {
        /// Whose entries.
        author: AuthorId,
        /// The last entry that stays.
        above: Seq,
    },
    /// This node writes no entry at or below this clock any more; the greatest one counts.
    Clock(Hlc),
    /// The author signed two different logs: accept nothing more from it.
    Frozen(AuthorId),
}

/// A group key and how it ranks among others.
#[derive(Clone, PartialEq, Eq)]
pub struct EpochRecord {
    /// First four bytes of the secret's hash.
    pub tag: EpochTag,
    /// 32 random bytes.
    pub secret: Zeroizing<[u8; 32]>,
    /// When it was made; the greatest (`created`, `hash`) is used for sending.
    pub created: Hlc,
}

impl core::fmt::Debug for EpochRecord {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("EpochRecord")
            .field("tag", &self.tag)
            .field("created", &self.created)
            .finish_non_exhaustive()
    }
}

/// The newest batch of an author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Whose log.
    pub author: AuthorId,
    /// The node behind the author.
    pub node: NodeId,
    /// Its last entry.
    pub seq: Seq,
    /// Content hash of its last batch.
    pub hash: Hash,
    /// Clock of its last entry.
    pub hlc: Hlc,
}

/// Who this node is. The seed is the secret half of [`NodeId`].
#[derive(Clone)]
pub struct Identity {
    /// Ed25519 seed; everything secret of the node derives from it.
    pub seed: Zeroizing<[u8; 32]>,
    /// Drawn anew whenever the database may have lost or doubled its past.
    pub incarnation: Incarnation,
    /// The group this node belongs to.
    pub group: GroupId,
    /// The group's name, for people.
    pub group_name: String,
}

impl core::fmt::Debug for Identity {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Identity")
            .field("incarnation", &self.incarnation)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

/// All that the engine needs from disk to go on where it stopped.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Who this node is.
    pub identity: Identity,
    /// Known group keys.
    pub epochs: Vec<EpochRecord>,
    /// Every batch that holds a control entry, in the order in which they were stored.
    pub control: Vec<Arc<Batch>>,
    /// The newest batch of every author.
    pub heads: Vec<Head>,
    /// The greatest [`Record::Clock`].
    pub clock: Hlc,
    /// Authors that signed two different logs.
    pub frozen: Vec<AuthorId>,
}

//! Control entries: the signed changes of a group, as CBOR in entries of kind `Control`.

use alloc::string::String;
use alloc::vec::Vec;

use minicbor::{Decode, Encode};

use crate::crypto::{self, WRAP_KEY_LEN};
use crate::error::Rejected;
use crate::group::{InviteId, NICK_LEN_MAX};
use crate::id::{AuthorId, EpochTag, GroupId, Hash, NodeId, Seq};
use crate::stream;
use crate::time::Hlc;

/// Wrapped keys in one [`Control::Rotate`], so that it stays below the size of an entry.
pub const WRAPS_PER_ENTRY: usize = 200;

/// A change of the group.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub enum Control {
    /// Founds the group; its author is the first member. Its hash is the [`GroupId`].
    #[n(0)]
    Found {
        /// Makes the group's id unique.
        #[n(0)]
        #[cbor(with = "minicbor::bytes")]
        salt: [u8; 16],
        /// Name for people.
        #[n(1)]
        name: String,
    },
    /// What a member says of itself.
    #[n(1)]
    Profile {
        /// Name for people.
        #[n(0)]
        nick: String,
        /// Where to wrap group keys for it.
        #[n(1)]
        #[cbor(with = "minicbor::bytes")]
        wrap_key: [u8; WRAP_KEY_LEN],
    },
    /// Opens the door for holders of an invite.
    #[n(2)]
    Invite {
        /// Public half of the invite's key.
        #[n(0)]
        invite: InviteId,
        /// How many may come.
        #[n(1)]
        uses: u32,
        /// Until when, milliseconds since 1970.
        #[n(2)]
        expires: u64,
    },
    /// Makes a node a member.
    #[n(3)]
    Admit {
        /// Whom.
        #[n(0)]
        node: NodeId,
        /// Where to wrap group keys for it.
        #[n(1)]
        #[cbor(with = "minicbor::bytes")]
        wrap_key: [u8; WRAP_KEY_LEN],
        /// Its name for people.
        #[n(2)]
        nick: String,
        /// With which invite it came.
        #[n(3)]
        invite: InviteId,
        /// The group keys it may be given.
        #[n(4)]
        epochs: Vec<EpochTag>,
    },
    /// Ends a membership.
    #[n(4)]
    Remove {
        /// Whose.
        #[n(0)]
        node: NodeId,
        /// The admissions that end; a later one is not touched.
        #[n(1)]
        admissions: Vec<EntryId>,
        /// The last entry that counts of each of its authors; of any other author none does.
        #[n(2)]
        cuts: Vec<(AuthorId, Seq)>,
    },
    /// The author leaves the group; this is its last entry.
    #[n(5)]
    Leave {
        /// The admissions that end.
        #[n(0)]
        admissions: Vec<EntryId>,
    },
    /// A new group key, wrapped for every member; several entries if there are many.
    #[n(6)]
    Rotate {
        /// Name of the key.
        #[n(0)]
        epoch: EpochTag,
        /// When it was made; ranks it among others.
        #[n(1)]
        created: Hlc,
        /// The key for each member.
        #[n(2)]
        wraps: Vec<Wrap>,
    },
}

/// Names an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(array)]
pub struct EntryId {
    /// Its author.
    #[n(0)]
    pub author: AuthorId,
    /// Its place.
    #[n(1)]
    pub seq: Seq,
}

/// A group key for one member.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Wrap {
    /// For whom.
    #[n(0)]
    pub node: NodeId,
    /// What [`crypto::wrap`] made.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub sealed: Vec<u8>,
}

impl Control {
    /// The entry's body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        stream::encode(self)
    }

    /// Parses an entry's body.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] if it is anything else, or a name is too long.
    pub fn parse(body: &[u8]) -> Result<Self, Rejected> {
        let control: Self = stream::decode(body)?;
        let name = match &control {
            Self::Found { name, .. } => name.as_str(),
            Self::Profile { nick, .. } | Self::Admit { nick, .. } => nick.as_str(),
            Self::Invite { .. }
            | Self::Remove { .. }
            | Self::Leave { .. }
            | Self::Rotate { .. } => "",
        };
        if name.len() > NICK_LEN_MAX || name.chars().any(char::is_control) {
            return Err(Rejected::Malformed);
        }
        Ok(control)
    }
}

/// The id of the group that `founder` founds with `salt` and `name`.
#[must_use]
pub fn founding_group_id(founder: &NodeId, salt: &[u8; 16], name: &str) -> GroupId {
    let Hash(hash) = crypto::sha256(&[b"roda group v1", &founder.0, salt, name.as_bytes()]);
    let mut id = [0; GroupId::LEN];
    id.copy_from_slice(&hash[..GroupId::LEN]);
    GroupId(id)
}

/// What binds a wrapped key to its group and epoch.
#[must_use]
pub fn wrap_info(group: &GroupId, epoch: EpochTag) -> Vec<u8> {
    [b"roda wrap v1".as_slice(), &group.0, &epoch.0.to_be_bytes()].concat()
}

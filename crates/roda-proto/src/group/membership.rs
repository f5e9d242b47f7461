//! The fold of all control entries. The result does not depend on the order of concurrent ones.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use crate::crypto::{self, WRAP_KEY_LEN};
use crate::group::control::{Control, EntryId, founding_group_id};
use crate::group::{InviteId, MEMBERS_MAX};
use crate::id::{AuthorId, EpochTag, GroupId, NodeId, Seq};
use crate::log::{Batch, EntryKind};
use crate::record::EpochRecord;
use crate::stream::Refusal;
use crate::time::{Hlc, WallTime};

/// Invites remembered; beyond it the one that expires first is forgotten.
const INVITES_MAX: usize = 4096;

/// What is known of a node that is or was a member.
#[derive(Clone, Debug, Default)]
pub struct Member {
    /// Observed-remove set: a member is active while any admission is not ended (Shapiro et al., 2011).
    /// One that is older than a removal cannot know of it, so that ends with it even if unobserved: else
    /// whoever was let in twice at once would stay after being removed.
    admissions: BTreeMap<EntryId, Hlc>,
    ended: BTreeSet<EntryId>,
    /// Clock of the newest removal.
    removed: Hlc,
    /// Where to wrap group keys for it.
    pub wrap_key: Option<[u8; WRAP_KEY_LEN]>,
    /// Name for people, and the clock at which it was said.
    nick: (Hlc, String),
    cuts: BTreeMap<AuthorId, Seq>,
    /// Its own last entry. It counts unless someone removed it at the same time: whoever heard of that
    /// first would never take it.
    left: Option<Leave>,
    removed_admissions: BTreeSet<EntryId>,
}

#[derive(Clone, Debug)]
struct Leave {
    author: AuthorId,
    seq: Seq,
    admissions: Vec<EntryId>,
}

#[derive(Clone, Debug)]
struct Invite {
    /// Who made it, and so knows its secret: it ends with that membership.
    by: NodeId,
    uses: u32,
    expires: u64,
    used: u32,
}

/// How much of an author's log counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// Its node is a member.
    All,
    /// Its node was removed: up to this entry.
    UpTo(Seq),
    /// Its node is not known as a member (yet).
    NotYet,
}

/// Who belongs to the group.
#[derive(Clone, Debug)]
pub struct Membership {
    group: GroupId,
    members: BTreeMap<NodeId, Member>,
    /// Number of members; asked for every datagram.
    count: usize,
    invites: BTreeMap<InviteId, Invite>,
    /// Who has the founding key before anyone is admitted.
    founder: Option<NodeId>,
    /// Who was given a key when it was made, and who when it was admitted. Everybody folds the same, so
    /// nobody is handed a key without an entry that says so.
    wrapped: BTreeMap<EpochTag, BTreeSet<NodeId>>,
    admitted: BTreeMap<EpochTag, BTreeSet<NodeId>>,
    /// The group's name, once the founding entry is known.
    pub name: Option<String>,
}

impl Membership {
    /// Knows nobody yet.
    #[must_use]
    pub const fn new(group: GroupId) -> Self {
        Self {
            group,
            members: BTreeMap::new(),
            count: 0,
            invites: BTreeMap::new(),
            founder: None,
            wrapped: BTreeMap::new(),
            admitted: BTreeMap::new(),
            name: None,
        }
    }

    /// Takes in the control entries of a batch; returns them.
    pub fn apply(&mut self, batch: &Batch) -> Vec<Control> {
        let mut applied = Vec::new();
        for entry in batch
            .entries()
            .filter(|entry| entry.kind == EntryKind::Control)
        {
            // A control entry that does not parse was written by a newer version; it is kept and skipped.
            if let Ok(control) = Control::parse(entry.body) {
                self.apply_one(
                    batch,
                    EntryId {
                        author: batch.author,
                        seq: entry.seq,
                    },
                    entry.hlc,
                    &control,
                );
                applied.push(control);
            }
        }
        if !applied.is_empty() {
            self.count = self.active().count();
        }
        applied
    }

    fn apply_one(&mut self, batch: &Batch, id: EntryId, hlc: Hlc, control: &Control) {
        match control {
            Control::Found { salt, name } => {
                if founding_group_id(&batch.node, salt, name) == self.group {
                    self.name = Some(name.clone());
                    self.founder = Some(batch.node);
                    self.members
                        .entry(batch.node)
                        .or_default()
                        .admissions
                        .insert(id, hlc);
                }
            }
            Control::Profile { nick, wrap_key } => {
                let member = self.members.entry(batch.node).or_default();
                member.wrap_key = Some(*wrap_key);
                member.say_nick(hlc, nick);
            }
            Control::Invite {
                invite,
                uses,
                expires,
            } => self.open_invite(*invite, batch.node, *uses, *expires),
            Control::Admit {
                node,
                wrap_key,
                nick,
                invite,
                epochs,
            } => {
                for epoch in epochs {
                    self.admitted.entry(*epoch).or_default().insert(*node);
                }
                let member = self.members.entry(*node).or_default();
                member.admissions.insert(id, hlc);
                member.wrap_key.get_or_insert(*wrap_key);
                member.say_nick(hlc, nick);
                if let Some(invite) = self.invites.get_mut(invite) {
                    invite.used += 1;
                }
            }
            Control::Remove {
                node,
                admissions,
                cuts,
            } => {
                let member = self.members.entry(*node).or_default();
                member.removed_admissions.extend(admissions);
                self.end(*node, hlc, admissions, cuts);
            }
            Control::Leave { admissions } => {
                self.end(batch.node, hlc, admissions, &[]);
                self.members.entry(batch.node).or_default().left = Some(Leave {
                    author: id.author,
                    seq: id.seq,
                    admissions: admissions.clone(),
                });
            }
            Control::Rotate { epoch, wraps, .. } => {
                let nodes = wraps.iter().map(|wrap| wrap.node).chain([batch.node]);
                self.wrapped.entry(*epoch).or_default().extend(nodes);
            }
        }
    }

    fn open_invite(&mut self, id: InviteId, by: NodeId, uses: u32, expires: u64) {
        self.invites.entry(id).or_insert(Invite {
            by,
            uses,
            expires,
            used: 0,
        });
        if self.invites.len() > INVITES_MAX {
            let first = self
                .invites
                .iter()
                .min_by_key(|(_, invite)| invite.expires)
                .map(|(id, _)| *id);
            if let Some(first) = first {
                self.invites.remove(&first);
            }
        }
    }

    fn end(&mut self, node: NodeId, hlc: Hlc, admissions: &[EntryId], cuts: &[(AuthorId, Seq)]) {
        let member = self.members.entry(node).or_default();
        member.removed = member.removed.max(hlc);
        member.ended.extend(admissions);
        for (author, seq) in cuts {
            // Two removals that did not know of each other: whatever one of them had seen counts.
            let cut = member.cuts.entry(*author).or_insert(*seq);
            *cut = (*cut).max(*seq);
        }
    }

    /// How much of an author's log counts.
    #[must_use]
    pub fn allowed(&self, node: &NodeId, author: &AuthorId) -> Allowed {
        let Some(member) = self.members.get(node) else {
            return Allowed::NotYet;
        };
        match member.cut(author) {
            Some(cut) => Allowed::UpTo(cut),
            None if member.is_active() => Allowed::All,
            None if member.admissions.is_empty() => Allowed::NotYet,
            None => Allowed::UpTo(Seq(0)),
        }
    }

    /// Whether the batch founds this very group.
    #[must_use]
    pub fn is_founding(&self, batch: &Batch) -> bool {
        batch.first == Seq(1)
            && batch
                .entries()
                .filter(|entry| entry.kind == EntryKind::Control)
                .any(|entry| {
                    matches!(Control::parse(entry.body), Ok(Control::Found { salt, name })
                    if founding_group_id(&batch.node, &salt, &name) == self.group)
                })
    }

    /// Whether a node is a member now.
    #[must_use]
    pub fn is_active(&self, node: &NodeId) -> bool {
        self.members.get(node).is_some_and(Member::is_active)
    }

    /// Whether a node was a member and is none any more.
    #[must_use]
    pub fn is_expelled(&self, node: &NodeId) -> bool {
        self.members
            .get(node)
            .is_some_and(|member| !member.admissions.is_empty() && !member.is_active())
    }

    /// All members of now.
    pub fn active(&self) -> impl Iterator<Item = (&NodeId, &Member)> {
        self.members.iter().filter(|(_, member)| member.is_active())
    }

    /// Whether a node left by itself.
    #[must_use]
    pub fn has_left(&self, node: &NodeId) -> bool {
        self.is_expelled(node)
            && self
                .members
                .get(node)
                .is_some_and(|member| member.leave().is_some())
    }

    /// Whether the entries that spread a key are known here; the founding key has none.
    fn accounts_for(&self, epoch: &EpochRecord) -> bool {
        epoch.created == Hlc::ZERO || self.wrapped.contains_key(&epoch.tag)
    }

    /// All who have a key, or may have it.
    fn holders(&self, epoch: &EpochRecord) -> impl Iterator<Item = &NodeId> {
        let founder = self.founder.iter().filter(|_| epoch.created == Hlc::ZERO);
        let wrapped = self.wrapped.get(&epoch.tag).into_iter().flatten();
        let admitted = self.admitted.get(&epoch.tag).into_iter().flatten();
        founder.chain(wrapped).chain(admitted)
    }

    /// How far the logs of former members count.
    pub fn cuts(&self) -> impl Iterator<Item = (AuthorId, Seq)> {
        self.members.values().flat_map(|member| {
            let left = member.leave().map(|leave| leave.author);
            let authors = member.cuts.keys().copied().chain(left);
            authors.filter_map(|author| Some((author, member.cut(&author)?)))
        })
    }

    /// The node that an author belongs to, if it is or was a member.
    #[must_use]
    pub fn node_behind(&self, author: &AuthorId) -> Option<&NodeId> {
        self.members
            .keys()
            .find(|node| crypto::is_author_of(author, node))
    }

    /// Number of members.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// What is known of a node.
    #[must_use]
    pub fn member(&self, node: &NodeId) -> Option<&Member> {
        self.members.get(node)
    }

    /// Whether an invite may be used now.
    ///
    /// # Errors
    /// Why not.
    pub fn check_invite(&self, invite: &InviteId, wall: WallTime) -> Result<(), Refusal> {
        let invite = self.invites.get(invite).ok_or(Refusal::UnknownInvite)?;
        if !self.is_active(&invite.by) {
            return Err(Refusal::UnknownInvite);
        }
        if wall.0 > invite.expires {
            Err(Refusal::Expired)
        } else if invite.used >= invite.uses {
            Err(Refusal::UsedUp)
        } else if self.count() >= MEMBERS_MAX {
            Err(Refusal::GroupFull)
        } else {
            Ok(())
        }
    }

    /// How often an invite may still be used.
    #[must_use]
    pub fn uses_left(&self, invite: &InviteId) -> u32 {
        self.invites
            .get(invite)
            .map_or(0, |invite| invite.uses.saturating_sub(invite.used))
    }

    /// Whether someone other than `own` who does not belong may have this key. One whose entries are not
    /// here may have been made by anyone for anyone.
    #[must_use]
    pub fn is_leaked(&self, epoch: &EpochRecord, own: &NodeId) -> bool {
        let is_out = |node: &NodeId| node != own && !self.is_active(node);
        !self.accounts_for(epoch) || self.holders(epoch).any(is_out)
    }

    /// Whether every member may have this key.
    #[must_use]
    pub fn is_for_all(&self, epoch: &EpochRecord) -> bool {
        let holders: BTreeSet<&NodeId> = self.holders(epoch).collect();
        self.accounts_for(epoch) && self.active().all(|(node, _)| holders.contains(node))
    }
}

impl Member {
    /// Its leave, if that is how its membership ended.
    fn leave(&self) -> Option<&Leave> {
        let is_removed = |admission| self.removed_admissions.contains(admission);
        self.left
            .as_ref()
            .filter(|leave| !leave.admissions.iter().any(is_removed))
    }

    /// The last entry of an author of it that counts.
    fn cut(&self, author: &AuthorId) -> Option<Seq> {
        let left = self.leave().filter(|leave| leave.author == *author);
        self.cuts
            .get(author)
            .copied()
            .or_else(|| left.map(|leave| leave.seq))
    }

    fn is_active(&self) -> bool {
        self.lasting().next().is_some()
    }

    fn lasting(&self) -> impl Iterator<Item = EntryId> {
        self.admissions
            .iter()
            .filter(|(id, hlc)| **hlc > self.removed && !self.ended.contains(id))
            .map(|(id, _)| *id)
    }

    fn say_nick(&mut self, hlc: Hlc, nick: &str) {
        if hlc >= self.nick.0 {
            self.nick = (hlc, nick.into());
        }
    }

    /// Name for people.
    #[must_use]
    pub fn nick(&self) -> &str {
        &self.nick.1
    }

    /// The admissions that a removal has to end.
    #[must_use]
    pub fn admissions(&self) -> Vec<EntryId> {
        self.lasting().collect()
    }
}

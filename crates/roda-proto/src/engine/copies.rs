//! Who else has an entry, for whoever waits until it would survive the loss of this machine.
//!
//! Beacons tell it, and tell only what is durable at their sender: with the list of all heads, or with a
//! digest that is the same as here. The beacon that follows a new entry is enough while the group is quiet. When
//! others write at the same time, digests differ; then those who lack the entry by what is known are asked,
//! and who is asked answers with its heads.

use alloc::collections::BTreeMap;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

use super::{Engine, Event};
use crate::id::{AuthorId, NodeId, Seq};
use crate::time::Timestamp;
use crate::wire::Beacon;

/// Most authors whose entries somebody can wait for.
pub const COPIES_AUTHORS_MAX: usize = 64;
/// Who has not told by then is asked.
const ASK_FIRST: Duration = Duration::from_millis(30);
/// Longest pause between two questions.
const ASK_MAX: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Copies {
    /// Up to which entry of each author somebody waits.
    wanted: BTreeMap<AuthorId, Seq>,
    /// Up to which entry of a wanted author (the second) a peer (the first) durably has it.
    has: BTreeMap<(AuthorId, AuthorId), Seq>,
    /// The digest with which the peers' were compared last.
    compared: u64,
    ask_at: Option<Timestamp>,
    pause: Duration,
}

impl Copies {
    pub(super) const fn next_deadline(&self) -> Option<Timestamp> {
        self.ask_at
    }

    /// Notes what a peer has. Whether that is news.
    fn note(&mut self, peer: AuthorId, author: AuthorId, seq: Seq) -> bool {
        if !self.wanted.contains_key(&author) {
            return false;
        }
        let known = self.has.entry((peer, author)).or_insert(Seq(0));
        let is_news = seq > *known;
        *known = seq.max(*known);
        is_news
    }

    fn has(&self, peer: &AuthorId, author: &AuthorId) -> Seq {
        self.has.get(&(*peer, *author)).copied().unwrap_or_default()
    }
}

impl Engine {
    /// Of which entries somebody wants to know who has them; replaces what was wanted before.
    pub(super) fn on_want_copies(&mut self, wanted: BTreeMap<AuthorId, Seq>) {
        let now = self.now.mono;
        let grows = |(author, seq): (&AuthorId, &Seq)| self.copies.wanted.get(author) < Some(seq);
        let is_more = wanted.iter().any(grows);
        self.copies.wanted = wanted.into_iter().take(COPIES_AUTHORS_MAX).collect();
        let wanted = &self.copies.wanted;
        self.copies
            .has
            .retain(|(_, author), _| wanted.contains_key(author));
        if wanted.is_empty() {
            self.copies.ask_at = None;
            return;
        }
        if !is_more {
            return;
        }
        // What was told before anybody asked counts as well.
        let peers = self.peers.iter();
        let told: Vec<_> = peers
            .map(|(author, peer)| (*author, peer.beacon.clone()))
            .collect();
        for (peer, beacon) in told {
            self.note_copies(peer, &beacon);
        }
        self.copies.pause = ASK_FIRST;
        self.copies.ask_at = Some(now + ASK_FIRST);
    }

    /// Takes in what a proven peer's beacon tells about wanted entries.
    pub(super) fn note_copies(&mut self, peer: AuthorId, beacon: &Beacon) {
        if self.copies.wanted.is_empty() {
            return;
        }
        let mut is_news = false;
        for (author, seq) in beacon.heads.iter().chain([&(peer, beacon.head)]) {
            is_news |= self.copies.note(peer, *author, *seq);
        }
        if beacon.digest != 0 && beacon.digest == self.logs.digest() {
            is_news |= self.note_all(peer);
        }
        if is_news {
            self.event(Event::CopiesChanged);
        }
    }

    /// A peer has exactly what is durable here.
    fn note_all(&mut self, peer: AuthorId) -> bool {
        let wanted: Vec<AuthorId> = self.copies.wanted.keys().copied().collect();
        let mut is_news = false;
        for author in wanted {
            let seq = self.logs.durable(&author);
            is_news |= self.copies.note(peer, author, seq);
        }
        is_news
    }

    pub(super) fn poll_copies(&mut self) {
        if self.copies.wanted.is_empty() {
            return;
        }
        let digest = self.logs.digest();
        if self.copies.compared != digest {
            // What came here only now may be what a peer had before.
            self.copies.compared = digest;
            let equal = self.peers.iter();
            let equal = equal.filter(|(_, peer)| digest != 0 && peer.beacon.digest == digest);
            let equal: Vec<AuthorId> = equal.map(|(author, _)| *author).collect();
            let mut is_news = false;
            for peer in equal {
                is_news |= self.note_all(peer);
            }
            if is_news {
                self.event(Event::CopiesChanged);
            }
        }
        let now = self.now.mono;
        if self.copies.ask_at.is_none_or(|at| at > now) {
            return;
        }
        let lacks = |peer: &AuthorId| {
            let mut wanted = self.copies.wanted.iter();
            wanted.any(|(author, seq)| self.copies.has(peer, author) < *seq)
        };
        let lacking = self.peers.online(now).filter(|(author, _)| lacks(author));
        let lacking: Vec<_> = lacking.map(|(_, peer)| peer.tag).collect();
        if !lacking.is_empty() {
            self.beacons.ask(lacking);
            self.prompt_beacon();
        }
        // Also if all who are heard have it: others may come back.
        self.copies.ask_at = Some(now + self.copies.pause);
        self.copies.pause = (self.copies.pause * 2).min(ASK_MAX);
    }

    /// The members that durably have an entry, as far as they have told; this node among them. Others than this
    /// node are known only while [`Input::WantCopies`](super::Input::WantCopies) names the author.
    #[must_use]
    pub fn holders(&self, author: &AuthorId, seq: Seq) -> BTreeSet<NodeId> {
        let has = |peer: &AuthorId| self.copies.has(peer, author) >= seq;
        // A node that lost its database is another author now; what the old one had is gone.
        let mut last_runs: BTreeMap<NodeId, (Timestamp, &AuthorId)> = BTreeMap::new();
        for (author, peer) in self.peers.iter() {
            let Some(node) = peer.node else { continue };
            let run = last_runs.entry(node).or_insert((peer.heard, author));
            *run = (*run).max((peer.heard, author));
        }
        let runs = last_runs.into_iter().filter(|(_, (_, peer))| has(peer));
        let mut holders: BTreeSet<NodeId> = runs.map(|(node, _)| node).collect();
        holders.remove(&self.node);
        if self.logs.durable(author) >= seq {
            holders.insert(self.node);
        }
        holders.retain(|node| self.membership.is_active(node));
        holders
    }

    /// How many members the group has, this node included.
    #[must_use]
    pub fn member_total(&self) -> usize {
        self.membership.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_noted_of_what_nobody_wants() {
        let (peer, author) = (AuthorId([1; 16]), AuthorId([2; 16]));
        let mut copies = Copies::default();
        assert!(!copies.note(peer, author, Seq(9)));
        copies.wanted.insert(author, Seq(5));
        assert!(copies.note(peer, author, Seq(4)));
        assert!(!copies.note(peer, author, Seq(3)), "what is durable stays");
        assert_eq!(copies.has(&peer, &author), Seq(4));
    }
}

//! All authors' logs as this node knows them: what is accepted, what is durable, what waits.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::crypto;
use crate::error::Rejected;
use crate::group::{Allowed, Membership};
use crate::id::{AuthorId, Hash, NodeId, Seq};
use crate::log::batch::{Batch, DEPS_MAX};
use crate::record::Head;
use crate::time::Hlc;

/// Bytes of verified batches that wait for a predecessor; more are dropped and asked for again.
pub const PENDING_BYTES_MAX: usize = 8 << 20;
/// Authors a node remembers.
pub const AUTHORS_MAX: usize = 16 * 1024;

#[derive(Clone, Copy, Debug)]
struct AuthorLog {
    node: NodeId,
    // Invariant: durable <= accepted.
    accepted: Seq,
    /// `None` after entries were voided: what came before the next batch is not known any more.
    hash: Option<Hash>,
    hlc: Hlc,
    durable: Seq,
    frozen: bool,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Next in its author's log: persist it.
    Accepted,
    /// Waits for what it depends on.
    Waits,
    /// Already here.
    Duplicate,
}

/// All logs.
pub struct Logs {
    authors: BTreeMap<AuthorId, AuthorLog>,
    pending: BTreeMap<(AuthorId, Seq), Arc<Batch>>,
    pending_bytes: usize,
    /// Authors of whom more became durable since this node's last batch.
    news: BTreeSet<AuthorId>,
    own: AuthorId,
    digest: u64,
    entries: u64,
}

impl Logs {
    /// Starts from what is on disk.
    #[must_use]
    pub fn new(own: AuthorId, heads: &[Head], frozen: &[AuthorId]) -> Self {
        let mut logs = Self {
            authors: BTreeMap::new(),
            pending: BTreeMap::new(),
            pending_bytes: 0,
            news: BTreeSet::new(),
            own,
            digest: 0,
            entries: 0,
        };
        for head in heads {
            logs.authors.insert(
                head.author,
                AuthorLog {
                    node: head.node,
                    accepted: head.seq,
                    hash: Some(head.hash),
                    hlc: head.hlc,
                    durable: head.seq,
                    frozen: frozen.contains(&head.author),
                },
            );
            logs.count(&head.author, Seq(0), head.seq);
            if head.author != own {
                logs.news.insert(head.author);
            }
        }
        logs
    }

    /// Last accepted entry.
    #[must_use]
    pub fn accepted(&self, author: &AuthorId) -> Seq {
        self.authors.get(author).map_or(Seq(0), |log| log.accepted)
    }

    /// Last durable entry.
    #[must_use]
    pub fn durable(&self, author: &AuthorId) -> Seq {
        self.authors.get(author).map_or(Seq(0), |log| log.durable)
    }

    /// Last accepted entry and hash of an author's last batch.
    #[must_use]
    pub fn tip(&self, author: &AuthorId) -> (Seq, Hash) {
        self.authors
            .get(author)
            .map_or((Seq(0), Hash::ZERO), |log| {
                (log.accepted, log.hash.unwrap_or(Hash::ZERO))
            })
    }

    /// The node behind an author.
    #[must_use]
    pub fn node_of(&self, author: &AuthorId) -> Option<NodeId> {
        self.authors.get(author).map(|log| log.node)
    }

    /// Authors of a node with their last accepted entries.
    pub fn authors_of<'a>(
        &'a self,
        node: &'a NodeId,
    ) -> impl Iterator<Item = (AuthorId, Seq)> + 'a {
        self.authors
            .iter()
            .filter(move |(_, log)| log.node == *node)
            .map(|(author, log)| (*author, log.accepted))
    }

    /// The version vector of what is durable.
    pub fn vector(&self) -> impl Iterator<Item = (AuthorId, Seq)> {
        self.authors
            .iter()
            .filter(|(_, log)| log.durable > Seq(0))
            .map(|(author, log)| (*author, log.durable))
    }

    /// Sum over the durable version vector; equal for equal logs.
    #[must_use]
    pub const fn digest(&self) -> u64 {
        self.digest
    }

    /// Number of durable entries.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.entries
    }

    /// Whether an author is known to have signed two logs.
    #[must_use]
    pub fn is_frozen(&self, author: &AuthorId) -> bool {
        self.authors.get(author).is_some_and(|log| log.frozen)
    }

    /// Whether a batch with this first entry already waits here.
    #[must_use]
    pub fn is_pending(&self, author: &AuthorId, first: Seq) -> bool {
        self.pending.contains_key(&(*author, first))
    }

    /// Judges a batch whose signature is right.
    ///
    /// # Errors
    /// [`Rejected::Fork`]: the author must be frozen. Else why the batch was dropped.
    pub fn offer(
        &mut self,
        batch: &Arc<Batch>,
        membership: &Membership,
    ) -> Result<Verdict, Rejected> {
        if self.is_frozen(&batch.author) {
            return Err(Rejected::Fork);
        }
        let accepted = self.accepted(&batch.author);
        if batch.last <= accepted {
            return Ok(Verdict::Duplicate);
        }
        match membership.allowed(&batch.node, &batch.author) {
            Allowed::UpTo(cut) if batch.last > cut => return Err(Rejected::NotMember),
            Allowed::NotYet if !membership.is_founding(batch) => return self.wait(batch),
            Allowed::All | Allowed::UpTo(_) | Allowed::NotYet => {}
        }
        if batch.first > accepted.next() {
            return self.wait(batch);
        }
        let log = self.authors.get(&batch.author);
        let follows = match log {
            None => batch.prev == Hash::ZERO,
            Some(log) => {
                log.hash.is_none_or(|hash| hash == batch.prev) && batch.hlc_first > log.hlc
            }
        };
        if batch.first <= accepted || !follows {
            return Err(Rejected::Fork);
        }
        if !batch
            .deps
            .iter()
            .all(|(author, seq)| self.is_satisfied(author, *seq, membership))
        {
            return self.wait(batch);
        }
        if log.is_none() && self.authors.len() >= AUTHORS_MAX {
            return Err(Rejected::Full);
        }
        self.accept(batch);
        Ok(Verdict::Accepted)
    }

    fn is_satisfied(&self, author: &AuthorId, seq: Seq, membership: &Membership) -> bool {
        // What was cut off or forked will never come; waiting for it would stop everyone.
        let is_cut = |node: &NodeId| matches!(membership.allowed(node, author), Allowed::UpTo(cut) if cut < seq);
        match self.authors.get(author) {
            Some(log) => log.accepted >= seq || log.frozen || is_cut(&log.node),
            None => membership.node_behind(author).is_some_and(is_cut),
        }
    }

    /// Whether an entry is durable here, or will never come: cut off, or of a frozen author.
    #[must_use]
    pub fn is_settled(&self, author: &AuthorId, seq: Seq, membership: &Membership) -> bool {
        let is_under_way = self.accepted(author) >= seq;
        self.durable(author) >= seq || (!is_under_way && self.is_satisfied(author, seq, membership))
    }

    fn wait(&mut self, batch: &Arc<Batch>) -> Result<Verdict, Rejected> {
        let key = (batch.author, batch.first);
        if self.pending.contains_key(&key) {
            return Ok(Verdict::Duplicate);
        }
        if self.pending_bytes + batch.bytes().len() > PENDING_BYTES_MAX {
            return Err(Rejected::Full);
        }
        self.pending_bytes += batch.bytes().len();
        self.pending.insert(key, Arc::clone(batch));
        Ok(Verdict::Waits)
    }

    /// Moves an author's log on by a batch that was checked (or made here).
    pub fn accept(&mut self, batch: &Batch) {
        let log = self.authors.entry(batch.author).or_insert(AuthorLog {
            node: batch.node,
            accepted: Seq(0),
            hash: None,
            hlc: Hlc::ZERO,
            durable: Seq(0),
            frozen: false,
        });
        assert!(batch.first == log.accepted.next(), "a log never has a gap");
        (log.accepted, log.hash, log.hlc) = (batch.last, Some(batch.hash), batch.hlc_last);
    }

    /// Batches that may have become acceptable: the first waiting one of each author.
    pub fn take_candidates(&mut self) -> Vec<Arc<Batch>> {
        let mut candidates = Vec::new();
        let mut authors: Vec<AuthorId> = Vec::new();
        for (author, _) in self.pending.keys() {
            if authors.last() != Some(author) {
                authors.push(*author);
            }
        }
        for author in authors {
            let next = self.accepted(&author).next();
            let stale: Vec<_> = self
                .pending
                .range((author, Seq(0))..(author, next))
                .map(|(key, _)| *key)
                .collect();
            for key in stale {
                self.take_pending(&key);
            }
            candidates.extend(self.take_pending(&(author, next)));
        }
        candidates
    }

    fn take_pending(&mut self, key: &(AuthorId, Seq)) -> Option<Arc<Batch>> {
        let batch = self.pending.remove(key)?;
        self.pending_bytes -= batch.bytes().len();
        Some(batch)
    }

    /// A batch survives power loss now.
    pub fn on_durable(&mut self, batch: &Batch) {
        let Some(log) = self.authors.get_mut(&batch.author) else {
            return;
        };
        if batch.last > log.accepted {
            return; // Voided while it was on its way to the disk; the same order reaches the store.
        }
        let before = log.durable;
        assert!(
            batch.first == before.next(),
            "batches become durable in order"
        );
        log.durable = batch.last;
        self.count(&batch.author, before, batch.last);
        if batch.author != self.own {
            self.news.insert(batch.author);
        }
    }

    fn count(&mut self, author: &AuthorId, before: Seq, after: Seq) {
        let term = |seq: Seq| {
            let hash = crypto::sha256(&[b"roda digest v1", &author.0, &seq.0.to_be_bytes()]);
            u64::from_be_bytes(hash.0[..8].try_into().expect("eight bytes"))
        };
        if before > Seq(0) {
            self.digest = self.digest.wrapping_sub(term(before));
        }
        if after > Seq(0) {
            self.digest = self.digest.wrapping_add(term(after));
        }
        self.entries = self
            .entries
            .saturating_sub(before.0)
            .saturating_add(after.0);
    }

    /// What this node's next batch depends on, ascending; called once per batch.
    pub fn take_deps(&mut self) -> Vec<(AuthorId, Seq)> {
        let mut deps = Vec::new();
        while deps.len() < DEPS_MAX {
            let Some(author) = self.news.pop_first() else {
                break;
            };
            let seq = self.durable(&author);
            // Nothing is left of an author that was voided whole.
            if seq > Seq(0) {
                deps.push((author, seq));
            }
        }
        deps
    }

    /// Accepts nothing more from an author.
    pub fn freeze(&mut self, author: &AuthorId) {
        if let Some(log) = self.authors.get_mut(author) {
            log.frozen = true;
        }
        self.drop_pending(author);
    }

    fn drop_pending(&mut self, author: &AuthorId) {
        let keys: Vec<_> = self
            .pending
            .range((*author, Seq(0))..=(*author, Seq(u64::MAX)))
            .map(|(key, _)| *key)
            .collect();
        for key in keys {
            self.take_pending(&key);
        }
    }

    /// Takes back what removed authors wrote beyond what counts; returns (author, last entry that stays).
    pub fn apply_cuts(&mut self, membership: &Membership) -> Vec<(AuthorId, Seq)> {
        let mut voided = Vec::new();
        for (author, log) in &self.authors {
            let cut = match membership.allowed(&log.node, author) {
                Allowed::UpTo(cut) => cut,
                // Its admission is void. This node's own log stays, so that no number is used twice.
                Allowed::NotYet if *author != self.own => Seq(0),
                Allowed::All | Allowed::NotYet => continue,
            };
            if log.accepted > cut {
                voided.push((*author, cut, log.durable));
            }
        }
        for (author, cut, durable) in &voided {
            self.drop_pending(author);
            if *durable > *cut {
                self.count(author, *durable, *cut);
            }
            if let Some(log) = self.authors.get_mut(author) {
                (log.accepted, log.hash, log.hlc) = (*cut, None, Hlc::ZERO);
                log.durable = log.durable.min(*cut);
            }
        }
        voided
            .into_iter()
            .map(|(author, cut, _)| (author, cut))
            .collect()
    }
}

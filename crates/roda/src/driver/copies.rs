//! Whoever watches how many members have an entry.

use std::collections::BTreeMap;

use roda_proto::{AuthorId, COPIES_AUTHORS_MAX, Engine, Input, Seq};
use tokio::sync::{oneshot, watch};

use super::Driver;
use crate::copies::CopyCount;
use crate::error::{Error, Result};

/// Most that watch at once.
const WATCHED_MAX: usize = 4096;

/// Who asked gets what it is to watch.
pub(crate) type CopiesAnswer = oneshot::Sender<Result<watch::Receiver<CopyCount>>>;

/// All that watch.
#[derive(Default)]
pub(super) struct Watched {
    entries: Vec<(AuthorId, Seq, watch::Sender<CopyCount>)>,
}

impl Watched {
    /// Begins to watch an entry. The engine has to be told what is [`Self::wanted`] then.
    pub(super) fn add(
        &mut self,
        engine: &Engine,
        author: AuthorId,
        seq: Seq,
    ) -> Result<watch::Receiver<CopyCount>> {
        self.drop_closed();
        let mut wanted = self.wanted();
        wanted.insert(author, seq);
        if self.entries.len() >= WATCHED_MAX || wanted.len() > COPIES_AUTHORS_MAX {
            return Err(Error::TooManyWait);
        }
        let (sender, receiver) = watch::channel(count(engine, &author, seq));
        self.entries.push((author, seq, sender));
        Ok(receiver)
    }

    /// Tells all how many have what they watch.
    pub(super) fn tell(&self, engine: &Engine) {
        for (author, seq, sender) in &self.entries {
            let now = count(engine, author, *seq);
            sender.send_if_modified(|told| {
                let is_new = *told != now;
                *told = now;
                is_new
            });
        }
    }

    /// Forgets those who have given up. Whether there were any.
    pub(super) fn drop_closed(&mut self) -> bool {
        let before = self.entries.len();
        self.entries.retain(|(_, _, sender)| !sender.is_closed());
        self.entries.len() < before
    }

    /// Up to which entry of each author somebody watches.
    pub(super) fn wanted(&self) -> BTreeMap<AuthorId, Seq> {
        let mut wanted = BTreeMap::new();
        for (author, seq, _) in &self.entries {
            let most: &mut Seq = wanted.entry(*author).or_insert(*seq);
            *most = (*most).max(*seq);
        }
        wanted
    }
}

impl Driver {
    /// Somebody begins to watch who has an entry.
    pub(super) fn watch_copies(&mut self, author: AuthorId, seq: Seq, answer: CopiesAnswer) {
        let watched = self.watched.add(&self.engine, author, seq);
        // Whoever asked may have given up.
        let _gone = answer.send(watched);
        self.want_copies();
        self.watched.tell(&self.engine);
    }

    /// Those who watch may have given up; an engine that starts anew knows of none.
    pub(super) fn want_copies(&mut self) {
        let wanted = self.watched.wanted();
        self.input(Input::WantCopies(wanted));
    }

    /// Members come and go without a word about entries.
    pub(super) fn look_after_copies(&mut self) {
        if self.watched.drop_closed() {
            self.want_copies();
        }
        self.watched.tell(&self.engine);
    }
}

fn count(engine: &Engine, author: &AuthorId, seq: Seq) -> CopyCount {
    let count = |len| u32::try_from(len).unwrap_or(u32::MAX);
    CopyCount {
        have: count(engine.holders(author, seq).len()),
        members: count(engine.member_total()),
    }
}

//! What a batch says about jobs.

use roda_proto::job::{Fact, FactKind, JobEntry, JobId, Place, QUEUE_LEN_MAX};
use roda_proto::{Batch, EntryKind, Hlc};

/// An entry of a batch that says something about jobs.
#[derive(Debug)]
pub(crate) struct Said<'b> {
    /// The queue.
    pub(crate) topic: &'b str,
    pub(crate) place: Place,
    pub(crate) hlc: Hlc,
    pub(crate) entry: JobEntry,
}

impl Said<'_> {
    /// What it says about single jobs that others pushed.
    pub(crate) fn facts(&self) -> impl Iterator<Item = (JobId, Fact)> {
        let facts = self.entry.facts().into_iter();
        facts.map(|(job, kind)| (job, self.fact(kind)))
    }

    const fn fact(&self, kind: FactKind) -> Fact {
        Fact {
            place: self.place,
            hlc: self.hlc,
            kind,
        }
    }
}

/// All that a batch says about jobs, in order. What does not parse says nothing, and no queue has so
/// long a name that it could not be claimed from.
pub(crate) fn said(batch: &Batch) -> impl Iterator<Item = Said<'_>> {
    let entries = batch.has_jobs().then(|| batch.entries());
    entries.into_iter().flatten().filter_map(|entry| {
        let topic = entry.topic.filter(|topic| topic.len() <= QUEUE_LEN_MAX)?;
        if entry.kind != EntryKind::Job {
            return None;
        }
        Some(Said {
            topic,
            place: Place {
                author: batch.author,
                seq: entry.seq,
            },
            hlc: entry.hlc,
            entry: JobEntry::parse(entry.body).ok()?,
        })
    })
}

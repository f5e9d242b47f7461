//! What this node is about to write: commands wait here and leave as signed batches.
//!
//! While a batch is on its way to the disk, the next one grows: idle, an entry leaves at once; busy,
//! batches reach their full size by themselves.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::crypto::SigningKey;
use crate::engine::CommandId;
use crate::id::{AuthorId, Hash, Incarnation, Seq};
use crate::log::batch::{Batch, BatchBuilder, EntryKind};
use crate::log::clock::Clock;
use crate::log::topic::Topic;
use crate::record::Record;
use crate::time::{Hlc, WallTime};

/// Bytes that may wait; beyond it commands are refused until half of it is gone.
pub const WAITING_BYTES_MAX: usize = 4 << 20;
/// Own batches on their way to the disk at once.
pub const IN_FLIGHT_MAX: usize = 2;

/// A command's entries.
pub struct Draft {
    /// Who wants to know when it is durable.
    pub command: Option<CommandId>,
    /// What its entries are.
    pub kind: EntryKind,
    /// Where they go.
    pub topic: Option<Topic>,
    /// Their bodies.
    pub bodies: VecDeque<Vec<u8>>,
    /// What has to become durable together with the last of them.
    pub records: Vec<Record>,
}

/// A command whose last entry is in a batch.
#[derive(Clone, Copy, Debug)]
pub struct Finished {
    /// Which.
    pub command: CommandId,
    /// Its first entry.
    pub first: Seq,
    /// Its last entry.
    pub last: Seq,
    /// Clock of the last.
    pub hlc: Hlc,
}

/// A batch to be made durable, then sent.
pub struct Sealed {
    /// The batch.
    pub batch: Arc<Batch>,
    /// Commands that it completes.
    pub finished: Vec<Finished>,
    /// Records that belong to them.
    pub records: Vec<Record>,
}

/// The queue of drafts.
#[derive(Default)]
pub struct Outbox {
    drafts: VecDeque<Draft>,
    started: Option<Seq>,
    bytes: usize,
}

impl Outbox {
    /// Whether more may be queued.
    #[must_use]
    pub const fn has_room(&self) -> bool {
        self.bytes < WAITING_BYTES_MAX
    }

    /// Whether commands that were refused may come again.
    #[must_use]
    pub const fn is_half_empty(&self) -> bool {
        self.bytes <= WAITING_BYTES_MAX / 2
    }

    /// Whether anything waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.drafts.is_empty()
    }

    /// Drops the draft of which a part is already in a batch.
    pub fn drop_begun(&mut self) {
        if self.started.take().is_some() {
            if let Some(begun) = self.drafts.pop_front() {
                self.bytes -= begun.bodies.iter().map(Vec::len).sum::<usize>();
            }
        }
    }

    /// Whether the next entry changes the group.
    #[must_use]
    pub fn is_control_next(&self) -> bool {
        self.drafts
            .front()
            .is_some_and(|draft| draft.kind == EntryKind::Control)
    }

    /// Commands that wait.
    #[must_use]
    pub fn commands(&self) -> Vec<CommandId> {
        self.drafts
            .iter()
            .filter_map(|draft| draft.command)
            .collect()
    }

    /// Queues a command's entries, at least one.
    pub fn push(&mut self, draft: Draft) {
        self.bytes += draft.bodies.iter().map(Vec::len).sum::<usize>();
        self.drafts.push_back(draft);
    }

    /// Fills one batch and signs it.
    pub fn seal(
        &mut self,
        key: &SigningKey,
        incarnation: Incarnation,
        (head, prev): (Seq, Hash),
        deps: &[(AuthorId, Seq)],
        (clock, wall): (&mut Clock, WallTime),
        control_only: bool,
    ) -> Sealed {
        let mut builder = BatchBuilder::new(head.next());
        let (mut finished, mut records) = (Vec::new(), Vec::new());
        let may_include = |kind| !control_only || kind == EntryKind::Control;
        while let Some(draft) = self.drafts.front_mut() {
            let Some(body) = draft.bodies.front() else {
                break;
            };
            if !builder.fits(draft.topic.as_ref(), body.len(), deps.len())
                || !may_include(draft.kind)
            {
                break;
            }
            let hlc = clock.tick(wall);
            let seq = builder.push(hlc, draft.kind, draft.topic.as_ref(), body);
            self.bytes -= body.len();
            draft.bodies.pop_front();
            let first = *self.started.get_or_insert(seq);
            if draft.bodies.is_empty() {
                self.started = None;
                records.append(&mut draft.records);
                if let Some(command) = draft.command {
                    finished.push(Finished {
                        command,
                        first,
                        last: seq,
                        hlc,
                    });
                }
                self.drafts.pop_front();
                if !records.is_empty() {
                    // What follows belongs under the new key, so it must not share this batch.
                    break;
                }
            }
        }
        Sealed {
            batch: Arc::new(builder.seal(key, incarnation, prev, deps)),
            finished,
            records,
        }
    }
}

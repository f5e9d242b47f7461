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
use crate::log::batch::{BATCH_LEN_MAX, Batch, BatchBuilder, EntryKind};
use crate::log::clock::Clock;
use crate::log::topic::Topic;
use crate::record::Record;
use crate::time::{Hlc, WallTime};

/// Bytes that may wait; beyond it commands are refused until half of it is gone.
pub const WAITING_BYTES_MAX: usize = 4 << 20;
/// Own batches on their way to the disk at once: few, so that batches grow while the disk works.
pub const IN_FLIGHT_MAX: usize = 2;
/// The same, while enough waits to fill the next one anyway.
pub const IN_FLIGHT_FULL_MAX: usize = 16;

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

/// The queues of drafts. What changes the group goes before messages: some of it makes messages safe.
#[derive(Default)]
pub struct Outbox {
    control: VecDeque<Waiting>,
    messages: VecDeque<Waiting>,
    bytes: usize,
    /// The last entry of this log is in a batch.
    is_closed: bool,
}

struct Waiting {
    draft: Draft,
    /// Its first entry, once that is in a batch.
    started: Option<Seq>,
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

    /// Whether enough waits to fill a batch.
    #[must_use]
    pub const fn fills_a_batch(&self) -> bool {
        self.bytes >= BATCH_LEN_MAX
    }

    /// Whether nothing waits that may be written now.
    #[must_use]
    pub fn is_empty(&self, control_only: bool) -> bool {
        self.is_closed || (self.control.is_empty() && (control_only || self.messages.is_empty()))
    }

    /// Drops the drafts of which a part is already in a batch.
    pub fn drop_begun(&mut self) {
        self.is_closed = false;
        for queue in [&mut self.control, &mut self.messages] {
            if queue
                .front()
                .is_some_and(|waiting| waiting.started.is_some())
                && let Some(begun) = queue.pop_front()
            {
                self.bytes -= begun.draft.bodies.iter().map(Vec::len).sum::<usize>();
            }
        }
    }

    /// Commands that wait.
    #[must_use]
    pub fn commands(&self) -> Vec<CommandId> {
        let all = self.control.iter().chain(&self.messages);
        all.filter_map(|waiting| waiting.draft.command).collect()
    }

    /// Queues the last entry of this log: it follows all that waits, and nothing follows it.
    pub fn push_last(&mut self, draft: Draft) {
        self.bytes += draft.bodies.iter().map(Vec::len).sum::<usize>();
        self.messages.push_back(Waiting {
            draft,
            started: None,
        });
    }

    /// Queues a command's entries, at least one.
    pub fn push(&mut self, draft: Draft) {
        self.bytes += draft.bodies.iter().map(Vec::len).sum::<usize>();
        let queue = match draft.kind {
            EntryKind::Control => &mut self.control,
            EntryKind::Message | EntryKind::Fenced | EntryKind::Job | EntryKind::Unknown(_) => {
                &mut self.messages
            }
        };
        queue.push_back(Waiting {
            draft,
            started: None,
        });
    }

    /// Fills one batch and signs it; there is something to write.
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
        // What follows records belongs under the new key that they are, so it is not in this batch.
        while records.is_empty() && !self.is_closed {
            // A command's entries follow each other, so far as that is safe.
            let has_begun = |waiting: &Waiting| waiting.started.is_some();
            let is_begun = self.messages.front().is_some_and(has_begun);
            let is_message = !control_only && (self.control.is_empty() || is_begun);
            let queue = if is_message {
                &mut self.messages
            } else {
                &mut self.control
            };
            let Some(waiting) = queue.front_mut() else {
                break;
            };
            let draft = &mut waiting.draft;
            // Only a last entry is a control entry among the messages.
            let is_last = is_message && draft.kind == EntryKind::Control;
            let Some(body) = draft.bodies.front() else {
                break;
            };
            if !builder.fits(draft.topic.as_ref(), body.len(), deps.len()) {
                break;
            }
            let hlc = clock.tick(wall);
            let seq = builder.push(hlc, draft.kind, draft.topic.as_ref(), body);
            self.bytes -= body.len();
            draft.bodies.pop_front();
            let first = *waiting.started.get_or_insert(seq);
            if draft.bodies.is_empty() {
                records.append(&mut draft.records);
                if let Some(command) = draft.command {
                    finished.push(Finished {
                        command,
                        first,
                        last: seq,
                        hlc,
                    });
                }
                self.is_closed = is_last;
                queue.pop_front();
            }
        }
        Sealed {
            batch: Arc::new(builder.seal(key, incarnation, prev, deps)),
            finished,
            records,
        }
    }
}

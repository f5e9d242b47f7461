//! Questions that wait for their reply.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use roda_proto::NodeId;
use thiserror::Error;
use tokio::sync::oneshot;

use super::lock;

/// Why a question has no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum CallError {
    /// The peer is not there, or slow.
    #[error("no reply in time")]
    TimedOut,
    /// It does not answer such questions, or not now.
    #[error("the peer does not answer")]
    Refused,
}

/// All questions of a node.
#[derive(Default)]
pub(super) struct Calls {
    table: Arc<Mutex<Table>>,
}

type Answer = oneshot::Sender<Option<Vec<u8>>>;

#[derive(Default)]
struct Table {
    next: u64,
    waiting: BTreeMap<u64, (NodeId, Answer)>,
}

impl Calls {
    pub(super) fn begin(&self, to: NodeId) -> Pending {
        let (answer, answered) = oneshot::channel();
        let mut table = lock(&self.table);
        let id = table.next;
        table.next += 1;
        table.waiting.insert(id, (to, answer));
        Pending {
            id,
            answered,
            table: Arc::clone(&self.table),
        }
    }

    /// Only whoever was asked can answer.
    pub(super) fn end(&self, from: NodeId, id: u64, body: Option<Vec<u8>>) {
        let mut table = lock(&self.table);
        let is_asked = matches!(table.waiting.get(&id), Some((asked, _)) if *asked == from);
        if is_asked && let Some((_, answer)) = table.waiting.remove(&id) {
            // Whoever asked may have given up.
            let _gone = answer.send(body);
        }
    }
}

/// A question under way; forgotten when dropped.
pub(super) struct Pending {
    id: u64,
    answered: oneshot::Receiver<Option<Vec<u8>>>,
    table: Arc<Mutex<Table>>,
}

impl Pending {
    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    pub(super) async fn reply(mut self) -> Option<Vec<u8>> {
        (&mut self.answered).await.ok().flatten()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        lock(&self.table).waiting.remove(&self.id);
    }
}

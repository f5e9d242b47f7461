//! Fetches the large checkpoints of jobs that this node may have to go on with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roda_proto::Hash;
use roda_proto::job::QueueName;
use roda_proto::{NodeId, Presence};
use roda_store::{BlobOrigin, BlobPut, WantedBlob};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::undertaker::INTEREST;
use crate::node::Node;
use crate::stream::{StreamError, fetch_blob};

/// Most blobs fetched at once: each is in memory as a whole.
const BLOBS_FETCHED_MAX: usize = 4;
/// Most blobs of a queue that are looked for at a time; others come when these are here.
const WANTED_MAX: usize = 256;
/// Longest time to reach one member before the next is asked.
const CALL_TIME_MAX: Duration = Duration::from_secs(1);
/// Pause after a change, as many come together; and longest time without a look.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// First pause before a blob that was not to be had is asked for again; each further one doubles it.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Longest such pause.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(30);

/// The queues for which this node has a worker.
#[derive(Default)]
pub(crate) struct Copier {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Until when each is looked after.
    queues: BTreeMap<QueueName, Instant>,
    is_running: bool,
}

impl Copier {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queues that still have a worker; if there is none, the task ends.
    fn queues_or_end(&self) -> Vec<QueueName> {
        let mut state = self.state();
        state.queues.retain(|_, until| *until > Instant::now());
        state.is_running = !state.queues.is_empty();
        state.queues.keys().cloned().collect()
    }
}

impl Node {
    /// A worker of this node asks for jobs of a queue: for a while the large checkpoints of its jobs are
    /// kept here as well.
    pub(super) fn keep_copies(&self, queue: &QueueName) {
        let mut state = self.job_state().copier.state();
        let until = Instant::now() + INTEREST;
        state.queues.insert(queue.clone(), until);
        if !std::mem::replace(&mut state.is_running, true) {
            tokio::spawn(run(self.clone()));
        }
    }

    /// Asks for a blob whoever may have it, one after the other: who saved it first.
    pub(super) async fn fetch_blob(&self, wanted: &WantedBlob) -> Option<Vec<u8>> {
        let author = wanted.saved_by;
        let saver = self.read(move |reader| reader.node_of(author)).await;
        for peer in self.peers(saver.ok().flatten()) {
            match self.fetch_from(peer, wanted).await {
                Ok(blob) => return Some(blob),
                Err(error) => {
                    tracing::debug!(peer = %peer.short(), %error, "a blob did not come");
                }
            }
        }
        None
    }

    async fn fetch_from(&self, peer: NodeId, wanted: &WantedBlob) -> Result<Vec<u8>, StreamError> {
        let links = &self.job_state().links;
        let stream = timeout(CALL_TIME_MAX, links.call_stream(peer))
            .await
            .map_err(|_elapsed| StreamError::TimedOut)??;
        let len = usize::try_from(wanted.len).unwrap_or(usize::MAX);
        fetch_blob(stream, links.group(), wanted.hash, len).await
    }

    /// The other members that can be called, those first that are most likely to answer.
    fn peers(&self, saver: Option<NodeId>) -> Vec<NodeId> {
        let me = self.node_id();
        let links = &self.job_state().links;
        let mut peers: Vec<_> = self
            .known_members()
            .into_iter()
            .filter(|member| member.node != me && links.knows(member.node))
            .collect();
        peers.sort_by_key(|peer| {
            let is_online = peer.presence == Presence::Online;
            (!is_online, Some(peer.node) != saver)
        });
        peers.into_iter().map(|peer| peer.node).collect()
    }
}

/// What became of a blob that is not here yet.
struct Tried {
    again_at: Instant,
    pause: Duration,
}

/// Looks for missing blobs after every change, as long as there is a worker.
async fn run(node: Node) {
    let mut changes = node.job_changes();
    let mut tried: BTreeMap<Hash, Tried> = BTreeMap::new();
    let mut under_way = BTreeSet::new();
    let mut fetching = JoinSet::new();
    loop {
        let queues = node.job_state().copier.queues_or_end();
        if queues.is_empty() {
            return;
        }
        changes.mark_unchanged();
        let wanted = wanted(&node, queues).await;
        tried.retain(|hash, _| wanted.iter().any(|wanted| wanted.hash == *hash));
        for wanted in due(&wanted, &tried) {
            if fetching.len() < BLOBS_FETCHED_MAX && under_way.insert(wanted.hash) {
                let node = node.clone();
                fetching.spawn(async move { (wanted.hash, copy(&node, &wanted).await) });
            }
        }
        tokio::select! {
            _stopped = node.stopped() => return,
            Some(ended) = fetching.join_next() => match ended {
                Ok((hash, is_here)) => {
                    under_way.remove(&hash);
                    note(&mut tried, hash, is_here);
                }
                Err(error) => {
                    tracing::error!(%error, "fetching a blob ended");
                    return;
                }
            },
            changed = timeout(PAUSES.1, changes.changed()) => {
                if matches!(changed, Ok(Err(_))) {
                    return;
                }
                tokio::time::sleep(PAUSES.0).await;
            }
        }
    }
}

async fn wanted(node: &Node, queues: Vec<QueueName>) -> Vec<WantedBlob> {
    let wanted = node.read(move |reader| {
        let mut wanted = Vec::new();
        for queue in &queues {
            wanted.extend(reader.blobs_wanted(queue, WANTED_MAX)?);
        }
        Ok(wanted)
    });
    wanted.await.unwrap_or_default()
}

/// Newest checkpoints, and the one before if the newest was not to be had.
fn due(wanted: &[WantedBlob], tried: &BTreeMap<Hash, Tried>) -> Vec<WantedBlob> {
    let now = Instant::now();
    let is_missed = |job| {
        let mut newest = wanted.iter().filter(|other| other.is_newest);
        newest.any(|other| other.job == job && tried.contains_key(&other.hash))
    };
    let is_due = |wanted: &&WantedBlob| {
        let may_again = tried
            .get(&wanted.hash)
            .is_none_or(|tried| tried.again_at <= now);
        may_again && (wanted.is_newest || is_missed(wanted.job))
    };
    wanted.iter().filter(is_due).copied().collect()
}

fn note(tried: &mut BTreeMap<Hash, Tried>, hash: Hash, is_here: bool) {
    if is_here {
        tried.remove(&hash);
        return;
    }
    let before = tried.get(&hash).map(|tried| tried.pause);
    let pause = before.map_or(RETRY_PAUSE, |pause| (pause * 2).min(RETRY_PAUSE_MAX));
    let again_at = Instant::now() + pause;
    tried.insert(hash, Tried { again_at, pause });
}

/// Fetches and stores a blob; whether that is done with.
async fn copy(node: &Node, wanted: &WantedBlob) -> bool {
    let Some(blob) = node.fetch_blob(wanted).await else {
        return false;
    };
    match node.put_blob(Arc::new(blob), BlobOrigin::Copy).await {
        Ok(BlobPut::Stored | BlobPut::NotNamed) => true,
        Ok(BlobPut::NoRoom) => {
            tracing::warn!(job = %wanted.job, "no room for a copy of a job's checkpoint");
            false
        }
        Err(error) => {
            tracing::warn!(%error, "a copy of a job's checkpoint could not be stored");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use roda_proto::job::JobId;
    use roda_proto::{AuthorId, Seq};

    use super::*;

    fn wanted(job: u64, hash: u8, is_newest: bool) -> WantedBlob {
        let author = AuthorId([1; 16]);
        WantedBlob {
            job: JobId {
                author,
                seq: Seq(job),
            },
            hash: Hash([hash; 32]),
            len: 30_000,
            saved_by: author,
            is_newest,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_older_checkpoint_is_fetched_if_the_newest_is_not_to_be_had() {
        let all = [wanted(1, 1, true), wanted(2, 2, true), wanted(1, 3, false)];
        let mut tried = BTreeMap::new();
        let hashes = |tried: &BTreeMap<Hash, Tried>| {
            let due = due(&all, tried).into_iter();
            due.map(|wanted| wanted.hash.0[0]).collect::<Vec<_>>()
        };
        assert_eq!(hashes(&tried), [1, 2]);
        note(&mut tried, Hash([1; 32]), false);
        assert_eq!(hashes(&tried), [2, 3]);
        tokio::time::advance(RETRY_PAUSE).await;
        assert_eq!(hashes(&tried), [1, 2, 3]);
        note(&mut tried, Hash([1; 32]), false);
        tokio::time::advance(RETRY_PAUSE).await;
        assert_eq!(hashes(&tried), [2, 3]);
        tokio::time::advance(RETRY_PAUSE).await;
        assert_eq!(hashes(&tried), [1, 2, 3]);
        note(&mut tried, Hash([1; 32]), true);
        assert_eq!(hashes(&tried), [1, 2]);
    }
}

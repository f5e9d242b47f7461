//! The thread that writes the log: it takes all that has gathered while it waited for the disk, and
//! makes one transaction of it.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use openraft::storage::LogFlushed;
use roda_proto::NodeId;
use roda_store::{LogSnapshot, LogWrite, RaftLog, StoreError};
use tokio::sync::oneshot;

use super::ConsensusError;
use super::types::{
    Ballot, Entry, Place, Types, decode_body, encode_body, from_log_place, from_log_vote,
    to_log_place, to_log_vote,
};

/// Most changes that go into one transaction.
const CHANGES_MAX: usize = 256;

type Answer<T> = oneshot::Sender<Result<T, ConsensusError>>;

/// What the thread is asked to do. In order, all of it.
enum Job {
    Append {
        entries: Vec<Entry>,
        committed: Option<Place>,
        flushed: LogFlushed<Types>,
    },
    Truncate(u64, Answer<Option<Place>>),
    Purge(Place),
    Noticed,
    Vote(Ballot, Answer<()>),
    Snapshot(LogSnapshot, Answer<()>),
    Known {
        node: NodeId,
        raft_id: u64,
        generation: u64,
        answer: Answer<()>,
    },
    Read(Range<u64>, usize, Answer<Vec<Entry>>),
    ReadSnapshot(Answer<Option<LogSnapshot>>),
    Look(Answer<Found>),
    Renew(u64, Answer<()>),
    Close,
}

/// Who waits for a transaction.
enum Waiter {
    Flushed(LogFlushed<Types>),
    Done(Answer<()>),
    Truncated(Answer<Option<Place>>),
}

/// What was in the log when it was opened.
pub(super) struct Found {
    pub(super) raft_id: u64,
    pub(super) generation: u64,
    pub(super) vote: Option<Ballot>,
    pub(super) last: Option<Place>,
    pub(super) purged: Option<Place>,
    pub(super) committed: Option<Place>,
    pub(super) known: BTreeMap<NodeId, (u64, u64)>,
}

/// A handle to the thread.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: Sender<Job>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Writer {
    /// Reads what matters, and starts the thread.
    pub(super) fn start(log: RaftLog) -> Result<(Self, Found), ConsensusError> {
        let found = look(&log).map_err(|error| failed(&error))?;
        let (jobs, queue) = channel();
        let thread = std::thread::Builder::new()
            .name("roda-locks".to_owned())
            .spawn(move || run(log, &queue))
            .map_err(|error| ConsensusError::Store(error.to_string()))?;
        let thread = Arc::new(Mutex::new(Some(thread)));
        Ok((Self { jobs, thread }, found))
    }

    /// `flushed` is called when the entries are on disk.
    pub(super) fn append(
        &self,
        entries: Vec<Entry>,
        committed: Option<Place>,
        flushed: LogFlushed<Types>,
    ) {
        let job = Job::Append {
            entries,
            committed,
            flushed,
        };
        if let Err(unsent) = self.jobs.send(job)
            && let Job::Append { flushed, .. } = unsent.0
        {
            flushed.log_io_completed(Err(io::Error::other("the log is closed")));
        }
    }

    /// On disk at some later time, before anything that is asked for after it.
    pub(super) fn purge(&self, upto: Place) {
        // Closed: then it stays, which harms nothing.
        let _closed = self.jobs.send(Job::Purge(upto));
    }

    /// Remembers that others know of this generation. On disk at some later time.
    pub(super) fn set_noticed(&self) {
        // Closed: then the generation goes on, which harms nothing.
        let _closed = self.jobs.send(Job::Noticed);
    }

    /// Removed from disk when this returns; the answer is what is last now.
    pub(super) async fn truncate(&self, from: u64) -> Result<Option<Place>, ConsensusError> {
        self.ask(|answer| Job::Truncate(from, answer)).await
    }

    /// On disk when this returns.
    pub(super) async fn save_vote(&self, vote: Ballot) -> Result<(), ConsensusError> {
        self.ask(|answer| Job::Vote(vote, answer)).await
    }

    /// On disk when this returns.
    pub(super) async fn save_snapshot(&self, snapshot: LogSnapshot) -> Result<(), ConsensusError> {
        self.ask(|answer| Job::Snapshot(snapshot, answer)).await
    }

    /// On disk when this returns.
    pub(super) async fn save_known(
        &self,
        node: NodeId,
        (raft_id, generation): (u64, u64),
    ) -> Result<(), ConsensusError> {
        self.ask(|answer| Job::Known {
            node,
            raft_id,
            generation,
            answer,
        })
        .await
    }

    /// Entries of a range of indexes, as many as have together `len_max` bytes, but at least one.
    pub(super) async fn read(
        &self,
        range: Range<u64>,
        len_max: usize,
    ) -> Result<Vec<Entry>, ConsensusError> {
        self.ask(|answer| Job::Read(range, len_max, answer)).await
    }

    /// The snapshot on disk.
    pub(super) async fn read_snapshot(&self) -> Result<Option<LogSnapshot>, ConsensusError> {
        self.ask(Job::ReadSnapshot).await
    }

    /// What is in the log.
    pub(super) async fn look(&self) -> Result<Found, ConsensusError> {
        self.ask(Job::Look).await
    }

    /// Empties the log, which has the raft id `fresh` when this returns.
    pub(super) async fn renew(&self, fresh: u64) -> Result<(), ConsensusError> {
        self.ask(|answer| Job::Renew(fresh, answer)).await
    }

    /// Finishes what was asked for before, and closes the log.
    pub(super) async fn close(&self) {
        // Closed before, perhaps.
        let _closed = self.jobs.send(Job::Close);
        let thread = self.thread.lock().ok().and_then(|mut held| held.take());
        if let Some(thread) = thread {
            // A panic of the thread was reported where it happened.
            let _joined = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    async fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, ConsensusError> {
        let (answer, answered) = oneshot::channel();
        let sent = self.jobs.send(job(answer));
        sent.map_err(|_closed| ConsensusError::Stopped)?;
        answered
            .await
            .map_err(|_closed| ConsensusError::Stopped)
            .flatten()
    }
}

fn look(log: &RaftLog) -> Result<Found, StoreError> {
    Ok(Found {
        raft_id: log.raft_id(),
        generation: log.generation(),
        vote: log.vote()?.map(from_log_vote),
        last: log.last().map(from_log_place),
        purged: log.purged().map(from_log_place),
        committed: log.committed()?.map(from_log_place),
        known: log.known()?,
    })
}

fn run(mut log: RaftLog, queue: &Receiver<Job>) {
    let mut batch = Batch::default();
    while let Ok(first) = queue.recv() {
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Close => {
                    batch.commit(&mut log);
                    return;
                }
                job => batch.take(&mut log, job),
            }
            next = (batch.changes.len() < CHANGES_MAX)
                .then(|| queue.try_recv().ok())
                .flatten();
        }
        batch.commit(&mut log);
    }
}

/// Changes of one transaction, and who waits for it.
#[derive(Default)]
struct Batch {
    changes: Vec<LogWrite>,
    waiters: Vec<Waiter>,
}

impl Batch {
    fn take(&mut self, log: &mut RaftLog, job: Job) {
        match job {
            Job::Append {
                entries,
                committed,
                flushed,
            } => {
                let entries = entries.iter().map(to_row).collect();
                self.changes.push(LogWrite::Append(entries));
                let committed = committed.map(|place| LogWrite::Committed(to_log_place(place)));
                self.changes.extend(committed);
                self.waiters.push(Waiter::Flushed(flushed));
            }
            Job::Truncate(from, answer) => {
                self.changes.push(LogWrite::Truncate(from));
                self.waiters.push(Waiter::Truncated(answer));
                // The answer is about this moment, not about what comes behind it.
                self.commit(log);
            }
            Job::Purge(upto) => self.changes.push(LogWrite::Purge(to_log_place(upto))),
            Job::Noticed => self.changes.push(LogWrite::Noticed),
            Job::Vote(vote, answer) => self.push(LogWrite::Vote(to_log_vote(vote)), answer),
            Job::Snapshot(snapshot, answer) => self.push(LogWrite::Snapshot(snapshot), answer),
            Job::Known {
                node,
                raft_id,
                generation,
                answer,
            } => self.push(
                LogWrite::Known {
                    node,
                    raft_id,
                    generation,
                },
                answer,
            ),
            Job::Read(range, len_max, answer) => {
                self.commit(log);
                reply(answer, read(log, range, len_max));
            }
            Job::ReadSnapshot(answer) => {
                self.commit(log);
                reply(answer, log.snapshot().map_err(|error| failed(&error)));
            }
            Job::Look(answer) => {
                self.commit(log);
                reply(answer, look(log).map_err(|error| failed(&error)));
            }
            Job::Renew(fresh, answer) => {
                self.commit(log);
                reply(answer, log.renew(fresh).map_err(|error| failed(&error)));
            }
            Job::Close => {}
        }
    }

    fn push(&mut self, change: LogWrite, answer: Answer<()>) {
        self.changes.push(change);
        self.waiters.push(Waiter::Done(answer));
    }

    fn commit(&mut self, log: &mut RaftLog) {
        if self.changes.is_empty() {
            return;
        }
        let result = log.write(&self.changes);
        self.changes.clear();
        if let Err(error) = &result {
            tracing::error!(%error, "the log of locks cannot be written");
        }
        let last = log.last().map(from_log_place);
        for waiter in self.waiters.drain(..) {
            let outcome = result.as_ref().map_err(failed);
            match waiter {
                Waiter::Flushed(flushed) => {
                    let outcome = outcome.map_err(io::Error::other);
                    flushed.log_io_completed(outcome.copied());
                }
                Waiter::Done(answer) => reply(answer, outcome.copied()),
                Waiter::Truncated(answer) => reply(answer, outcome.map(|()| last)),
            }
        }
    }
}

fn read(log: &RaftLog, range: Range<u64>, len_max: usize) -> Result<Vec<Entry>, ConsensusError> {
    let rows = log
        .entries(range, len_max)
        .map_err(|error| failed(&error))?;
    rows.iter()
        .map(|row| {
            let payload = decode_body(&row.body).ok_or_else(|| {
                let index = row.place.index;
                ConsensusError::Store(format!("entry {index} of the locks has no meaning"))
            })?;
            let log_id = from_log_place(row.place);
            Ok(Entry { log_id, payload })
        })
        .collect()
}

fn to_row(entry: &Entry) -> roda_store::LogEntry {
    roda_store::LogEntry {
        place: to_log_place(entry.log_id),
        body: encode_body(&entry.payload),
    }
}

fn reply<T>(answer: Answer<T>, result: Result<T, ConsensusError>) {
    // Whoever asked has gone, perhaps.
    let _gone = answer.send(result);
}

fn failed(error: &StoreError) -> ConsensusError {
    ConsensusError::Store(error.to_string())
}

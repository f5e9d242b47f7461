//! Errors, split by who must act.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use roda_proto::job::{AttemptId, EntryError, JobId, JobKey, QUEUE_LEN_MAX, QueueName};
use roda_proto::log::BODY_LEN_MAX;
use roda_proto::stream::Refusal;
use roda_proto::token::{Fence, LockName, LockRefusal, Quorum};
use roda_proto::{CommandError, Topic};
use roda_store::{BLOBS_LEN_MAX, StoreError};

use crate::job::CronError;

/// Why something failed. Nothing that was acknowledged is lost by any of these.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no database in this home.
    #[error("{} has no group yet", .0.display())]
    NoGroup(PathBuf),
    /// There is one already; a home belongs to one group.
    #[error("{} already belongs to a group", .0.display())]
    AlreadyInGroup(PathBuf),
    /// Another process has this home open.
    #[error("another Roda already runs on {}", .0.display())]
    AlreadyRunning(PathBuf),
    /// Nobody admitted this node in time; the home is untouched.
    #[error("no member answered within {0:?}")]
    JoinTimeout(Duration),
    /// A member answered and said no; the home is untouched.
    #[error("the group refused: {0:?}")]
    Refused(Refusal),
    /// By this machine's clock the token is over.
    #[error("the invite token has expired")]
    TokenExpired,
    /// Neither a nick nor the beginning of a node id of a member.
    #[error("no member is called {0:?}")]
    UnknownMember(String),
    /// More than one member is meant.
    #[error("{0:?} fits several members")]
    AmbiguousMember(String),
    /// Neither a name nor an address of an interface of this machine.
    #[error("unknown interface {0:?}")]
    UnknownInterface(String),
    /// A node cannot remove itself; leaving is another thing.
    #[error("this is the node itself")]
    RemoveSelf,
    /// Longer than [`BODY_LEN_MAX`].
    #[error("a message has at most {BODY_LEN_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// This node was removed or has left.
    #[error("this node is not a member of the group any more")]
    NotMember,
    /// The group has as many members as it can have.
    #[error("the group is full")]
    GroupFull,
    /// Nobody ever wrote to it.
    #[error("topic {0} has no entries")]
    UnknownTopic(Topic),
    /// The file is there and holds something else.
    #[error("{} exists and is not a mirror of this topic", .0.display())]
    NotAMirror(PathBuf),
    /// Written by a newer version; untouched.
    #[error(
        "the database was written by a newer version of Roda ({found}, this one knows {known})"
    )]
    NewerDatabase {
        /// Version of the file.
        found: u32,
        /// Greatest version this build knows.
        known: u32,
    },
    /// Not a database of Roda, or it contradicts itself.
    #[error("the database is damaged: {0}")]
    DamagedDatabase(String),
    /// No space left; the node goes on by itself once there is.
    #[error("the disk is full")]
    DiskFull,
    /// The home cannot be written to.
    #[error("cannot write to {}: read-only", .0.display())]
    ReadOnly(PathBuf),
    /// The node was shut down.
    #[error("the node has stopped")]
    Stopped,
    /// A file operation failed.
    #[error("{}: {text}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        text: String,
    },
    /// A socket could not be opened.
    #[error("network: {0}")]
    Network(String),
    /// Another program has the group's UDP port.
    #[error("the group's UDP port is taken by another program")]
    PortInUse,
    /// Too few voters answer to decide anything about locks. By itself it gets well when they do.
    #[error(
        "{} of {} voters reachable, {} needed", .0.reachable, .0.voters, .0.needed()
    )]
    NoQuorum(Quorum),
    /// Enough voters seem to be there, and none that leads them answers: they are choosing one, or it
    /// cannot be reached from here.
    #[error("no leading voter answers")]
    NoLeader,
    /// Others have the lock.
    #[error("the lock is busy")]
    LockBusy,
    /// The voters refused the request.
    #[error("lock refused: {0}")]
    LockRefused(LockRefusal),
    /// Nobody holds it.
    #[error("nobody holds lock {0}")]
    NotHeld(LockName),
    /// The lock was lost before the holder could begin.
    #[error("the lock was lost")]
    LockLost,
    /// Somebody got the lock later and wrote to the topic already; nothing was appended.
    #[error("fence {fence} is old: {newest} has written to the topic")]
    OldFence {
        /// The fence that was to be used.
        fence: Fence,
        /// The largest one of that lock that wrote to the topic.
        newest: Fence,
    },
    /// A queue's name is a topic's of at most [`QUEUE_LEN_MAX`] bytes.
    #[error("a queue's name has at most {QUEUE_LEN_MAX} bytes, this one has {}", .0.as_str().len())]
    QueueName(QueueName),
    /// A payload, a checkpoint or an output is too long.
    #[error("{0}")]
    JobEntry(EntryError),
    /// A job with this idempotency key asks for something else.
    #[error("there is another job with the key {key}")]
    JobKeyConflict {
        /// The key.
        key: JobKey,
        /// The job that has it; `None`: one that was to be added together with it.
        job: Option<JobId>,
    },
    /// It does not say when a job is due.
    #[error("{0}")]
    Cron(CronError),
    /// There is no such job here.
    #[error("there is no job {0}")]
    UnknownJob(JobId),
    /// There is no job with such a name here.
    #[error("no job has this name")]
    NoSuchJob,
    /// More than one job is meant: one of these.
    #[error("several jobs have this name")]
    AmbiguousJob(Vec<JobId>),
    /// The attempt has ended, or was never one of this node.
    #[error("attempt {}-{} of job {job} does not run here", attempt.fence, attempt.number)]
    AttemptOver {
        /// The job.
        job: JobId,
        /// The attempt.
        attempt: AttemptId,
    },
    /// All large checkpoints of this node have as many bytes as they may; jobs that end make room.
    #[error("the large checkpoints on this node have {BLOBS_LEN_MAX} bytes, the most there may be")]
    BlobsFull,
    /// Too many wait already for others to have entries.
    #[error("too many wait for copies already")]
    TooManyWait,
    /// A file is there already, or something else that must not be replaced.
    #[error("{} already exists", .0.display())]
    FileExists(PathBuf),
    /// A backup within the home that it is of would be lost with it, and could replace its database.
    #[error("{} is within the node's own directory", .0.display())]
    BackupInHome(PathBuf),
    /// Not a backup of Roda, cut short, or what is in it contradicts itself. Nothing was restored.
    #[error("{} is no backup that can be restored: {reason}", path.display())]
    DamagedBackup {
        /// Which file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A restored node does not start beside the one that was backed up.
    #[error("the original of this restored node still runs, at {0}")]
    OriginalAlive(SocketAddr),
    /// Whoever watched the progress wanted the operation to end. Nothing of it is left.
    #[error("interrupted")]
    Interrupted,
    /// Anything else that the database reports.
    #[error("store: {0}")]
    Store(String),
}

/// What this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull => Self::DiskFull,
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly(path.into())
            }
            _other => Self::File {
                path: path.into(),
                text: error.to_string(),
            },
        }
    }

    /// `home` stands for the database in messages: people know the one, not the other.
    pub(crate) fn store(home: &Path, error: StoreError) -> Self {
        match error {
            StoreError::AlreadyExists(_) => Self::AlreadyInGroup(home.into()),
            StoreError::Missing(_) => Self::NoGroup(home.into()),
            StoreError::AlreadyOpen(_) => Self::AlreadyRunning(home.into()),
            StoreError::Newer { found, known } => Self::NewerDatabase { found, known },
            StoreError::Damaged(what) => Self::DamagedDatabase(what),
            StoreError::DiskFull => Self::DiskFull,
            StoreError::ReadOnly(path) => Self::ReadOnly(path),
            StoreError::Io { path, source } => Self::file(&path, &source),
            StoreError::Interrupted => Self::Interrupted,
            other => Self::Store(other.to_string()),
        }
    }
}

impl From<CommandError> for Error {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::NotMember => Self::NotMember,
            CommandError::UnknownMember => Self::UnknownMember(String::new()),
            CommandError::Refused(refusal) => Self::Refused(refusal),
            CommandError::TooLong => Self::TooLong(BODY_LEN_MAX + 1),
            CommandError::GroupFull => Self::GroupFull,
            other => Self::Store(other.to_string()),
        }
    }
}

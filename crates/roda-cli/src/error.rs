//! What can go wrong in a command, as data: a code, its values and an exit code.
//!
//! The words for it come from the catalogue (message `error-CODE`, its attribute `hint`), so the
//! daemon can report a failure that the command then prints in its own user's language.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use roda::{InviteTokenError, LockNameError, LockRefusal, Refusal, TopicError};
use serde::{Deserialize, Serialize};

/// Result of everything that a command does.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// How a command ended, as the shell sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All was done.
    Done,
    /// Something failed; the error says what.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// Not obtained in time.
    Busy,
    /// The lock or job was lost while the child ran; the child was stopped.
    Lost,
    /// Roda failed before the child started.
    NotStarted,
    /// The child is not executable.
    NotExecutable,
    /// The child was not found.
    NotFound,
    /// Ended by this signal.
    Signal(u8),
    /// As the child did.
    Child(u8),
}

impl Exit {
    /// All of them, for `roda help exit-codes`; the signal stands for all signals.
    pub(crate) const ALL: [Self; 9] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Busy,
        Self::Lost,
        Self::NotStarted,
        Self::NotExecutable,
        Self::NotFound,
        Self::Signal(0),
    ];

    /// The number.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Busy => 75,
            Self::Lost => 76,
            Self::NotStarted => 125,
            Self::NotExecutable => 126,
            Self::NotFound => 127,
            Self::Signal(signal) => 128 + signal,
            Self::Child(code) => code,
        }
    }

    /// Key of its explanation in the catalogue.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Done => "exit-done",
            Self::Failed => "exit-failed",
            Self::Usage => "exit-usage",
            Self::Busy => "exit-busy",
            Self::Lost => "exit-lost",
            Self::NotStarted => "exit-not-started",
            Self::NotExecutable => "exit-not-executable",
            Self::NotFound => "exit-not-found",
            Self::Signal(_) | Self::Child(_) => "exit-signal",
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A value in a text: numbers choose the plural, names are taken as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Arg {
    /// A count.
    Number(u64),
    /// Anything else.
    Text(String),
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Arg {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&Path> for Arg {
    fn from(path: &Path) -> Self {
        Self::Text(path.display().to_string())
    }
}

impl From<u64> for Arg {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Arg {
    fn from(number: usize) -> Self {
        Self::Number(number as u64)
    }
}

impl From<u32> for Arg {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

/// A failed command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// Stable name, the same in every language.
    pub(crate) code: String,
    /// Values of the text.
    #[serde(default)]
    pub(crate) args: BTreeMap<String, Arg>,
}

impl Failure {
    /// A failure without values.
    pub(crate) fn new(code: &str) -> Self {
        Self {
            code: code.to_owned(),
            args: BTreeMap::new(),
        }
    }

    /// Adds a value.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Arg>) -> Self {
        self.args.insert(name.to_owned(), value.into());
        self
    }

    /// A file operation that failed: the usual causes have codes of their own.
    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::new("disk-full"),
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::new("read-only").with("path", path)
            }
            _ => Self::new("file")
                .with("path", path)
                .with("reason", error.to_string()),
        }
    }

    /// Standard output is gone, as after `| head`: nothing is left to say.
    pub(crate) fn broken_pipe() -> Self {
        Self::new("broken-pipe")
    }

    /// Ended by the user.
    pub(crate) fn interrupted() -> Self {
        Self::new("interrupted")
    }

    /// Ended by another program, such as the system that shuts down.
    pub(crate) fn terminated() -> Self {
        Self::new("terminated")
    }

    /// Whether it ends the command without a word.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(
            self.code.as_str(),
            "broken-pipe" | "interrupted" | "terminated"
        )
    }

    /// How the command ends.
    pub(crate) fn exit(&self) -> Exit {
        match self.code.as_str() {
            "broken-pipe" => Exit::Signal(13),
            "interrupted" | "job-copies-interrupted" => Exit::Signal(2),
            "terminated" => Exit::Signal(15),
            "join-timeout"
            | "job-wait-timeout"
            | "job-copies-timeout"
            | "lock-busy"
            | "lock-no-quorum"
            | "lock-no-leader"
            | "lock-held-by-parent" => Exit::Busy,
            "command-not-executable" => Exit::NotExecutable,
            "command-not-found" => Exit::NotFound,
            code if code.starts_with("lock-lost") => Exit::Lost,
            "job-id" | "job-copies" | "job-key-empty" | "job-key-too-long" => Exit::Usage,
            code if ["usage-", "topic-", "queue-", "lock-name-", "job-cron-"]
                .iter()
                .any(|kind| code.starts_with(kind)) =>
            {
                Exit::Usage
            }
            _ => Exit::Failed,
        }
    }
}

impl From<roda::Error> for Failure {
    fn from(error: roda::Error) -> Self {
        use roda::Error;
        match error {
            Error::NoGroup(home) => Self::new("no-group").with("home", &*home),
            Error::AlreadyInGroup(home) => Self::new("already-in-group").with("home", &*home),
            Error::AlreadyRunning(home) => Self::new("already-running").with("home", &*home),
            Error::JoinTimeout(waited) => {
                Self::new("join-timeout").with("waited", format!("{waited:?}"))
            }
            Error::Refused(refusal) => refused(refusal),
            Error::TokenExpired => Self::new("token-expired"),
            Error::UnknownMember(member) => Self::new("unknown-member").with("member", member),
            Error::AmbiguousMember(member) => Self::new("ambiguous-member").with("member", member),
            Error::UnknownInterface(name) => Self::new("unknown-interface").with("interface", name),
            Error::TooLong(len) => Self::new("too-long")
                .with("bytes", len)
                .with("most", roda::BODY_LEN_MAX),
            Error::OldFence { fence, newest } => Self::new("old-fence")
                .with("fence", fence.0)
                .with("newest", newest.0),
            Error::NotMember => Self::new("not-member"),
            Error::GroupFull => Self::new("group-full"),
            Error::UnknownTopic(topic) => Self::new("unknown-topic").with("topic", topic.as_str()),
            Error::NewerDatabase { found, known } => Self::new("newer-database")
                .with("found", found)
                .with("known", known),
            Error::DamagedDatabase(reason) => Self::new("damaged-database").with("reason", reason),
            Error::FileExists(path) => Self::new("backup-exists").with("path", &*path),
            Error::BackupInHome(path) => Self::new("backup-in-home").with("path", &*path),
            Error::DamagedBackup { path, reason } => Self::new("damaged-backup")
                .with("path", &*path)
                .with("reason", reason),
            Error::OriginalAlive(address) => {
                Self::new("original-alive").with("address", address.to_string())
            }
            Error::Interrupted => Self::interrupted(),
            Error::DiskFull => Self::new("disk-full"),
            Error::ReadOnly(path) => Self::new("read-only").with("path", &*path),
            Error::Stopped => Self::new("stopped"),
            Error::RemoveSelf => Self::new("remove-self"),
            Error::NotAMirror(path) => Self::new("not-a-mirror").with("path", &*path),
            Error::PortInUse => Self::new("port-in-use").with("reason", "UDP"),
            Error::File { path, text } => {
                Self::new("file").with("path", &*path).with("reason", text)
            }
            Error::Network(reason) => Self::new("network").with("reason", reason),
            Error::Store(reason) => Self::new("store").with("reason", reason),
            Error::NoQuorum(quorum) => Self::new("lock-no-quorum")
                .with("reachable", u64::from(quorum.reachable))
                .with("voters", u64::from(quorum.voters))
                .with("needed", u64::from(quorum.needed())),
            Error::NoLeader => Self::new("lock-no-leader"),
            Error::LockBusy => Self::new("lock-busy"),
            Error::LockRefused(refusal) => lock_refused(refusal),
            Error::NotHeld(lock) => Self::new("lock-not-held").with("lock", lock.as_str()),
            Error::LockLost => Self::new("lock-lost"),
            Error::UnknownJob(job) => Self::new("unknown-job").with("job", job.to_string()),
            Error::JobKeyConflict { key, job } => Self::new("job-key-conflict")
                .with("key", key.as_str())
                .with(
                    "job",
                    job.map_or_else(|| "…".to_owned(), |job| job.to_string()),
                ),
            Error::AttemptOver { job, attempt } => Self::new("job-attempt-over")
                .with("job", job.to_string())
                .with("attempt", format!("{}-{}", attempt.fence.0, attempt.number)),
            Error::BlobsFull => {
                Self::new("checkpoints-full").with("most", roda::job::BLOBS_LEN_MAX)
            }
            // The enum may grow in a later version of the library.
            other => Self::new("other").with("reason", other.to_string()),
        }
    }
}

fn refused(refusal: Refusal) -> Failure {
    Failure::new(match refusal {
        Refusal::OtherGroup => "refused-other-group",
        Refusal::UnknownInvite | Refusal::BadProof => "refused-unknown-invite",
        Refusal::Expired => "token-expired",
        Refusal::UsedUp => "refused-used-up",
        Refusal::NotMember => "not-member",
        Refusal::GroupFull => "group-full",
        // `Busy`, and whatever a later version adds.
        _ => "refused-busy",
    })
}

fn lock_refused(refusal: LockRefusal) -> Failure {
    match refusal {
        LockRefusal::Full => Failure::new("lock-full"),
        LockRefusal::NotAllowed => Failure::new("not-member"),
        // The library asks again by itself after these, so they are news; a later version has more.
        other => Failure::new("other").with("reason", other.to_string()),
    }
}

impl From<LockNameError> for Failure {
    fn from(error: LockNameError) -> Self {
        match error {
            LockNameError::Empty => Self::new("lock-name-empty"),
            LockNameError::TooLong(len) => Self::new("lock-name-too-long").with("bytes", len),
            LockNameError::BadCharacter(character) => {
                Self::new("lock-name-bad-character").with("character", format!("{character:?}"))
            }
            LockNameError::BadStart(character) => {
                Self::new("lock-name-bad-start").with("character", format!("{character:?}"))
            }
        }
    }
}

impl From<InviteTokenError> for Failure {
    fn from(error: InviteTokenError) -> Self {
        Self::new(match error {
            InviteTokenError::NoToken => "token-none",
            InviteTokenError::Newer => "token-newer",
            // `Damaged`, and whatever a later version adds.
            _ => "token-damaged",
        })
    }
}

impl From<TopicError> for Failure {
    fn from(error: TopicError) -> Self {
        match error {
            TopicError::Empty => Self::new("topic-empty"),
            TopicError::TooLong(len) => Self::new("topic-too-long").with("bytes", len),
            TopicError::BadCharacter(character) => {
                Self::new("topic-bad-character").with("character", format!("{character:?}"))
            }
            TopicError::BadStart(character) => {
                Self::new("topic-bad-start").with("character", format!("{character:?}"))
            }
        }
    }
}

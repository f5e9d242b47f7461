//! The home: the directory of one node, and what the command line keeps in it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use etcetera::BaseStrategy as _;
use serde::{Deserialize, Serialize};

use crate::error::{Failure, Result};

/// What `up`, `create` and `join` were told and later starts use again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Interface names or addresses; empty: all that can do multicast.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) interfaces: Vec<String>,
    /// Name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nick: Option<String>,
    /// How long locks outlive a lost machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lock_timing: Option<LockTiming>,
    /// Share of received datagrams to drop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) danger_loss: Option<f64>,
}

/// The network for which the times of locks are chosen; `docs/locks.md` has a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LockTiming {
    /// Cables only.
    Wired,
    /// Most networks.
    #[default]
    Default,
    /// Radio.
    Wifi,
}

impl From<LockTiming> for roda::Timings {
    fn from(timing: LockTiming) -> Self {
        match timing {
            LockTiming::Wired => Self::WIRED,
            LockTiming::Default => Self::DEFAULT,
            LockTiming::Wifi => Self::WIFI,
        }
    }
}

impl Config {
    /// Whether nothing is set.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// This configuration with what `newer` sets laid over it.
    pub(crate) fn overlaid(self, newer: Self) -> Self {
        Self {
            interfaces: if newer.interfaces.is_empty() {
                self.interfaces
            } else {
                newer.interfaces
            },
            nick: newer.nick.or(self.nick),
            lock_timing: newer.lock_timing.or(self.lock_timing),
            danger_loss: newer.danger_loss.or(self.danger_loss),
        }
    }

    /// The same for the library.
    pub(crate) fn options(&self) -> roda::Options {
        roda::Options {
            nick: self.nick.clone(),
            interfaces: self.interfaces.clone(),
            lock_timings: self.lock_timing.unwrap_or_default().into(),
            danger_loss: self.danger_loss.unwrap_or(0.0),
            ..roda::Options::default()
        }
    }
}

/// The directory of one node.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    path: PathBuf,
}

impl Home {
    /// The home at `path`, or at the platform's place for data.
    pub(crate) fn locate(path: Option<PathBuf>) -> Result<Self> {
        let path = match path {
            Some(path) => path,
            None => etcetera::choose_base_strategy()
                .map_err(|_no_user| Failure::new("no-home"))?
                .data_dir()
                .join("roda"),
        };
        let path = std::path::absolute(&path).map_err(|error| Failure::file(&path, &error))?;
        // Two ways to write one directory must lead to one socket.
        let path = fs::canonicalize(&path).unwrap_or(path);
        Ok(Self { path })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the directory, for its owner only; says whether it was missing.
    pub(crate) fn ensure(&mut self) -> Result<bool> {
        let missing = !self.path.exists();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .map_err(|error| Failure::file(&self.path, &error))?;
        self.path =
            fs::canonicalize(&self.path).map_err(|error| Failure::file(&self.path, &error))?;
        Ok(missing)
    }

    /// Takes back [`Self::ensure`] after a failed start: removes our own files and, if then empty,
    /// the directory. Whatever else is in it stays.
    pub(crate) fn discard(&self) {
        self.forget_config_unless_begun();
        for name in [LOCK, LOG, DATABASE_LOCK] {
            // A leftover is harmless, so a failure here is not worth hiding the first error.
            drop(fs::remove_file(self.path.join(name)));
        }
        drop(fs::remove_dir(&self.path));
    }

    /// Whether it could hold a group: it exists and has more in it than our own files.
    pub(crate) fn is_inhabited(&self) -> bool {
        fs::read_dir(&self.path).is_ok_and(|entries| {
            entries.flatten().any(|entry| {
                ![LOCK, LOG, DATABASE_LOCK, CONFIG]
                    .map(AsRef::as_ref)
                    .contains(&entry.file_name().as_os_str())
            })
        })
    }

    /// Whether a node was made here, or at least begun.
    pub(crate) fn has_database(&self) -> bool {
        self.path.join(DATABASE).exists()
    }

    /// Where the control socket is. Usually in the home; if that path is too long for a socket
    /// address, in a private directory of this user.
    pub(crate) fn socket(&self) -> PathBuf {
        let direct = self.path.join(SOCKET);
        if direct.as_os_str().as_bytes().len() < SOCKET_PATH_LEN_MAX {
            return direct;
        }
        let hash = fnv1a(self.path.as_os_str().as_bytes());
        let base = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        match base.filter(|base| base.is_absolute() && base.as_os_str().len() < 64) {
            Some(base) => base.join(format!("roda-{hash:016x}")),
            None => {
                let user = rustix::process::getuid().as_raw();
                PathBuf::from(format!("/tmp/roda-{user}-{hash:016x}"))
            }
        }
        .join(SOCKET)
    }

    /// With what the names of this home's holds begin: the same at each start, and no other directory of this
    /// machine has it.
    pub(crate) fn mark(&self) -> String {
        let mut bytes = self.path.as_os_str().as_bytes().to_vec();
        // Containers can have different directories of one name.
        if let Ok(found) = fs::metadata(&self.path) {
            bytes.extend(found.dev().to_le_bytes());
            bytes.extend(found.ino().to_le_bytes());
        }
        format!("{:016x}", fnv1a(&bytes))
    }

    /// Makes the socket's directory if it is not the home itself.
    ///
    /// In a shared place somebody else may have made it before us: then it is refused.
    pub(crate) fn ensure_socket_directory(&self) -> Result<()> {
        let socket = self.socket();
        let Some(directory) = socket.parent().filter(|parent| *parent != self.path) else {
            return Ok(());
        };
        match DirBuilder::new().mode(0o700).create(directory) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let found = fs::symlink_metadata(directory)
                    .map_err(|error| Failure::file(directory, &error))?;
                let ours = found.is_dir()
                    && found.uid() == rustix::process::getuid().as_raw()
                    && found.mode() & 0o077 == 0;
                if ours {
                    Ok(())
                } else {
                    Err(Failure::new("socket-directory").with("path", directory))
                }
            }
            Err(error) => Err(Failure::file(directory, &error)),
        }
    }

    /// Waits for the right to start the node, so that of two commands only one starts it.
    ///
    /// The right ends when the file is dropped, or with the process.
    pub(crate) fn lock_start(&self) -> Result<File> {
        let path = self.path.join(LOCK);
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| Failure::file(&path, &error))?;
        file.lock().map_err(|error| Failure::file(&path, &error))?;
        Ok(file)
    }

    /// Opens the daemon's log, starting a new one when the old one has grown large.
    pub(crate) fn open_log(&self) -> Result<File> {
        let path = self.path.join(LOG);
        if fs::metadata(&path).is_ok_and(|log| log.len() > LOG_LEN_MAX) {
            fs::rename(&path, self.path.join(LOG_OLD))
                .map_err(|error| Failure::file(&path, &error))?;
        }
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| Failure::file(&path, &error))
    }

    /// What earlier starts were told.
    pub(crate) fn config(&self) -> Result<Config> {
        let path = self.path.join(CONFIG);
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| {
                Failure::new("config")
                    .with("path", &*path)
                    .with("reason", error.to_string())
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Config::default()),
            Err(error) => Err(Failure::file(&path, &error)),
        }
    }

    /// Takes back [`Self::save_config`] in a home that is not to be.
    pub(crate) fn forget_config(&self) {
        // The failure that led here is the one to tell.
        drop(fs::remove_file(self.path.join(CONFIG)));
    }

    /// As [`Self::forget_config`], if no node was made here.
    pub(crate) fn forget_config_unless_begun(&self) {
        if !self.has_database() {
            self.forget_config();
        }
    }

    /// Remembers `config`; after a crash the file is the old one or the new one.
    pub(crate) fn save_config(&self, config: &Config) -> Result<()> {
        let path = self.path.join(CONFIG);
        let staging = self.path.join(CONFIG_STAGING);
        let text = serde_json::to_vec_pretty(config).expect("a configuration is plain data");
        let write = || {
            fs::write(&staging, text)?;
            File::open(&staging)?.sync_all()?;
            fs::rename(&staging, &path)
        };
        write().map_err(|error| Failure::file(&path, &error))
    }
}

/// FNV-1a: only names and marks a directory, and unlike the standard library's hash it never changes.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

const SOCKET: &str = "control.sock";
const LOCK: &str = "start.lock";
const DATABASE: &str = "roda.db";
/// Beside the database, and left behind where making one failed.
const DATABASE_LOCK: &str = "roda.db.lock";
const LOG: &str = "daemon.log";
const LOG_OLD: &str = "daemon.log.old";
const CONFIG: &str = "config.json";
const CONFIG_STAGING: &str = "config.json.new";
/// `sun_path` on Linux has 108 bytes, on other systems 104, the closing zero included.
const SOCKET_PATH_LEN_MAX: usize = 104;
/// Above this, a start moves the log aside.
const LOG_LEN_MAX: u64 = 5 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_with_a_long_path_keeps_its_socket_in_a_short_one() {
        let near = Home {
            path: PathBuf::from("/h").join("x".repeat(87)),
        };
        let far = Home {
            path: PathBuf::from("/h").join("x".repeat(88)),
        };
        assert_eq!(near.socket(), near.path.join(SOCKET));
        assert_ne!(far.socket(), far.path.join(SOCKET));
        assert!(far.socket().as_os_str().len() < SOCKET_PATH_LEN_MAX);
    }

    #[test]
    fn newer_settings_cover_older_ones_and_leave_the_rest() {
        let old = Config {
            interfaces: vec!["lo".into()],
            nick: Some("ana".into()),
            lock_timing: None,
            danger_loss: None,
        };
        let newer = Config {
            nick: Some("bia".into()),
            ..Config::default()
        };
        let both = old.overlaid(newer);
        assert_eq!(both.interfaces, ["lo"]);
        assert_eq!(both.nick.as_deref(), Some("bia"));
    }

    #[test]
    fn a_configuration_survives_a_round_trip() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::locate(Some(directory.path().to_owned())).unwrap();
        assert_eq!(home.config().unwrap(), Config::default());
        let config = Config {
            interfaces: vec!["lo".into(), "10.0.0.1".into()],
            nick: None,
            lock_timing: Some(LockTiming::Wired),
            danger_loss: Some(0.25),
        };
        home.save_config(&config).unwrap();
        assert_eq!(home.config().unwrap(), config);
    }

    #[test]
    fn only_foreign_files_make_a_home_inhabited() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::locate(Some(directory.path().to_owned())).unwrap();
        drop(home.lock_start().unwrap());
        drop(home.open_log().unwrap());
        fs::write(directory.path().join(DATABASE_LOCK), b"").unwrap();
        assert!(!home.is_inhabited());
        fs::write(directory.path().join("data"), b"").unwrap();
        assert!(home.is_inhabited());
    }
}

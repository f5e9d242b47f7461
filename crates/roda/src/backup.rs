//! Backups of a home, and homes from backups.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use roda_proto::{Config, Engine, GroupId, Identity, Incarnation, NodeId, Seed, WallTime, crypto};
use roda_store::{BackupNote, Restoration, Store, StoreError, back_up};

use crate::driver::{now_instant, now_since, wall};
use crate::error::{Error, Result};
use crate::home::{DATABASE, VOTERS_LOG, prepare};
use crate::node::start::{RESTORED, TO_BE_FOUNDED, TO_BE_STARTED, VOTERS};
use crate::random;

pub use roda_store::BackupStep;

/// How a backup is made.
#[derive(Clone, Debug, Default)]
pub struct BackupOptions {
    /// It may replace a file.
    pub replace: bool,
    /// What the program keeps outside of the node and wants back with it, as text of at most 64 KiB:
    /// see [`Backup::settings`].
    pub settings: String,
}

/// What is in a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupInfo {
    /// Which group.
    pub group: GroupId,
    /// Its name.
    pub group_name: String,
    /// Which node.
    pub node: NodeId,
    /// When it was made, by the clock of that machine.
    pub made: WallTime,
    /// Entries in it, each checked.
    pub entries: u64,
    /// Length of the file.
    pub bytes: u64,
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// From what.
    pub backup: BackupInfo,
    /// The node's nick.
    pub nick: String,
    /// The node founded its group, so that it was the first that voted about locks. If no other did
    /// when its home was lost, the group gets no locks any more.
    pub was_founder: bool,
}

/// A file that [`back_up_home`] wrote.
#[derive(Debug)]
pub struct Backup {
    store: roda_store::Backup,
}

/// Writes a consistent copy of a home to a file, whether its node runs or not, and checks it there: the
/// identity with its keys, the log, jobs, contacts, mirrors. Not the log of votes: see
/// [`Backup::restore`]. Blocks; `progress` is called several times a second and can end it.
///
/// The file is readable by its owner only. It has the keys of the node and of the group: whoever reads
/// it can read everything, and speak as this node.
///
/// # Errors
/// [`Error::NoGroup`], [`Error::FileExists`] unless the options allow to replace a file,
/// [`Error::BackupInHome`], [`Error::Interrupted`], or what is wrong with the home or the disk. Nothing
/// is left of the file then, and one that was there still is.
pub fn back_up_home(
    home: &Path,
    file: &Path,
    options: &BackupOptions,
    mut progress: impl FnMut(BackupStep) -> ControlFlow<()>,
) -> Result<BackupInfo> {
    let database = home.join(DATABASE);
    if !database.exists() {
        return Err(Error::NoGroup(home.into()));
    }
    refuse_within(home, file)?;
    let note = BackupNote {
        made: wall(),
        settings: options.settings.clone(),
    };
    let report = back_up(&database, file, &note, options.replace, &mut progress);
    let report = report.map_err(|error| match error {
        StoreError::AlreadyExists(path) => Error::FileExists(path),
        other => Error::store(home, other),
    })?;
    Backup::open(file)?.info(report.entries)
}

impl Backup {
    /// Opens a backup and looks what it is; [`Self::restore`] checks all of it.
    ///
    /// # Errors
    /// [`Error::DamagedBackup`], [`Error::NewerDatabase`], or why it cannot be read.
    pub fn open(file: &Path) -> Result<Self> {
        let opened = roda_store::Backup::open(file);
        let store = opened.map_err(|error| unusable(file, error))?;
        Ok(Self { store })
    }

    /// What [`BackupOptions::settings`] was.
    #[must_use]
    pub fn settings(&self) -> &str {
        &self.store.note().settings
    }

    /// Makes a home of it, which must not exist or be without a group. Blocks; `progress` is called
    /// several times a second and can end it.
    ///
    /// The node is who it was, in a new incarnation: it writes a log of its own, and gets back from the
    /// others what it had written after the backup. It takes part in votes about locks as a new voter
    /// only: what the old one had promised, nobody here remembers.
    ///
    /// If the original still runs when this one is started for the first time, the start fails with
    /// [`Error::OriginalAlive`].
    ///
    /// # Errors
    /// [`Error::AlreadyInGroup`], [`Error::DamagedBackup`], [`Error::Interrupted`], or what is wrong with
    /// the disk. Nothing is left behind then.
    pub fn restore(
        &self,
        home: &Path,
        mut progress: impl FnMut(BackupStep) -> ControlFlow<()>,
    ) -> Result<Restored> {
        let is_new = !home.exists();
        let restored = self.restore_into(home, &mut progress);
        if restored.is_err() && is_new {
            // Only what was made here; the first error is the one to tell.
            let _lock = fs::remove_file(home.join(format!("{DATABASE}.lock")));
            let _directory = fs::remove_dir(home);
        }
        restored
    }

    fn restore_into(
        &self,
        home: &Path,
        progress: &mut dyn FnMut(BackupStep) -> ControlFlow<()>,
    ) -> Result<Restored> {
        let read = |error| unusable(self.store.path(), error);
        let founder = self.store.meta(VOTERS).map_err(read)?;
        let mut meta = vec![(RESTORED, TO_BE_STARTED)];
        if founder.as_deref() == Some(TO_BE_FOUNDED) {
            // The original may have founded the voters since; a second time must never be.
            meta.push((VOTERS, "lost"));
        }
        let changes = Restoration {
            incarnation: Incarnation(random::bytes()?),
            meta: &meta,
        };
        let info = self.info(0)?;
        let database = prepare(home)?;
        if home.join(VOTERS_LOG).exists() {
            return Err(Error::AlreadyInGroup(home.into()));
        }
        let restored = self.store.restore(&database, &changes, progress);
        let report = restored.map_err(|error| match error {
            StoreError::Damaged(_) => unusable(self.store.path(), error),
            other => Error::store(home, other),
        })?;
        Ok(Restored {
            backup: BackupInfo {
                entries: report.entries,
                ..info
            },
            // All is restored by now, whatever its name is.
            nick: nick_in(&database).unwrap_or_default(),
            was_founder: founder.is_some(),
        })
    }

    fn info(&self, entries: u64) -> Result<BackupInfo> {
        let file = self.store.path();
        let read = |error| unusable(file, error);
        let Identity {
            seed,
            group,
            group_name,
            ..
        } = self.store.identity().map_err(read)?;
        let later_name = self.store.meta("group_name").map_err(read)?;
        let found = fs::metadata(file).map_err(|error| Error::file(file, &error))?;
        Ok(BackupInfo {
            group,
            group_name: later_name.unwrap_or(group_name),
            node: crypto::SigningKey::from_seed(&seed).public(),
            made: self.store.note().made,
            entries,
            bytes: found.len(),
        })
    }
}

fn unusable(file: &Path, error: StoreError) -> Error {
    match error {
        StoreError::Damaged(reason) => Error::DamagedBackup {
            path: file.into(),
            reason,
        },
        StoreError::Missing(path) => Error::file(&path, &rustix::io::Errno::NOENT.into()),
        other => Error::store(file, other),
    }
}

/// Under whatever name: links are followed.
fn refuse_within(home: &Path, file: &Path) -> Result<()> {
    let fault = |error: std::io::Error| Error::file(file, &error);
    let directory = match std::path::absolute(file).map_err(fault)?.parent() {
        Some(parent) => fs::canonicalize(parent).map_err(fault)?,
        None => PathBuf::from("/"),
    };
    let home = fs::canonicalize(home).map_err(|error| Error::file(home, &error))?;
    if directory.starts_with(&home) {
        return Err(Error::BackupInHome(file.into()));
    }
    Ok(())
}

/// The nick that the log says; it is a fold of entries, so the engine has to look.
fn nick_in(database: &Path) -> std::result::Result<String, StoreError> {
    let snapshot = Store::open(database)?.snapshot()?;
    let engine = Engine::new(
        Config::default(),
        Seed([0; 32]),
        snapshot,
        now_since(now_instant()),
    );
    let own = engine
        .members()
        .into_iter()
        .find(|member| member.node == engine.node());
    Ok(own.map(|member| member.nick).unwrap_or_default())
}

//! What a node did to its files while it was traced, over one or more starts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::call;
use super::check::LockNames;
use super::disk::{Disk, Faith, Inode};
use super::node::Node;
use super::promise::Promise;
use super::timeline::{Event, timeline};

/// A recording, ready to be replayed.
pub(crate) struct Recording {
    /// What was on the disk before it.
    base: PathBuf,
    pub(crate) events: Vec<Event>,
    /// In the order in which they were told, each once.
    pub(crate) promises: Vec<Promise>,
    /// How many of them were new at an event.
    told: BTreeMap<usize, usize>,
    pub(crate) locks: LockNames,
    /// Which file of the model each name means at the end.
    pub(crate) last: BTreeMap<String, Inode>,
}

impl Recording {
    /// Reads traces that follow each other. `base` holds the files as they were before the first; the
    /// node has not been changed since the last.
    ///
    /// # Errors
    /// If the traces do not explain what is in the home now, or if a command has told something that
    /// the node did not.
    pub(crate) fn read(
        traces: &[PathBuf],
        base: PathBuf,
        node: &Node,
        locks: LockNames,
    ) -> Result<Self> {
        let mut calls = Vec::new();
        for trace in traces {
            let first = calls
                .last()
                .map_or(0, |call: &call::Call| call.began + 1_000_000);
            calls.extend(call::read(BufReader::new(File::open(trace)?), first)?);
        }
        let mut recording = Self {
            base,
            events: timeline(&calls, &node.home)?,
            promises: Vec::new(),
            told: BTreeMap::new(),
            locks,
            last: BTreeMap::new(),
        };
        let mut known: BTreeSet<Promise> = BTreeSet::new();
        for (index, event) in recording.events.iter().enumerate() {
            let Event::Promises(told) = event else {
                continue;
            };
            for promise in told {
                if known.insert(promise.clone()) {
                    recording.promises.push(promise.clone());
                    *recording.told.entry(index).or_default() += 1;
                }
            }
        }
        recording.compare(node)?;
        Ok(recording)
    }

    /// The disk as it was before.
    pub(crate) fn disk(&self, faith: Faith) -> Result<Disk> {
        Disk::load(&self.base, faith)
    }

    /// How many promises are new at an event.
    pub(crate) fn promised_at(&self, event: usize) -> usize {
        self.told.get(&event).copied().unwrap_or(0)
    }

    fn compare(&mut self, node: &Node) -> Result<()> {
        let mut disk = self.disk(Faith::Kept)?;
        for event in &self.events {
            disk.apply(event)?;
        }
        disk.compare(&node.home)?;
        for name in [super::check::DATABASE, super::check::LOCKS] {
            if let Some(inode) = disk.inode(name) {
                self.last.insert(name.to_owned(), inode);
            }
        }
        let told: BTreeSet<&Promise> = self.promises.iter().collect();
        for promise in &node.believed {
            ensure!(
                told.contains(promise),
                "{promise:?} was printed, but is in no trace"
            );
        }
        Ok(())
    }
}

/// Where the files of a home are put before a recording begins.
pub(crate) fn keep_base(home: &Path) -> Result<PathBuf> {
    let base = home.with_extension("base");
    std::fs::create_dir(&base)?;
    for entry in std::fs::read_dir(home).into_iter().flatten() {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), base.join(entry.file_name()))?;
        }
    }
    Ok(base)
}

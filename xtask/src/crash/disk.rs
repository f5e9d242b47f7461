//! The directory of a node as a disk sees it: files, names, and what of both a power cut leaves.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result};

use super::draw::Draw;
use super::file::File;
use super::timeline::Event;

/// Number of a file; it stays when the file is renamed.
pub(crate) type Inode = usize;

/// What the disk makes of a sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Faith {
    /// What was synced is on the disk.
    #[default]
    Kept,
    /// This disk says so and has written nothing, from the given event on.
    Lying { from: usize },
}

/// The model.
pub(crate) struct Disk {
    files: BTreeMap<Inode, File>,
    seen: BTreeMap<String, Inode>,
    synced: BTreeMap<String, Inode>,
    /// What changed names since the directory was synced, in order.
    changes: Vec<(usize, Naming)>,
    /// Syncs that have begun: the number of the last event before, and which file.
    syncs: BTreeMap<usize, (usize, Option<Inode>)>,
    next: Inode,
    events: usize,
    faith: Faith,
}

enum Naming {
    Made(String, Inode),
    Unlinked(String),
    Renamed(String, String, Inode),
}

/// What is found after a power cut: names, and the content of each file.
pub(crate) type State = BTreeMap<String, (Inode, Rc<Vec<u8>>)>;

impl Disk {
    /// The files in a directory, all on the disk.
    pub(crate) fn load(home: &Path, faith: Faith) -> Result<Self> {
        let mut disk = Self {
            files: BTreeMap::new(),
            seen: BTreeMap::new(),
            synced: BTreeMap::new(),
            changes: Vec::new(),
            syncs: BTreeMap::new(),
            next: 0,
            events: 0,
            faith,
        };
        let Ok(entries) = fs::read_dir(home) else {
            // The node makes its home itself.
            return Ok(disk);
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_file() && !name.ends_with("-shm") {
                let inode = disk.add(File::stored(fs::read(entry.path())?));
                disk.seen.insert(name, inode);
            }
        }
        disk.synced = disk.seen.clone();
        Ok(disk)
    }

    /// The file behind a name, as programs see it.
    pub(crate) fn inode(&self, name: &str) -> Option<Inode> {
        self.seen.get(name).copied()
    }

    /// Lets something happen.
    ///
    /// # Errors
    /// A file is named that is not there: the trace does not tell everything.
    pub(crate) fn apply(&mut self, event: &Event) -> Result<()> {
        self.events += 1;
        let number = self.events;
        match event {
            Event::Open { name, truncate } => match self.seen.get(name) {
                Some(inode) if *truncate => self.file(*inode).truncate(number, 0),
                Some(_exists) => {}
                None => {
                    let inode = self.add(File::default());
                    self.seen.insert(name.clone(), inode);
                    self.changes
                        .push((number, Naming::Made(name.clone(), inode)));
                }
            },
            Event::Unlink { name } => {
                self.seen.remove(name);
                self.changes.push((number, Naming::Unlinked(name.clone())));
            }
            Event::Rename { from, to } => {
                let inode = self.known(from)?;
                self.seen.remove(from);
                self.seen.insert(to.clone(), inode);
                let renamed = Naming::Renamed(from.clone(), to.clone(), inode);
                self.changes.push((number, renamed));
            }
            Event::Write {
                name,
                offset,
                bytes,
            } => {
                let inode = self.known(name)?;
                self.file(inode).write(number, *offset, bytes.clone());
            }
            Event::Truncate { name, len } => {
                let inode = self.known(name)?;
                self.file(inode).truncate(number, *len);
            }
            Event::SyncBegins { sync, name } => {
                let inode = name.as_ref().map(|name| self.known(name)).transpose()?;
                self.syncs.insert(*sync, (number, inode));
            }
            Event::SyncEnds { sync, done } => self.end_sync(*sync, *done),
            Event::Promises(_told) => {}
        }
        Ok(())
    }

    fn end_sync(&mut self, sync: usize, done: bool) {
        let Some((upto, inode)) = self.syncs.remove(&sync) else {
            return;
        };
        if matches!(self.faith, Faith::Lying { from } if self.events >= from) {
            return;
        }
        if let Some(inode) = inode {
            self.file(inode).synced(upto, done);
        } else if done {
            // A failed sync of a directory leaves its changes in doubt: the journal has them still.
            let rest = self.changes.partition_point(|(number, _)| *number <= upto);
            for (_number, change) in self.changes.drain(..rest) {
                rename(&mut self.synced, &change);
            }
        }
    }

    /// What a power cut at this moment leaves, one of many possibilities.
    pub(crate) fn after_power_cut(&self, draw: &mut Draw) -> State {
        let mut names = self.synced.clone();
        // Journals keep the order; a file system without one keeps none.
        let in_order = !draw.chance(4);
        let kept = draw.below(self.changes.len() + 1);
        for (index, (_number, change)) in self.changes.iter().enumerate() {
            if (in_order && index < kept) || (!in_order && draw.chance(2)) {
                rename(&mut names, change);
            }
        }
        let mut contents: BTreeMap<Inode, Rc<Vec<u8>>> = BTreeMap::new();
        let states = names.into_iter().map(|(name, inode)| {
            let content = contents
                .entry(inode)
                .or_insert_with(|| Rc::new(self.files[&inode].after_power_cut(draw)));
            (name, (inode, Rc::clone(content)))
        });
        states.collect()
    }

    /// How many files have changes that a power cut can undo, names included.
    pub(crate) fn doubts(&self) -> usize {
        let files = self.files.values().filter(|file| !file.is_certain());
        files.count() + usize::from(!self.changes.is_empty())
    }

    /// Whether a directory holds just what programs have seen last. If not, the trace has missed
    /// something and nothing that follows from it counts.
    ///
    /// # Errors
    /// Which file differs.
    pub(crate) fn compare(&self, home: &Path) -> Result<()> {
        for (name, inode) in &self.seen {
            let found = fs::read(home.join(name))
                .with_context(|| format!("{name} should be there by the trace"))?;
            anyhow::ensure!(
                found == self.files[inode].seen(),
                "{name} is not what the trace says"
            );
        }
        Ok(())
    }

    fn add(&mut self, file: File) -> Inode {
        self.next += 1;
        self.files.insert(self.next, file);
        self.next
    }

    fn known(&self, name: &str) -> Result<Inode> {
        self.inode(name)
            .with_context(|| format!("the trace names {name}, which is not there"))
    }

    fn file(&mut self, inode: Inode) -> &mut File {
        self.files.entry(inode).or_default()
    }
}

fn rename(names: &mut BTreeMap<String, Inode>, change: &Naming) {
    match change {
        Naming::Made(name, inode) => {
            names.insert(name.clone(), *inode);
        }
        Naming::Unlinked(name) => {
            names.remove(name);
        }
        Naming::Renamed(from, to, inode) => {
            names.remove(from);
            names.insert(to.clone(), *inode);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(faith: Faith, events: &[Event]) -> Disk {
        let mut disk = Disk::load(Path::new("/nonexistent"), faith).unwrap();
        for event in events {
            disk.apply(event).unwrap();
        }
        disk
    }

    fn states(disk: &Disk) -> Vec<State> {
        (1..200)
            .map(|seed| disk.after_power_cut(&mut Draw::new(seed)))
            .collect()
    }

    fn written_and_synced() -> Vec<Event> {
        let name = || "f".to_owned();
        vec![
            Event::Open {
                name: name(),
                truncate: false,
            },
            Event::Write {
                name: name(),
                offset: Some(0),
                bytes: b"x".to_vec(),
            },
            Event::SyncBegins {
                sync: 1,
                name: Some(name()),
            },
            Event::SyncEnds {
                sync: 1,
                done: true,
            },
        ]
    }

    #[test]
    fn a_synced_file_can_lack_its_name_until_the_directory_is_synced() {
        let mut events = written_and_synced();
        let unnamed = disk(Faith::Kept, &events);
        let states_then = states(&unnamed);
        assert!(states_then.iter().any(BTreeMap::is_empty));
        assert!(states_then.iter().any(|state| state.contains_key("f")));
        events.push(Event::SyncBegins {
            sync: 2,
            name: None,
        });
        events.push(Event::SyncEnds {
            sync: 2,
            done: true,
        });
        let named = disk(Faith::Kept, &events);
        assert_eq!(named.doubts(), 0);
        assert!(states(&named).iter().all(|state| *state["f"].1 == b"x"));
    }

    #[test]
    fn a_lying_disk_loses_what_it_said_it_had() {
        let mut events = written_and_synced();
        events.push(Event::SyncBegins {
            sync: 2,
            name: None,
        });
        events.push(Event::SyncEnds {
            sync: 2,
            done: true,
        });
        let lying = disk(Faith::Lying { from: 0 }, &events);
        assert!(states(&lying).iter().any(BTreeMap::is_empty));
    }

    #[test]
    fn a_sync_covers_what_was_written_before_it_began() {
        let name = || "f".to_owned();
        let mut events = written_and_synced();
        let late = Event::Write {
            name: name(),
            offset: Some(1),
            bytes: b"y".to_vec(),
        };
        events.insert(3, late);
        let disk = disk(Faith::Kept, &events);
        assert!(
            states(&disk)
                .iter()
                .any(|state| state.get("f").is_some_and(|f| *f.1 == b"x"))
        );
    }

    #[test]
    fn a_name_that_nobody_made_is_an_error() {
        let mut disk = disk(Faith::Kept, &[]);
        let name = "f".to_owned();
        assert!(disk.apply(&Event::Truncate { name, len: 0 }).is_err());
    }
}

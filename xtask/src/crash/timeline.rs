//! A trace as a list of what happened to the node's files, and of what was promised in between.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, bail};

use super::call::Call;
use super::promise::{Listener, Promise};

/// Something that happened. Files are named as in the home at that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A file was opened that is made if it is missing.
    Open {
        name: String,
        truncate: bool,
    },
    Unlink {
        name: String,
    },
    Rename {
        from: String,
        to: String,
    },
    /// Bytes at an offset; without one, at the end.
    Write {
        name: String,
        offset: Option<usize>,
        bytes: Vec<u8>,
    },
    Truncate {
        name: String,
        len: usize,
    },
    /// A sync began, of a file or of the directory; what was written before is meant.
    SyncBegins {
        sync: usize,
        name: Option<String>,
    },
    /// It returned.
    SyncEnds {
        sync: usize,
        done: bool,
    },
    /// Somebody is being told.
    Promises(Vec<Promise>),
}

/// What the calls did to the files directly inside `home`, in order.
///
/// A write counts from its beginning, a sync from its end, and an answer from its beginning.
///
/// # Errors
/// If something was done to a file there that the model does not know.
pub(crate) fn timeline(calls: &[Call], home: &Path) -> Result<Vec<Event>> {
    let mut reading = Reading {
        home: home.to_string_lossy().into_owned(),
        listener: Listener::default(),
        appended: BTreeSet::new(),
        events: Vec::new(),
    };
    for (index, call) in calls.iter().enumerate() {
        if !call.failed() || matches!(call.name.as_str(), "fsync" | "fdatasync") {
            reading.take(index, call)?;
        }
    }
    // Stable: what belongs to one moment stays in the order in which it was found.
    reading.events.sort_by_key(|(at, _event)| *at);
    Ok(reading
        .events
        .into_iter()
        .map(|(_at, event)| event)
        .collect())
}

struct Reading {
    home: String,
    listener: Listener,
    /// Files that were opened in a way that leaves no other place for `write` than the end.
    appended: BTreeSet<String>,
    events: Vec<(usize, Event)>,
}

impl Reading {
    fn take(&mut self, index: usize, call: &Call) -> Result<()> {
        match call.name.as_str() {
            "openat" | "open" | "creat" => self.open(call),
            "write" | "writev" | "sendto" | "sendmsg" | "pwrite64" => self.write(call),
            "fsync" | "fdatasync" => self.sync(index, call),
            "ftruncate" => {
                if let Some(name) = self.name(&call.file()?) {
                    let len = call.last_number()?;
                    self.add(call.began, Event::Truncate { name, len });
                }
                Ok(())
            }
            "unlink" | "unlinkat" => {
                if let Some(name) = self.first_name(call)? {
                    self.add(call.began, Event::Unlink { name });
                }
                Ok(())
            }
            "rename" | "renameat" | "renameat2" => self.rename(call),
            "mmap" => {
                let shared = call.says("PROT_WRITE") && call.says("MAP_SHARED") && call.says("</");
                // Shared memory of SQLite, which the timeline leaves out.
                if shared && !call.says(&hexadecimal("-shm")) && call.says(&hexadecimal(&self.home))
                {
                    bail!(call.odd());
                }
                Ok(())
            }
            _other if call.says(&hexadecimal(&self.home)) => bail!(call.odd()),
            _elsewhere => Ok(()),
        }
    }

    fn open(&mut self, call: &Call) -> Result<()> {
        let truncate = call.says("O_TRUNC") || call.name == "creat";
        let Some(name) = self.first_name(call)? else {
            return Ok(());
        };
        if truncate || call.says("O_APPEND") || call.says("O_EXCL") {
            self.appended.insert(name.clone());
        } else if call.says("O_RDWR") || call.says("O_WRONLY") {
            self.appended.remove(&name);
        }
        if truncate || call.says("O_CREAT") {
            self.add(call.began, Event::Open { name, truncate });
        }
        Ok(())
    }

    fn write(&mut self, call: &Call) -> Result<()> {
        let file = call.file()?;
        if file.starts_with("socket:") {
            let mut bytes = call.texts()?.concat();
            if let Some(sent) = call.result.and_then(|sent| usize::try_from(sent).ok()) {
                bytes.truncate(sent);
            }
            let promises = self.listener.hear(call.descriptor(), &bytes);
            if !promises.is_empty() {
                self.add(call.began, Event::Promises(promises));
            }
            return Ok(());
        }
        let Some(name) = self.name(&file) else {
            return Ok(());
        };
        let mut bytes = call.texts()?.concat();
        if let Some(written) = call.result.and_then(|len| usize::try_from(len).ok()) {
            bytes.truncate(written);
        }
        let offset = match call.name.as_str() {
            "pwrite64" => Some(call.last_number()?),
            // The log and the configuration.
            _sequential if self.appended.contains(&name) => None,
            // Where that is, only a trace of all reading and seeking could tell.
            _somewhere => bail!(call.odd()),
        };
        self.add(
            call.began,
            Event::Write {
                name,
                offset,
                bytes,
            },
        );
        Ok(())
    }

    fn sync(&mut self, sync: usize, call: &Call) -> Result<()> {
        let file = call.file()?;
        let name = self.name(&file);
        if name.is_some() || file == self.home {
            self.add(call.began, Event::SyncBegins { sync, name });
            if let Some(result) = call.result {
                let done = result == 0;
                self.add(call.ended, Event::SyncEnds { sync, done });
            }
        }
        Ok(())
    }

    fn rename(&mut self, call: &Call) -> Result<()> {
        let texts = call.texts()?;
        let [from, to] = texts.as_slice() else {
            bail!(call.odd());
        };
        let name = |text: &[u8]| self.name(&String::from_utf8_lossy(text));
        match (name(from), name(to)) {
            (None, None) => Ok(()),
            (Some(from), Some(to)) => {
                self.add(call.began, Event::Rename { from, to });
                Ok(())
            }
            _in_or_out => bail!(call.odd()),
        }
    }

    fn first_name(&self, call: &Call) -> Result<Option<String>> {
        let Some(path) = call.texts()?.into_iter().next() else {
            bail!(call.odd());
        };
        Ok(self.name(&String::from_utf8_lossy(&path)))
    }

    /// The name of a file directly inside the home. Memory that SQLite shares is none: nobody
    /// promises that it survives, and it never is synced.
    fn name(&self, path: &str) -> Option<String> {
        let name = path.strip_prefix(&self.home)?.strip_prefix('/')?;
        (!name.ends_with("-shm")).then(|| name.to_owned())
    }

    fn add(&mut self, at: usize, event: Event) {
        self.events.push((at, event));
    }
}

/// As strace writes a path.
fn hexadecimal(text: &str) -> String {
    text.bytes().map(|byte| format!("\\x{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use super::*;

    fn events(trace: &str) -> Result<Vec<Event>> {
        timeline(&call::read(trace.as_bytes(), 0)?, Path::new("/h"))
    }

    #[test]
    fn a_sync_counts_when_it_returns_and_a_write_when_it_begins() {
        let trace = "1 fsync(3</h/f> <unfinished ...>\n\
                     2 pwrite64(4</h/f>, \"\\x61\", 1, 5 <unfinished ...>\n\
                     1 <... fsync resumed>) = 0\n\
                     2 <... pwrite64 resumed>) = 1\n\
                     2 pwrite64(4</h/f-shm>, \"\\x61\", 1, 5) = 1\n\
                     2 fsync(5</h>) = -1 EIO (Input/output error)\n";
        let name = || "f".to_owned();
        let bytes = b"a".to_vec();
        let offset = Some(5);
        let expected = [
            Event::SyncBegins {
                sync: 0,
                name: Some(name()),
            },
            Event::Write {
                name: name(),
                offset,
                bytes,
            },
            Event::SyncEnds {
                sync: 0,
                done: true,
            },
            Event::SyncBegins {
                sync: 3,
                name: None,
            },
            Event::SyncEnds {
                sync: 3,
                done: false,
            },
        ];
        assert_eq!(events(trace).unwrap(), expected);
    }

    #[test]
    fn a_write_at_a_place_that_the_trace_does_not_tell_is_an_error() {
        let written = |flags: &str| {
            format!(
                "1 openat(AT_FDCWD</>, \"/h/f\", {flags}, 0600) = 3</h/f>\n\
                 1 write(3</h/f>, \"\\x61\", 1) = 1\n"
            )
        };
        assert!(events(&written("O_WRONLY|O_CREAT|O_APPEND")).is_ok());
        assert!(events(&written("O_RDWR|O_CREAT")).is_err());
    }

    #[test]
    fn what_the_model_does_not_know_is_an_error_inside_the_home_only() {
        let allocate = |path: &str| format!("1 fallocate(3<{path}>, 0, 0, 4096) = 0\n");
        assert!(events(&allocate("\\x2f\\x68\\x2f\\x66")).is_err());
        assert_eq!(events(&allocate("\\x2f\\x67")).unwrap(), []);
    }
}

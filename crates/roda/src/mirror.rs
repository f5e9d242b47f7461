//! Mirrors: files that hold a topic, the same bytes on every member.
//!
//! A mirror only ever grows: it takes an entry once every member is known to have everything up to it,
//! so nothing can come in between any more. After a start the file is compared, from its beginning,
//! with what it has to be; what was written half is completed, and a file that was changed by someone
//! else is put aside and made anew. So no state has to be kept about it, and `kill -9` does no harm.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roda_proto::{AuthorId, Hlc, Seq, Topic};
use roda_store::{HistoryQuery, Reader, StoredEntry};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::topic::blocking;
use crate::types::MirrorInfo;

/// Pause after a failure.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// One line of a mirror: time, node, sequence number and text, separated by tabs.
///
/// The text is escaped (`\\`, `\n`, `\t`, `\r`, `\xNN` for what is no UTF-8 and for control
/// characters), so that an entry is a line and a line is an entry.
fn render(entry: &StoredEntry, out: &mut Vec<u8>) {
    let millis = i64::try_from(entry.hlc.millis()).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    let (node, seq) = (entry.node.short(), entry.seq);
    out.extend_from_slice(format!("{time:.3}\t{node}\t{seq}\t").as_bytes());
    for chunk in entry.body.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.extend_from_slice(b"\\\\"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\t' => out.extend_from_slice(b"\\t"),
                '\r' => out.extend_from_slice(b"\\r"),
                c if c.is_control() => {
                    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                        out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
                    }
                }
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for byte in chunk.invalid() {
            out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        }
    }
    out.push(b'\n');
}

/// How a file compares with what it has to be.
enum Progress {
    /// Everything so far agrees; the rest of the old file is still to be compared.
    Comparing(BufReader<File>),
    /// All of it agrees; new entries are appended.
    Appending(File),
}

/// The work on one mirror.
struct Mirror {
    topic: Topic,
    path: PathBuf,
    after: Option<(Hlc, AuthorId, Seq)>,
    file: Option<Progress>,
    entries: u64,
    bytes: u64,
}

impl Mirror {
    const fn new(topic: Topic, path: PathBuf) -> Self {
        Self {
            topic,
            path,
            after: None,
            file: None,
            entries: 0,
            bytes: 0,
        }
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::file(&self.path, error)
    }

    /// Brings the file up to what is stable.
    fn advance(&mut self, reader: &Reader, home: &Path, stable: Hlc) -> Result<()> {
        let mut grown = false;
        loop {
            let query = HistoryQuery {
                until: Some(stable),
                after: self.after,
                ..HistoryQuery::default()
            };
            let read = |error| Error::store(home, error);
            let page = reader
                .history(&self.topic, &query)
                .and_then(|mut history| history.next_page(reader));
            let page = page.map_err(read)?;
            let Some(last) = page.last() else { break };
            let mut text = Vec::new();
            page.iter().for_each(|entry| render(entry, &mut text));
            if !self.put(&text).map_err(|error| self.failed(&error))? {
                self.set_aside()?;
                continue;
            }
            grown = true;
            self.after = Some(last.place());
            self.entries += page.len() as u64;
            self.bytes += text.len() as u64;
        }
        if let (true, Some(Progress::Appending(file))) = (grown, &self.file) {
            file.sync_data().map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }

    /// Compares or appends; false if the file holds something else.
    fn put(&mut self, text: &[u8]) -> io::Result<bool> {
        let mut rest = text;
        if self.file.is_none() {
            let file = OpenOptions::new()
                .read(true)
                .append(true)
                .create(true)
                .open(&self.path)?;
            self.file = Some(Progress::Comparing(BufReader::new(file)));
        }
        if let Some(Progress::Comparing(old)) = &mut self.file {
            let mut found = vec![0; rest.len()];
            let len = read_up_to(old, &mut found)?;
            if found[..len] != rest[..len] {
                return Ok(false);
            }
            rest = &rest[len..];
            if rest.is_empty() {
                return Ok(true);
            }
            let appending = OpenOptions::new().append(true).open(&self.path)?;
            self.file = Some(Progress::Appending(appending));
        }
        if let Some(Progress::Appending(file)) = &mut self.file {
            // A half-written page is completed after the next start, or by trying again from the start.
            file.write_all(rest)?;
        }
        Ok(true)
    }

    /// Someone changed the file: keep what it holds under another name and begin anew.
    fn set_aside(&mut self) -> Result<()> {
        let name = self
            .path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let free = (1..).map(|n| self.path.with_file_name(format!("{name}.changed-{n}")));
        let aside = free
            .into_iter()
            .find(|aside| !aside.exists())
            .unwrap_or_default();
        tracing::warn!(path = %self.path.display(), aside = %aside.display(), "the mirror was changed; making it anew");
        fs::rename(&self.path, &aside).map_err(|error| self.failed(&error))?;
        *self = Self::new(self.topic.clone(), self.path.clone());
        Ok(())
    }

    /// The file may have been removed, replaced or cut: then compare from the start.
    fn look_again(&mut self) -> bool {
        let len = fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        let is_as_left = match &self.file {
            Some(Progress::Appending(_)) => len == self.bytes,
            Some(Progress::Comparing(_)) => len >= self.bytes,
            None => true,
        };
        if !is_as_left {
            *self = Self::new(self.topic.clone(), self.path.clone());
        }
        !is_as_left
    }
}

fn read_up_to(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match reader.read(&mut buffer[len..])? {
            0 => break,
            read => len += read,
        }
    }
    Ok(len)
}

type Shown = Arc<Mutex<MirrorInfo>>;

struct Running {
    shown: Shown,
    task: JoinHandle<()>,
}

/// All mirrors of a node.
pub(crate) struct Mirrors {
    database: PathBuf,
    home: PathBuf,
    stable: watch::Receiver<Hlc>,
    running: Mutex<BTreeMap<PathBuf, Running>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Mirrors {
    /// Takes up the mirrors that the store knows.
    pub(crate) fn start(
        database: PathBuf,
        home: PathBuf,
        stable: watch::Receiver<Hlc>,
        known: Vec<(Topic, PathBuf)>,
    ) -> Arc<Self> {
        let mirrors = Self {
            database,
            home,
            stable,
            running: Mutex::new(BTreeMap::new()),
        };
        for (topic, path) in known {
            mirrors.add(topic, path);
        }
        Arc::new(mirrors)
    }

    /// Refuses a file that exists and is not the beginning of this mirror.
    pub(crate) async fn check(&self, topic: &Topic, path: &Path) -> Result<()> {
        if lock(&self.running).contains_key(path) {
            return Ok(());
        }
        let (database, home) = (self.database.clone(), self.home.clone());
        let (topic, path) = (topic.clone(), path.to_path_buf());
        blocking(move || {
            let metadata = match fs::metadata(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return check_folder(&path);
                }
                other => other.map_err(|error| Error::file(&path, &error))?,
            };
            if !metadata.is_file() {
                return Err(Error::NotAMirror(path));
            }
            let read = |error| Error::store(&home, error);
            let reader = Reader::open(&database).map_err(read)?;
            let mut history = reader
                .history(&topic, &HistoryQuery::default())
                .map_err(read)?;
            let mut file =
                BufReader::new(File::open(&path).map_err(|error| Error::file(&path, &error))?);
            let mut left = metadata.len();
            while left > 0 {
                let page = history.next_page(&reader).map_err(read)?;
                let mut text = Vec::new();
                page.iter().for_each(|entry| render(entry, &mut text));
                let mut found = vec![0; text.len()];
                let len = read_up_to(&mut file, &mut found)
                    .map_err(|error| Error::file(&path, &error))?;
                if page.is_empty() || found[..len] != text[..len] {
                    return Err(Error::NotAMirror(path));
                }
                left = left.saturating_sub(len as u64);
            }
            Ok(())
        })
        .await
    }

    /// Keeps one more.
    pub(crate) fn add(&self, topic: Topic, path: PathBuf) {
        let mut running = lock(&self.running);
        if running.contains_key(&path) {
            return;
        }
        let info = MirrorInfo {
            topic: topic.clone(),
            path: path.clone(),
            entries: 0,
            bytes: 0,
            waiting: 0,
            error: None,
        };
        let shown = Arc::new(Mutex::new(info));
        let mirror = Mirror::new(topic, path.clone());
        let keeping = keep(
            mirror,
            self.database.clone(),
            self.home.clone(),
            self.stable.clone(),
            Arc::clone(&shown),
        );
        running.insert(
            path,
            Running {
                shown,
                task: tokio::spawn(keeping),
            },
        );
    }

    /// Keeps one less; returns whether it was kept.
    pub(crate) fn remove(&self, path: &Path) -> bool {
        let removed = lock(&self.running).remove(path);
        removed.is_some_and(|running| {
            running.task.abort();
            true
        })
    }

    /// How far each is.
    pub(crate) fn list(&self) -> Vec<MirrorInfo> {
        lock(&self.running)
            .values()
            .map(|running| lock(&running.shown).clone())
            .collect()
    }

    /// Ends all work.
    pub(crate) async fn stop(&self) {
        let running = std::mem::take(&mut *lock(&self.running));
        for (_, running) in running {
            running.task.abort();
            // Aborted, as it was told.
            let _aborted = running.task.await;
        }
    }
}

/// A missing folder is better told now than in a log.
fn check_folder(path: &Path) -> Result<()> {
    match path.parent() {
        Some(folder) if !folder.is_dir() => Err(Error::file(
            folder,
            &io::Error::from(rustix::io::Errno::NOENT),
        )),
        Some(_) | None => Ok(()),
    }
}

async fn keep(
    mirror: Mirror,
    database: PathBuf,
    home: PathBuf,
    mut stable: watch::Receiver<Hlc>,
    shown: Shown,
) {
    let mut mirror = Some(mirror);
    loop {
        let upto = *stable.borrow_and_update();
        let Some(mut working) = mirror.take() else {
            return;
        };
        let (database, home, shown) = (database.clone(), home.clone(), Arc::clone(&shown));
        let work = tokio::task::spawn_blocking(move || {
            working.look_again();
            let advanced = Reader::open(&database)
                .map_err(|error| Error::store(&home, error))
                .and_then(|reader| {
                    working.advance(&reader, &home, upto)?;
                    waiting(&reader, &home, &working)
                });
            let error = advanced.as_ref().err().map(ToString::to_string);
            let is_fine = error.is_none();
            if let Some(error) = &error {
                tracing::warn!(path = %working.path.display(), %error, "the mirror does not grow");
                working.file = None;
                working = Mirror::new(working.topic, working.path);
            }
            let mut shown = lock(&shown);
            (shown.entries, shown.bytes, shown.error) = (working.entries, working.bytes, error);
            shown.waiting = advanced.unwrap_or(shown.waiting);
            drop(shown);
            (working, is_fine)
        });
        let Ok((working, is_fine)) = work.await else {
            return;
        };
        mirror = Some(working);
        if !is_fine {
            tokio::time::sleep(RETRY_PAUSE).await;
        } else if stable.changed().await.is_err() {
            return;
        }
    }
}

fn waiting(reader: &Reader, home: &Path, mirror: &Mirror) -> Result<u64> {
    let topics = reader.topics().map_err(|error| Error::store(home, error))?;
    let known = topics
        .iter()
        .find(|known| known.topic == mirror.topic)
        .map_or(0, |known| known.entries);
    Ok(known.saturating_sub(mirror.entries))
}

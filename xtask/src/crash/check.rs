//! Whether a home that a crash has left opens, is sound, and keeps every promise.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail, ensure};
use roda_proto::job::{JobId, StateKind};
use roda_proto::{AuthorId, GroupId, Identity, Incarnation, Seq};
use roda_store::{RaftLog, Reader, Store};

use super::promise::Promise;

/// The database of a node.
pub(crate) const DATABASE: &str = "roda.db";
/// The log of a voter.
pub(crate) const LOCKS: &str = "locks.db";
/// A raft id that no log has; one that is found with it was begun anew.
const FRESH_RAFT_ID: u64 = 0x6c61_6273;
/// More than all entries of a run.
const ENTRIES_LEN_MAX: usize = 256 << 20;

/// Which lock each fence belongs to: a promise tells the number only, an entry the name only.
pub(crate) type LockNames = BTreeMap<u64, String>;

/// Opens both databases as a node does, and looks for all that was promised.
///
/// # Errors
/// What is wrong.
pub(crate) fn check(home: &Path, promises: &[Promise], locks: &LockNames) -> Result<()> {
    let path = home.join(DATABASE);
    if !path.exists() {
        ensure!(promises.is_empty(), "the database is gone");
        // Interrupted before anything was promised; the next try must not be in its own way.
        Store::create(&path, &somebody())?;
        return Ok(());
    }
    let mut store = Store::open(&path)?;
    ensure!(
        !store.was_copied(),
        "the laboratory has not kept the file's place"
    );
    store.snapshot()?;
    let reader = store.reader()?;
    let report = reader.verify(|_so_far| {})?;
    ensure!(
        report.faults.is_empty(),
        "verify: {}",
        report.faults.join("; ")
    );
    for promise in promises {
        check_one(&reader, promise)?;
    }
    let granted = promises.iter().filter_map(|promise| match promise {
        Promise::Granted { fence } => Some(*fence),
        Promise::Pushed(_) | Promise::Done(_) | Promise::Said { .. } => None,
    });
    let wanted = granted.filter_map(|fence| locks.get(&fence));
    check_locks(home, reader.identity()?.group, &wanted.collect::<Vec<_>>())?;
    // And it goes on.
    store.set_meta("crash", "checked")?;
    Ok(())
}

fn check_one(reader: &Reader, promise: &Promise) -> Result<()> {
    match promise {
        Promise::Pushed(id) | Promise::Done(id) => {
            let job: JobId = id.parse()?;
            let Some(row) = reader.job_row(job)? else {
                bail!("job {id} is lost");
            };
            ensure!(
                reader.job_payload(job)?.is_some(),
                "payload of {id} is lost"
            );
            if let Some(key) = &row.key {
                let known = reader.push_by_key(&row.queue, key)?;
                ensure!(
                    known.is_some_and(|(known, _hash)| known == job),
                    "key of {id} is lost"
                );
            }
            if matches!(promise, Promise::Done(_)) {
                ensure!(row.state.kind() == StateKind::Done, "job {id} was done");
            }
        }
        Promise::Said { author, seq } => {
            let Some(author) = AuthorId::from_hex(author) else {
                bail!("no author is called {author}");
            };
            let found = reader.batch_containing(&author, Seq(*seq))?;
            ensure!(found.is_some(), "message {seq} is lost");
        }
        // In the other database.
        Promise::Granted { .. } => {}
    }
    Ok(())
}

/// Each grant that was told must still be in the log of locks, with the vote that made it possible.
fn check_locks(home: &Path, group: GroupId, wanted: &[&String]) -> Result<()> {
    let path = home.join(LOCKS);
    if !path.exists() {
        ensure!(wanted.is_empty(), "the log of locks is gone");
        return Ok(());
    }
    let log = RaftLog::open(&path, group, FRESH_RAFT_ID)?;
    ensure!(
        log.raft_id() != FRESH_RAFT_ID,
        "the laboratory has not kept the place of the log of locks"
    );
    let entries = log.entries(0..u64::MAX, ENTRIES_LEN_MAX)?;
    let (vote, last) = (log.vote()?, log.last());
    if let Some(last) = last {
        let term = vote.map_or(0, |vote| vote.term);
        ensure!(
            term >= last.term,
            "term {} was voted for, found is {term}",
            last.term
        );
    }
    if log.purged().is_some() {
        bail!("the run was too long: entries of its locks are in a snapshot already");
    }
    for name in wanted {
        let name = name.as_bytes();
        let has = |body: &[u8]| body.windows(name.len()).any(|part| part == name);
        let found = entries.iter().any(|entry| has(&entry.body));
        ensure!(
            found,
            "the grant of {} is lost",
            String::from_utf8_lossy(name)
        );
    }
    Ok(())
}

fn somebody() -> Identity {
    Identity {
        seed: [1; 32].into(),
        incarnation: Incarnation([1; 8]),
        group: GroupId([1; 16]),
        group_name: String::new(),
    }
}

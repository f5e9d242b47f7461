//! The directory in which a node lives.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use roda_proto::{NodeId, crypto};
use roda_store::Reader;

use crate::error::{Error, Result};
use crate::types::VerifyReport;

/// Name of the database within a home.
pub(crate) const DATABASE: &str = "roda.db";
/// The voters' log, beside the database.
pub(crate) const VOTERS_LOG: &str = "locks.db";

pub(crate) fn report(found: roda_store::VerifyReport) -> VerifyReport {
    VerifyReport {
        authors: found.authors,
        batches: found.batches,
        entries: found.entries,
        faults: found.faults,
    }
}

/// Renames the database and what SQLite keeps beside it.
pub(crate) fn put_aside(database: &Path) -> Result<()> {
    let beside = |suffix: &str| {
        let mut name = database.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let free = (1..)
        .map(|n| format!(".left-{n}"))
        .find(|left| !beside(left).exists());
    let left = free.unwrap_or_default();
    for suffix in ["-wal", "-shm", ""] {
        let from = beside(suffix);
        if from.exists() {
            let to = beside(&format!("{left}{suffix}"));
            std::fs::rename(&from, &to).map_err(|error| Error::file(&from, &error))?;
        }
    }
    Ok(())
}

/// Makes the home, readable by its owner only.
pub(crate) fn prepare(home: &Path) -> Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = std::fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(home);
    made.map_err(|error| Error::file(home, &error))?;
    Ok(home.join(DATABASE))
}

/// Addresses worth putting in a token: not those that mean something else on another machine.
pub(crate) fn hints(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_link_local = |address: &SocketAddr| match address {
        SocketAddr::V4(v4) => v4.ip().is_link_local(),
        SocketAddr::V6(v6) => v6.ip().is_unicast_link_local(),
    };
    let usable = addresses.iter().filter(|address| !is_link_local(address));
    usable
        .take(roda_proto::group::invite::HINTS_MAX)
        .copied()
        .collect()
}

pub(crate) fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// Whether a home holds a group, without starting it: the group's name and this node.
///
/// # Errors
/// There is a database, but it cannot be read.
pub fn peek(home: &Path) -> Result<Option<(String, NodeId)>> {
    let path = home.join(DATABASE);
    if !path.exists() {
        return Ok(None);
    }
    let read = |error| Error::store(home, error);
    let reader = Reader::open(&path).map_err(read)?;
    let identity = reader.identity().map_err(read)?;
    let node = crypto::SigningKey::from_seed(&identity.seed).public();
    let name = reader
        .meta("group_name")
        .map_err(read)?
        .unwrap_or(identity.group_name);
    Ok(Some((name, node)))
}

/// Checks the database of a stopped home.
///
/// # Errors
/// The check cannot begin; what it finds is in the report.
pub fn verify_home(home: &Path) -> Result<VerifyReport> {
    let path = home.join(DATABASE);
    let read = |error| Error::store(home, error);
    if !path.exists() {
        return Err(Error::NoGroup(home.into()));
    }
    let reader = Reader::open(&path).map_err(read)?;
    reader.verify(|_progress| {}).map(report).map_err(read)
}

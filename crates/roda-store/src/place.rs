//! Tells a database file from a copy of it.

use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::{Result, StoreError};

/// Which file on this file system `path` is, as text.
///
/// Renaming keeps it; copying, restoring from a backup or moving to another file system changes it.
/// A clone of a whole disk is not noticed: its inode numbers and birth times are the same.
pub(crate) fn of(path: &Path) -> Result<String> {
    let metadata = fs::metadata(path).map_err(|error| StoreError::reading(path, error))?;
    // Some file systems do not record the birth; then the inode alone has to do.
    let born = metadata
        .created()
        .ok()
        .and_then(|born| born.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_nanos());
    Ok(format!("{}:{born}", inode(&metadata)))
}

#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_metadata: &fs::Metadata) -> u64 {
    0
}

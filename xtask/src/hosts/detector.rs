//! A file that each locks by flock(2) without waiting.
//!
//! The kernel takes that lock away in the moment in which the last process that has the file open is
//! dead, never earlier or later. So nothing about the detector has to be believed of the program that
//! it watches.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::fd::IntoRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::io::{FdFlags, fcntl_setfd};

/// Stands in the detector until this process and all that it starts are dead. Returns the process that
/// stands there already, if there is one; 0 if that one is gone by now.
pub(crate) fn stand_in(path: &Path) -> Result<Option<u64>> {
    let detector = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    let met = match detector.try_lock() {
        Ok(()) => None,
        Err(TryLockError::WouldBlock) => Some(other(&detector)?),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    };
    fcntl_setfd(&detector, FdFlags::empty())?;
    let _open_until_the_end = detector.into_raw_fd();
    Ok(met)
}

/// The process that has locked the file, as the kernel lists it; 0 if it is gone.
fn other(file: &File) -> Result<u64> {
    let inode = format!(":{}", file.metadata()?.ino());
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let line = locks
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|fields| fields.get(5).is_some_and(|file| file.ends_with(&inode)));
    Ok(line
        .and_then(|fields| fields.get(4)?.parse().ok())
        .unwrap_or(0))
}

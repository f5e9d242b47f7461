//! A private directory that goes when its owner does.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::error::{Failure, Result};

/// A directory for one run of a command.
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes one; refuses to share one that is there already.
    pub(crate) fn new(purpose: &str) -> Result<Self> {
        let name = format!("roda-{purpose}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| Failure::file(&path, &error))?;
        Ok(Self { path })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // In a temporary place a leftover is untidy, not harmful.
        drop(fs::remove_dir_all(&self.path));
    }
}

//! `roda backup` and `roda restore`.

use std::path::PathBuf;

use clap::Args;

/// Where to write a backup.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Also over another file.
    #[arg(long)]
    pub(crate) force: bool,
}

/// From what to restore.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

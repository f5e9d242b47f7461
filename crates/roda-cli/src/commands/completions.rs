//! `roda completions`: prints a completion script.

use clap_complete::{Shell, generate};

use super::App;
use crate::cli::help::{command, visible};
use crate::error::Result;

pub(super) fn run(app: &App, shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    let mut command = visible(&command(app.ui.catalogue()));
    generate(shell, &mut command, "roda", &mut script);
    app.ui.raw(&script)
}

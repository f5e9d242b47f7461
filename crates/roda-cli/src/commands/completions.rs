//! `roda completions`: prints a completion script.

use clap_complete::{Shell, generate};

use super::App;
use crate::cli::help::command;
use crate::error::Result;

pub(super) fn run(app: &App, shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    generate(shell, &mut command(app.ui.catalogue()), "roda", &mut script);
    app.ui.raw(&script)
}

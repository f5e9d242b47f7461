//! `roda help`: the help of a command, or of the exit codes.

use super::App;
use crate::cli::help::command;
use crate::error::{Exit, Failure, Result};

pub(super) fn run(app: &App, about: &[String]) -> Result<()> {
    if about.len() == 1 && about[0] == "exit-codes" {
        return exit_codes(app);
    }
    let mut current = &mut command(app.ui.catalogue());
    for name in about {
        current = current
            .find_subcommand_mut(name)
            .ok_or_else(|| Failure::new("usage-unknown-command").with("command", name.as_str()))?;
    }
    app.ui.raw(current.render_help().to_string().as_bytes())
}

fn exit_codes(app: &App) -> Result<()> {
    for exit in Exit::ALL {
        let number = match exit {
            Exit::Signal(_) => "128+n".to_owned(),
            _ => exit.code().to_string(),
        };
        app.ui
            .line(&format!("{number:>5}  {}", app.ui.text(exit.key(), &[])))?;
    }
    Ok(())
}

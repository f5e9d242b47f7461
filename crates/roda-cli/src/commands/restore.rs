//! `roda restore`: a home from a backup.

use super::App;
use super::backup::{time_of, told, watched};
use crate::cli::RestoreArgs;
use crate::error::{Failure, Result};
use crate::home::Config;

pub(super) async fn run(app: &mut App, args: RestoreArgs) -> Result<()> {
    if app.home.is_inhabited() {
        return Err(Failure::new("restore-home-taken").with("home", app.home.path()));
    }
    // Before anything is made: also that its configuration can be read by this version.
    let backup = roda::Backup::open(&args.file)?;
    let config = configuration(&backup, &args)?;
    let is_new = app.home.ensure()?;
    let restored = restored(app, backup, &config).await;
    if restored.is_err() && is_new {
        app.home.discard();
    }
    let restored = restored?;
    if app.ui.json {
        let mut told = told(&restored.backup, &args.file);
        told["nick"] = restored.nick.into();
        told["home"] = app.home.path().display().to_string().into();
        told["was_founder"] = restored.was_founder.into();
        return app.ui.object(&told);
    }
    let values = [
        ("group", restored.backup.group_name.into()),
        ("nick", restored.nick.into()),
        ("node", restored.backup.node.to_hex()[..8].into()),
        ("entries", restored.backup.entries.into()),
        ("made", time_of(restored.backup.made).into()),
        ("home", app.home.path().into()),
    ];
    app.ui.line(&app.ui.text("restore-done", &values))?;
    if restored.was_founder {
        app.ui.note(&app.ui.text("restore-founder", &[]));
    }
    app.ui.note(&app.ui.text("restore-next", &[]));
    Ok(())
}

fn configuration(backup: &roda::Backup, args: &RestoreArgs) -> Result<Config> {
    match backup.settings() {
        "" => Ok(Config::default()),
        text => serde_json::from_str(text).map_err(|error| {
            Failure::new("damaged-backup")
                .with("path", args.file.as_path())
                .with("reason", error.to_string())
        }),
    }
}

/// The configuration first: a home with a database is whole.
async fn restored(app: &App, backup: roda::Backup, config: &Config) -> Result<roda::Restored> {
    let _only_one = app.home.lock_start()?;
    if app.home.is_inhabited() {
        return Err(Failure::new("restore-home-taken").with("home", app.home.path()));
    }
    if !config.is_empty() {
        app.home.save_config(config)?;
    }
    let home = app.home.path().to_owned();
    let restored = watched(app, move |watch| {
        backup.restore(&home, |step| watch.look(step))
    })
    .await;
    if restored.is_err() {
        app.home.forget_config();
    }
    restored
}

//! `roda backup`: a copy of the node in one file, while it runs or while it is down.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use roda::{BackupInfo, BackupOptions, BackupStep, WallTime};
use serde_json::{Value, json};

use super::App;
use crate::cli::BackupArgs;
use crate::daemon::ended_by_signal;
use crate::error::{Failure, Result};
use crate::progress::Progress;

pub(super) async fn run(app: &App, args: BackupArgs) -> Result<()> {
    if !app.home.is_inhabited() {
        return Err(Failure::new("no-group").with("home", app.home.path()));
    }
    let config = app.home.config()?;
    let settings = if config.is_empty() {
        String::new()
    } else {
        serde_json::to_string(&config).expect("a configuration is plain data")
    };
    let options = BackupOptions {
        replace: args.force,
        settings,
    };
    let (home, file) = (app.home.path().to_owned(), args.file.clone());
    let work = move |watch: &mut Watch| {
        roda::back_up_home(&home, &file, &options, |step| watch.look(step))
    };
    let info = watched(app, work).await?;
    if app.ui.json {
        return app.ui.object(&told(&info, &args.file));
    }
    let values = [
        ("entries", info.entries.into()),
        ("file", args.file.as_path().into()),
        ("bytes", bytes(info.bytes).into()),
    ];
    app.ui.line(&app.ui.text("backup-done", &values))?;
    app.ui.note(&app.ui.text("backup-keys", &[]));
    Ok(())
}

/// What both commands tell programs about a backup.
pub(super) fn told(info: &BackupInfo, file: &Path) -> Value {
    json!({
        "file": file.display().to_string(), "made": time_of(info.made), "bytes": info.bytes,
        "entries": info.entries, "group": info.group.to_hex(), "group_name": info.group_name,
        "node": info.node.to_hex(),
    })
}

/// A time for people and programs.
pub(super) fn time_of(time: WallTime) -> String {
    let millis = i64::try_from(time.0).unwrap_or(i64::MAX);
    // A clock beyond the year 9999 is shown as it is.
    Timestamp::from_millisecond(millis)
        .map_or_else(|_far| time.0.to_string(), |at| format!("{at:.3}"))
}

/// Looks how far the work is, from its thread.
pub(super) struct Watch {
    progress: Progress,
    is_unwanted: Arc<AtomicBool>,
    texts: [String; 2],
}

impl Watch {
    /// Shows it, and says whether to go on.
    pub(super) fn look(&mut self, step: BackupStep) -> ControlFlow<()> {
        let [copied, checked] = &self.texts;
        self.progress.show(|| match step {
            BackupStep::Copied { pages, total } => {
                format!("{copied} {} %", pages * 100 / total.max(1))
            }
            BackupStep::Checked { entries } => format!("{checked} {entries}"),
        });
        if self.is_unwanted.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// Runs it on a thread of its own. A signal ends it, and what it began is removed before the command ends.
pub(super) async fn watched<T: Send + 'static>(
    app: &App,
    work: impl FnOnce(&mut Watch) -> roda::Result<T> + Send + 'static,
) -> Result<T> {
    let is_unwanted = Arc::new(AtomicBool::new(false));
    let mut watch = Watch {
        progress: Progress::new(&app.ui),
        is_unwanted: Arc::clone(&is_unwanted),
        texts: ["backup-copied", "backup-checked"].map(|key| app.ui.text(key, &[])),
    };
    let mut working = tokio::task::spawn_blocking(move || {
        let done = work(&mut watch);
        watch.progress.clear();
        done
    });
    let ended = tokio::select! {
        ended = &mut working => ended,
        failure = ended_by_signal() => {
            is_unwanted.store(true, Ordering::Relaxed);
            // If it was done in this moment, it is told as done.
            match working.await {
                Ok(Err(roda::Error::Interrupted)) => return Err(failure),
                ended => ended,
            }
        }
    };
    let ended = ended.map_err(|error| Failure::new("other").with("reason", error.to_string()))?;
    Ok(ended?)
}

/// A size for people.
pub(super) fn bytes(count: u64) -> String {
    let mib = count / (1024 * 1024);
    match count {
        0..1_048_576 => format!("{} KiB", count.div_ceil(1024)),
        _ => format!("{mib}.{} MiB", count % (1024 * 1024) * 10 / (1024 * 1024)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_with_one_digit_after_the_point() {
        assert_eq!(bytes(1), "1 KiB");
        assert_eq!(bytes(1024 * 1024 - 1), "1024 KiB");
        assert_eq!(bytes(1024 * 1024), "1.0 MiB");
        assert_eq!(bytes(1024 * 1024 * 27 / 10), "2.6 MiB");
    }
}

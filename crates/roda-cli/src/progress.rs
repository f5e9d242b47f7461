//! A line on the terminal that shows how far something is.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use crate::output::Ui;

/// Shows nothing of what is over before this, and then a line so often.
const EVERY: Duration = Duration::from_millis(200);

/// Progress on standard error, if that is a terminal.
pub(crate) struct Progress {
    is_wanted: bool,
    last: Instant,
    is_shown: bool,
}

impl Progress {
    /// Nobody reads it under `--json`.
    pub(crate) fn new(ui: &Ui) -> Self {
        Self {
            is_wanted: !ui.json && std::io::stderr().is_terminal(),
            last: Instant::now(),
            is_shown: false,
        }
    }

    /// Shows a line instead of the last one, if that was not just now.
    pub(crate) fn show(&mut self, line: impl FnOnce() -> String) {
        if self.is_wanted && self.last.elapsed() >= EVERY {
            write(&line());
            (self.last, self.is_shown) = (Instant::now(), true);
        }
    }

    /// Removes the line.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            write("");
        }
    }
}

/// A terminal that is gone must not end what works.
fn write(line: &str) {
    let mut out = std::io::stderr().lock();
    drop(write!(out, "\r\u{1b}[K{line}").and_then(|()| out.flush()));
}

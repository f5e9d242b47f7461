//! `roda locks`: who has which lock and who waits, once or again and again.

mod table;

use std::io::IsTerminal as _;
use std::time::Duration;

use roda::LockName;
use tokio::time::{MissedTickBehavior, interval};

use super::App;
use crate::api::client::{Client, encoded};
use crate::api::lock_types::LocksReply;
use crate::cli::LocksArgs;
use crate::error::{Failure, Result};

pub(super) async fn run(app: &App, args: &LocksArgs) -> Result<()> {
    let names: Vec<&str> = args.names.iter().flat_map(|list| list.split(',')).collect();
    for name in &names {
        LockName::new(name)?;
    }
    let path = if names.is_empty() {
        "/v1/locks".to_owned()
    } else {
        format!("/v1/locks?names={}", encoded(&names.join(",")))
    };
    let mut client = app.connect().await?;
    if args.watch {
        return watch(app, &mut client, &path).await;
    }
    let report: LocksReply = client.get(&path).await?;
    if app.ui.json {
        return app.ui.object(&report);
    }
    app.ui.raw(table::text(&app.ui, &report).as_bytes())
}

/// Goes on until it is ended, also while too few voters answer.
async fn watch(app: &App, client: &mut Client, path: &str) -> Result<()> {
    let is_terminal = !app.ui.json && std::io::stdout().is_terminal();
    let mut tick = interval(WATCH_STEP);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let report = match client.get::<LocksReply>(path).await {
            Ok(report) => report,
            Err(failure) if failure.code == "lock-no-quorum" => {
                trouble(app, is_terminal, &failure)?;
                continue;
            }
            Err(failure) => return Err(failure),
        };
        if app.ui.json {
            app.ui.object(&report)?;
        } else if is_terminal {
            redraw(app, &table::text(&app.ui, &report))?;
        } else {
            app.ui
                .raw(format!("{}\n", table::text(&app.ui, &report)).as_bytes())?;
        }
    }
}

fn trouble(app: &App, is_terminal: bool, failure: &Failure) -> Result<()> {
    if is_terminal {
        redraw(app, "")?;
    }
    app.ui.failure(failure);
    Ok(())
}

/// Writes over what is on the screen line by line, which does not flicker.
fn redraw(app: &App, text: &str) -> Result<()> {
    let rows = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| size.ws_row);
    app.ui.raw(screen(text, rows.into()).as_bytes())
}

/// The first lines of `text`, as many as there are rows; 0 if nobody knows how many.
fn screen(text: &str, rows: usize) -> String {
    let count = text.lines().count();
    let shown = if rows > 1 && count >= rows {
        rows - 2
    } else {
        count
    };
    let mut screen = "\u{1b}[H".to_owned();
    for line in text.lines().take(shown) {
        screen.push_str(line);
        screen.push_str("\u{1b}[K\n");
    }
    if shown < count {
        screen.push_str(&format!("… +{}\u{1b}[K\n", count - shown));
    }
    screen.push_str("\u{1b}[J");
    screen
}

const WATCH_STEP: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_shows_what_fits_and_says_how_much_more_there_is() {
        let clear = "\u{1b}[J";
        assert_eq!(
            screen("a\nb\n", 24),
            format!("\u{1b}[Ha\u{1b}[K\nb\u{1b}[K\n{clear}")
        );
        let cut = screen("a\nb\nc\nd\n", 4);
        assert!(cut.contains("b\u{1b}[K\n… +2\u{1b}[K\n"), "{cut:?}");
        assert!(screen("a\nb\nc\n", 0).contains('c'));
    }
}

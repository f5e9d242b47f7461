//! What is shown again and again, on a terminal.

use crate::error::Result;
use crate::output::Ui;

/// Writes over what is on the screen line by line, which does not flicker.
pub(super) fn redraw(ui: &Ui, text: &str) -> Result<()> {
    let rows = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| size.ws_row);
    ui.raw(screen(text, rows.into()).as_bytes())
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

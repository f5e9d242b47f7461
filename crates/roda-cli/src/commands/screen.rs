//! What is shown again and again, on a terminal.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::error::Result;
use crate::output::Ui;

/// Writes over what is on the screen line by line, which does not flicker.
pub(super) fn redraw(ui: &Ui, text: &str) -> Result<()> {
    let (rows, columns) = rustix::termios::tcgetwinsize(std::io::stdout())
        .map_or((0, 0), |size| (size.ws_row, size.ws_col));
    ui.raw(screen(text, rows.into(), columns.into()).as_bytes())
}

/// The first lines of `text`, as many as there are rows, and of each what fits into a row: one that goes on in the
/// next would have the terminal scroll. 0 if nobody knows how many.
fn screen(text: &str, rows: usize, columns: usize) -> String {
    let count = text.lines().count();
    let shown = if rows > 1 && count >= rows {
        rows - 2
    } else {
        count
    };
    let mut screen = "\u{1b}[H".to_owned();
    for line in text.lines().take(shown) {
        screen.push_str(&cut(line, columns));
        screen.push_str("\u{1b}[K\n");
    }
    if shown < count {
        screen.push_str(&format!("… +{}\u{1b}[K\n", count - shown));
    }
    screen.push_str("\u{1b}[J");
    screen
}

/// What of `line` fits into `columns`, with all its colours, which take no room.
fn cut(line: &str, columns: usize) -> Cow<'_, str> {
    let mut text = String::with_capacity(line.len());
    let (mut is_colour, mut column) = (false, 0);
    for character in line.chars() {
        if is_colour || character == ESCAPE {
            is_colour = character != 'm';
            text.push(character);
            continue;
        }
        column += 1;
        match column.cmp(&columns) {
            Ordering::Less => text.push(character),
            Ordering::Equal => text.push('…'),
            Ordering::Greater => {}
        }
    }
    if columns == 0 || column <= columns {
        Cow::Borrowed(line)
    } else {
        Cow::Owned(text)
    }
}

const ESCAPE: char = '\u{1b}';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_shows_what_fits_and_says_how_much_more_there_is() {
        let clear = "\u{1b}[J";
        assert_eq!(
            screen("a\nb\n", 24, 80),
            format!("\u{1b}[Ha\u{1b}[K\nb\u{1b}[K\n{clear}")
        );
        let cut = screen("a\nb\nc\nd\n", 4, 80);
        assert!(cut.contains("b\u{1b}[K\n… +2\u{1b}[K\n"), "{cut:?}");
        assert!(screen("a\nb\nc\n", 0, 0).contains('c'));
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_keeps_its_colours() {
        assert_eq!(cut("impressão", 9), "impressão");
        assert_eq!(cut("impressão", 8), "impress…");
        assert_eq!(cut("impressão", 0), "impressão");
        assert_eq!(cut("\u{1b}[32mdone\u{1b}[0m", 4), "\u{1b}[32mdone\u{1b}[0m");
        assert_eq!(cut("\u{1b}[32mdone\u{1b}[0m", 3), "\u{1b}[32mdo…\u{1b}[0m");
        let shown = screen("one line\ntwo\n", 24, 5);
        assert!(shown.contains("one …\u{1b}[K\ntwo\u{1b}[K\n"), "{shown:?}");
    }
}

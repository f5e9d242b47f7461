//! Tables for people.

use crate::api::lock_types::NodeName;
use crate::output::{Colour, Ui, escaped};

/// A row of a table.
pub(super) struct Row {
    /// Of the whole row.
    pub(super) colour: Colour,
    /// From the left; what is missing is empty.
    pub(super) cells: Vec<String>,
}

impl Row {
    /// A row of these cells.
    pub(super) fn new<const N: usize>(colour: Colour, cells: [String; N]) -> Self {
        Self {
            colour,
            cells: cells.into(),
        }
    }
}

/// The rows with their cells below each other. Numbers stand right, so that their size shows.
pub(super) fn aligned(ui: &Ui, rows: &[Row], numbers: &[usize]) -> String {
    let columns = rows.iter().map(|row| row.cells.len()).max();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.cells.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.unwrap_or(0)).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.cells.iter().zip(&widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| {
            if numbers.contains(&column) {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            }
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(&ui.paint(row.colour, line.trim_end()));
        text.push('\n');
    }
    text
}

/// A node's name for people, or the beginning of its key.
pub(super) fn node_name(node: &NodeName) -> String {
    if node.nick.is_empty() {
        node.node.chars().take(8).collect()
    } else {
        escaped(&node.nick).into_owned()
    }
}

/// A duration in its two largest units.
pub(super) fn time(millis: u64) -> String {
    let seconds = millis / 1000;
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    if days > 0 {
        format!("{days}d {hours:02}h")
    } else if hours > 0 {
        format!("{hours}h {minutes:02}m")
    } else if minutes > 0 {
        format!("{minutes}m {rest:02}s")
    } else {
        format!("{rest}.{}s", millis % 1000 / 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_their_two_largest_units() {
        assert_eq!(time(0), "0.0s");
        assert_eq!(time(59_990), "59.9s");
        assert_eq!(time(61_000), "1m 01s");
        assert_eq!(time(3_660_000), "1h 01m");
        assert_eq!(time(90_000_000), "1d 01h");
    }
}

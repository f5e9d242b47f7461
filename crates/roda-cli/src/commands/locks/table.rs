//! Locks for people.

use crate::api::lock_types::{HolderReply, LocksReply, NodeName, WaiterReply};
use crate::output::{Colour, Ui, escaped};

/// The whole report: who votes, then a row for each holder and waiter.
pub(super) fn text(ui: &Ui, report: &LocksReply) -> String {
    let mut text = format!("{}\n", voters(ui, report));
    if report.locks.is_empty() {
        text.push_str(&ui.text("locks-none", &[]));
        text.push('\n');
        return text;
    }
    let mut table = Table::new(ui);
    for lock in &report.locks {
        let name = escaped(&lock.lock).into_owned();
        let holders = lock.holders.iter().map(|holder| holder_row(ui, holder));
        let waiters = lock.waiters.iter().map(|waiter| waiter_row(ui, waiter));
        let mut rows: Vec<Row> = holders.chain(waiters).collect();
        if rows.is_empty() {
            rows.push(Row::new(Colour::Dim, [ui.text("locks-free", &[])]));
        }
        for (at, mut row) in rows.into_iter().enumerate() {
            // The name stands once, so that the eye finds where a lock begins.
            let name = if at == 0 { name.clone() } else { String::new() };
            row.cells.insert(0, name);
            table.rows.push(row);
        }
    }
    text.push_str(&table.text());
    text
}

fn voters(ui: &Ui, report: &LocksReply) -> String {
    let names: Vec<String> = report.voters.iter().map(name).collect();
    ui.text(
        "locks-voters",
        &[
            ("leader", name(&report.leader).into()),
            ("voters", names.join(", ").into()),
            ("reachable", u64::from(report.reachable).into()),
            ("count", report.voters.len().into()),
        ],
    )
}

fn name(node: &NodeName) -> String {
    if node.nick.is_empty() {
        node.node.chars().take(8).collect()
    } else {
        escaped(&node.nick).into_owned()
    }
}

struct Row {
    colour: Colour,
    cells: Vec<String>,
}

impl Row {
    fn new<const N: usize>(colour: Colour, cells: [String; N]) -> Self {
        Self {
            colour,
            cells: cells.into(),
        }
    }
}

fn holder_row(ui: &Ui, holder: &HolderReply) -> Row {
    let (key, colour) = match holder.state.as_str() {
        "inside" => ("locks-inside", Colour::Green),
        "next" => ("locks-next", Colour::Cyan),
        // Whatever a later node says is no worse than this.
        _ => ("locks-revoked", Colour::Red),
    };
    let state = with_permits(ui, ui.text(key, &[]), holder.permits);
    Row::new(
        colour,
        [
            state,
            name(&holder.node),
            time(holder.held_ms),
            holder.fence.to_string(),
        ],
    )
}

fn waiter_row(ui: &Ui, waiter: &WaiterReply) -> Row {
    let state = with_permits(ui, ui.text("locks-waiting", &[]), waiter.permits);
    let priority = if waiter.priority == waiter.effective {
        waiter.priority.to_string()
    } else {
        format!("{} → {}", waiter.priority, waiter.effective)
    };
    Row::new(
        Colour::Dim,
        [
            state,
            name(&waiter.node),
            time(waiter.waiting_ms),
            String::new(),
            priority,
            waiter.bound.to_string(),
        ],
    )
}

fn with_permits(ui: &Ui, state: String, permits: Option<u32>) -> String {
    match permits {
        Some(1) => state,
        Some(count) => format!("{state}, ≤ {count}"),
        None => format!("{state}, {}", ui.text("locks-shared", &[])),
    }
}

/// A duration in its two largest units.
fn time(millis: u64) -> String {
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

struct Table<'a> {
    ui: &'a Ui,
    rows: Vec<Row>,
}

impl<'a> Table<'a> {
    fn new(ui: &'a Ui) -> Self {
        let head = [
            ui.text("locks-head-lock", &[]),
            ui.text("locks-head-state", &[]),
            ui.text("locks-head-node", &[]),
            ui.text("locks-head-since", &[]),
            ui.text("locks-head-fence", &[]),
            ui.text("locks-head-priority", &[]),
            ui.text("locks-head-bound", &[]),
        ];
        let rows = vec![Row::new(Colour::Bold, head)];
        Self { ui, rows }
    }

    fn text(&self) -> String {
        let columns = self.rows.iter().map(|row| row.cells.len()).max();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.cells.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns.unwrap_or(0)).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let cells = row.cells.iter().zip(&widths).enumerate();
            let cells = cells.map(|(column, (cell, width))| match column {
                // Numbers stand right, so that their size shows.
                SINCE | FENCE.. => format!("{cell:>width$}"),
                _ => format!("{cell:<width$}"),
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            text.push_str(&self.ui.paint(row.colour, line.trim_end()));
            text.push('\n');
        }
        text
    }
}

const SINCE: usize = 3;
const FENCE: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::lock_types::LockReply;
    use crate::i18n::Language;

    fn node(nick: &str) -> NodeName {
        NodeName {
            node: "ab".repeat(32),
            nick: nick.to_owned(),
        }
    }

    fn holder(nick: &str, state: &str, fence: u64, held_ms: u64) -> HolderReply {
        HolderReply {
            node: node(nick),
            session: 1,
            state: state.to_owned(),
            fence,
            permits: Some(1),
            held_ms,
        }
    }

    fn report() -> LocksReply {
        let waiter = WaiterReply {
            node: node(""),
            session: 3,
            priority: 3,
            effective: 5,
            permits: None,
            waiting_ms: 12_400,
            bound: 18,
        };
        LocksReply {
            leader: node("ana"),
            voters: vec![node("ana"), node("bia"), node("caio")],
            reachable: 2,
            needed: 2,
            locks: vec![
                LockReply {
                    lock: "render".to_owned(),
                    holders: vec![
                        holder("bia", "inside", 1_024, 192_000),
                        holder("caio", "next", 2_048, 400),
                    ],
                    waiters: vec![waiter],
                },
                LockReply {
                    lock: "x".to_owned(),
                    holders: Vec::new(),
                    waiters: Vec::new(),
                },
            ],
        }
    }

    #[test]
    fn a_report_is_a_table_with_a_row_for_each_holder_and_waiter() {
        let ui = Ui::new(Language::English, false);
        let expected = "\
Voters: ana, bia, caio; 2 of 3 reachable, ana leads
LOCK    STATE          NODE         FOR  FENCE  PRIORITY  AT MOST BEFORE
render  holds          bia       3m 12s   1024
        next           caio        0.4s   2048
        waits, shared  abababab   12.4s            3 → 5              18
x       free
";
        assert_eq!(text(&ui, &report()), expected);
    }

    #[test]
    fn no_lock_at_all_is_said_in_words() {
        let ui = Ui::new(Language::English, false);
        let report = LocksReply {
            locks: Vec::new(),
            ..report()
        };
        assert!(text(&ui, &report).ends_with("\nNobody holds or waits for a lock.\n"));
    }

    #[test]
    fn times_have_their_two_largest_units() {
        assert_eq!(time(0), "0.0s");
        assert_eq!(time(59_990), "59.9s");
        assert_eq!(time(61_000), "1m 01s");
        assert_eq!(time(3_660_000), "1h 01m");
        assert_eq!(time(90_000_000), "1d 01h");
    }
}

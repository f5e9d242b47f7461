//! Locks for people.

use crate::api::lock_types::{HolderReply, LocksReply, WaiterReply};
use crate::commands::columns::{Row, aligned, node_name as name, time};
use crate::output::{Colour, Ui, escaped};

/// The whole report: who votes, then a row for each holder and waiter.
pub(super) fn text(ui: &Ui, report: &LocksReply) -> String {
    let mut text = format!("{}\n", voters(ui, report));
    if report.locks.is_empty() {
        text.push_str(&ui.text("locks-none", &[]));
        text.push('\n');
        return text;
    }
    let mut rows = vec![head(ui)];
    for lock in &report.locks {
        let name = escaped(&lock.lock).into_owned();
        let holders = lock.holders.iter().map(|holder| holder_row(ui, holder));
        let waiters = lock.waiters.iter().map(|waiter| waiter_row(ui, waiter));
        let mut of_lock: Vec<Row> = holders.chain(waiters).collect();
        if of_lock.is_empty() {
            of_lock.push(Row::new(Colour::Dim, [ui.text("locks-free", &[])]));
        }
        for (at, mut row) in of_lock.into_iter().enumerate() {
            // The name stands once, so that the eye finds where a lock begins.
            let name = if at == 0 { name.clone() } else { String::new() };
            row.cells.insert(0, name);
            rows.push(row);
        }
    }
    text.push_str(&aligned(ui, &rows, &[SINCE, FENCE, PRIORITY, BOUND]));
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

fn head(ui: &Ui) -> Row {
    Row::new(
        Colour::Bold,
        [
            ui.text("locks-head-lock", &[]),
            ui.text("locks-head-state", &[]),
            ui.text("locks-head-node", &[]),
            ui.text("locks-head-since", &[]),
            ui.text("locks-head-fence", &[]),
            ui.text("locks-head-priority", &[]),
            ui.text("locks-head-bound", &[]),
        ],
    )
}

const SINCE: usize = 3;
const FENCE: usize = 4;
const PRIORITY: usize = 5;
const BOUND: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::lock_types::{LockReply, NodeName};
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
}

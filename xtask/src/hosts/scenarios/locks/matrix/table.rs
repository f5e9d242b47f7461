//! The rows as Markdown.

use rustix::process::Signal;

use super::case::{Row, Target};

/// A table with a line for each row.
pub(super) fn markdown(rows: &[Row]) -> String {
    let mut lines = vec![
        "| hit | signal | last one dead after | next one inside after | exit code | |".to_owned(),
        "| --- | --- | ---: | ---: | ---: | --- |".to_owned(),
    ];
    lines.extend(rows.iter().map(line));
    lines.join("\n")
}

fn line(row: &Row) -> String {
    let target = match row.target {
        Target::Wrapper => "wrapper",
        Target::Shell => "shell",
        Target::Child => "child",
        Target::Daemon => "node",
        Target::Host => "machine",
        Target::Leader => "leader",
    };
    let signal = match row.signal {
        Signal::TERM => "TERM",
        Signal::KILL => "KILL",
        _ => "STOP",
    };
    format!(
        "| {target} | {signal} | {} | {} | {} | {} |",
        time(row.dead_ns),
        time(row.next_ns),
        row.code,
        remark(row)
    )
}

fn remark(row: &Row) -> String {
    if let Some(left_ns) = row.kept_until_ns {
        return format!("kept the lock; left by itself after {}", time(left_ns));
    }
    match row.continued_ns {
        Some(continued_ns) if row.is_frozen => format!(
            "stood still when the next came; ran for {} when it went on after {}",
            time(row.dead_ns.saturating_sub(continued_ns)),
            time(continued_ns)
        ),
        Some(continued_ns) if row.dead_ns > continued_ns => {
            format!(
                "until what was stopped went on after {}",
                time(continued_ns)
            )
        }
        Some(_) | None => String::new(),
    }
}

fn time(ns: u64) -> String {
    let micros = ns / 1_000;
    format!("{}.{} ms", micros / 1_000, micros / 100 % 10)
}

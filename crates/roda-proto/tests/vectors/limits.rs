//! The document's table of limits, compared with the constants in the source.
//!
//! Some of them are private or belong to a crate above this one, so the source is read as text.

use std::fs;
use std::path::Path;

use super::DOCUMENT;

const HEADER: &str = "| what | constant | value | where |";

struct Row {
    constant: &'static str,
    value: &'static str,
    file: &'static str,
}

fn rows() -> Vec<Row> {
    let table = DOCUMENT.split_once(HEADER).expect("the table of limits").1;
    let lines = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    lines
        .map(|line| {
            let cells: Vec<&str> = line
                .split('|')
                .map(|cell| cell.trim().trim_matches('`'))
                .collect();
            let [_, _what, constant, value, file, _] = cells[..] else {
                panic!("four cells in {line}");
            };
            Row {
                constant,
                value,
                file,
            }
        })
        .collect()
}

/// A value as the document writes it; times in microseconds.
fn documented(value: &str) -> u64 {
    let (number, unit) = value.split_once(' ').unwrap_or((value, ""));
    let number: u64 = number.replace(',', "").parse().expect(value);
    number
        * match unit {
            "" | "bytes" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "ms" => 1_000,
            "s" => 1_000_000,
            "MB/s" => 1_000_000,
            other => panic!("the unit {other} of {value}"),
        }
}

/// The value of a constant's expression; times in microseconds.
fn evaluate(expression: &str) -> u64 {
    let duration = |unit: &str| {
        let call = expression.strip_prefix("Duration::from_")?;
        call.strip_prefix(unit)?
            .strip_prefix('(')?
            .strip_suffix(')')
    };
    if let Some(seconds) = duration("secs") {
        return evaluate(seconds) * 1_000_000;
    }
    if let Some(millis) = duration("millis") {
        return evaluate(millis) * 1_000;
    }
    if let Some((number, shift)) = expression.split_once("<<") {
        return evaluate(number) << evaluate(shift);
    }
    let factors = expression.split('*').map(|factor| {
        let digits = factor.trim().replace('_', "");
        digits
            .parse::<u64>()
            .unwrap_or_else(|_| panic!("{expression:?} is too hard for this test"))
    });
    factors.product()
}

#[test]
fn the_document_states_the_limits_of_the_code() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let rows = rows();
    assert!(rows.len() > 40, "only {} rows were found", rows.len());
    for row in rows {
        let source = fs::read_to_string(crates.join(row.file)).expect(row.file);
        let declaration = format!("const {}: ", row.constant);
        let found = source.split_once(&declaration);
        let (_, rest) = found.unwrap_or_else(|| panic!("no {} in {}", row.constant, row.file));
        let (_, expression) = rest.split_once(" = ").unwrap();
        let (expression, _) = expression.split_once(';').unwrap();
        assert_eq!(
            evaluate(expression),
            documented(row.value),
            "{} in {} is {expression}, the document says {}",
            row.constant,
            row.file,
            row.value
        );
    }
}

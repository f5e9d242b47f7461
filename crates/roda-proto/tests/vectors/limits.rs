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
    /// A file, or a folder in which the name is unique.
    place: &'static str,
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
            let [_, _what, constant, value, place, _] = cells[..] else {
                panic!("four cells in {line}");
            };
            Row {
                constant,
                value,
                place,
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
        let mut found = Vec::new();
        collect(&crates.join(row.place), row.constant, &mut found);
        let [expression] = &found[..] else {
            panic!("{} in {}: {found:?}", row.constant, row.place);
        };
        assert_eq!(
            evaluate(expression),
            documented(row.value),
            "{} in {} is {expression}, the document says {}",
            row.constant,
            row.place,
            row.value
        );
    }
}

/// The expressions of all constants of this name in a file, or below a folder.
fn collect(place: &Path, constant: &str, found: &mut Vec<String>) {
    if place.is_dir() {
        let entries = fs::read_dir(place).expect("a folder of the workspace");
        for entry in entries {
            collect(&entry.unwrap().path(), constant, found);
        }
        return;
    }
    let source = fs::read_to_string(place).unwrap_or_else(|error| panic!("{place:?}: {error}"));
    let declaration = format!("const {constant}: ");
    for (at, _) in source.match_indices(&declaration) {
        let (_, expression) = source[at..].split_once(" = ").unwrap();
        found.push(expression.split_once(';').unwrap().0.to_owned());
    }
}

//! `cargo xtask fix`: the twin of `verify` that writes.

use std::process::ExitCode;

use crate::verify::cargo;

/// Formats everything and applies the suggestions that clippy is sure of.
pub(crate) fn run() -> ExitCode {
    let commands: [&[&str]; 4] = [
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--fix",
            "--allow-dirty",
            "--allow-staged",
        ],
        &[
            "clippy",
            "--manifest-path",
            "fuzz/Cargo.toml",
            "--lib",
            "--tests",
            "--fix",
            "--allow-dirty",
            "--allow-staged",
        ],
        &["fmt", "--all"],
        &["fmt", "--all", "--manifest-path", "fuzz/Cargo.toml"],
    ];
    let all_done = commands
        .iter()
        .all(|words| cargo(words).status().is_ok_and(|status| status.success()));
    if all_done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

//! `cargo xtask verify` and `cargo xtask test`: every check there is, and a table of what came of it.

mod licences;

use std::env;
use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::{crash, hosts, setup};

/// How a check ended, with a few words for the table.
pub(crate) enum Outcome {
    /// All is well.
    Passed(String),
    /// Something is wrong.
    Failed(String),
    /// It could not be done here.
    Skipped(String),
}

impl Outcome {
    const fn word(&self) -> &'static str {
        match self {
            Self::Passed(_) => "passed",
            Self::Failed(_) => "FAILED",
            Self::Skipped(_) => "SKIPPED",
        }
    }

    fn remark(&self) -> &str {
        match self {
            Self::Passed(remark) | Self::Failed(remark) | Self::Skipped(remark) => remark,
        }
    }
}

struct Step {
    name: &'static str,
    /// A step without whose success this one means nothing.
    needs: Option<&'static str>,
    run: fn() -> Outcome,
}

impl Step {
    const fn new(name: &'static str, run: fn() -> Outcome) -> Self {
        Self {
            name,
            needs: None,
            run,
        }
    }
}

struct Row {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

const SET_UP: Step = Step::new("set-up", set_up);

/// In this order, because each build then finds what an earlier one made.
const CHECKS: &[Step] = &[
    Step::new("format", format),
    Step::new("lints", lints),
    Step::new("tests", tests),
    Step::new("doc tests", || {
        run_cargo(&["test", "--workspace", "--doc", "--locked"])
    }),
    Step::new("documentation", documentation),
    Step::new("fuzz targets", fuzz_targets),
    Step::new("fuzz corpus", || {
        run_cargo(&["test", "--manifest-path", FUZZ, "--locked"])
    }),
    Step::new("simulator", simulator),
    Step::new(RELEASE_BUILD, || {
        run_cargo(&["build", "--release", "--locked", "--package", "roda-cli"])
    }),
    Step {
        name: "hosts",
        needs: Some(RELEASE_BUILD),
        run: hosts::check,
    },
    Step {
        name: "crash",
        needs: Some(RELEASE_BUILD),
        run: crash::check,
    },
    Step::new("licences", licences::check),
    Step::new("advisories", licences::advisories),
];

const RELEASE_BUILD: &str = "release build";
const FUZZ: &str = "fuzz/Cargo.toml";
/// Time for new simulator seeds: in continuous integration, and at a desk.
const SIMULATOR_SECONDS_CI: u64 = 180;
const SIMULATOR_SECONDS: u64 = 60;
/// The seeds that a check tries at most are always the same, so that it answers for the change it
/// checks. Looking for new ones is `cargo xtask sim --seed S`.
const SIMULATOR_SEEDS: u64 = 10_000;
/// Seeds of the lock protocol; some ten seconds.
const TOKEN_SEEDS: u64 = 10_000;

/// All checks, after installing what they need where that is allowed.
pub(crate) fn test() -> ExitCode {
    let mut rows = Vec::new();
    perform(&SET_UP, &mut rows);
    check_all(rows)
}

/// All checks; changes nothing outside the target directory.
pub(crate) fn verify() -> ExitCode {
    check_all(Vec::new())
}

fn check_all(mut rows: Vec<Row>) -> ExitCode {
    for step in CHECKS {
        perform(step, &mut rows);
    }
    report(&rows)
}

/// `cargo WORDS…` in the workspace's root.
pub(crate) fn cargo<W: AsRef<OsStr>>(words: &[W]) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(words).current_dir(workspace());
    command
}

/// The workspace's root.
pub(crate) fn workspace() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// Runs a command with its output on this one's.
fn run_command(mut command: Command) -> Outcome {
    let line: Vec<_> = command
        .get_args()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Outcome::Passed(String::new()),
        Ok(status) => Outcome::Failed(format!("`{}`: {status}", line.join(" "))),
        Err(error) => Outcome::Failed(format!("cannot start `{}`: {error}", line.join(" "))),
    }
}

fn run_cargo(words: &[&str]) -> Outcome {
    let mut command = cargo(words);
    // The fuzz crate is a workspace of its own; sharing the directory spares a second build.
    if words.contains(&FUZZ) && env::var_os("CARGO_TARGET_DIR").is_none() {
        command.env("CARGO_TARGET_DIR", workspace().join("target"));
    }
    run_command(command)
}

/// Runs one after the other until one does not pass.
fn run_all(commands: &[&[&str]]) -> Outcome {
    for words in commands {
        let outcome = run_cargo(words);
        if !matches!(outcome, Outcome::Passed(_)) {
            return outcome;
        }
    }
    Outcome::Passed(String::new())
}

fn set_up() -> Outcome {
    match setup::install_missing() {
        Ok(done) => Outcome::Passed(done),
        Err(missing) => Outcome::Skipped(missing),
    }
}

fn format() -> Outcome {
    run_all(&[
        &["fmt", "--all", "--check"],
        &["fmt", "--all", "--check", "--manifest-path", FUZZ],
    ])
}

fn lints() -> Outcome {
    run_cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "--deny",
        "warnings",
    ])
}

fn tests() -> Outcome {
    if setup::find("cargo-nextest").is_some() {
        return run_cargo(&[
            "nextest",
            "run",
            "--workspace",
            "--locked",
            "--no-fail-fast",
        ]);
    }
    let words = ["test", "--workspace", "--locked", "--no-fail-fast"];
    run_cargo(&[&words[..], &["--lib", "--bins", "--tests", "--examples"]].concat())
}

fn documentation() -> Outcome {
    let mut command = cargo(&["doc", "--workspace", "--no-deps", "--locked"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    run_command(command)
}

/// Checks the targets on stable Rust; fuzzing itself needs `cargo fuzz` and a nightly one.
fn fuzz_targets() -> Outcome {
    let mut command = cargo(&[
        "clippy",
        "--manifest-path",
        FUZZ,
        "--all-targets",
        "--locked",
    ]);
    command
        .args(["--features", "libfuzzer", "--", "--deny", "warnings"])
        .env("CARGO_TARGET_DIR", target_directory())
        // A check does not link, so the library need not be built, nor a C++ compiler be there.
        .env("CUSTOM_LIBFUZZER_PATH", "/nonexistent/libfuzzer.a");
    run_command(command)
}

fn target_directory() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// Of the lock protocol all seeds, of the log as many as there is time for; kept ones first.
fn simulator() -> Outcome {
    let token = simulate(&["--token", "--seeds", &TOKEN_SEEDS.to_string()]);
    if !matches!(token, Outcome::Passed(_)) {
        return token;
    }
    let seconds = if env::var_os("CI").is_some() {
        SIMULATOR_SECONDS_CI
    } else {
        SIMULATOR_SECONDS
    };
    let seeds = SIMULATOR_SEEDS.to_string();
    match simulate(&["--seeds", &seeds, "--seconds", &seconds.to_string()]) {
        Outcome::Passed(_) => Outcome::Passed(format!(
            "{TOKEN_SEEDS} of locks; at most {seconds} s of logs"
        )),
        other => other,
    }
}

fn simulate(options: &[&str]) -> Outcome {
    // The program's own file may have been replaced by a build since it started.
    let mut command = Command::new("/proc/self/exe");
    command.arg("sim").args(options).current_dir(workspace());
    run_command(command)
}

fn perform(step: &Step, rows: &mut Vec<Row>) {
    say(&format!("\n==> {}", step.name));
    let started = Instant::now();
    let missing = step.needs.filter(|needed| {
        rows.iter()
            .any(|row| row.name == *needed && !matches!(row.outcome, Outcome::Passed(_)))
    });
    let outcome = match missing {
        Some(needed) => Outcome::Skipped(format!("`{needed}` did not pass")),
        None => (step.run)(),
    };
    if !matches!(outcome, Outcome::Passed(_)) {
        say(&format!(
            "{}: {}: {}",
            outcome.word(),
            step.name,
            outcome.remark()
        ));
    }
    rows.push(Row {
        name: step.name,
        outcome,
        took: started.elapsed(),
    });
}

fn report(rows: &[Row]) -> ExitCode {
    say("");
    for row in rows {
        say(&format!(
            "{:<8} {:<14} {:>6.1} s  {}",
            row.outcome.word(),
            row.name,
            row.took.as_secs_f64(),
            row.outcome.remark()
        ));
    }
    let count = |word: &str| rows.iter().filter(|row| row.outcome.word() == word).count();
    let failed = count("FAILED");
    say(&format!(
        "{} passed, {failed} failed, {} skipped",
        count("passed"),
        count("SKIPPED")
    ));
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn say(line: &str) {
    // There is nobody left to tell when standard output is closed.
    let _closed = writeln!(io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(first: fn() -> Outcome) -> Vec<&'static str> {
        let dependent = Step {
            name: "second",
            needs: Some("first"),
            run: || Outcome::Passed(String::new()),
        };
        let mut rows = Vec::new();
        perform(&Step::new("first", first), &mut rows);
        perform(&dependent, &mut rows);
        rows.iter().map(|row| row.outcome.word()).collect()
    }

    #[test]
    fn a_step_is_skipped_when_what_it_needs_has_failed() {
        let failed = || Outcome::Failed("on purpose".to_owned());
        assert_eq!(outcomes(failed), ["FAILED", "SKIPPED"]);
        let passed = || Outcome::Passed(String::new());
        assert_eq!(outcomes(passed), ["passed", "passed"]);
    }
}

//! `cargo xtask verify` and `cargo xtask test`: every check there is, and a table of what came of it.

mod licences;

use std::env;
use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::{hosts, setup};

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
    run: fn() -> Outcome,
}

struct Row {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

const SET_UP: Step = Step {
    name: "set-up",
    run: set_up,
};

/// In this order, because each build then finds what an earlier one made.
const CHECKS: &[Step] = &[
    Step {
        name: "format",
        run: format,
    },
    Step {
        name: "lints",
        run: lints,
    },
    Step {
        name: "tests",
        run: tests,
    },
    Step {
        name: "doc tests",
        run: || run_cargo(&["test", "--workspace", "--doc", "--locked"]),
    },
    Step {
        name: "documentation",
        run: documentation,
    },
    Step {
        name: "fuzz targets",
        run: fuzz_targets,
    },
    Step {
        name: "fuzz corpus",
        run: || run_cargo(&["test", "--manifest-path", FUZZ, "--locked"]),
    },
    Step {
        name: "simulator",
        run: simulator,
    },
    Step {
        name: "release build",
        run: || run_cargo(&["build", "--release", "--locked", "--package", "roda-cli"]),
    },
    Step {
        name: "hosts",
        run: hosts::check,
    },
    Step {
        name: "licences",
        run: licences::check,
    },
    Step {
        name: "advisories",
        run: licences::advisories,
    },
];

const FUZZ: &str = "fuzz/Cargo.toml";
/// Time for new simulator seeds: in continuous integration, and at a desk.
const SIMULATOR_SECONDS_CI: u64 = 180;
const SIMULATOR_SECONDS: u64 = 60;

/// All checks, after installing what they need where that is allowed.
pub(crate) fn test() -> ExitCode {
    let mut rows = vec![perform(&SET_UP)];
    rows.extend(CHECKS.iter().map(perform));
    report(&rows)
}

/// All checks; changes nothing outside the target directory.
pub(crate) fn verify() -> ExitCode {
    let rows: Vec<Row> = CHECKS.iter().map(perform).collect();
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

/// Kept seeds first, then new ones for as long as there is time.
fn simulator() -> Outcome {
    let seconds = if env::var_os("CI").is_some() {
        SIMULATOR_SECONDS_CI
    } else {
        SIMULATOR_SECONDS
    };
    // The program's own file may have been replaced by a build since it started.
    let mut command = Command::new("/proc/self/exe");
    command
        .args(["sim", "--seconds", &seconds.to_string()])
        .current_dir(workspace());
    match run_command(command) {
        Outcome::Passed(_) => Outcome::Passed(format!("new seeds for {seconds} s")),
        other => other,
    }
}

fn perform(step: &Step) -> Row {
    say(&format!("\n==> {}", step.name));
    let started = Instant::now();
    let outcome = (step.run)();
    let took = started.elapsed();
    if !matches!(outcome, Outcome::Passed(_)) {
        say(&format!(
            "{}: {}: {}",
            outcome.word(),
            step.name,
            outcome.remark()
        ));
    }
    Row {
        name: step.name,
        outcome,
        took,
    }
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

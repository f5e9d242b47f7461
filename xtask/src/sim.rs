//! `cargo xtask sim`: the simulator, built with optimisation, because a slow one tries fewer seeds.

use std::env;
use std::ffi::OsString;
use std::process::{Command, ExitCode};

/// Runs the simulator with these arguments; `sim` says what they can be.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let build = [
        "run",
        "--quiet",
        "--release",
        "--package",
        "roda-sim",
        "--bin",
        "sim",
        "--",
    ];
    let status = Command::new(cargo).args(build).args(arguments).status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            ExitCode::from(code.unwrap_or(1))
        }
        Err(error) => {
            eprintln!("error: cannot run cargo: {error}");
            ExitCode::FAILURE
        }
    }
}

//! The command `roda`.
//!
//! Holds no protocol logic: a daemon per home runs the library, the commands talk to it through its
//! control API.

mod api;
mod bench;
mod cli;
mod commands;
mod daemon;
mod descriptor;
mod error;
mod holds;
mod home;
mod i18n;
mod net;
mod output;
mod progress;
mod scratch;
mod tree;
mod worker;
mod wrapper;

use std::process::ExitCode;

fn main() -> ExitCode {
    commands::main().into()
}

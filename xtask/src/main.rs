//! Developer commands: `cargo xtask COMMAND`.

mod backlog;
mod crash;
mod fix;
mod hosts;
mod setup;
mod sim;
mod verify;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test      install what the checks need, then run them all
  verify    run all checks; change nothing
  fix       format, and apply what clippy is sure of
  sim       seeds of the simulator (--help for more)
  hosts     the multi-host scenarios (--help for more)
  backlog   what very many jobs that wait cost (--help for more)
  crash     the crash laboratory (--help for more)
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = words
        .split_first()
        .map_or(("", &[][..]), |(first, rest)| (first, rest));
    match command {
        "test" => verify::test(),
        "verify" => verify::verify(),
        "fix" => fix::run(),
        "sim" => sim::run(rest),
        "hosts" => hosts::run(rest),
        "backlog" => backlog::run(rest),
        "crash" => crash::run(rest),
        "hosts-helper" => hosts::helper(rest),
        _ => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

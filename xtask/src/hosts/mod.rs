//! `cargo xtask hosts`: the release binary on several hosts, over a network that misbehaves.
//!
//! A host is a network namespace. See `docs/testing.md`.

pub(crate) mod command;
mod detector;
mod history;
pub(crate) mod isolate;
mod net;
mod node;
mod outsider;
pub(crate) mod process;
pub(crate) mod random;
mod runner;
mod scenarios;
mod section;
mod step;

use std::env;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use crate::verify::{Outcome, cargo, workspace};

pub(crate) use runner::Bench;

const USAGE: &str = "\
usage: cargo xtask hosts [NAME…] [--list] [--keep] [--jobs N] [--binary PATH]

  NAME         run only these scenarios
  --list       say which scenarios there are
  --keep       leave the hosts up at the end, until Enter is pressed
  --jobs N     scenarios at a time (2)
  --binary P   test this program instead of building one
";

const DIRECTORY_PREFIX: &str = "roda-hosts-";

/// What the command line asked for.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    names: Vec<String>,
    list: bool,
    keep: bool,
    jobs: usize,
    binary: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            list: false,
            keep: false,
            jobs: 2,
            binary: None,
        }
    }
}

impl Options {
    fn parse(words: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} needs a value"))
            };
            match word.as_str() {
                "--list" => options.list = true,
                "--keep" => options.keep = true,
                "--jobs" => options.jobs = value()?.parse().context("--jobs needs a number")?,
                "--binary" => options.binary = Some(PathBuf::from(value()?)),
                option if option.starts_with('-') => bail!("unknown option {option}\n{USAGE}"),
                name => options.names.push(name.to_owned()),
            }
        }
        ensure!(options.jobs > 0, "--jobs needs at least 1");
        for name in &options.names {
            ensure!(
                scenarios::ALL.iter().any(|scenario| scenario.name == name),
                "no scenario is called {name:?}; see `cargo xtask hosts --list`"
            );
        }
        Ok(options)
    }
}

/// The command itself.
pub(crate) fn run(words: &[String]) -> ExitCode {
    let outcome = Options::parse(words).and_then(|options| {
        if options.list {
            list()?;
            return Ok(None);
        }
        outside(&options).map(Some)
    });
    match outcome {
        Ok(None | Some(Outcome::Passed(_))) => ExitCode::SUCCESS,
        Ok(Some(Outcome::Skipped(why))) => {
            say(&format!("SKIPPED: all multi-host scenarios: {why}"));
            ExitCode::SUCCESS
        }
        Ok(Some(Outcome::Failed(why))) => {
            say(&format!("FAILED: {why}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// All scenarios, as a step of `cargo xtask test`, with a binary that was built already.
pub(crate) fn check() -> Outcome {
    let options = Options {
        binary: Some(release_binary()),
        ..Options::default()
    };
    outside(&options).unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")))
}

/// Programs for the inside of the namespaces; not for people.
pub(crate) fn helper(words: &[String]) -> ExitCode {
    let Some((program, words)) = words.split_first() else {
        return ExitCode::FAILURE;
    };
    let result = match program.as_str() {
        "init" => return isolate::init(words).unwrap_or_else(|error| failed(&error)),
        "run" => return runner::run(words).unwrap_or_else(|error| failed(&error)),
        "capture" => outsider::capture(words),
        "send" => outsider::send(words),
        "attack" => outsider::attack(words),
        "occupy" => outsider::occupy(words),
        "section" => section::section(words),
        "hold" => section::hold(words),
        "job-step" => step::run(words),
        "linger" => section::linger(words),
        _ => Err(anyhow::anyhow!("no helper is called {program:?}")),
    };
    result.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

/// The part that runs on the machine itself: makes the binary and the new world.
fn outside(options: &Options) -> Result<Outcome> {
    if let Some(why) = isolate::obstacle() {
        return Ok(Outcome::Skipped(why));
    }
    let binary = match &options.binary {
        Some(path) => path.clone(),
        None => build()?,
    };
    let binary = binary
        .canonicalize()
        .with_context(|| format!("no program at {}", binary.display()))?;
    let directory = isolate::Directory::new(&env::temp_dir(), DIRECTORY_PREFIX)?;
    let words = inside_words(options, &binary);
    let (passed, report) = isolate::enter(directory.path(), &words, options.keep)?;
    Ok(if passed {
        Outcome::Passed(report)
    } else {
        Outcome::Failed(report)
    })
}

fn inside_words(options: &Options, binary: &Path) -> Vec<String> {
    let mut words = vec![
        binary.to_string_lossy().into_owned(),
        options.jobs.to_string(),
        options.keep.to_string(),
    ];
    words.extend(options.names.iter().cloned());
    words
}

pub(crate) fn build() -> Result<PathBuf> {
    let built = cargo(&["build", "--release", "--locked", "--package", "roda-cli"]).status()?;
    ensure!(built.success(), "the release build failed");
    Ok(release_binary())
}

pub(crate) fn release_binary() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace().join("target"), PathBuf::from)
        .join("release/roda")
}

fn list() -> Result<()> {
    let mut out = io::stdout().lock();
    for scenario in scenarios::ALL {
        writeln!(out, "{:<16} {}", scenario.name, scenario.about)?;
    }
    Ok(())
}

fn failed(error: &anyhow::Error) -> ExitCode {
    say(&format!("error: {error:#}"));
    ExitCode::FAILURE
}

fn say(line: &str) {
    // There is nobody left to tell when standard error is closed.
    let _closed = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Options::parse(&words)
    }

    #[test]
    fn options_and_names_may_stand_in_any_order() {
        let options = parse(&["--jobs", "3", "network", "--keep"]).unwrap();
        assert_eq!(options.names, ["network"]);
        assert_eq!((options.jobs, options.keep, options.list), (3, true, false));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for words in [
            &["--jobs"][..],
            &["--jobs", "0"],
            &["--fast"],
            &["no-such-scenario"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}

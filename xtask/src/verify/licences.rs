//! Licences and advisories of everything that is built in.
//!
//! `cargo deny` does this best. Without it, the licences are compared with the same list, and the
//! advisories, which need a database from the network, are said to be skipped.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Outcome, cargo, run_cargo, workspace};
use crate::setup;

/// Compares the licence of every dependency with the list in `deny.toml`.
pub(crate) fn check() -> Outcome {
    if setup::find("cargo-deny").is_some() || in_cargo_home("bin/cargo-deny").is_some() {
        return run_cargo(&["deny", "--offline", "check", "bans", "licenses", "sources"]);
    }
    match check_offline() {
        Ok(checked) => Outcome::Passed(format!("{checked} packages, without cargo-deny")),
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

/// Looks for known faults in dependencies, if the means are there.
pub(crate) fn advisories() -> Outcome {
    if setup::find("cargo-deny").is_none() && in_cargo_home("bin/cargo-deny").is_none() {
        return Outcome::Skipped(
            "known faults of dependencies were not looked for: cargo-deny is not installed"
                .to_owned(),
        );
    }
    if in_cargo_home("advisory-dbs").is_none() {
        return Outcome::Skipped(
            "known faults of dependencies were not looked for: \
             no advisory database; `cargo deny fetch` gets it"
                .to_owned(),
        );
    }
    run_cargo(&["deny", "--offline", "check", "advisories"])
}

fn in_cargo_home(name: &str) -> Option<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")))?;
    Some(home.join(name)).filter(|path| path.exists())
}

fn check_offline() -> Result<usize> {
    let allowed = allow_list(&fs::read_to_string(workspace().join("deny.toml"))?)?;
    let metadata = metadata()?;
    let packages = metadata.get("packages").and_then(Value::as_array);
    let packages = packages.context("cargo metadata lists no packages")?;
    let mut refused = Vec::new();
    for package in packages {
        let name = package.get("name").and_then(Value::as_str).unwrap_or("?");
        let licence = package.get("license").and_then(Value::as_str);
        if !licence.is_some_and(|licence| is_allowed(licence, &allowed)) {
            refused.push(format!("{name} ({})", licence.unwrap_or("none stated")));
        }
    }
    ensure!(
        refused.is_empty(),
        "licences that deny.toml does not allow: {}",
        refused.join(", ")
    );
    Ok(packages.len())
}

/// What is built on this machine: packages of other platforms may not have been downloaded.
fn metadata() -> Result<Value> {
    let host = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let output = cargo(&["metadata", "--format-version=1", "--locked", "--offline"])
        .args(["--filter-platform", &host])
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "cargo metadata failed");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The strings of `allow = [ … ]` in the section `[licenses]`.
fn allow_list(deny: &str) -> Result<BTreeSet<String>> {
    let section = deny
        .split_once("\n[licenses]")
        .and_then(|(_, rest)| rest.split_once("\nallow = ["))
        .and_then(|(_, rest)| rest.split_once(']'));
    let (list, _) = section.context("deny.toml has no `allow = [` under [licenses]")?;
    Ok(list
        .lines()
        .filter_map(|line| Some(line.split_once('"')?.1.split_once('"')?.0.to_owned()))
        .collect())
}

/// Whether an SPDX expression can be satisfied with the allowed licences.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    // "MIT/Apache-2.0" is an old way of writing OR.
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let satisfied = any_of(&mut rest, allowed);
    satisfied == Some(true) && rest.is_empty()
}

/// `OR` binds weaker than `AND`; `None` if the expression makes no sense.
fn any_of(words: &mut &[&str], allowed: &BTreeSet<String>) -> Option<bool> {
    let mut satisfied = all_of(words, allowed)?;
    while let Some((&"OR", rest)) = words.split_first() {
        *words = rest;
        satisfied |= all_of(words, allowed)?;
    }
    Some(satisfied)
}

fn all_of(words: &mut &[&str], allowed: &BTreeSet<String>) -> Option<bool> {
    let mut satisfied = one(words, allowed)?;
    while let Some((&"AND", rest)) = words.split_first() {
        *words = rest;
        satisfied &= one(words, allowed)?;
    }
    Some(satisfied)
}

fn one(words: &mut &[&str], allowed: &BTreeSet<String>) -> Option<bool> {
    let (first, rest) = words.split_first()?;
    *words = rest;
    match *first {
        "(" => {
            let satisfied = any_of(words, allowed)?;
            let (close, rest) = words.split_first()?;
            *words = rest;
            (*close == ")").then_some(satisfied)
        }
        ")" | "AND" | "OR" | "WITH" => None,
        name => match words {
            ["WITH", exception, rest @ ..] => {
                *words = rest;
                Some(allowed.contains(&format!("{name} WITH {exception}")))
            }
            _ => Some(allowed.contains(name)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed() -> BTreeSet<String> {
        let deny = "[graph]\n[licenses]\nallow = [\n  \"MIT\",\n  \"ISC\", # why\n\
            \"Apache-2.0 WITH LLVM-exception\",\n]\nother = [\"GPL-3.0\"]\n";
        allow_list(deny).unwrap()
    }

    #[test]
    fn the_list_ends_where_it_ends() {
        assert_eq!(allowed().len(), 3);
        assert!(allow_list("[bans]\nallow = []").is_err());
    }

    #[test]
    fn one_allowed_alternative_is_enough_but_all_conditions_count() {
        for good in [
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0/MIT",
            "(MIT OR GPL-3.0) AND ISC",
            "GPL-3.0 OR Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(is_allowed(good, &allowed()), "{good}");
        }
        for bad in [
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "Apache-2.0",
            "MIT WITH LLVM-exception",
            "(MIT",
            "MIT ISC",
            "OR MIT",
            "",
        ] {
            assert!(!is_allowed(bad, &allowed()), "{bad}");
        }
    }
}

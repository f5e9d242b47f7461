//! What the checks need from the machine, and how a machine that lacks it gets it.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A program that some check runs, and where Debian keeps it.
struct Tool {
    program: &'static str,
    package: &'static str,
    used_for: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool {
        program: "ip",
        package: "iproute2",
        used_for: "the multi-host scenarios",
    },
    Tool {
        program: "nft",
        package: "nftables",
        used_for: "the multi-host scenarios",
    },
    Tool {
        program: "unshare",
        package: "util-linux",
        used_for: "the multi-host scenarios",
    },
    Tool {
        program: "strace",
        package: "strace",
        used_for: "the crash laboratory",
    },
];

/// The search path with the directories of administration programs, which users often lack.
pub(crate) fn search_path() -> String {
    let path = env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/local/sbin:/usr/sbin:/sbin")
}

/// Where a program is, if it is installed.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&search_path())
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

/// Installs what is missing where that is allowed.
///
/// # Errors
/// One sentence that says what is still missing, what will be skipped for it, and why.
pub(crate) fn install_missing() -> Result<String, String> {
    let missing = missing();
    if missing.is_empty() {
        return Ok("nothing is missing".to_owned());
    }
    let mut packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    packages.dedup();
    let why = match administrator() {
        None => "apt-get, or the right to run it, is missing".to_owned(),
        Some(prefix) => match install(&prefix, &packages) {
            Ok(()) => return Ok(format!("installed {}", packages.join(", "))),
            Err(why) => why,
        },
    };
    let lost: Vec<String> = missing
        .iter()
        .map(|tool| format!("{} ({})", tool.program, tool.used_for))
        .collect();
    Err(format!("{why}; still missing: {}", lost.join(", ")))
}

fn missing() -> Vec<&'static Tool> {
    TOOLS
        .iter()
        .filter(|tool| find(tool.program).is_none())
        .collect()
}

/// The words before a command that make it run as the administrator; `None` if nothing does.
fn administrator() -> Option<Vec<&'static str>> {
    find("apt-get")?;
    if rustix::process::geteuid().is_root() {
        return Some(Vec::new());
    }
    let without_password = Command::new("sudo")
        .args(["-n", "true"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    without_password.then(|| vec!["sudo", "-n"])
}

/// Tries with the package lists at hand first: fetching them is slow and not always possible.
fn install(prefix: &[&str], packages: &[&str]) -> Result<(), String> {
    let install = [
        &["apt-get", "install", "--yes", "--no-install-recommends"],
        packages,
    ]
    .concat();
    if apt(prefix, &install) || (apt(prefix, &["apt-get", "update"]) && apt(prefix, &install)) {
        Ok(())
    } else {
        Err(format!("`{}` failed", install.join(" ")))
    }
}

fn apt(prefix: &[&str], command: &[&str]) -> bool {
    let environment = ["env", "DEBIAN_FRONTEND=noninteractive"];
    let words = [prefix, &environment, command].concat();
    Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_the_administrator_are_found_without_his_search_path() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-anywhere").is_none());
        assert!(search_path().contains(":/usr/sbin"));
    }
}

//! Whether a command can be run, found out before anybody waits in a queue for it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::error::{Failure, Result};

/// Roda itself, whatever has become of its file meanwhile.
pub(crate) const OWN_PROGRAM: &str = "/proc/self/exe";

/// Looks for the program as the system will.
///
/// # Errors
/// It does not exist, or is not executable.
pub(crate) fn check(program: &OsStr) -> Result<()> {
    check_in(program, std::env::var_os("PATH"))
}

fn check_in(program: &OsStr, path: Option<OsString>) -> Result<()> {
    let candidates: Vec<PathBuf> = if program.as_bytes().contains(&b'/') {
        vec![PathBuf::from(program)]
    } else if program.is_empty() {
        Vec::new()
    } else {
        let path = path.unwrap_or_else(|| OsString::from(PATH_DEFAULT));
        std::env::split_paths(&path)
            .map(|directory| directory.join(program))
            .collect()
    };
    if candidates.iter().any(|candidate| is_executable(candidate)) {
        return Ok(());
    }
    let failure = match candidates.iter().find(|candidate| candidate.exists()) {
        Some(found) => Failure::new("command-not-executable").with("path", found.as_path()),
        None => Failure::new("command-not-found"),
    };
    Err(failure.with("command", Path::new(program)))
}

/// A failed start as one of ours; the file may have changed since [`check`].
pub(crate) fn start_failure(program: &OsStr, error: &std::io::Error) -> Failure {
    let program = Path::new(program);
    if error.kind() == std::io::ErrorKind::NotFound {
        return Failure::new("command-not-found").with("command", program);
    }
    Failure::new("command-not-executable")
        .with("command", program)
        .with("path", program)
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}

/// What the system searches without `PATH`, see execvp(3).
const PATH_DEFAULT: &str = "/bin:/usr/bin";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn code(program: &str, path: &str) -> Option<String> {
        let checked = check_in(OsStr::new(program), Some(path.into()));
        checked.err().map(|failure| failure.code)
    }

    #[test]
    fn a_program_is_found_on_the_path_or_where_it_says() {
        assert_eq!(code("sh", "/nonexistent:/bin"), None);
        assert_eq!(code("/bin/sh", ""), None);
        assert_eq!(check_in(OsStr::new("sh"), None), Ok(()));
        let not_found = Some("command-not-found".to_owned());
        assert_eq!(code("sh", "/nonexistent"), not_found);
        assert_eq!(code("./sh", "/bin"), not_found);
        assert_eq!(code("", "/bin"), not_found);
    }

    #[test]
    fn what_cannot_be_executed_is_told_from_what_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tool");
        std::fs::write(&file, "echo").unwrap();
        let path = directory.path().to_str().unwrap();
        let not_executable = Some("command-not-executable".to_owned());
        assert_eq!(code("tool", path), not_executable);
        assert_eq!(code(file.to_str().unwrap(), ""), not_executable);
        assert_eq!(code("/tmp", ""), not_executable, "a directory");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(code("tool", path), None);
    }
}

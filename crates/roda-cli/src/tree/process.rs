//! What `/proc` tells about processes.

use std::fs;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Environment variable with the holds that a process runs under, the outermost first.
pub(crate) const HOLD_VARIABLE: &str = "RODA_HOLD";

/// A process. Its number alone could come to mean another one; with the time of its birth it cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: i32,
    /// Its parent.
    pub(crate) parent: i32,
    /// Its process group.
    pub(crate) group: i32,
    /// When it was born, in clock ticks since the machine started.
    pub(crate) born: u64,
    /// A zombie runs nothing any more.
    pub(crate) is_dead: bool,
}

impl Process {
    /// The process with this number, if there is one.
    pub(crate) fn find(pid: i32) -> Option<Self> {
        parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// This process.
    pub(crate) fn own() -> Option<Self> {
        Self::find(i32::try_from(std::process::id()).ok()?)
    }

    /// Whether both are one process, perhaps seen at different times.
    pub(crate) const fn is_same(&self, other: &Self) -> bool {
        self.pid == other.pid && self.born == other.born
    }

    /// Every process that can be seen.
    pub(crate) fn all() -> Vec<Self> {
        let Ok(entries) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter_map(|entry| Self::find(entry.file_name().to_str()?.parse().ok()?))
            .collect()
    }

    /// Whether it was started under the hold, itself or one of its ancestors. May take a moment.
    pub(crate) fn carries(&self, hold: &str) -> bool {
        self.carries_any(|marker| marker == hold.as_bytes())
    }

    /// Whether it was started under a hold of which this is true. May take a moment.
    pub(crate) fn carries_any(&self, is_meant: impl Fn(&[u8]) -> bool) -> bool {
        let read = |file: &str| fs::read(format!("/proc/{}/{file}", self.pid)).unwrap_or_default();
        let give_up = Instant::now() + EXEC_MAX;
        while Instant::now() < give_up {
            let environment = read("environ");
            if !environment.is_empty() {
                return has_marker(&environment, is_meant);
            }
            // Between two programs a process has neither environment nor arguments. It has a file to
            // run, unlike a thread of the kernel and a process that has ended.
            let is_in_exec = read("cmdline").is_empty()
                && fs::read_link(format!("/proc/{}/exe", self.pid)).is_ok();
            if !is_in_exec {
                // It may have got there between the two looks.
                return has_marker(&read("environ"), is_meant);
            }
            std::thread::sleep(EXEC_PAUSE);
        }
        false
    }

    /// Sends a signal to this very process; false if it is gone or may not be touched.
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        let Some(pid) = Pid::from_raw(self.pid) else {
            return false;
        };
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => {
                // From here on the descriptor means one process: is it the one?
                Self::find(self.pid).is_some_and(|now| now.is_same(self))
                    && pidfd_send_signal(&pidfd, signal).is_ok()
            }
            Err(Errno::SRCH) => false,
            // Too many open files must not save a process that has to die.
            Err(_) => rustix::process::kill_process(pid, signal).is_ok(),
        }
    }
}

/// Parses `/proc/PID/stat`, see proc_pid_stat(5).
fn parse(pid: i32, stat: &str) -> Option<Process> {
    // The name in parentheses can contain anything, parentheses too.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let threads: u64 = fields.nth(THREADS_AFTER_GROUP)?.parse().ok()?;
    let born = fields.nth(BORN_AFTER_THREADS)?.parse().ok()?;
    Some(Process {
        pid,
        parent,
        group,
        born,
        // With other threads alive, it is only the first thread that has ended.
        is_dead: matches!(state, "Z" | "X") && threads <= 1,
    })
}

/// How long, and how often, a process is looked at that is between two programs. Getting from one to the
/// other takes microseconds, unless the machine has much else to do.
const EXEC_MAX: Duration = Duration::from_secs(1);
const EXEC_PAUSE: Duration = Duration::from_micros(500);
const THREADS_AFTER_GROUP: usize = 14;
const BORN_AFTER_THREADS: usize = 1;

fn has_marker(environment: &[u8], is_meant: impl Fn(&[u8]) -> bool) -> bool {
    environment.split(|byte| *byte == 0).any(|variable| {
        let value = variable
            .strip_prefix(HOLD_VARIABLE.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"="));
        value.is_some_and(|value| value.split(|byte| *byte == b',').any(&is_meant))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_a_tricky_name_is_read_rightly() {
        let stat = "42 (a) R 1 (b) S 7 8 9 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 3 0 12345 1 2 3";
        let process = parse(42, stat).unwrap();
        assert_eq!((process.parent, process.group), (7, 8));
        assert_eq!((process.born, process.is_dead), (12345, false));
        assert_eq!(parse(42, "42 (x"), None);
    }

    #[test]
    fn a_process_whose_first_thread_has_ended_lives_while_another_thread_does() {
        let stat = |threads| format!("1 (x) Z 1 1 1 0 -1 0 1 0 0 0 0 0 0 0 20 0 {threads} 0 5 1 2");
        assert!(parse(1, &stat(1)).unwrap().is_dead);
        assert!(!parse(1, &stat(2)).unwrap().is_dead);
    }

    #[test]
    fn this_process_finds_itself_among_all() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(Process::find(own).unwrap().pid, own);
        assert!(Process::all().iter().any(|process| process.pid == own));
        assert_eq!(Process::find(i32::MAX), None);
    }

    #[test]
    fn only_the_whole_marker_counts() {
        let environment = b"A=1\0RODA_HOLD=aa11,bb22\0XRODA_HOLD=cc33\0";
        let has = |hold: &str| has_marker(environment, |marker| marker == hold.as_bytes());
        assert!(has("aa11"));
        assert!(has("bb22"));
        assert!(!has("aa1"));
        assert!(!has("cc33"));
    }
}

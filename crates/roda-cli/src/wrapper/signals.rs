//! Signals that the wrapper gets and its command should have.

use std::future::poll_fn;
use std::task::Poll;

use rustix::process::Signal;
use tokio::signal::unix::{Signal as Incoming, SignalKind, signal};

use crate::error::{Failure, Result};

/// Those that end a wrapper which still waits.
pub(super) const ENDING: [Signal; 4] = [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT];
/// Those that only a command that runs can use.
pub(super) const RUNNING: [Signal; 5] = [
    Signal::USR1,
    Signal::USR2,
    Signal::WINCH,
    Signal::CONT,
    Signal::TSTP,
];

/// Signals as they come.
pub(crate) struct Signals {
    incoming: Vec<(Signal, Incoming)>,
    ignored: u64,
}

impl Signals {
    /// Listens for none yet.
    pub(crate) fn new() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            incoming: Vec::new(),
            ignored: ignored(&status),
        }
    }

    /// Listens for these too, but not for what this process was told to ignore, as by `nohup`: the
    /// command inherits that.
    pub(crate) fn listen(&mut self, signals: &[Signal]) -> Result<()> {
        for wanted in signals {
            let raw = wanted.as_raw();
            if self.ignored & (1 << (raw - 1)) == 0 {
                let incoming = signal(SignalKind::from_raw(raw))
                    .map_err(|error| Failure::new("runtime").with("reason", error.to_string()))?;
                self.incoming.push((*wanted, incoming));
            }
        }
        Ok(())
    }

    /// The next signal. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            for (signal, incoming) in &mut self.incoming {
                if let Poll::Ready(Some(())) = incoming.poll_recv(context) {
                    return Poll::Ready(*signal);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// The mask `SigIgn` of `/proc/PID/status`, see proc_pid_status(5): bit 0 is signal 1.
fn ignored(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        let status = "Name:\troda\nSigBlk:\tffff\nSigIgn:\t0000000000001001\n";
        let hup = 1 << (Signal::HUP.as_raw() - 1);
        assert_eq!(ignored(status) & hup, hup);
        assert_eq!(ignored(status) & (1 << (Signal::TERM.as_raw() - 1)), 0);
        assert_eq!(ignored(""), 0);
    }
}

//! What a receiver counts, and the messages that carry what it needs.
//!
//! ```text
//! sent   u64  nanoseconds since 1970, big-endian
//! phase  u8   0 full speed, 1 latency
//! rest        padding
//! ```

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::PhaseReport;

/// A phase of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// As fast as possible.
    Speed,
    /// Slowly, to see how long one message takes.
    Latency,
}

/// A message of `size` bytes, sent now.
pub(crate) fn message(phase: Phase, size: usize) -> Vec<u8> {
    let mut message = vec![b'.'; size];
    message[..8].copy_from_slice(&now_ns().to_be_bytes());
    message[8] = phase as u8;
    message
}

/// Nanoseconds since 1970. All processes of a measurement share one clock.
pub(crate) fn now_ns() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// CPU time of this process in microseconds.
pub(crate) fn cpu_us() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds * 1_000_000 + nanos / 1000
}

#[derive(Default)]
struct Counts {
    messages: [u64; 2],
    last: [u64; 2],
    latencies_us: Vec<u64>,
    cpu_us: u64,
}

/// Counts messages of both phases; shared by the thread that receives and the one that reports.
#[derive(Clone, Default)]
pub(crate) struct Tally {
    shared: Arc<(Mutex<Counts>, Condvar)>,
}

impl Tally {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts messages that arrived together.
    pub(crate) fn add<'a>(&self, messages: impl Iterator<Item = &'a [u8]>) {
        let now = now_ns();
        let mut counts = self.counts();
        for message in messages {
            let Some((sent, rest)) = message.split_first_chunk::<8>() else {
                continue;
            };
            let phase = usize::from(rest.first() == Some(&(Phase::Latency as u8)));
            counts.messages[phase] += 1;
            counts.last[phase] = now;
            if phase == Phase::Latency as usize {
                let sent = u64::from_be_bytes(*sent);
                counts.latencies_us.push(now.saturating_sub(sent) / 1000);
            }
        }
        drop(counts);
        self.shared.1.notify_all();
    }

    /// Waits for `expected` messages of a phase, or until nothing came for a while.
    pub(crate) fn wait(&self, phase: Phase, expected: u64) -> PhaseReport {
        let phase = phase as usize;
        let mut counts = self.counts();
        while counts.messages[phase] < expected {
            let before = counts.messages[phase];
            let (next, waited) = self
                .shared
                .1
                .wait_timeout(counts, QUIET)
                .unwrap_or_else(PoisonError::into_inner);
            counts = next;
            if waited.timed_out() && counts.messages[phase] == before {
                break;
            }
        }
        let cpu = cpu_us();
        let used = cpu - counts.cpu_us;
        counts.cpu_us = cpu;
        counts.latencies_us.sort_unstable();
        PhaseReport {
            messages: counts.messages[phase],
            at: counts.last[phase],
            cpu_us: used,
            p50_us: percentile(&counts.latencies_us, 50),
            p99_us: percentile(&counts.latencies_us, 99),
            ..PhaseReport::default()
        }
    }
}

/// The value below which `percent` of the sorted values lie.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    match sorted.len() {
        0 => 0,
        len => sorted[(len * percent / 100).min(len - 1)],
    }
}

/// Silence after which what is missing is taken for lost.
const QUIET: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_counted_apart() {
        let tally = Tally::default();
        let messages = [message(Phase::Speed, 16), message(Phase::Latency, 100)];
        tally.add(messages.iter().map(Vec::as_slice));
        tally.add(std::iter::once(messages[0].as_slice()));
        assert_eq!(tally.wait(Phase::Speed, 2).messages, 2);
        assert_eq!(tally.wait(Phase::Latency, 1).messages, 1);
    }

    #[test]
    fn percentiles_of_few_values_exist() {
        assert_eq!(percentile(&[], 50), 0);
        assert_eq!(percentile(&[7], 99), 7);
        let hundred: Vec<u64> = (0..100).collect();
        assert_eq!(
            (percentile(&hundred, 50), percentile(&hundred, 99)),
            (50, 99)
        );
    }
}

//! What a run says, and the middle of several.

use serde::Serialize;

use super::figures::Figures;
use crate::bench::report::middle;

/// One run with one number of contenders, or the median of several, number by number.
///
/// What is infinite is `null` in JSON.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LockMeasurement {
    /// Who voted.
    pub(crate) voters: f64,
    /// See [`Figures`]; so with the next four.
    pub(crate) sections_per_s: f64,
    /// Sections with another holder than before.
    pub(crate) handoffs_per_s: f64,
    /// Median.
    pub(crate) handoff_p50_us: f64,
    /// 99th percentile.
    pub(crate) handoff_p99_us: f64,
    /// Most by fewest.
    pub(crate) fairness: f64,
    /// How often two were inside; of several runs the most.
    pub(crate) overlaps: f64,
    /// Sections without trace in the counter; of several runs the most.
    pub(crate) lost_updates: f64,
    /// Acquire and release in the library, nobody else wanting the lock, in microseconds.
    pub(crate) uncontended_p50_us: f64,
    /// The same acquire through a node's control API, from connecting until granted.
    pub(crate) daemon_acquire_p50_us: f64,
    /// The release through the control API.
    pub(crate) daemon_release_p50_us: f64,
    /// How often one process can append to a file and wait for the disk, per second.
    pub(crate) fdatasync_per_s: f64,
    /// Hand-offs of a bare datagram between as many processes, per second.
    pub(crate) ring_handoffs_per_s: f64,
    /// Median time of one of those.
    pub(crate) ring_handoff_p50_us: f64,
}

/// What else was measured in a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rest {
    /// See [`LockMeasurement`].
    pub(crate) voters: u16,
    /// See [`LockMeasurement`].
    pub(crate) lost_updates: u64,
    /// See [`LockMeasurement`].
    pub(crate) uncontended_p50_us: f64,
    /// See [`LockMeasurement`]: acquire, release.
    pub(crate) daemon_p50_us: (f64, f64),
    /// See [`LockMeasurement`].
    pub(crate) fdatasync_per_s: f64,
}

impl LockMeasurement {
    /// From all measurements of a run.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of a benchmark stay far below 2^53"
    )]
    pub(crate) fn new(lock: &Figures, ring: &Figures, rest: &Rest) -> Self {
        Self {
            voters: rest.voters.into(),
            sections_per_s: lock.sections_per_s,
            handoffs_per_s: lock.handoffs_per_s,
            handoff_p50_us: lock.handoff_p50_us,
            handoff_p99_us: lock.handoff_p99_us,
            fairness: lock.fairness,
            overlaps: lock.overlaps as f64,
            lost_updates: rest.lost_updates as f64,
            uncontended_p50_us: rest.uncontended_p50_us,
            daemon_acquire_p50_us: rest.daemon_p50_us.0,
            daemon_release_p50_us: rest.daemon_p50_us.1,
            fdatasync_per_s: rest.fdatasync_per_s,
            ring_handoffs_per_s: ring.handoffs_per_s,
            ring_handoff_p50_us: ring.handoff_p50_us,
        }
    }

    /// Two were inside at once, which no lock may ever allow.
    pub(crate) fn is_unsafe(&self) -> bool {
        self.overlaps > 0.0 || self.lost_updates > 0.0
    }

    /// The median of each number; `None` of nothing.
    pub(crate) fn median(runs: &[Self]) -> Option<Self> {
        if runs.is_empty() {
            return None;
        }
        let middle = |value| middle(runs, value);
        let most = |value: fn(&Self) -> f64| runs.iter().map(value).fold(0.0, f64::max);
        Some(Self {
            voters: middle(|run| run.voters),
            sections_per_s: middle(|run| run.sections_per_s),
            handoffs_per_s: middle(|run| run.handoffs_per_s),
            handoff_p50_us: middle(|run| run.handoff_p50_us),
            handoff_p99_us: middle(|run| run.handoff_p99_us),
            fairness: middle(|run| run.fairness),
            overlaps: most(|run| run.overlaps),
            lost_updates: most(|run| run.lost_updates),
            uncontended_p50_us: middle(|run| run.uncontended_p50_us),
            daemon_acquire_p50_us: middle(|run| run.daemon_acquire_p50_us),
            daemon_release_p50_us: middle(|run| run.daemon_release_p50_us),
            fdatasync_per_s: middle(|run| run.fdatasync_per_s),
            ring_handoffs_per_s: middle(|run| run.ring_handoffs_per_s),
            ring_handoff_p50_us: middle(|run| run.ring_handoff_p50_us),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::rounds::Round;
    use super::*;

    #[test]
    fn a_median_hides_no_overlap() {
        let idle = Figures::new(&[vec![Round::default()]], &(0..1_000_000_000));
        let run = |lock: &Figures| LockMeasurement::new(lock, &idle, &Rest::default());
        let bad = Figures {
            overlaps: 1,
            ..idle.clone()
        };
        let median = LockMeasurement::median(&[run(&idle), run(&bad), run(&idle)]).unwrap();
        assert!(median.is_unsafe());
        assert!(!run(&idle).is_unsafe());
    }
}

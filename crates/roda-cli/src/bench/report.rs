//! What a measurement says, and the middle of several.

use serde::Serialize;

use super::measure::PhaseResult;

/// One measurement, or the median of several, number by number.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measurement {
    /// Messages that every receiver got, per second, from the first sent to the last received.
    pub(crate) messages_per_s: f64,
    /// The same in bytes of messages.
    pub(crate) goodput_bytes_per_s: f64,
    /// Share of messages that the worst receiver never got.
    pub(crate) lost: f64,
    /// Median latency in microseconds.
    pub(crate) p50_us: f64,
    /// 99th percentile of the latency in microseconds.
    pub(crate) p99_us: f64,
    /// CPU time per message at the sender in microseconds.
    pub(crate) cpu_send_us: f64,
    /// CPU time per message at a receiver in microseconds.
    pub(crate) cpu_receive_us: f64,
    /// Repairs sent by all.
    pub(crate) repairs: f64,
    /// NACKs sent by all.
    pub(crate) nacks: f64,
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a benchmark stay far below 2^53"
)]
impl Measurement {
    /// From both phases.
    pub(crate) fn new(size: u16, speed: &PhaseResult, latency: &PhaseResult) -> Self {
        let sent = speed.sender.messages;
        let received = speed.receivers.iter().map(|report| report.messages);
        let received = received.min().unwrap_or(0);
        let last = speed.receivers.iter().map(|report| report.at);
        let span_ns = last.max().unwrap_or(0).saturating_sub(speed.sender.at);
        let rate = received as f64 / (span_ns.max(1) as f64 / 1e9);
        let worst = |value: fn(&super::PhaseReport) -> u64| {
            latency.receivers.iter().map(value).max().unwrap_or(0) as f64
        };
        let cpu: u64 = speed.receivers.iter().map(|report| report.cpu_us).sum();
        let got: u64 = speed.receivers.iter().map(|report| report.messages).sum();
        let all = || std::iter::once(&latency.sender).chain(&latency.receivers);
        Self {
            messages_per_s: rate,
            goodput_bytes_per_s: rate * f64::from(size),
            lost: 1.0 - received as f64 / sent.max(1) as f64,
            p50_us: worst(|report| report.p50_us),
            p99_us: worst(|report| report.p99_us),
            cpu_send_us: speed.sender.cpu_us as f64 / sent.max(1) as f64,
            cpu_receive_us: cpu as f64 / got.max(1) as f64,
            repairs: all().map(|report| report.repairs).sum::<u64>() as f64,
            nacks: all().map(|report| report.nacks).sum::<u64>() as f64,
        }
    }
}

impl Measurement {
    /// The median of each number; `None` of nothing.
    pub(crate) fn median(runs: &[Self]) -> Option<Self> {
        if runs.is_empty() {
            return None;
        }
        let middle = |value| middle(runs, value);
        Some(Self {
            messages_per_s: middle(|run| run.messages_per_s),
            goodput_bytes_per_s: middle(|run| run.goodput_bytes_per_s),
            lost: middle(|run| run.lost),
            p50_us: middle(|run| run.p50_us),
            p99_us: middle(|run| run.p99_us),
            cpu_send_us: middle(|run| run.cpu_send_us),
            cpu_receive_us: middle(|run| run.cpu_receive_us),
            repairs: middle(|run| run.repairs),
            nacks: middle(|run| run.nacks),
        })
    }
}

/// The middle one of a number over all runs, of which there must be one.
pub(crate) fn middle<T>(runs: &[T], value: fn(&T) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::super::PhaseReport;
    use super::*;

    fn report(messages: u64, at: u64, cpu_us: u64) -> PhaseReport {
        PhaseReport {
            messages,
            at,
            cpu_us,
            ..PhaseReport::default()
        }
    }

    #[test]
    fn the_worst_receiver_counts() {
        let speed = PhaseResult {
            sender: report(1000, 0, 2000),
            receivers: vec![
                report(1000, 900_000_000, 1000),
                report(900, 1_000_000_000, 900),
            ],
        };
        let latency = PhaseResult {
            sender: report(10, 0, 0),
            receivers: vec![
                report(10, 0, 0),
                PhaseReport {
                    p99_us: 80,
                    ..report(10, 0, 0)
                },
            ],
        };
        let result = Measurement::new(100, &speed, &latency);
        assert!((result.messages_per_s - 900.0).abs() < 1e-6);
        assert!((result.goodput_bytes_per_s - 90_000.0).abs() < 1e-6);
        assert!((result.lost - 0.1).abs() < 1e-9);
        assert!((result.cpu_send_us - 2.0).abs() < 1e-9);
        assert!((result.cpu_receive_us - 1.0).abs() < 1e-9);
        assert!((result.p99_us - 80.0).abs() < 1e-9);
    }
}

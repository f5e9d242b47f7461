//! How fast this node sends: a token bucket whose rate follows the repairs that receivers ask for.

use core::time::Duration;

use crate::time::Timestamp;

/// Bytes per second at the start.
pub const RATE_START: u64 = 8_000_000;
/// The rate never falls below this.
pub const RATE_MIN: u64 = 1_000_000;
/// Most bytes sent in one go: 16 full datagrams twice.
const BURST_MIN: u64 = 2 * 16 * 1200;
const BURST_TIME_MICROS: u64 = 2_000;
const ADJUST_EVERY: Duration = Duration::from_millis(50);
/// Fragments below which an interval says nothing about loss.
const SAMPLE_MIN: u64 = 64;
const LOSS_LOW_PERCENT: u64 = 3;
const LOSS_HIGH_PERCENT: u64 = 8;

/// A token bucket.
#[derive(Clone, Debug)]
pub struct Rate {
    bytes_per_second: u64,
    max: u64,
    tokens: u64,
    filled: Timestamp,
    adjusted: Timestamp,
    sent: u64,
    repaired: u64,
    /// Loss in percent when the rate was last lowered: if lowering does not help, the loss is noise.
    lowered_at: Option<u64>,
}

impl Rate {
    /// Starts full.
    #[must_use]
    pub fn new(max: u64, now: Timestamp) -> Self {
        let max = max.max(1);
        let rate = RATE_START.min(max);
        Self {
            bytes_per_second: rate,
            max,
            tokens: BURST_MIN,
            filled: now,
            adjusted: now,
            sent: 0,
            repaired: 0,
            lowered_at: None,
        }
    }

    fn burst(&self) -> u64 {
        BURST_MIN.max(self.bytes_per_second * BURST_TIME_MICROS / 1_000_000)
    }

    /// Fills the bucket, and adjusts the rate from time to time while something waits to be sent.
    pub fn refill(&mut self, now: Timestamp, is_backlogged: bool) {
        let micros = u64::try_from(now.since(self.filled).as_micros()).unwrap_or(u64::MAX);
        let gained = self.bytes_per_second.saturating_mul(micros) / 1_000_000;
        if gained > 0 {
            self.tokens = self.tokens.saturating_add(gained).min(self.burst());
            self.filled = now;
        }
        if now.since(self.adjusted) >= ADJUST_EVERY {
            if self.sent >= SAMPLE_MIN {
                self.adjust(is_backlogged);
            }
            (self.adjusted, self.sent, self.repaired) = (now, 0, 0);
        }
    }

    fn adjust(&mut self, is_backlogged: bool) {
        let loss = self.repaired * 100 / self.sent;
        let helped = self.lowered_at.is_none_or(|before| loss * 10 < before * 7);
        if loss > LOSS_HIGH_PERCENT && helped {
            self.bytes_per_second = (self.bytes_per_second * 7 / 10).max(RATE_MIN.min(self.max));
            self.lowered_at = Some(loss);
        } else if is_backlogged {
            let percent = if loss < LOSS_LOW_PERCENT { 150 } else { 105 };
            self.bytes_per_second = (self.bytes_per_second * percent / 100).min(self.max);
            if loss < LOSS_LOW_PERCENT {
                self.lowered_at = None;
            }
        }
    }

    /// Takes `bytes` out if they are there.
    pub fn take(&mut self, bytes: usize, is_repair: bool) -> bool {
        let bytes = bytes as u64;
        if self.tokens < bytes {
            return false;
        }
        self.tokens -= bytes;
        self.sent += 1;
        self.repaired += u64::from(is_repair);
        true
    }

    /// When a burst may be sent again: half a bucket, so that timers do not fire for single datagrams.
    #[must_use]
    pub fn ready_at(&self) -> Timestamp {
        let missing = (self.burst() / 2).saturating_sub(self.tokens);
        self.filled
            + Duration::from_micros((missing * 1_000_000).div_ceil(self.bytes_per_second).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rate: &mut Rate, seconds: u64, repair_every: Option<u64>) -> u64 {
        let (mut bytes, mut count) = (0, 0_u64);
        let start = rate.filled.as_micros();
        for step in 0..seconds * 1000 {
            rate.refill(Timestamp::from_micros(start + step * 1000), true);
            loop {
                let is_repair = repair_every.is_some_and(|every| count % every == 0);
                if !rate.take(1200, is_repair) {
                    break;
                }
                count += 1;
                bytes += 1200;
            }
        }
        bytes
    }

    #[test]
    fn without_loss_it_grows_to_its_limit_and_never_beyond() {
        let mut rate = Rate::new(100_000_000, Timestamp::default());
        run(&mut rate, 2, None);
        let bytes = run(&mut rate, 1, None);
        assert!((95_000_000..=101_000_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn loss_that_does_not_shrink_with_the_rate_is_noise_and_does_not_stop_it() {
        let mut rate = Rate::new(100_000_000, Timestamp::default());
        run(&mut rate, 2, Some(5));
        assert!(run(&mut rate, 1, Some(5)) > RATE_START / 2);
    }
}

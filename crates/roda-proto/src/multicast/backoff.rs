//! The random back-off that keeps many receivers from asking for the same repair at once.

use core::time::Duration;

use rand_core::Rng;

/// Times the greatest round-trip time over which NACKs are spread (RFC 5401, §3.2.2).
pub const BACKOFF_FACTOR: u32 = 4;
/// Groups up to this size ask at once: there is nothing to suppress.
pub const BACKOFF_FREE_MEMBERS: usize = 4;

/// A random delay by RFC 5401, §3.2.2: truncated exponential, so that few are early and suppress the rest.
pub fn nack_backoff(grtt: Duration, members: usize, rng: &mut impl Rng) -> Duration {
    if members <= BACKOFF_FREE_MEMBERS {
        return Duration::ZERO;
    }
    let max = (grtt * BACKOFF_FACTOR).as_secs_f64();
    #[expect(
        clippy::cast_precision_loss,
        reason = "a group has at most a thousand members"
    )]
    let lambda = libm::log(members as f64) + 1.0;
    let spread = libm::exp(lambda) - 1.0;
    let x = uniform(rng) * (lambda / max) + lambda / (max * spread);
    Duration::from_secs_f64(
        ((max / lambda) * libm::log(x * spread * (max / lambda))).clamp(0.0, max),
    )
}

/// A random share of `max`.
pub fn jitter(max: Duration, rng: &mut impl Rng) -> Duration {
    max.mul_f64(uniform(rng))
}

fn uniform(rng: &mut impl Rng) -> f64 {
    f64::from(rng.next_u32()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn most_of_a_large_group_waits_near_the_end_and_nobody_longer() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let grtt = Duration::from_millis(10);
        let delays: std::vec::Vec<_> = (0..1000)
            .map(|_| nack_backoff(grtt, 1000, &mut rng))
            .collect();
        assert!(delays.iter().all(|delay| *delay <= grtt * BACKOFF_FACTOR));
        let early = delays
            .iter()
            .filter(|delay| **delay < grtt * BACKOFF_FACTOR / 2)
            .count();
        assert!(
            (1..100).contains(&early),
            "{early} of 1000 in the first half"
        );
        assert_eq!(
            nack_backoff(grtt, BACKOFF_FREE_MEMBERS, &mut rng),
            Duration::ZERO
        );
    }
}

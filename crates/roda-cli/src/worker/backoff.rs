//! How long a job that failed waits for its next try.

use std::time::Duration;

use rustix::rand::{GetRandomFlags, getrandom};

/// After so many failed tries before this one; a little different each time, so that jobs that failed
/// together do not come again together.
pub(super) fn backoff(tries: u32) -> Duration {
    let mut bytes = [0_u8; 4];
    // Without randomness it is in the middle, which does no harm.
    let random = match getrandom(&mut bytes, GetRandomFlags::empty()) {
        Ok(_filled) => u32::from_ne_bytes(bytes),
        Err(_) => u32::MAX / 2,
    };
    jittered(base(tries), random)
}

fn base(tries: u32) -> Duration {
    FIRST
        .saturating_mul(1_u32.checked_shl(tries).unwrap_or(u32::MAX))
        .min(MOST)
}

/// Between 80 and 120 %.
fn jittered(base: Duration, random: u32) -> Duration {
    let share = 800 + random % 401;
    base * share / 1000
}

const FIRST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_five_minutes() {
        let seconds: Vec<u64> = (0..10).map(|tries| base(tries).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert_eq!(base(u32::MAX), MOST);
    }

    #[test]
    fn it_differs_by_a_fifth_at_most() {
        let base = Duration::from_secs(10);
        assert_eq!(jittered(base, 0), Duration::from_secs(8));
        assert_eq!(jittered(base, 400), Duration::from_secs(12));
        assert_eq!(jittered(base, 401), Duration::from_secs(8));
    }
}

//! What one direction between two nodes does to datagrams.

use std::time::Duration;

use crate::random::Random;

/// Losses in bursts (Gilbert's model): the link is either good or bad, and moves at each datagram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bursts {
    /// Probability of turning bad.
    pub enter: f64,
    /// Probability of turning good again.
    pub leave: f64,
    /// Loss while bad.
    pub loss: f64,
}

/// What a link does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkFaults {
    /// Loss of each datagram for itself.
    pub loss: f64,
    /// Loss in bursts.
    pub bursts: Option<Bursts>,
    /// Loss of a datagram after which nothing else was sent until it arrived: the end of a burst.
    pub tail_loss: f64,
    /// Loss of datagrams shorter than [`CONTROL_LEN`], as NACKs and beacons are.
    pub control_loss: f64,
    /// How many arrive twice.
    pub duplicates: f64,
    /// Shortest way.
    pub delay_min: Duration,
    /// Mean of what comes on top, exponentially distributed: this reorders.
    pub jitter: Duration,
    /// How many are held back for far longer, up to [`Self::late_max`].
    pub late: f64,
    /// The longest hold-up.
    pub late_max: Duration,
}

/// Below this a datagram counts as control.
pub const CONTROL_LEN: usize = 200;

impl LinkFaults {
    /// A quiet local network.
    pub const CLEAN: Self = Self {
        loss: 0.0,
        bursts: None,
        tail_loss: 0.0,
        control_loss: 0.0,
        duplicates: 0.0,
        delay_min: Duration::from_micros(200),
        jitter: Duration::ZERO,
        late: 0.0,
        late_max: Duration::ZERO,
    };

    /// Delays of the copies that arrive; none if the datagram is lost. `bad` is the link's state.
    pub(super) fn pass(&self, len: usize, bad: &mut bool, random: &mut Random) -> Copies {
        if let Some(bursts) = self.bursts {
            let flips = if *bad { bursts.leave } else { bursts.enter };
            *bad ^= random.chance(flips);
            if *bad && random.chance(bursts.loss) {
                return Copies::default();
            }
        }
        let lost =
            random.chance(self.loss) || (len < CONTROL_LEN && random.chance(self.control_loss));
        if lost {
            return Copies::default();
        }
        let again = random.chance(self.duplicates);
        Copies {
            first: Some(self.delay(random)),
            second: again.then(|| self.delay(random)),
        }
    }

    fn delay(&self, random: &mut Random) -> Duration {
        let mut delay = self.delay_min;
        if !self.jitter.is_zero() {
            delay += random.exponential(self.jitter);
        }
        if random.chance(self.late) {
            delay += random.duration(Duration::ZERO, self.late_max);
        }
        delay
    }
}

/// Delays of a datagram's copies.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub(super) struct Copies {
    pub(super) first: Option<Duration>,
    pub(super) second: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(faults: &LinkFaults, len: usize) -> usize {
        let (mut random, mut bad) = (Random::new(3, "link"), false);
        (0..10_000)
            .filter(|_| faults.pass(len, &mut bad, &mut random).first.is_none())
            .count()
    }

    #[test]
    fn losses_have_the_stated_rates() {
        let clean = LinkFaults::CLEAN;
        assert_eq!(lost(&clean, 1000), 0);
        let tenth = LinkFaults { loss: 0.1, ..clean };
        assert!((900..1100).contains(&lost(&tenth, 1000)));
        let control = LinkFaults {
            control_loss: 1.0,
            ..clean
        };
        assert_eq!(lost(&control, CONTROL_LEN), 0);
        assert_eq!(lost(&control, CONTROL_LEN - 1), 10_000);
    }

    #[test]
    fn bursts_lose_in_a_row() {
        let faults = LinkFaults {
            bursts: Some(Bursts {
                enter: 0.01,
                leave: 0.1,
                loss: 1.0,
            }),
            ..LinkFaults::CLEAN
        };
        // Stationary share of the bad state: enter / (enter + leave) = 1/11.
        assert!((600..1250).contains(&lost(&faults, 1000)));
    }
}

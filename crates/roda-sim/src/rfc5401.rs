//! What RFC 5401 lets one expect of NACK back-off and repair.
//!
//! Section 3.2.2 draws each receiver's back-off from a truncated exponential distribution over
//! `T = K·GRTT` with `L = ln(R) + 1`, where `R` is the group size: with `u` uniform in 0…1,
//! `t = T/L · ln(1 + u·(e^L − 1))`. A receiver stays silent when it hears another's NACK first, which
//! takes a one-way delay. The RFC gives the number of NACKs when *all* `R` receivers miss the same datagram
//! as `N = exp(1.2 · L / (2·T/GRTT))`. When only some of them miss it, that is an upper bound, so the
//! expectation here comes from playing the algorithm itself.

use crate::random::Random;

/// Back-off interval in units of GRTT that the protocol uses.
pub const K: f64 = 4.0;
const ROUNDS_PLAYED: u32 = 2_000;
const REPAIR_ROUNDS_MAX: i32 = 12;

/// The RFC's formula: NACKs per loss if all `receivers` miss the datagram.
#[must_use]
pub fn nacks_if_all_miss(receivers: f64) -> f64 {
    let l = receivers.ln() + 1.0;
    (1.2 * l / (2.0 * K)).exp()
}

/// Transmissions of a datagram until all `receivers` have it, each losing with probability `loss`:
/// the expectation of the maximum of geometric variables, 1 + Σ (1 − (1 − loss^m)^R).
#[must_use]
pub fn transmissions(receivers: f64, loss: f64) -> f64 {
    let more = (1..=REPAIR_ROUNDS_MAX).map(|m| 1.0 - (1.0 - loss.powi(m)).powf(receivers));
    1.0 + more.sum::<f64>()
}

/// What one datagram costs on average.
#[derive(Clone, Copy, Debug)]
pub struct Expectation {
    /// NACKs sent by all receivers together.
    pub nacks: f64,
    /// Repairs sent.
    pub repairs: f64,
}

/// Plays the algorithm: `receivers` lose each transmission with probability `loss`; a NACK is heard
/// by the others after `delay` GRTT.
#[must_use]
pub fn expectation(receivers: usize, loss: f64, delay: f64, seed: u64) -> Expectation {
    let mut random = Random::new(seed, "rfc 5401");
    let size = f64::from(u32::try_from(receivers).unwrap_or(u32::MAX));
    let nacks: usize = (0..ROUNDS_PLAYED)
        .map(|_| nacks_of_one_datagram(receivers, size, loss, delay, &mut random))
        .sum();
    let nacks = f64::from(u32::try_from(nacks).unwrap_or(u32::MAX)) / f64::from(ROUNDS_PLAYED);
    Expectation {
        nacks,
        repairs: transmissions(size, loss) - 1.0,
    }
}

fn nacks_of_one_datagram(
    receivers: usize,
    size: f64,
    loss: f64,
    delay: f64,
    random: &mut Random,
) -> usize {
    let mut missing = (0..receivers).filter(|_| random.chance(loss)).count();
    let mut nacks = 0;
    for _ in 0..REPAIR_ROUNDS_MAX {
        if missing == 0 {
            break;
        }
        nacks += nacks_of_one_round(missing, size, delay, random);
        missing = (0..missing).filter(|_| random.chance(loss)).count();
    }
    nacks
}

fn nacks_of_one_round(missing: usize, size: f64, delay: f64, random: &mut Random) -> usize {
    let times: Vec<f64> = (0..missing)
        .map(|_| back_off(size, random.unit()))
        .collect();
    let first = times.iter().copied().fold(f64::INFINITY, f64::min);
    times.iter().filter(|time| **time <= first + delay).count()
}

/// In units of GRTT.
fn back_off(size: f64, u: f64) -> f64 {
    let l = size.ln() + 1.0;
    K / l * (1.0 + u * (l.exp() - 1.0)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_algorithm_played_agrees_with_the_formula_of_the_rfc() {
        // The formula holds when a NACK needs half a GRTT to be heard.
        let mut random = Random::new(1, "test");
        for size in [10_u32, 100, 1_000] {
            let played: usize = (0..400)
                .map(|_| nacks_of_one_round(size as usize, f64::from(size), 0.5, &mut random))
                .sum();
            let played = f64::from(u32::try_from(played).unwrap()) / 400.0;
            let formula = nacks_if_all_miss(f64::from(size));
            assert!(
                (0.6..1.4).contains(&(played / formula)),
                "{size}: {played} against {formula}"
            );
        }
    }

    #[test]
    fn a_thousand_receivers_at_one_per_cent_need_two_transmissions() {
        assert!((transmissions(1_000.0, 0.01) - 2.10).abs() < 0.01);
        assert!((transmissions(1_000.0, 0.0) - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn fewer_losers_send_fewer_nacks() {
        let some = expectation(1_000, 0.01, 0.5, 1);
        let many = expectation(1_000, 0.5, 0.5, 1);
        assert!(some.nacks < many.nacks, "{some:?} {many:?}");
    }
}

//! What the notes of all contenders together say.

use super::rounds::Round;

/// The part of a measurement that counts: from, until.
pub(crate) type Window = std::ops::Range<u64>;

/// What one measurement came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figures {
    /// Times that somebody was inside, per second.
    pub(crate) sections_per_s: f64,
    /// Those of them in which it was somebody else than before.
    pub(crate) handoffs_per_s: f64,
    /// From before the release of one to the entry of the next who already waited, in microseconds.
    pub(crate) handoff_p50_us: f64,
    /// The 99th percentile of the same.
    pub(crate) handoff_p99_us: f64,
    /// Most sections of a contender by the fewest; infinite if one had none.
    pub(crate) fairness: f64,
    /// How often two were inside, also outside the window.
    pub(crate) overlaps: u64,
}

/// One section, with who was inside.
#[derive(Clone, Copy)]
struct Section {
    round: Round,
    who: usize,
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a benchmark stay far below 2^53"
)]
impl Figures {
    /// From the notes of each contender.
    pub(crate) fn new(notes: &[Vec<Round>], window: &Window) -> Self {
        let mut sections: Vec<Section> = Vec::new();
        for (who, rounds) in notes.iter().enumerate() {
            sections.extend(rounds.iter().map(|&round| Section { round, who }));
        }
        sections.sort_unstable_by_key(|section| section.round.entered);
        let pairs = || sections.iter().zip(sections.iter().skip(1));
        let overlaps = pairs().filter(|(one, next)| next.round.entered < one.round.left);
        let handoffs: Vec<_> = pairs()
            .filter(|(one, next)| one.who != next.who && window.contains(&next.round.entered))
            .collect();
        // Who asked after the release was not waited for: that time is its own.
        let mut times: Vec<u64> = handoffs
            .iter()
            .filter(|(one, next)| next.round.asked < one.round.left)
            .map(|(one, next)| next.round.entered.saturating_sub(one.round.left))
            .collect();
        times.sort_unstable();
        let counts: Vec<usize> = notes.iter().map(|rounds| inside(rounds, window)).collect();
        let fewest = counts.iter().min().copied().unwrap_or(0);
        let most = counts.iter().max().copied().unwrap_or(0);
        let seconds = (window.end - window.start) as f64 / 1e9;
        Self {
            sections_per_s: counts.iter().sum::<usize>() as f64 / seconds,
            handoffs_per_s: handoffs.len() as f64 / seconds,
            handoff_p50_us: percentile_us(&times, 50),
            handoff_p99_us: percentile_us(&times, 99),
            fairness: if fewest == 0 {
                f64::INFINITY
            } else {
                most as f64 / fewest as f64
            },
            overlaps: overlaps.count() as u64,
        }
    }
}

/// The median cost of a round within the window, in microseconds.
pub(crate) fn cost_p50_us(rounds: &[Round], window: &Window) -> f64 {
    let counted = rounds
        .iter()
        .filter(|round| window.contains(&round.entered));
    let mut costs: Vec<u64> = counted.map(Round::cost).collect();
    costs.sort_unstable();
    percentile_us(&costs, 50)
}

/// The value below which `percent` of the sorted nanoseconds lie, in microseconds; infinite of none.
#[expect(
    clippy::cast_precision_loss,
    reason = "durations of a benchmark stay far below 2^53"
)]
pub(crate) fn percentile_us(sorted: &[u64], percent: usize) -> f64 {
    match sorted.len() {
        0 => f64::INFINITY,
        len => sorted[(len * percent / 100).min(len - 1)] as f64 / 1000.0,
    }
}

fn inside(rounds: &[Round], window: &Window) -> usize {
    let counted = rounds
        .iter()
        .filter(|round| window.contains(&round.entered));
    counted.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = 0..1_000_000_000;

    fn round(asked: u64, entered: u64, left: u64) -> Round {
        Round {
            asked,
            entered,
            left,
            released: left + 1000,
        }
    }

    #[test]
    fn only_a_change_of_the_holder_is_a_handoff() {
        let notes = [
            vec![round(0, 1000, 2000), round(3000, 4000, 5000)],
            vec![round(0, 8000, 9000)],
        ];
        let figures = Figures::new(&notes, &WINDOW);
        assert!((figures.sections_per_s - 3.0).abs() < 1e-9);
        assert!((figures.handoffs_per_s - 1.0).abs() < 1e-9);
        assert!((figures.handoff_p50_us - 3.0).abs() < 1e-9);
        assert!((figures.fairness - 2.0).abs() < 1e-9);
        assert_eq!(figures.overlaps, 0);
    }

    #[test]
    fn who_came_late_says_nothing_about_the_handoff() {
        let notes = [vec![round(0, 1000, 2000)], vec![round(2500, 9000, 9500)]];
        let figures = Figures::new(&notes, &WINDOW);
        assert!((figures.handoffs_per_s - 1.0).abs() < 1e-9);
        assert!(figures.handoff_p50_us.is_infinite());
    }

    #[test]
    fn two_inside_at_once_are_found_also_outside_the_window() {
        let late = WINDOW.end + 10;
        let notes = [
            vec![round(0, late, late + 100)],
            vec![round(0, late + 99, late + 200)],
        ];
        assert_eq!(Figures::new(&notes, &WINDOW).overlaps, 1);
    }

    #[test]
    fn a_contender_that_never_got_in_makes_it_infinitely_unfair() {
        let notes = [vec![round(0, 1000, 2000)], Vec::new()];
        assert!(Figures::new(&notes, &WINDOW).fairness.is_infinite());
    }

    #[test]
    fn the_section_itself_costs_nothing() {
        let rounds = [round(0, 1000, 900_000)];
        assert!((cost_p50_us(&rounds, &WINDOW) - 2.0).abs() < 1e-9);
    }
}

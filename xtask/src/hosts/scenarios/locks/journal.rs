//! What those who were inside have written down, and whether it may be so.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Enter,
    Leave,
    /// Another one was inside.
    Overlap,
}

/// One line.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    what: What,
    /// Who: the nick of a node, and something that makes it unique.
    pub(super) label: String,
    pub(super) fence: u64,
    pub(super) pid: i32,
    /// When, on the clock of [`now_ns`](crate::hosts::process::now_ns).
    pub(super) at_ns: u64,
    /// The number written, or the process that was met.
    pub(super) value: u64,
}

/// The log of an arena.
pub(super) struct Journal(Vec<Visit>);

impl Journal {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let visits = text.lines().map(|line| {
            Visit::parse(line).with_context(|| format!("a damaged line in the log: {line:?}"))
        });
        visits.collect::<Result<_>>().map(Self)
    }

    /// All who came, in order.
    pub(super) fn entries(&self) -> impl DoubleEndedIterator<Item = &Visit> {
        self.of(What::Enter)
    }

    fn of(&self, what: What) -> impl DoubleEndedIterator<Item = &Visit> {
        self.0.iter().filter(move |visit| visit.what == what)
    }

    /// When this one came first.
    pub(super) fn visit(&self, label: &str) -> Option<&Visit> {
        self.entries().find(|visit| visit.label == label)
    }

    /// Names in the order of coming.
    pub(super) fn order(&self) -> Vec<&str> {
        self.entries().map(|visit| visit.label.as_str()).collect()
    }

    /// Who came last and has not gone properly.
    pub(super) fn inside(&self) -> Option<&Visit> {
        let last = self.entries().next_back()?;
        let gone = self.of(What::Leave).any(|visit| visit.fence == last.fence);
        (!gone).then_some(last)
    }

    /// How many did all that they wanted to.
    pub(super) fn completed(&self) -> usize {
        self.of(What::Leave).count()
    }

    /// How often the next one was on another host.
    pub(super) fn moves(&self) -> usize {
        let visits: Vec<&Visit> = self.entries().collect();
        let moved = visits
            .windows(2)
            .filter(|pair| pair[0].node() != pair[1].node());
        moved.count()
    }

    /// The largest number that was inside at the same time, of those that went properly.
    pub(super) fn together_max(&self) -> usize {
        let (mut inside, mut most) = (0_usize, 0);
        for visit in &self.0 {
            match visit.what {
                What::Enter => inside += 1,
                What::Leave => inside = inside.saturating_sub(1),
                What::Overlap => {}
            }
            most = most.max(inside);
        }
        most
    }

    /// Fails if two were ever inside, or a fence was not larger than the ones before.
    pub(super) fn ensure_alone(&self) -> Result<()> {
        if let Some(met) = self.overlap() {
            bail!(
                "OVERLAP: {} with fence {} met process {} inside; the log around it:\n{}",
                met.label,
                met.fence,
                met.value,
                self.around(met.at_ns)
            );
        }
        let mut last = 0;
        for visit in self.entries() {
            ensure!(
                visit.fence > last,
                "{} entered with fence {} after fence {last}; the log around it:\n{}",
                visit.label,
                visit.fence,
                self.around(visit.at_ns)
            );
            last = visit.fence;
        }
        Ok(())
    }

    /// The first who met somebody.
    pub(super) fn overlap(&self) -> Option<&Visit> {
        self.of(What::Overlap).next()
    }

    /// Fails if an update of the counter was lost.
    pub(super) fn ensure_counted(&self, counter: u64) -> Result<()> {
        let mut written = BTreeSet::new();
        for visit in self.of(What::Leave) {
            ensure!(
                written.insert(visit.value),
                "two sections wrote {}; the log around the second:\n{}",
                visit.value,
                self.around(visit.at_ns)
            );
        }
        let completed = u64::try_from(written.len())?;
        ensure!(
            counter >= completed,
            "the counter is {counter} after {completed} sections"
        );
        Ok(())
    }

    /// Some lines before and after.
    fn around(&self, at_ns: u64) -> String {
        const LINES: usize = 6;
        let at = self.0.iter().position(|visit| visit.at_ns >= at_ns);
        let at = at.unwrap_or(self.0.len());
        let lines = self.0.iter().skip(at.saturating_sub(LINES)).take(2 * LINES);
        let lines: Vec<String> = lines.map(|visit| format!("  {visit:?}")).collect();
        lines.join("\n")
    }
}

impl Visit {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let what = match words.next()? {
            "enter" => What::Enter,
            "leave" => What::Leave,
            "overlap" => What::Overlap,
            _ => return None,
        };
        Some(Self {
            what,
            label: words.next()?.to_owned(),
            fence: words.next()?.parse().ok()?,
            pid: words.next()?.parse().ok()?,
            at_ns: words.next()?.parse().ok()?,
            value: words.next()?.parse().ok()?,
        })
    }

    /// The nick of the node on which it was.
    pub(super) fn node(&self) -> &str {
        self.label.split('-').next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(text: &str) -> Journal {
        Journal::parse(text).unwrap()
    }

    #[test]
    fn sections_in_turn_are_accepted() {
        let journal = journal("enter a-0 5 1 10 0\nleave a-0 5 1 11 1\nenter b-0 6 2 12 0\n");
        assert!(journal.ensure_alone().is_ok());
        assert!(journal.ensure_counted(1).is_ok());
        assert_eq!(journal.inside().unwrap().label, "b-0");
        let found = (journal.moves(), journal.completed(), journal.together_max());
        assert_eq!(found, (1, 1, 1));
    }

    #[test]
    fn two_at_once_an_old_fence_and_a_lost_update_are_found() {
        let met = journal("enter a-0 5 1 10 0\noverlap b-0 6 2 11 1\nenter b-0 6 2 11 0\n");
        assert!(met.ensure_alone().is_err());
        assert_eq!(met.together_max(), 2);
        let old = journal("enter a-0 5 1 10 0\nenter b-0 5 2 11 0\n");
        assert!(old.ensure_alone().is_err());
        let twice = journal("leave a-0 5 1 10 7\nleave b-0 6 2 11 7\n");
        assert!(twice.ensure_counted(7).is_err());
        let behind = journal("leave a-0 5 1 10 1\nleave b-0 6 2 11 2\n");
        assert!(behind.ensure_counted(1).is_err());
    }

    #[test]
    fn a_damaged_log_is_refused() {
        assert!(Journal::parse("enter a-0 5 1 10\n").is_err());
        assert!(Journal::parse("leap a-0 5 1 10 0\n").is_err());
    }
}

//! What accidents happened, and what they explain.

use std::collections::BTreeMap;

use crate::hosts::process::now_ns;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::hosts::scenarios) enum Fault {
    KillNode,
    KillWrapper,
    KillChild,
    KillHost,
    StopWrapper,
    StopNode,
    /// Nothing arrives and nothing leaves.
    Cut,
    /// Nothing arrives.
    Deafen,
    /// Nothing leaves.
    Mute,
}

impl Fault {
    /// Whether it ends a command that runs on the host, at once or by the wrapper.
    pub(in crate::hosts::scenarios) const fn is_a_kill(self) -> bool {
        matches!(
            self,
            Self::KillNode | Self::KillHost | Self::KillWrapper | Self::KillChild
        )
    }
}

/// An accident.
#[derive(Clone, Copy, Debug)]
pub(in crate::hosts::scenarios) struct Strike {
    pub(in crate::hosts::scenarios) at_ns: u64,
    pub(in crate::hosts::scenarios) fault: Fault,
    pub(in crate::hosts::scenarios) host: usize,
}

/// What was done.
#[derive(Default)]
pub(in crate::hosts::scenarios) struct Record {
    pub(in crate::hosts::scenarios) counts: BTreeMap<Fault, usize>,
    /// Each fault in words, with its time.
    pub(in crate::hosts::scenarios) lines: Vec<(u64, String)>,
    pub(in crate::hosts::scenarios) strikes: Vec<Strike>,
    /// When something was wrong with a host: its number, from, until.
    disturbed: Vec<(usize, u64, u64)>,
    /// Labels and nicks of what was killed, with the time.
    killed: Vec<(String, u64)>,
}

impl Record {
    /// Counts an accident that happens now.
    pub(in crate::hosts::scenarios) fn strike(&mut self, fault: Fault, host: usize, line: String) {
        *self.counts.entry(fault).or_default() += 1;
        let at_ns = now_ns();
        self.strikes.push(Strike { at_ns, fault, host });
        self.lines.push((at_ns, line));
    }

    /// A host is disturbed from one time to another.
    pub(in crate::hosts::scenarios) fn disturb(
        &mut self,
        host: usize,
        from_ns: u64,
        until_ns: u64,
    ) {
        self.disturbed.push((host, from_ns, until_ns));
    }

    /// Somebody, or all on a host, is killed at this time: one before the signal, which may be faster than
    /// whoever sent it.
    pub(in crate::hosts::scenarios) fn kill(&mut self, name: String, at_ns: u64) {
        self.killed.push((name, at_ns));
    }

    /// Whether a kill could have ended what this one did between two times.
    pub(in crate::hosts::scenarios) fn explains(&self, label: &str, from: u64, until: u64) -> bool {
        self.killed.iter().any(|(name, at)| {
            let is_meant = name == label || label.split('-').next() == Some(name.as_str());
            is_meant && (from..=until).contains(at)
        })
    }

    /// How much of the time between two others fewer than two hosts were disturbed.
    pub(in crate::hosts::scenarios) fn healthy_ns(&self, from: u64, until: u64) -> u64 {
        let inside = |at: u64| (from..until).contains(&at);
        let mut borders = vec![from, until];
        borders.extend(
            self.disturbed
                .iter()
                .flat_map(|(_, from, until)| [*from, *until])
                .filter(|at| inside(*at)),
        );
        borders.sort_unstable();
        let healthy = borders.windows(2).filter(|pair| {
            let disturbed = self
                .disturbed
                .iter()
                .filter(|(_, from, until)| *from <= pair[0] && pair[1] <= *until);
            disturbed.count() < 2
        });
        healthy.map(|pair| pair[1] - pair[0]).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_with_two_disturbed_hosts_does_not_count() {
        let record = Record {
            disturbed: vec![(0, 10, 30), (1, 20, 40)],
            ..Record::default()
        };
        assert_eq!(record.healthy_ns(0, 50), 40);
        assert_eq!(record.healthy_ns(20, 30), 0);
        assert_eq!(record.healthy_ns(22, 35), 5);
    }

    #[test]
    fn a_kill_explains_the_end_of_what_it_hit_only() {
        let record = Record {
            killed: vec![("ana".to_owned(), 10), ("bia-1".to_owned(), 20)],
            ..Record::default()
        };
        assert!(record.explains("ana-3", 5, 15));
        assert!(!record.explains("ana-3", 11, 15));
        assert!(record.explains("bia-1", 5, 25));
        assert!(!record.explains("bia-2", 5, 25));
    }
}

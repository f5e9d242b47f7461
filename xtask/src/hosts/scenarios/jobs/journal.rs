//! What jobs have written down, by attempt.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Begin,
    /// Another attempt of the job was alive.
    Overlap,
    /// The node did not tell the progress.
    Unloaded,
    /// It goes on after so many steps.
    From,
    /// The node acknowledged a checkpoint.
    Saved,
    /// The node did not.
    Unsaved,
    End,
}

/// One line.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) what: What,
    pub(super) job: String,
    pub(super) attempt: String,
    /// The nick of a node, and what is the same for all jobs of its worker.
    pub(super) label: String,
    pub(super) pid: i32,
    /// When, on the clock of [`now_ns`](crate::hosts::process::now_ns).
    pub(super) at_ns: u64,
    pub(super) value: u64,
}

impl Line {
    pub(super) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let what = match words.next()? {
            "begin" => What::Begin,
            "overlap" => What::Overlap,
            "unloaded" => What::Unloaded,
            "from" => What::From,
            "saved" => What::Saved,
            "unsaved" => What::Unsaved,
            "end" => What::End,
            _ => return None,
        };
        Some(Self {
            what,
            job: words.next()?.to_owned(),
            attempt: words.next()?.to_owned(),
            label: words.next()?.to_owned(),
            pid: words.next()?.parse().ok()?,
            at_ns: words.next()?.parse().ok()?,
            value: words.next()?.parse().ok()?,
        })
    }
}

/// One attempt: its lines, in order.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) attempt: String,
    pub(super) node: String,
    pub(super) lines: Vec<Line>,
}

impl Life {
    pub(super) fn began_ns(&self) -> u64 {
        self.lines.first().map_or(0, |line| line.at_ns)
    }

    pub(super) fn last_ns(&self) -> u64 {
        self.lines.last().map_or(0, |line| line.at_ns)
    }

    pub(super) fn has(&self, what: What) -> bool {
        self.lines.iter().any(|line| line.what == what)
    }

    /// From which step it went on, if it came so far.
    pub(super) fn from(&self) -> Option<u64> {
        let line = self.lines.iter().find(|line| line.what == What::From);
        line.map(|line| line.value)
    }

    /// The last checkpoint that was acknowledged before a time.
    pub(super) fn saved_before(&self, at_ns: u64) -> Option<&Line> {
        let mut lines = self.lines.iter().rev();
        lines.find(|line| line.what == What::Saved && line.at_ns < at_ns)
    }
}

/// All attempts of each job, in the order in which they began.
pub(super) struct Journal(pub(super) BTreeMap<String, Vec<Life>>);

impl Journal {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut jobs: BTreeMap<String, Vec<Life>> = BTreeMap::new();
        for line in text.lines() {
            let line = Line::parse(line)
                .with_context(|| format!("a damaged line in the log: {line:?}"))?;
            let lives = jobs.entry(line.job.clone()).or_default();
            if line.what == What::Begin {
                lives.push(Life {
                    attempt: line.attempt.clone(),
                    node: line.label.split('-').next().unwrap_or_default().to_owned(),
                    lines: Vec::new(),
                });
            }
            let life = lives.iter_mut().rev();
            let life = life.into_iter().find(|life| {
                life.attempt == line.attempt
                    && (life.lines.is_empty() || life.lines[0].pid == line.pid)
            });
            life.context("a line of an attempt that never began")?
                .lines
                .push(line);
        }
        Ok(Self(jobs))
    }

    /// Fails if two attempts of a job were ever alive together, or an attempt was started twice.
    pub(super) fn ensure_alone(&self) -> Result<()> {
        for (job, lives) in &self.0 {
            for life in lives {
                ensure!(
                    !life.has(What::Overlap),
                    "OVERLAP: an attempt of {job} met another one:\n{}",
                    describe(lives)
                );
            }
            for pair in lives.windows(2) {
                ensure!(
                    pair[0].last_ns() < pair[1].began_ns(),
                    "OVERLAP: an attempt of {job} went on after the next began:\n{}",
                    describe(lives)
                );
                ensure!(
                    pair[0].attempt != pair[1].attempt,
                    "an attempt of {job} was started twice:\n{}",
                    describe(lives)
                );
            }
        }
        Ok(())
    }

    /// Every attempt with the one after it.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&Life, &Life)> {
        let pairs = self.0.values().flat_map(|lives| lives.windows(2));
        pairs.map(|pair| (&pair[0], &pair[1]))
    }
}

/// All that attempts of a job did.
pub(super) fn describe(lives: &[Life]) -> String {
    let mut lines: Vec<&Line> = lives.iter().flat_map(|life| &life.lines).collect();
    lines.sort_by_key(|line| line.at_ns);
    let shown = lines.iter().map(|line| {
        format!(
            "  {} {} {:?} {} (process {}, attempt {})",
            line.at_ns, line.label, line.what, line.value, line.pid, line.attempt
        )
    });
    shown.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(text: &str) -> Journal {
        Journal::parse(text).unwrap()
    }

    #[test]
    fn attempts_one_after_the_other_are_accepted() {
        let journal = journal(
            "begin j 5-1 ana-w 7 10 0\nfrom j 5-1 ana-w 7 11 0\nsaved j 5-1 ana-w 7 12 1\n\
             begin j 6-2 bia-w 8 20 0\nfrom j 6-2 bia-w 8 21 1\nend j 6-2 bia-w 8 30 5\n",
        );
        journal.ensure_alone().unwrap();
        let (one, next) = journal.pairs().next().unwrap();
        assert_eq!((one.node.as_str(), next.from()), ("ana", Some(1)));
        assert_eq!(one.saved_before(next.began_ns()).unwrap().value, 1);
        assert!(one.saved_before(12).is_none());
    }

    #[test]
    fn attempts_that_overlap_are_found() {
        let met = journal(
            "begin j 5-1 ana-w 7 10 0\nbegin j 6-2 bia-w 8 20 0\noverlap j 6-2 bia-w 8 21 7\n",
        );
        assert!(met.ensure_alone().is_err());
        let late = journal(
            "begin j 5-1 ana-w 7 10 0\nbegin j 6-2 bia-w 8 20 0\nsaved j 5-1 ana-w 7 21 1\n",
        );
        assert!(late.ensure_alone().is_err());
        let twice = journal("begin j 5-1 ana-w 7 10 0\nbegin j 5-1 ana-w 8 20 0\n");
        assert!(twice.ensure_alone().is_err());
    }

    #[test]
    fn a_damaged_log_is_refused() {
        assert!(Journal::parse("leap j 5-1 ana-w 7 10 0\n").is_err());
        assert!(Journal::parse("from j 5-1 ana-w 7 10 0\n").is_err());
    }
}

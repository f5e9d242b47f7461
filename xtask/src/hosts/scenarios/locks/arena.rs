//! A place where holders of one lock meet, and leave their traces.

use std::fs::{self, File};
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};

use super::journal::{Journal, Visit};
use crate::hosts::Bench;
use crate::hosts::command::{excerpt, wait_for};
use crate::hosts::node::Node;
use crate::hosts::process::now_ns;
use crate::hosts::scenarios::attempt::Attempt;
use crate::hosts::section;

/// A directory with the log of all who were inside.
pub(super) struct Arena {
    pub(super) path: PathBuf,
    helper: String,
}

impl Arena {
    pub(super) fn new(bench: &Bench, name: &str) -> Result<Self> {
        let path = bench.directory.join(format!("arena-{name}"));
        fs::create_dir(&path)?;
        File::create(path.join(section::LOG))?;
        let helper = bench.helper.to_string_lossy().into_owned();
        Ok(Self { path, helper })
    }

    /// Starts `roda lock WORDS… -- COMMAND…`.
    pub(super) fn lock(
        &self,
        node: &Node<'_>,
        label: &str,
        words: &[&str],
        command: &[String],
    ) -> Result<Attempt> {
        let words = [&["lock"], words].concat();
        Attempt::start(node, &self.path, label, &words, command)
    }

    /// The command of one who counts.
    pub(super) fn section(&self, label: &str) -> Vec<String> {
        self.words(&["section"], &[label])
    }

    /// The command of one who stays; see [`section::hold`] for the mode.
    pub(super) fn hold(&self, label: &str, mode: &str) -> Vec<String> {
        self.words(&["hold"], &[label, mode])
    }

    fn words(&self, before: &[&str], after: &[&str]) -> Vec<String> {
        let path = self.path.to_string_lossy();
        let own = [self.helper.as_str(), "hosts-helper"];
        let words = [&own[..], before, &[&path], after].concat();
        words.into_iter().map(str::to_owned).collect()
    }

    /// Lets one go who stays.
    pub(super) fn dismiss(&self, label: &str) -> Result<()> {
        File::create(self.path.join(format!("{label}.done")))?;
        Ok(())
    }

    /// All that has happened.
    pub(super) fn journal(&self) -> Result<Journal> {
        Journal::parse(&fs::read_to_string(self.path.join(section::LOG))?)
    }

    /// The number that sections count up.
    pub(super) fn counter(&self) -> Result<u64> {
        let digits = fs::read_to_string(self.path.join(section::COUNTER));
        digits.map_or(Ok(0), |digits| digits.parse().context("a damaged counter"))
    }

    /// What the `roda lock` of one has said.
    fn said(&self, label: &str) -> String {
        let said = fs::read(self.path.join(format!("{label}.errors"))).unwrap_or_default();
        excerpt(&said)
    }

    /// Waits until somebody is inside.
    pub(super) fn wait_entered(&self, label: &str, timeout: Duration) -> Result<Visit> {
        wait_for(&format!("{label} to be inside"), timeout, || {
            let journal = self.journal()?;
            Ok(match journal.visit(label) {
                Some(visit) => Ok(visit.clone()),
                None => Err(format!(
                    "inside so far: {}; it said: {}",
                    journal.order().join(", "),
                    self.said(label)
                )),
            })
        })
    }

    /// Finds out when the last process of one who stays has died; it must be inside already.
    pub(super) fn watch(&self, label: &str) -> Result<Watch> {
        let witness = File::open(self.path.join(format!("{label}.witness")))?;
        let watching = thread::spawn(move || {
            witness.lock()?;
            Ok(now_ns())
        });
        Ok(Watch(watching))
    }
}

/// Waits for the death of a holder and all that it started.
pub(super) struct Watch(JoinHandle<std::io::Result<u64>>);

impl Watch {
    /// Whether it has not happened yet.
    pub(super) fn is_alive(&self) -> bool {
        !self.0.is_finished()
    }

    /// When it happened; waits for it.
    pub(super) fn died(self, timeout: Duration) -> Result<u64> {
        wait_for("the holder's processes to be dead", timeout, || {
            Ok(if self.is_alive() {
                Err("some are alive".to_owned())
            } else {
                Ok(())
            })
        })?;
        let died = self.0.join().expect("watching does not panic")?;
        Ok(died)
    }
}

//! The directory in which jobs of all hosts leave their traces.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use anyhow::Result;

use super::journal::{Journal, Line, What};
use crate::hosts::Bench;
use crate::hosts::step;

/// How much of the log's end tells what runs now.
const TAIL: u64 = 8 * 1024;

/// A log, and files of attempts that ended.
pub(super) struct Arena {
    pub(super) path: PathBuf,
    helper: String,
    roda: String,
}

impl Arena {
    pub(super) fn new(bench: &Bench, name: &str) -> Result<Self> {
        let path = bench.directory.join(format!("arena-{name}"));
        for part in [step::DONE, step::ALIVE] {
            fs::create_dir_all(path.join(part))?;
        }
        File::create(path.join(step::LOG))?;
        Ok(Self {
            path,
            helper: bench.helper.to_string_lossy().into_owned(),
            roda: bench.binary.to_string_lossy().into_owned(),
        })
    }

    /// The command of a worker's jobs.
    pub(super) fn command(&self, label: &str) -> Vec<String> {
        let path = self.path.to_string_lossy();
        let words = [
            &self.helper,
            "hosts-helper",
            "job-step",
            &path,
            label,
            &self.roda,
        ];
        words.map(str::to_owned).to_vec()
    }

    /// All that has happened.
    pub(super) fn journal(&self) -> Result<Journal> {
        Journal::parse(&fs::read_to_string(self.path.join(step::LOG))?)
    }

    /// The last line of each attempt that did not say that it ended, of those that said anything lately.
    pub(super) fn unended(&self) -> Result<Vec<Line>> {
        let mut log = File::open(self.path.join(step::LOG))?;
        let len = log.metadata()?.len();
        log.seek(SeekFrom::Start(len.saturating_sub(TAIL)))?;
        let mut text = String::new();
        log.read_to_string(&mut text)?;
        let mut running: Vec<Line> = Vec::new();
        // The first one may be the rest of a line.
        for line in text.lines().filter_map(Line::parse) {
            running.retain(|other| other.attempt != line.attempt || other.job != line.job);
            if line.what != What::End {
                running.push(line);
            }
        }
        Ok(running)
    }

    /// Whether an attempt came to its end.
    pub(super) fn is_marked(&self, job: &str, attempt: &str) -> bool {
        let mark = format!("{job}-{attempt}");
        self.path.join(step::DONE).join(mark).exists()
    }
}

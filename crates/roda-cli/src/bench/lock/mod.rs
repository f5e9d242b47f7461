//! `roda bench lock`: how fast a lock goes from hand to hand, beside what the machine could do at best.
//!
//! Every node is a process of its own ([`worker`]). Contenders note the times of each of their rounds
//! ([`rounds`]); what those say comes out of all notes together ([`figures`]).

pub(crate) mod baseline;
pub(crate) mod daemon;
pub(crate) mod figures;
pub(crate) mod measure;
pub(crate) mod report;
pub(crate) mod rounds;
pub(crate) mod worker;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What a process of the benchmark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Part {
    /// The node that makes the group.
    Founder,
    /// A node that joins it.
    Joiner,
    /// A node that serves the control API.
    Daemon,
    /// No node: passes a bare datagram on.
    Ring,
}

/// What a process is told in its argument.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LockJob {
    /// What it is.
    pub(crate) part: Part,
    /// Directory of the whole run; see [`Self::notes`] and [`Self::counter`].
    pub(crate) directory: PathBuf,
    /// Home of its node.
    pub(crate) home: PathBuf,
    /// Interface.
    pub(crate) iface: String,
    /// Most voters of the group.
    pub(crate) voters: Option<u16>,
    /// Which contenders live in it.
    pub(crate) contenders: Vec<u16>,
}

impl LockJob {
    /// Where a contender leaves its notes.
    pub(crate) fn notes(directory: &Path, contender: u16) -> PathBuf {
        directory.join(format!("notes-{contender}"))
    }

    /// The number that every section raises.
    pub(crate) fn counter(directory: &Path) -> PathBuf {
        directory.join("counter")
    }
}

/// What a process is ordered to do, one line of JSON each.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Order {
    /// Join with this invite; answered like the start.
    Join(String),
    /// Pass the datagram on to this port; answered by `null`.
    Next(u16),
    /// How many voters are there? Answered by their number, 0 if too few answer.
    Voters,
    /// Contend until this moment of `CLOCK_MONOTONIC`; answered by `null` when the notes are written.
    Contend(u64),
}

//! I6: NACKs and repairs stay near what RFC 5401 lets one expect.
//!
//! Protects the network of a large group: without suppression, one lost datagram would make every
//! receiver shout.

use std::fmt;

use super::{Check, Violation};
use crate::rfc5401::Expectation;

/// How far above the expectation counts may lie.
const FACTOR_MAX: f64 = 2.0;

/// What was counted in a run, beside what was expected.
#[derive(Clone, Copy, Debug)]
pub struct RepairReport {
    /// Receivers.
    pub receivers: usize,
    /// Datagrams with new entries.
    pub datagrams: u64,
    /// NACKs of all receivers.
    pub nacks: u64,
    /// Repairs by all holders.
    pub repairs: u64,
    /// What to expect of each datagram.
    pub expected: Expectation,
    /// The bound on NACKs of each datagram if all missed it.
    pub nacks_if_all_miss: f64,
}

impl RepairReport {
    fn scale(&self) -> f64 {
        f64::from(u32::try_from(self.datagrams).unwrap_or(u32::MAX))
    }

    /// NACKs to expect.
    #[must_use]
    pub fn nacks_expected(&self) -> f64 {
        self.expected.nacks * self.scale()
    }

    /// Repairs to expect.
    #[must_use]
    pub fn repairs_expected(&self) -> f64 {
        self.expected.repairs * self.scale()
    }
}

impl fmt::Display for RepairReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} receivers, {} datagrams: {} NACKs (expected {:.1}; {:.2} per datagram that all miss), \
             {} repairs (expected {:.1})",
            self.receivers,
            self.datagrams,
            self.nacks,
            self.nacks_expected(),
            self.nacks_if_all_miss,
            self.repairs,
            self.repairs_expected(),
        )
    }
}

/// Checks a report.
///
/// # Errors
/// More than twice the expectation was counted.
pub fn check_repair(report: &RepairReport) -> Check {
    let over = |count: u64, expected: f64| {
        f64::from(u32::try_from(count).unwrap_or(u32::MAX)) > FACTOR_MAX * expected
    };
    if over(report.nacks, report.nacks_expected())
        || over(report.repairs, report.repairs_expected())
    {
        return Err(Violation::global("I6 repair", report));
    }
    Ok(())
}

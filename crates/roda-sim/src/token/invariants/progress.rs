//! T8: when all is healed, everyone who waits is served, refused or goes away in a bounded time.

use std::collections::BTreeMap;
use std::time::Duration;

use roda_proto::token::Acquire;

use crate::invariants::Violation;
use crate::token::client::{Hold, Job};
use crate::token::options::Options;

/// How long it may take.
#[derive(Default)]
pub struct Progress;

impl Progress {
    /// At most the end of every lost session, one after the other's holds, and some rounds of messages
    /// for each who waits.
    #[must_use]
    pub fn limit(&self, options: &Options, waiting: usize) -> Duration {
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        let round = options.links.delay_min + options.links.delay_mean * 4 + options.quorum * 4;
        let stay = options.session_max() * 2;
        options.session_max() * 8 + (stay + round * 4) * (waiting + 1)
    }

    /// It took longer.
    #[must_use]
    pub fn stuck(
        &self,
        waiting: &BTreeMap<Job, Acquire>,
        inside: &BTreeMap<Job, Hold>,
    ) -> Violation {
        let detail = format!("still waiting: {waiting:?}; still inside: {inside:?}");
        Violation::global("T8", detail)
    }
}

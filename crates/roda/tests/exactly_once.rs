//! The example, in small.

#![expect(clippy::unwrap_used, reason = "a failed step ends the test")]

#[expect(dead_code, reason = "`main` is not run here")]
#[path = "../examples/exactly_once.rs"]
mod example;

use std::time::Duration;

use example::{Outcome, Way, book_all};
use tokio::time::timeout;

const JOBS: usize = 200;
const PATIENCE: Duration = Duration::from_secs(120);

async fn outcome(way: Way) -> Outcome {
    let place = tempfile::tempdir().unwrap();
    let booked = timeout(PATIENCE, book_all(place.path(), JOBS, way)).await;
    let outcome = booked.expect("jobs of stopped workers go on").unwrap();
    assert!(outcome.stopped > 0 && outcome.runs > 200, "{outcome:?}");
    outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_run_again_are_booked_once() {
    let outcome = outcome(Way::Once).await;
    assert_eq!(outcome.balance, 200);
    assert_eq!(outcome.runs, 200 + outcome.skipped, "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_note_they_are_booked_again() {
    let outcome = outcome(Way::Naive).await;
    assert_eq!(outcome.balance, outcome.runs, "{outcome:?}");
}

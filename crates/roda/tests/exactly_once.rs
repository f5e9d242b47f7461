//! The example, in small.

#![expect(clippy::unwrap_used, reason = "a failed step ends the test")]

#[expect(
    dead_code,
    clippy::print_stdout,
    reason = "`main` prints, and is not run here"
)]
#[path = "../examples/exactly_once.rs"]
mod example;

use example::{Outcome, Way, book_all};

const JOBS: usize = 200;

async fn outcome(way: Way) -> Outcome {
    let place = tempfile::tempdir().unwrap();
    let outcome = book_all(place.path(), JOBS, way).await.unwrap();
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

//! Blobs: stored before they are named, kept as long as they are, and checked.

use roda_proto::job::{Checkpoint, JobEntry, JobId, Outcome, PushOptions, StateKind};
use roda_proto::{Seq, WallTime, crypto};
use roda_store::{BlobOrigin, BlobPut, LoadedState};
use rusqlite::Connection;

use super::kit::*;

const LEN: usize = 30_000;

fn state(number: u8) -> Vec<u8> {
    vec![number; LEN]
}

impl Kit {
    fn put(&mut self, number: u8, origin: BlobOrigin) -> BlobPut {
        self.store.put_blob(&state(number), origin, NOW).unwrap()
    }

    /// As a node does for its own job: first the blob, then the entry.
    fn save_blob(&mut self, by: usize, job: JobId, number: u8) {
        assert_eq!(self.put(number, BlobOrigin::Own), BlobPut::Stored);
        self.save(by, job, Checkpoint::new(state(number), None, None));
    }

    /// Which of the states are here.
    fn here(&self) -> Vec<u8> {
        let reader = self.reader();
        let is_here = |number: &u8| {
            let hash = crypto::content_hash(&state(*number));
            let blob = reader.blob(&hash).unwrap();
            assert_eq!(blob.is_some(), reader.has_blob(&hash).unwrap());
            blob.is_some_and(|blob| blob == state(*number))
        };
        (1..10).filter(is_here).collect()
    }

    /// Which are missed, and whether each is the newest of its job.
    fn wanted(&self) -> Vec<(u8, bool)> {
        let wanted = self.reader().blobs_wanted(&queue(), 100).unwrap();
        let number = |wanted: &roda_store::WantedBlob| {
            assert_eq!(
                (wanted.len as usize, wanted.saved_by),
                (LEN, self.authors[1].id())
            );
            let is_it = |number: &u8| crypto::content_hash(&state(*number)) == wanted.hash;
            ((1..10).find(is_it).unwrap(), wanted.is_newest)
        };
        wanted.iter().map(number).collect()
    }
}

fn claimed() -> (Kit, JobId) {
    let mut kit = Kit::new();
    let job = kit.push(0, PushOptions::default());
    kit.claim(1, job);
    (kit, job)
}

#[test]
fn the_blobs_of_the_last_two_checkpoints_are_kept_until_the_job_is_done() {
    let (mut kit, job) = claimed();
    for number in 1..=3 {
        kit.save_blob(1, job, number);
    }
    assert_eq!(kit.here(), [2, 3]);
    let loaded = kit.reader().job_checkpoints(job).unwrap();
    assert_eq!(loaded[0].state, LoadedState::Blob(30_000));
    kit.verify();
    kit.save(1, job, Checkpoint::new(b"short", None, None));
    assert_eq!(kit.here(), [3]);
    kit.end(1, job, failed(1, NOW.0));
    assert_eq!(kit.here(), [3]);
    kit.claim(1, job);
    kit.end(1, job, Outcome::Done);
    assert_eq!(kit.here(), [0; 0]);
    kit.verify();
}

#[test]
fn a_dead_job_keeps_its_blobs_for_a_retry_and_a_cancelled_one_does_not() {
    let mut kit = Kit::new();
    let options = PushOptions {
        tries_max: 1,
        ..PushOptions::default()
    };
    let jobs = [kit.push(0, options.clone()), kit.push(0, options)];
    for (number, job) in (1..).zip(jobs) {
        kit.claim(1, job);
        kit.save_blob(1, job, number);
    }
    kit.end(1, jobs[0], failed(1, 0));
    kit.end(1, jobs[1], Outcome::Cancelled);
    assert_eq!(kit.here(), [1]);
    // Nobody is going to run it: nobody else needs it.
    assert_eq!(kit.wanted(), []);
    kit.verify();
}

#[test]
fn a_waiting_job_that_is_purged_keeps_no_blobs() {
    let (mut kit, job) = claimed();
    kit.save_blob(1, job, 1);
    kit.end(1, job, failed(1, 0));
    assert_eq!(kit.here(), [1]);
    kit.say(2, &JobEntry::Purge);
    assert_eq!(kit.kind(job), StateKind::Cancelled);
    let stats = kit.reader().queue(&queue()).unwrap().unwrap();
    assert_eq!((stats.count(StateKind::Cancelled), stats.total()), (1, 1));
    assert_eq!(kit.here(), [0; 0]);
    kit.verify();
}

#[test]
fn a_blob_that_two_jobs_name_stays_until_neither_does() {
    let mut kit = Kit::new();
    let jobs = [0, 0].map(|by| kit.push(by, PushOptions::default()));
    for job in jobs {
        kit.claim(1, job);
        kit.save_blob(1, job, 1);
    }
    kit.end(1, jobs[0], Outcome::Done);
    assert_eq!(kit.here(), [1]);
    kit.end(1, jobs[1], Outcome::Done);
    assert_eq!(kit.here(), [0; 0]);
    kit.verify();
}

#[test]
fn what_is_missed_is_told_and_a_copy_is_stored_only_while_it_is_named() {
    let (mut kit, job) = claimed();
    for number in 1..=2 {
        kit.save(1, job, Checkpoint::new(state(number), None, None));
    }
    assert_eq!(kit.wanted(), [(2, true), (1, false)]);
    assert_eq!(kit.put(2, BlobOrigin::Copy), BlobPut::Stored);
    assert_eq!(kit.put(3, BlobOrigin::Copy), BlobPut::NotNamed);
    assert_eq!(kit.wanted(), [(1, false)]);
    kit.end(1, job, Outcome::Done);
    assert_eq!(kit.put(1, BlobOrigin::Copy), BlobPut::NotNamed);
    assert_eq!((kit.wanted(), kit.here()), (vec![], vec![]));
    kit.verify();
}

#[test]
fn a_blob_whose_entry_never_came_goes_after_a_while() {
    let (mut kit, job) = claimed();
    kit.put(1, BlobOrigin::Own);
    kit.save_blob(1, job, 2);
    assert_eq!(kit.here(), [1, 2]);
    let later = WallTime(NOW.0 + 11 * 60 * 1000);
    let put = kit.store.put_blob(&state(3), BlobOrigin::Own, later);
    assert_eq!(put.unwrap(), BlobPut::Stored);
    assert_eq!(kit.here(), [2, 3]);
}

#[test]
fn entries_that_are_taken_back_name_nothing() {
    let (mut kit, job) = claimed();
    kit.save_blob(1, job, 1);
    kit.save_blob(1, job, 2);
    kit.void(1, 2);
    // What was saved before counts again.
    assert_eq!(kit.here(), [1]);
    kit.void(0, 0);
    assert_eq!(kit.here(), [0; 0]);
    kit.verify();
    assert_eq!(kit.authors[1].id(), kit.batches[1].author);
    assert_eq!(kit.batches[1].first, Seq(1));
}

#[test]
fn a_damaged_blob_is_not_handed_out_but_found_and_replaced() {
    let (mut kit, job) = claimed();
    kit.save_blob(1, job, 1);
    let changed = Connection::open(kit.path()).unwrap();
    let damage = "UPDATE blob_bytes SET bytes = zeroblob(30000)";
    assert_eq!(changed.execute(damage, []).unwrap(), 1);
    let hash = crypto::content_hash(&state(1));
    assert_eq!(kit.reader().blob(&hash).unwrap(), None);
    let found = faults(&kit.reader());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with(&format!("blob {hash}")), "{found:?}");
    assert_eq!(kit.put(1, BlobOrigin::Copy), BlobPut::Stored);
    assert_eq!(kit.here(), [1]);
    kit.verify();
    changed.execute("DELETE FROM blob_use", []).unwrap();
    assert_ne!(faults(&kit.reader()), [""; 0]);
}

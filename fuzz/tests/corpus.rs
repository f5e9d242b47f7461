//! Replays the corpus and random changes of it, on stable Rust and the same in each run.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use roda_fuzz::random::Random;
use roda_fuzz::{TARGETS, Target};

fn corpus_of(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target.name)
}

/// Everything that is kept, in a fixed order.
fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(corpus_of(target))
        .expect("every target has a corpus")
        .map(|entry| entry.expect("a corpus is readable").path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| fs::read(path).expect("a corpus is readable"))
        .collect()
}

fn run(target: &Target, input: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).unwrap_or_else(|panic| {
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        eprintln!("target {} panics on {hex}", target.name);
        std::panic::resume_unwind(panic)
    })
}

fn survives_changes(name: &str) {
    let target = TARGETS
        .iter()
        .find(|target| target.name == name)
        .expect("a target");
    let inputs = corpus(target);
    assert!(!inputs.is_empty());
    for input in &inputs {
        run(target, input);
    }
    let mut random = Random::new(0x0072_6f64_6100);
    let mut accepted = 0;
    for _ in 0..target.changed_inputs {
        let input = &inputs[random.below(inputs.len())];
        let other = &inputs[random.below(inputs.len())];
        accepted += usize::from(run(target, &random.mutated(input, other)));
    }
    assert!(accepted < target.changed_inputs, "{name} accepts anything");
}

#[test]
fn every_seed_is_kept_and_accepted() {
    for target in TARGETS {
        let kept = corpus(target);
        for (name, seed) in (target.seeds)() {
            let accepts = run(target, &seed);
            assert!(
                accepts || name == "header",
                "{}: {name} is refused",
                target.name
            );
            assert!(
                kept.contains(&seed),
                "{}: seed {name} is not in the corpus: cargo run --example seeds",
                target.name
            );
        }
    }
}

#[test]
fn datagrams_survive_changes() {
    survives_changes("datagram");
}

#[test]
fn batches_survive_changes() {
    survives_changes("batch");
}

#[test]
fn invites_survive_changes() {
    survives_changes("invite");
}

#[test]
fn stream_messages_survive_changes() {
    survives_changes("stream");
}

#[test]
fn sealing_survives_changes() {
    survives_changes("seal");
}

#[test]
fn control_entries_survive_changes() {
    survives_changes("control");
}

#[test]
fn an_engine_survives_any_operations() {
    survives_changes("engine");
}

#[test]
fn job_entries_survive_changes() {
    survives_changes("job_entry");
}

#[test]
fn folds_of_jobs_survive_any_facts() {
    survives_changes("job_fold");
}

//! Every state of a job against every fact.

use std::fmt::Write;
use std::string::String;
use std::vec::Vec;

use super::kit::*;
use crate::job::{Fact, FactKind, OnCrash, Outcome};
use crate::time::Hlc;

/// Node 1 runs the job where it runs; node 2 is another.
fn states() -> Vec<(&'static str, Kit)> {
    let resume = || Kit::new(options(2, OnCrash::Resume));
    let running = |options| {
        let mut kit = Kit::new(options);
        kit.claim(1, 5);
        kit
    };
    let ended = |tries_max, outcome| {
        let mut kit = running(options(tries_max, OnCrash::Resume));
        kit.say(1, kit.end_of(1, outcome));
        kit
    };
    let lost = |on_crash| {
        let mut kit = running(options(2, on_crash));
        kit.say(1, kit.save_of(b"one"));
        kit.say(2, kit.loss_of(1, 9, 100));
        kit
    };
    let mut saved = running(options(2, OnCrash::Resume));
    saved.say(1, saved.save_of(b"one"));
    let mut unwanted = saved.clone();
    unwanted.say(2, FactKind::Cancel { generation: 0 });
    let mut cancelled = resume();
    cancelled.say(2, FactKind::Cancel { generation: 0 });
    let mut purged = resume();
    purged.say(2, FactKind::Purge);
    let mut retried = ended(1, failed(7, 0));
    retried.say(2, FactKind::Retry { generation: 0 });
    // Void: another node claimed it under a greater fence.
    let mut loose = resume();
    loose.say(2, loose.next_claim(2, 4));
    loose.say(
        1,
        FactKind::Claim {
            worker: worker(1),
            attempt: attempt(5, 1),
            after: None,
            generation: 0,
        },
    );
    let comes_again = |tries_max, on_crash| running(recurring(tries_max, on_crash));
    let mut second_round = comes_again(1, OnCrash::Resume);
    second_round.say(1, second_round.save_of(b"one"));
    second_round.say(1, second_round.round_end_of(1, failed(7, 500), 700));
    let mut stopped = second_round.clone();
    stopped.say(2, FactKind::Cancel { generation: 0 });
    std::vec![
        ("waiting", resume()),
        ("running", running(options(2, OnCrash::Resume))),
        ("running, to be held", running(options(2, OnCrash::Hold))),
        ("saved", saved),
        ("cancel wanted", unwanted),
        ("failed once", ended(2, failed(7, 500))),
        ("done", ended(2, Outcome::Done)),
        ("dead", ended(1, failed(7, 500))),
        ("cancelled", cancelled),
        ("stopped", ended(2, Outcome::Cancelled)),
        ("purged", purged),
        ("lost, resumes", lost(OnCrash::Resume)),
        ("lost, begins anew", lost(OnCrash::Retry)),
        ("held", lost(OnCrash::Hold)),
        ("retried", retried),
        ("cut off", ended(2, Outcome::CutOff { code: Some(9) })),
        ("loose", loose),
        ("recurring", Kit::new(recurring(1, OnCrash::Resume))),
        ("recurring, running", comes_again(1, OnCrash::Resume)),
        ("recurring, running, holds", comes_again(1, OnCrash::Hold)),
        ("recurring, failed", second_round),
        ("recurring, cancelled", stopped),
    ]
}

fn facts(kit: &Kit) -> Vec<(&'static str, Fact)> {
    let generation = kit.job().generation();
    let claim = |generation, fence| {
        let mut kind = kit.next_claim(1, fence);
        if let FactKind::Claim { generation: of, .. } = &mut kind {
            *of = generation;
        }
        kind
    };
    let seen = kit.facts.len() as u64;
    let mut early = kit.fact(1, FactKind::Purge);
    early.hlc = Hlc(PUSHED.0 - 1);
    let fact = |by, kind| kit.fact(by, kind);
    std::vec![
        ("claim", fact(1, claim(generation, 6))),
        ("claim, next generation", fact(1, claim(generation + 1, 6))),
        ("claim, smaller fence", fact(1, claim(generation, 1))),
        ("save", fact(1, kit.save_of(b"two"))),
        ("save the same", fact(1, kit.save_of(b"one"))),
        ("save by 2", fact(2, kit.save_of(b"two"))),
        ("end: done", fact(1, kit.end_of(1, Outcome::Done))),
        ("end: failed", fact(1, kit.end_of(1, failed(3, 900)))),
        ("end: again", fact(1, kit.end_of(1, Outcome::Again))),
        ("end: returned", fact(1, kit.end_of(1, Outcome::Returned))),
        ("end: cancelled", fact(1, kit.end_of(1, Outcome::Cancelled))),
        (
            "end: done, due at 900",
            fact(1, kit.round_end_of(1, Outcome::Done, 900))
        ),
        (
            "end: failed, due at 900",
            fact(1, kit.round_end_of(1, failed(3, 800), 900))
        ),
        ("lose, due at 900", fact(2, kit.round_loss_of(1, seen, 900))),
        (
            "end: cut off",
            fact(1, kit.end_of(1, Outcome::CutOff { code: Some(9) }))
        ),
        ("end by 2", fact(2, kit.end_of(2, Outcome::Done))),
        ("lose", fact(2, kit.loss_of(1, 9, seen))),
        ("lose, all void", fact(2, kit.loss_of(1, 9, 0))),
        ("lose 2", fact(2, kit.loss_of(2, 9, seen))),
        ("cancel", fact(2, FactKind::Cancel { generation })),
        (
            "cancel the next",
            fact(
                2,
                FactKind::Cancel {
                    generation: generation + 1
                }
            )
        ),
        ("retry", fact(2, FactKind::Retry { generation })),
        (
            "retry the next",
            fact(
                2,
                FactKind::Retry {
                    generation: generation + 1
                }
            )
        ),
        ("purge", fact(2, FactKind::Purge)),
        ("purge, earlier", early),
    ]
}

#[test]
fn every_fact_does_in_every_state_what_is_written_here() {
    let mut text = String::new();
    for (name, kit) in states() {
        writeln!(text, "{name}: {}", line(&kit.job())).unwrap();
        for (what, fact) in facts(&kit) {
            let mut next = kit.job();
            let stepped = next.step(&fact);
            let mut with = kit.clone();
            with.facts.push(fact);
            let folded = with.job();
            let how = match stepped {
                Ok(()) => {
                    assert_eq!(next, folded, "{name}, {what}");
                    String::new()
                }
                Err(unfit) => {
                    assert_eq!(next, kit.job(), "{name}, {what}");
                    std::format!("  (folded: {unfit})")
                }
            };
            writeln!(text, "  {what:<23}  {}{how}", line(&folded)).unwrap();
        }
    }
    assert_eq!(text, include_str!("states.txt"), "\n{text}");
}

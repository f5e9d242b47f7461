//! What must hold for any facts whatever.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;
use proptest::sample::Index;

use super::kit::*;
use crate::id::Seq;
use crate::job::{Fact, FactKind, Job, OnCrash, Outcome, attempts, fold};
use crate::time::{Hlc, WallTime};
use crate::token::Fence;

/// What somebody does about the job, rightly or not.
#[derive(Clone, Debug)]
enum Step {
    /// Claims it as it is known to be, under a fence.
    Claim {
        by: u8,
        fence: u64,
    },
    /// Claims it after any entry at all.
    WrongClaim {
        by: u8,
        fence: u64,
        number: u32,
        after: Option<Index>,
        generation: u32,
    },
    Save {
        by: u8,
        state: u8,
    },
    End {
        by: u8,
        outcome: Outcome,
        next: Option<u64>,
    },
    Lose {
        by: u8,
        dead: u8,
        fence: u64,
        last: u64,
        next: Option<u64>,
    },
    Cancel {
        generation: u32,
    },
    Retry {
        generation: u32,
    },
    Purge,
}

fn steps() -> impl Strategy<Value = Vec<(Step, u64)>> {
    let outcome = prop_oneof![
        1 => Just(Outcome::Done),
        4 => (1..4, 0_u64..900).prop_map(|(code, at)| failed(code, at)),
        2 => Just(Outcome::Again),
        1 => Just(Outcome::Returned),
        1 => Just(Outcome::Cancelled),
        1 => prop::option::of(1..3_i32).prop_map(|code| Outcome::CutOff { code }),
    ];
    let (by, fence) = (1_u8..4, 1_u64..6);
    let next = prop::option::of(1_u64..900);
    let wrong = (
        by.clone(),
        fence.clone(),
        1_u32..4,
        any::<Option<Index>>(),
        0_u32..3,
    );
    let step = prop_oneof![
        6 => (by.clone(), fence.clone()).prop_map(|(by, fence)| Step::Claim { by, fence }),
        2 => wrong.prop_map(|(by, fence, number, after, generation)| {
            Step::WrongClaim { by, fence, number, after, generation }
        }),
        4 => (by.clone(), 0_u8..3).prop_map(|(by, state)| Step::Save { by, state }),
        6 => (by.clone(), outcome, next.clone())
            .prop_map(|(by, outcome, next)| Step::End { by, outcome, next }),
        3 => (by.clone(), by, fence, 0_u64..40, next)
            .prop_map(|(by, dead, fence, last, next)| Step::Lose { by, dead, fence, last, next }),
        1 => (0_u32..4).prop_map(|generation| Step::Cancel { generation }),
        2 => (0_u32..4).prop_map(|generation| Step::Retry { generation }),
        1 => Just(Step::Purge),
    ];
    prop::collection::vec((step, 0_u64..500), 1..30)
}

/// Plays the steps; the clocks are as wrong as can be.
fn play(kit: &mut Kit, steps: &[(Step, u64)]) {
    for (step, clock) in steps {
        let (by, kind) = match step {
            Step::Claim { by, fence } => (*by, kit.next_claim(*by, *fence)),
            Step::WrongClaim {
                by,
                fence,
                number,
                after,
                generation,
            } => {
                let after = after.filter(|_| !kit.facts.is_empty());
                let kind = FactKind::Claim {
                    worker: worker(*by),
                    attempt: attempt(*fence, *number),
                    after: after.map(|at| at.get(&kit.facts).place),
                    generation: *generation,
                };
                (*by, kind)
            }
            Step::Save { by, state } => (*by, kit.save_of(&[*state])),
            Step::End { by, outcome, next } => {
                let kind = match next {
                    Some(at) => kit.round_end_of(*by, *outcome, *at),
                    None => kit.end_of(*by, *outcome),
                };
                (*by, kind)
            }
            Step::Lose {
                by,
                dead,
                fence,
                last,
                next,
            } => {
                let mut kind = kit.loss_of(*dead, *fence, *last);
                if let FactKind::Lose { next: of, .. } = &mut kind {
                    *of = next.map(WallTime);
                }
                (*by, kind)
            }
            Step::Cancel { generation } => (
                1,
                FactKind::Cancel {
                    generation: *generation,
                },
            ),
            Step::Retry { generation } => (
                1,
                FactKind::Retry {
                    generation: *generation,
                },
            ),
            Step::Purge => (1, FactKind::Purge),
        };
        let mut fact = kit.fact(by, kind);
        fact.hlc = Hlc(*clock);
        kit.facts.push(fact);
    }
}

fn kits() -> impl Strategy<Value = Kit> {
    let on_crash = prop_oneof![
        3 => Just(OnCrash::Resume),
        1 => Just(OnCrash::Retry),
        1 => Just(OnCrash::Hold),
    ];
    let job = (0_u16..4, on_crash, any::<bool>());
    (job, steps()).prop_map(|((tries_max, on_crash, comes_again), steps)| {
        let pushed = if comes_again { recurring } else { options };
        let mut kit = Kit::new(pushed(tries_max, on_crash));
        play(&mut kit, &steps);
        kit
    })
}

/// Rounds as honest workers run them, now and then with something else in between.
fn rounds() -> impl Strategy<Value = Kit> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Done),
        2 => Just(failed(1, 5)),
        1 => Just(Outcome::Returned),
    ];
    let round = (
        1_u8..4,
        outcome,
        any::<bool>(),
        prop::option::weighted(0.05, steps()),
    );
    let rounds = prop::collection::vec(round, 2..12);
    (rounds, 0_u16..3).prop_map(|(rounds, tries_max)| {
        let mut kit = Kit::new(recurring(tries_max, OnCrash::Resume));
        for (fence, (by, outcome, saves, between)) in (1..).zip(rounds) {
            let mut steps = vec![(Step::Claim { by, fence }, fence)];
            if saves {
                steps.push((Step::Save { by, state: 1 }, fence));
            }
            let next = Some(200);
            steps.push((Step::End { by, outcome, next }, fence));
            steps.extend(between.into_iter().flatten().take(1));
            play(&mut kit, &steps);
        }
        kit
    })
}

/// The facts in an order that `picks` choose.
fn shuffled(facts: &[Fact], picks: &[Index]) -> Vec<Fact> {
    let mut rest = facts.to_vec();
    let mut order = Vec::new();
    let mut picks = picks.iter().cycle();
    while !rest.is_empty() {
        let at = picks.next().unwrap().index(rest.len());
        order.push(rest.remove(at));
    }
    order
}

/// As a store does it: what continues is added, for the rest all is folded again.
fn arrive(kit: &Kit, order: &[Fact]) -> Result<Job, TestCaseError> {
    let mut job = Job::new(PUSHED, &kit.options);
    for (count, fact) in (1..).zip(order) {
        let folded = fold(PUSHED, &kit.options, &order[..count]);
        if job.step(fact).is_ok() {
            prop_assert_eq!(&job, &folded, "after {:?}", &order[..count]);
        }
        job = folded;
    }
    Ok(job)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_order_of_the_facts_gives_the_same_job(
        kit in kits(),
        picks in prop::collection::vec(any::<Index>(), 1..30),
    ) {
        let order = shuffled(&kit.facts, &picks);
        let job = kit.job();
        prop_assert_eq!(&fold(PUSHED, &kit.options, &order), &job);
        prop_assert_eq!(&arrive(&kit, &kit.facts)?, &job);
        prop_assert_eq!(&arrive(&kit, &order)?, &job);
        prop_assert_eq!(attempts(&order), attempts(&kit.facts));
        let twice = [&order[..], &kit.facts].concat();
        prop_assert_eq!(&fold(PUSHED, &kit.options, &twice), &job);
        let bytes = minicbor::to_vec(&job).unwrap();
        prop_assert_eq!(&minicbor::decode::<Job>(&bytes).unwrap(), &job);
    }

    #[test]
    fn a_job_that_goes_on_from_what_it_knew_is_the_one_of_all_facts(
        kit in prop_oneof![kits(), rounds()],
        at in any::<Index>(),
        picks in prop::collection::vec(any::<Index>(), 1..30),
    ) {
        // What operators said is known as well when the first attempts are forgotten.
        let attempts: Vec<_> = kit.facts.iter().filter_map(|fact| fact.kind.attempt()).collect();
        let cut = (!attempts.is_empty()).then(|| *at.get(&attempts));
        let is_before = |fact: &&Fact| fact.kind.attempt().is_some_and(|of| Some(of) < cut);
        let (first, rest): (Vec<&Fact>, Vec<&Fact>) = kit.facts.iter().partition(is_before);
        let first: Vec<Fact> = first.into_iter().copied().collect();
        let rest: Vec<Fact> = rest.into_iter().copied().collect();
        let base = fold(PUSHED, &kit.options, &first);
        if let Some(job) = base.continued(&shuffled(&rest, &picks)) {
            prop_assert_eq!(job, kit.job());
        }
    }

    #[test]
    fn what_an_operator_or_a_dead_worker_says_never_undoes_a_done_job(
        kit in kits(),
        generation in 0_u32..4,
        fence in 0_u64..5,
    ) {
        let mut kit = kit;
        kit.claim(1, 100);
        kit.say(1, kit.end_of(1, Outcome::Done));
        let done = kit.job().state();
        kit.say(2, FactKind::Cancel { generation });
        kit.say(2, FactKind::Retry { generation });
        kit.say(2, FactKind::Purge);
        kit.say(2, FactKind::Lose { worker: worker(1), fence: Fence(fence), attempt: kit.last(), last: Seq(1000), next: None });
        prop_assert_eq!(kit.job().state(), done);
    }

    #[test]
    fn facts_keep_their_form(kit in kits()) {
        for fact in &kit.facts {
            let bytes = minicbor::to_vec(fact).unwrap();
            prop_assert_eq!(&minicbor::decode::<Fact>(&bytes).unwrap(), fact);
        }
    }
}

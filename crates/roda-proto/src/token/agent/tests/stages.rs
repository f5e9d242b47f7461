//! Every state and every event of the three lifecycles, the forbidden pairs too.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use core::fmt::Debug;
use core::fmt::Write as _;
use core::time::Duration;

use super::super::grant::{Before, Stage, Step, VERSIONS_KEPT_MAX};
use super::super::hold::{Danger, Threat};
use super::super::session::{Risk, Session, SessionInput};
use super::super::tokens::{EARLY_TOKENS_MAX, EarlyTokens};
use super::super::*;
use crate::token::Frontier;

/// The first word of how a value prints.
fn word(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    let end = text.find([' ', '(', '{']).unwrap_or(text.len());
    text[..end].into()
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_micros(millis * 1000)
}

#[test]
fn a_grant_goes_these_ways_only() {
    let mut free = Before::default();
    free.on_version(&BTreeSet::new());
    let mut blocked = Before::default();
    blocked.on_version(&BTreeSet::from([Fence(1)]));
    let client = RequestId(1);
    let (since, spent) = (at(0), Duration::ZERO);
    let inside = |fence| Stage::Inside {
        client,
        fence: Fence(fence),
        since,
        spent,
    };
    let idle = Stage::Idle {
        next: Fence(11),
        since,
        spent,
    };
    let left = Stage::Left {
        held: spent,
        told: BTreeSet::new(),
    };
    let stages = [
        ("blocked", Stage::Chosen(blocked)),
        ("free", Stage::Chosen(free)),
        ("inside", inside(10)),
        ("inside, last fence", inside(12)),
        ("idle", idle),
        ("left", left),
        ("given up", Stage::GivenUp),
    ];
    let now = at(1);
    let steps = [
        Step::Enter { client, now },
        Step::Rest(now),
        Step::Leave(now),
        Step::GiveUp,
    ];
    let mut table = String::new();
    for (name, stage) in &stages {
        for step in steps {
            if let Some(next) = stage.next(step, Fence(10), Fence(12)) {
                let _written = writeln!(table, "{name}: {} -> {}", word(&step), word(&next));
            }
        }
    }
    let expected = "\
blocked: GiveUp -> GivenUp
free: Enter -> Inside
free: GiveUp -> GivenUp
inside: Rest -> Idle
inside: Leave -> Left
inside, last fence: Leave -> Left
idle: Enter -> Inside
idle: Leave -> Left
";
    assert_eq!(table, expected);
}

#[test]
fn a_session_goes_these_ways_only() {
    let opening = Session::Absent
        .next(SessionInput::Want {
            boot: 1,
            now: at(10),
        })
        .unwrap();
    let id = SessionId(5);
    let opened = |boot, sent| SessionInput::Opened {
        boot,
        id,
        sent: at(sent),
    };
    let open = opening.next(opened(1, 10)).unwrap();
    let open = open.next(SessionInput::Ask(at(20))).unwrap();
    let renewed = |id, sent| SessionInput::Renewed {
        id: SessionId(id),
        sent: at(sent),
    };
    let inputs = [
        (
            "want",
            SessionInput::Want {
                boot: 2,
                now: at(30),
            },
        ),
        ("ask", SessionInput::Ask(at(30))),
        ("opened", opened(1, 10)),
        ("opened, another boot", opened(2, 10)),
        ("opened, never sent", opened(1, 11)),
        ("renewed", renewed(5, 20)),
        ("renewed, another", renewed(6, 20)),
        ("renewed, known", renewed(5, 10)),
        ("renewed, never sent", renewed(5, 21)),
        ("end", SessionInput::End),
    ];
    let mut table = String::new();
    for session in [Session::Absent, opening, open] {
        for (name, input) in inputs {
            if let Some(next) = session.next(input) {
                let _written = writeln!(table, "{}: {name} -> {}", word(&session), word(&next));
            }
        }
    }
    let expected = "\
Absent: want -> Opening
Opening: ask -> Opening
Opening: opened -> Open
Opening: end -> Absent
Open: ask -> Open
Open: renewed -> Open
Open: end -> Absent
";
    assert_eq!(table, expected);
}

#[test]
fn a_hold_goes_these_ways_only() {
    let timings = Timings::DEFAULT;
    let stopping = Danger::Stopping {
        reason: LostReason::Revoked,
        kill_at: at(2000),
    };
    let dangers = [
        Danger::Safe,
        Danger::AtRisk,
        stopping,
        Danger::Killed(LostReason::Revoked),
    ];
    let threats = [
        Threat::Lease(Risk::Low),
        Threat::Lease(Risk::Raised),
        Threat::Lease(Risk::Stop),
        Threat::Lease(Risk::Kill),
        Threat::Leave(LostReason::Stopped),
        Threat::Ended(LostReason::SessionEnded),
        Threat::Time,
    ];
    let mut table = String::new();
    for danger in dangers {
        let _written = write!(table, "{}:", word(&danger));
        for threat in threats {
            let next = danger.next(threat, at(1999), &timings);
            let _written = write!(table, " {}", word(&next));
        }
        table.push('\n');
    }
    let expected = "\
Safe: Safe AtRisk Stopping Killed Stopping Killed Safe
AtRisk: Safe AtRisk Stopping Killed Stopping Killed AtRisk
Stopping: Stopping Stopping Stopping Killed Stopping Killed Stopping
Killed: Killed Killed Killed Killed Killed Killed Killed
";
    assert_eq!(table, expected);
    let killed = stopping.next(Threat::Time, at(2000), &timings);
    assert_eq!(killed, Danger::Killed(LostReason::Revoked));
}

#[test]
fn one_version_has_to_be_fulfilled_as_a_whole() {
    let set = |fences: &[u64]| fences.iter().map(|fence| Fence(*fence)).collect();
    let mut before = Before::default();
    assert!(!before.is_over(), "the table has not said anything");
    before.on_version(&set(&[2]));
    // 2 went away without having been entered; 1 takes its place.
    before.on_version(&set(&[1]));
    assert!(!before.is_over());
    let mut by_older = before.clone();
    assert!(by_older.on_left(Fence(2)) && by_older.is_over());
    assert!(before.on_left(Fence(1)) && before.is_over());
    let mut several = Before::default();
    several.on_version(&set(&[3, 4]));
    several.on_version(&set(&[4, 5]));
    assert!(several.on_left(Fence(3)) && several.on_left(Fence(5)));
    assert!(!several.is_over(), "two halves are not a whole");
    for fence in 10..100 {
        several.on_version(&set(&[fence]));
    }
    assert!(!several.on_left(Fence(99 - u64::try_from(VERSIONS_KEPT_MAX).unwrap())));
    assert!(several.on_left(Fence(99)) && several.is_over());
}

#[test]
fn early_tokens_have_a_limit() {
    let mut tokens = EarlyTokens::default();
    let count = u64::try_from(EARLY_TOKENS_MAX).unwrap() + 1;
    for from in 0..count {
        tokens.keep(Fence(from), Fence(7), Frontier::default());
        tokens.keep(Fence(from), Fence(7), Frontier::default());
    }
    let taken = tokens.take(Fence(7));
    assert_eq!(taken.len(), EARLY_TOKENS_MAX);
    assert_eq!(taken[0].0, Fence(1), "the oldest was dropped");
}

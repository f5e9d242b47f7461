//! Every state of a lock against every command.

use std::fmt::Write;
use std::string::String;
use std::vec::Vec;

use super::kit::*;
use crate::token::{Fence, LockCommand, LockOutcome, LockRefusal, Permits, SessionId};

/// Node 1 is the one that acts in most of them; the others are around it.
fn states() -> Vec<(&'static str, Kit)> {
    let fresh = || Kit::with_sessions(4);
    let mut held = fresh();
    held.ask(1, "a");
    let mut followed = held.clone();
    followed.ask(2, "a");
    let mut queued = followed.clone();
    queued.ask(3, "a");
    let mut shared = fresh();
    shared.ask_as(1, "a", Permits::SHARED, 0);
    shared.ask_as(2, "a", Permits::SHARED, 0);
    let mut shared_followed = shared.clone();
    shared_followed.ask(3, "a");
    let mut semaphore = fresh();
    semaphore.ask_as(1, "a", permits(2), 0);
    semaphore.ask_as(2, "a", permits(2), 0);
    semaphore.ask_as(3, "a", permits(2), 0);
    std::vec![
        ("free", fresh()),
        ("held", held),
        ("followed", followed),
        ("queued", queued),
        ("shared", shared),
        ("shared, followed", shared_followed),
        ("semaphore", semaphore),
    ]
}

fn commands(kit: &Kit) -> Vec<(&'static str, LockCommand)> {
    let fence_of = |session: u64| {
        let view = kit.view(session);
        view.grants.first().map_or(Fence(u64::MAX), |g| g.fence)
    };
    let [lock] = names("a").try_into().unwrap();
    let first = SessionId(1);
    std::vec![
        ("start", LockCommand::Start { fence: Fence(9) }),
        ("open 5", open(5)),
        ("acquire 4", acquire(4, 4, "a")),
        ("acquire 4 p9", acquire_as(4, 4, "a", Permits::EXCLUSIVE, 9)),
        (
            "acquire 4 shared",
            acquire_as(4, 4, "a", Permits::SHARED, 0)
        ),
        ("acquire 4 permits 2", acquire_as(4, 4, "a", permits(2), 0)),
        ("acquire 1 again", acquire(1, 1, "a")),
        ("cancel 1", cancel(1, 1)),
        ("cancel 2", cancel(2, 2)),
        ("cancel 3", cancel(3, 3)),
        ("release 1", release(1, fence_of(1), LONG)),
        ("release 1 short", release(1, fence_of(1), SHORT)),
        ("release 2", release(2, fence_of(2), LONG)),
        ("release 1 by 2", release(2, fence_of(1), LONG)),
        ("close 1", LockCommand::Close { session: first }),
        ("expire 1", LockCommand::Expire { session: first }),
        (
            "force",
            LockCommand::Force {
                lock,
                by: node(4),
                upto: Fence(u64::MAX)
            }
        ),
    ]
}

fn outcome(outcome: &LockOutcome) -> String {
    match outcome {
        LockOutcome::Done => String::new(),
        LockOutcome::Opened(session) => std::format!(" (opened {session})"),
        LockOutcome::Refused(refusal) => std::format!(" ({})", word(*refusal)),
    }
}

fn word(refusal: LockRefusal) -> &'static str {
    match refusal {
        LockRefusal::NoSession => "no session",
        LockRefusal::Full => "full",
        LockRefusal::BadRequest => "bad request",
        LockRefusal::NotHeld => "not held",
        LockRefusal::NoQuorum => "no quorum",
        LockRefusal::NotAllowed => "not allowed",
        LockRefusal::Over => "over",
    }
}

#[test]
fn every_command_does_in_every_state_what_is_written_here() {
    let mut text = String::new();
    for (name, kit) in states() {
        writeln!(text, "{name}: {}", kit.line("a").trim_end()).unwrap();
        for (what, command) in commands(&kit) {
            let mut kit = kit.clone();
            let done = outcome(&kit.one(command));
            let line = std::format!("{what:<19} {}{done}", kit.line("a"));
            writeln!(text, "  {}", line.trim_end()).unwrap();
        }
    }
    assert_eq!(text, include_str!("states.txt"), "\n{text}");
}

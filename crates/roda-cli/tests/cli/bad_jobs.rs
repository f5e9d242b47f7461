//! What people mistype about jobs.

use crate::bad_input::check;
use crate::roda::{Home, roda};

/// The first line of the error, for input on standard input.
#[track_caller]
fn check_input(arguments: &[&str], input: &[u8], code: i32, error: &str) {
    let home = Home::new();
    let ended = home.run_with_input(arguments, input);
    let first = ended.stderr.lines().next().unwrap_or_default();
    assert_eq!((ended.code, first), (Some(code), error), "{arguments:?}");
    assert!(ended.stderr.contains("\nhint: "), "{}", ended.stderr);
    assert!(!home.path().exists());
}

#[test]
fn queues_that_cannot_be() {
    let long = "x".repeat(101);
    for (name, error) in [
        ("", "error: the name of a queue cannot be empty"),
        ("a b", "error: the name of a queue cannot contain ' '"),
        (".a", "error: the name of a queue cannot start with '.'"),
        (
            long.as_str(),
            "error: the name of a queue has at most 100 bytes, this one has 101",
        ),
    ] {
        check(&["push", name, "x"], 2, error);
        check(&["work", name, "--", "true"], 2, error);
        check(&["jobs", name], 2, error);
        for action in ["pause", "resume", "purge", "retain", "stats"] {
            check(&["queue", action, name], 2, error);
        }
    }
}

#[test]
fn push_options_that_cannot_be() {
    let push = |options: &[&str], error: &str| {
        let mut all = vec!["push", "q", "x"];
        all.extend(options);
        check(&all, 2, error);
    };
    push(
        &["--priority", "10"],
        "error: “10” is no value for “--priority <0-9>”",
    );
    push(&["--delay=-5s"], "error: “-5s” is no duration");
    push(&["--delay", "5"], "error: “5” is no duration");
    push(
        &["--at", "2016-05-04T03:02:01Z"],
        "error: 2016-05-04T03:02:01Z has passed",
    );
    push(&["--at", "tomorrow"], "error: “tomorrow” is no moment");
    push(
        &["--at", "2999-05-04T03:02:01Z", "--delay", "5s"],
        "error: “--at <TIME>” does not go with “--delay <DURATION>”",
    );
    push(
        &["--max-tries", "65536"],
        "error: “65536” is no value for “--max-tries <N>”",
    );
    push(
        &["--on-crash", "panic"],
        "error: “panic” is no value for “--on-crash <retry|resume|hold>”",
    );
    push(&["--key", ""], "error: a key cannot be empty");
    let long = "x".repeat(257);
    push(
        &["--order-key", &long],
        "error: a key has at most 256 bytes, this one has 257",
    );
    push(
        &["--lines"],
        "error: “[PAYLOAD]” does not go with “--lines”",
    );
    check(
        &["push", "q", "-0", "--lines"],
        2,
        "error: “--null” does not go with “--lines”",
    );
    check(
        &["push", "q", "--lines", "--key", "k"],
        2,
        "error: “--key <KEY>” does not go with “--lines”",
    );
}

#[test]
fn times_and_copies_that_cannot_be() {
    let push = |options: &[&str], error: &str| {
        let mut all = vec!["push", "q", "x"];
        all.extend(options);
        check(&all, 2, error);
    };
    push(
        &["--cron", "0 * * * *", "--delay", "5s"],
        "error: “--cron <EXPR>” does not go with “--delay <DURATION>”",
    );
    push(
        &["--cron", "0 * * * *", "--order-key", "o"],
        "error: “--cron <EXPR>” does not go with “--order-key <KEY>”",
    );
    push(
        &["--cron", "0 25 * * *"],
        "error: “25” is no hour of a cron expression",
    );
    push(&["--cron", "0 0 30 2 *"], "error: “0 0 30 2 *” never comes");
    push(
        &["--cron", "@reboot"],
        "error: a cron expression has 5 fields, “@reboot” has 1",
    );
    push(&["--copies", "0"], "error: “0” is no number of members");
    push(&["--copies", "all"], "error: “all” is no number of members");
    push(
        &["--copies", "2", "--wait", "5"],
        "error: “5” is no duration",
    );
}

#[test]
fn payloads_that_cannot_be() {
    let error = "error: a payload has at most 24576 bytes, this one has more";
    check(&["push", "q", &"x".repeat(24_577)], 1, error);
    check_input(&["push", "q"], &[b'x'; 24_577], 1, error);
    check_input(&["push", "q", "-"], &[b'x'; 1_000_000], 1, error);
}

#[test]
fn ids_that_are_none() {
    for bad in ["", "17", "3f2-17", "3f2a", "3f2a-0", "xyzw-1", "3f2a-1-2"] {
        let error = format!("error: “{bad}” is no id of a job");
        for action in ["show", "wait", "retry", "cancel", "log"] {
            check(&["job", action, bad], 2, &error);
        }
        // Nothing is done about the good ones before it.
        check(&["job", "cancel", "3f2a-17", bad], 2, &error);
    }
    check(
        &["job", "wait", "3f2a-17", "--timeout", "5"],
        2,
        "error: “5” is no duration",
    );
    check(
        &["jobs", "--state", "finished"],
        2,
        "error: “finished” is no value for “--state <STATE>”",
    );
    check(
        &["jobs", "-n", "x"],
        2,
        "error: “x” is no value for “--lines <N>”",
    );
}

#[test]
fn a_checkpoint_outside_of_a_job() {
    let error = "error: this command does not run inside a job";
    check(&["checkpoint", "load"], 2, error);
    check(&["checkpoint", "save"], 2, error);
    check(
        &["checkpoint", "save", "--total", "5"],
        2,
        "error: something is missing: --done <N>",
    );
    for (job, attempt, value) in [
        ("x", "7-1", "“x” is no value for “RODA_JOB_ID”"),
        ("3f2a-17", "7", "“7” is no value for “RODA_ATTEMPT”"),
    ] {
        let ended = roda()
            .args(["checkpoint", "save"])
            .envs([("RODA_JOB_ID", job), ("RODA_ATTEMPT", attempt)])
            .output()
            .unwrap();
        let stderr = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(2));
        assert!(stderr.contains(value), "{stderr}");
    }
}

#[test]
fn commands_of_a_worker_that_cannot_be() {
    check(&["work", "q"], 2, "error: something is missing: <CMD>...");
    check(
        &["work", "q", "sleep", "5"],
        2,
        "error: “sleep” stands where only a queue and options do",
    );
    check(
        &["work", "q", "--", "no-such-command-here"],
        127,
        "error: there is no command “no-such-command-here”",
    );
    check(
        &["work", "q", "--", "/tmp"],
        126,
        "error: “/tmp” is no program that can be executed",
    );
    check(
        &["work", "q", "-j", "0", "--", "true"],
        2,
        "error: “0” is no value for “--jobs <N>”",
    );
    check(
        &["work", "q", "--timeout", "fast", "--", "true"],
        2,
        "error: “fast” is no duration",
    );
    check(
        &["__work", "q", "--jobs", "1", "--", "true"],
        2,
        "error: there is no command “__work”",
    );
}

#[test]
fn without_a_node_nothing_is_pushed_or_begun() {
    for (arguments, code) in [
        (&["work", "q", "--", "true"][..], 125),
        (&["push", "q", "x"], 1),
        (&["jobs"], 1),
        (&["queue", "list"], 1),
    ] {
        let home = Home::new();
        let ended = home.run(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}");
        assert!(
            ended.stderr.contains("has no group yet"),
            "{}",
            ended.stderr
        );
        assert!(!home.path().exists());
    }
}

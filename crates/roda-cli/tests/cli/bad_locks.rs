//! What people mistype about locks.

use crate::bad_input::check;
use crate::roda::Home;

#[test]
fn locks_that_cannot_be() {
    let lock = |arguments: &[&str], code: i32, error: &str| {
        let mut all = vec!["lock"];
        all.extend(arguments);
        check(&all, code, error);
    };
    lock(
        &["", "--", "true"],
        2,
        "error: the name of a lock cannot be empty",
    );
    lock(
        &["a,,b", "--", "true"],
        2,
        "error: the name of a lock cannot be empty",
    );
    lock(
        &["a,b,a", "--", "true"],
        2,
        "error: lock “a” is named twice",
    );
    lock(
        &["a b", "--", "true"],
        2,
        "error: the name of a lock cannot contain ' '",
    );
    lock(
        &["a,-b", "--", "true"],
        2,
        "error: the name of a lock cannot start with '-'",
    );
    lock(
        &["a,roda/queue/mail/0", "--", "true"],
        2,
        "error: “roda/queue/mail/0” is a name for Roda itself, like all that begin with “roda/”",
    );
    let long = "x".repeat(100_000);
    lock(
        &[&long, "--", "true"],
        2,
        "error: the name of a lock has at most 128 bytes, this one has 100000",
    );
    let many: Vec<String> = (0..17).map(|number| number.to_string()).collect();
    lock(
        &[&many.join(","), "--", "true"],
        2,
        "error: at most 16 locks can be held at once, not 17",
    );
    check(
        &["locks", "a b"],
        2,
        "error: the name of a lock cannot contain ' '",
    );
}

#[test]
fn lock_options_that_cannot_be() {
    let lock = |options: &[&str], error: &str| {
        let mut all = vec!["lock", "a"];
        all.extend(options);
        all.extend(["--", "true"]);
        check(&all, 2, error);
    };
    lock(
        &["--priority", "10"],
        "error: “10” is no value for “--priority <0-9>”",
    );
    lock(
        &["--priority=-1"],
        "error: “-1” is no value for “--priority <0-9>”",
    );
    lock(&["--wait=-5s"], "error: “-5s” is no duration");
    lock(
        &["--wait", "-5s"],
        "error: there is no option or argument “-5” here",
    );
    lock(&["--wait", "5"], "error: “5” is no duration");
    lock(
        &["--wait", "5s", "--try"],
        "error: “--wait <DURATION>” does not go with “--try”",
    );
    lock(
        &["--permits", "0"],
        "error: “0” is no value for “--permits <N>”",
    );
    lock(
        &["--shared", "--permits", "2"],
        "error: “--shared” does not go with “--permits <N>”",
    );
    lock(
        &["--fresh", "a/b"],
        "error: a topic name cannot contain '/'",
    );
    lock(
        &["--fast"],
        "error: there is no option or argument “--fast” here",
    );
}

#[test]
fn commands_under_a_lock_that_cannot_be() {
    check(
        &["lock"],
        2,
        "error: something is missing: <LOCKS>, <CMD>...",
    );
    check(&["lock", "a"], 2, "error: something is missing: <CMD>...");
    check(
        &["lock", "a", "sleep", "5"],
        2,
        "error: “sleep” stands where only locks and options do",
    );
    check(
        &["lock", "a", "--", "no-such-command-here"],
        127,
        "error: there is no command “no-such-command-here”",
    );
    check(
        &["lock", "a", "--", "/tmp"],
        126,
        "error: “/tmp” is no program that can be executed",
    );
    check(
        &["lock", "a", "--", ""],
        127,
        "error: there is no command “”",
    );
    check(
        &["lock", "release", "a"],
        2,
        "error: to have the holder of “a” stopped, say so with --force",
    );
    check(
        &["lock", "release", "--force"],
        2,
        "error: something is missing: <LOCK>",
    );
}

#[test]
fn without_a_node_a_command_under_a_lock_is_not_started() {
    for (arguments, code) in [
        (&["lock", "a", "--", "true"][..], 125),
        (&["lock", "release", "--force", "a"], 1),
        (&["locks"], 1),
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

//! What people mistype: a clear error, a hint, the right exit code, and nothing started or written.

use std::os::unix::fs::PermissionsExt as _;

use crate::roda::{Ended, Home, roda, run};

/// Code, first line and whether there is a hint.
#[track_caller]
pub(crate) fn check(arguments: &[&str], code: i32, error: &str) {
    let home = Home::new();
    let ended = home.run(arguments);
    let first = ended.stderr.lines().next().unwrap_or_default();
    assert_eq!((ended.code, first), (Some(code), error), "{arguments:?}");
    assert!(
        ended
            .stderr
            .lines()
            .nth(1)
            .is_some_and(|line| line.starts_with("hint: ")),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.stdout, "");
    assert!(
        !home.path().exists(),
        "nothing may be left by {arguments:?}"
    );
}

#[test]
fn mistyped_commands_and_options() {
    check(&["satus"], 2, "error: there is no command “satus”");
    check(
        &["status", "--fast"],
        2,
        "error: there is no option or argument “--fast” here",
    );
    check(&["history"], 2, "error: something is missing: <TOPIC>");
    check(&["say", "t"], 2, "error: something is missing: <TEXT>...");
    check(
        &["say", "--fenced", "t", "x"],
        2,
        "error: this command runs under no lock",
    );
    check(
        &["say", "--lock", "a b", "--fence", "1", "t", "x"],
        2,
        "error: “a b” is no value for “--lock <LOCK>”",
    );
    check(
        &["invite", "--uses", "0"],
        2,
        "error: “0” is no value for “--uses <N>”",
    );
    check(
        &["invite", "--expires", "0s"],
        2,
        "error: an invite that is valid for 0s lets nobody in",
    );
    check(
        &["create", "--nick", ""],
        2,
        "error: “--nick <NICK>” needs a value",
    );
    check(
        &["invite", "--uses"],
        2,
        "error: “--uses <N>” needs a value",
    );
    check(
        &["invite", "--expires", "soon"],
        2,
        "error: “soon” is no duration",
    );
    check(
        &["completions", "tcsh"],
        2,
        "error: “tcsh” is no value for “<SHELL>”",
    );
    check(&["create", ""], 2, "error: the group needs a name");
    check(
        &["create", "--no-spawn"],
        2,
        "error: this command starts a node, and --no-spawn forbids it",
    );
}

#[test]
fn all_commands_that_are_alike_are_named() {
    let ended = run(&["jbos"]);
    assert_eq!(
        ended.stderr.lines().nth(1),
        Some("hint: did you mean “job”, “jobs”?")
    );
}

#[test]
fn a_command_alone_prints_its_help_also_with_a_home_in_the_environment() {
    for arguments in [&[] as &[&str], &["job"], &["queue"], &["bench"]] {
        let without = run(arguments);
        let with = roda().args(arguments).env("RODA_HOME", "/x").output();
        let with = Ended::from(with.unwrap());
        assert_eq!(with.code, Some(2));
        assert!(with.stdout.contains("Usage: roda"), "{}", with.stderr);
        assert_eq!((with.code, with.stdout), (without.code, without.stdout));
    }
    check(&[], 2, "error: a command is missing");
}

#[test]
fn topic_names_that_cannot_be() {
    for command in [&["say"][..], &["history"], &["chat"]] {
        let with = |topic: &str| {
            let mut arguments: Vec<String> = command.iter().map(ToString::to_string).collect();
            arguments.push(topic.to_owned());
            if command == ["say"] {
                arguments.push("text".to_owned());
            }
            arguments
        };
        let check = |topic: &str, error: &str| {
            let arguments = with(topic);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            check(&arguments, 2, error);
        };
        check("a/b", "error: a topic name cannot contain '/'");
        check("a\u{1b}[2J", "error: a topic name cannot contain '\\u{1b}'");
        check("", "error: a topic name cannot be empty");
        check(".a", "error: a topic name cannot start with '.'");
        let long = "x".repeat(10_000);
        check(
            &long,
            "error: a topic name has at most 128 bytes, this one has 10000",
        );
    }
}

#[test]
fn texts_that_cannot_be() {
    check(&["say", "t", ""], 1, "error: a message cannot be empty");
    let long = "x".repeat(32 * 1024 + 1);
    check(
        &["say", "t", &long],
        1,
        "error: a message has at most 32768 bytes, this one has 32769",
    );
}

#[test]
fn what_to_read_that_cannot_be() {
    let history = |option: &'static str, value: &'static str| ["history", "t", option, value];
    check(
        &history("--since", "yesterday"),
        2,
        "error: “yesterday” is no moment",
    );
    check(
        &history("-n", "-1"),
        2,
        "error: there is no option or argument “-1” here",
    );
    check(
        &history("--grep", "a("),
        2,
        "error: “a(” is no regular expression: unclosed group",
    );
}

#[test]
fn tokens_that_are_none() {
    check(&["join", "hello"], 1, "error: this is no invite token");
    check(
        &["join", "roda1abc"],
        1,
        "error: the invite token is damaged or cut off",
    );
    check(&["join"], 2, "error: there is no invite token");
    check(&["join", "-"], 2, "error: there is no invite token");
    let ended = roda()
        .env("RODA_TOKEN", "roda1abc")
        .arg("join")
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(1));
}

#[test]
fn a_home_without_a_group() {
    let commands: [&[&str]; 12] = [
        &["members"],
        &["invite"],
        &["remove", "ana"],
        &["leave"],
        &["up"],
        &["up", "--detach"],
        &["down"],
        &["status"],
        &["say", "t", "text"],
        &["history", "t"],
        &["mirror", "t", "/tmp/file"],
        &["verify"],
    ];
    for command in commands {
        let home = Home::new();
        let ended = home.run(command);
        assert_eq!(ended.code, Some(1), "{command:?}");
        let expected = format!(
            "error: {} has no group yet\n\
             hint: make one with “roda create”, or join one with “roda join TOKEN”\n",
            home.path().display()
        );
        assert_eq!(ended.stderr, expected, "{command:?}");
        assert!(!home.path().exists());
    }
}

#[test]
fn errors_are_json_too_and_never_translated() {
    let home = Home::new();
    let ended = home.run(&["--json", "--lang", "pt-BR", "status"]);
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stdout, "");
    let error: serde_json::Value = serde_json::from_str(&ended.stderr).unwrap();
    let path = home.path().display().to_string();
    assert_eq!(error["error"]["code"], "no-group");
    assert_eq!(error["error"]["values"]["home"], path);
    assert_eq!(
        error["error"]["message"],
        format!("{path} has no group yet")
    );
    assert!(error["error"]["hint"].is_string());
}

#[test]
fn the_language_follows_the_option_before_the_environment() {
    let first = |ended: Ended| ended.stderr.lines().next().unwrap().to_owned();
    let english = "error: there is no command “satus”";
    let portuguese = "erro: não existe o comando “satus”";
    assert_eq!(first(run(&["satus"])), english);
    assert_eq!(first(run(&["--lang=pt-BR", "satus"])), portuguese);
    let with = |name: &str, value: &str, arguments: &[&str]| {
        first(
            roda()
                .env(name, value)
                .args(arguments)
                .output()
                .unwrap()
                .into(),
        )
    };
    assert_eq!(with("RODA_LANG", "pt_BR", &["satus"]), portuguese);
    assert_eq!(with("LC_ALL", "pt_BR.UTF-8", &["satus"]), portuguese);
    assert_eq!(
        with("RODA_LANG", "pt_BR", &["--lang", "en", "satus"]),
        english
    );
}

#[test]
fn a_configuration_that_cannot_be_understood_is_kept() {
    let home = Home::new();
    home.create("ana");
    home.ok(&["down"]);
    let config = home.path().join("config.json");
    std::fs::write(&config, "{\"interfaces\": 5}").unwrap();
    let ended = home.run(&["status"]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("config.json cannot be understood"),
        "{}",
        ended.stderr
    );
    assert_eq!(
        std::fs::read_to_string(&config).unwrap(),
        "{\"interfaces\": 5}"
    );
}

#[test]
fn a_home_that_is_a_file() {
    let home = Home::new();
    std::fs::write(home.path(), "").unwrap();
    let ended = home.run(&["create"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.starts_with("error: "), "{}", ended.stderr);
    assert!(std::fs::metadata(home.path()).unwrap().is_file());
}

#[test]
fn a_home_that_cannot_be_written() {
    // Permissions do not bind the superuser, for whom this shows nothing.
    if rustix::process::geteuid().is_root() {
        return;
    }
    let home = Home::new();
    std::fs::create_dir(home.path()).unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o500)).unwrap();
    let ended = home.run(&["create"]);
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("cannot be written"),
        "{}",
        ended.stderr
    );
}

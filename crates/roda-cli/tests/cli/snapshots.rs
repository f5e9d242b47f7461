//! Help and exit codes, whole, in both languages. `RODA_SNAPSHOTS=write` rewrites the files.

use std::path::PathBuf;

use crate::roda::run;

#[track_caller]
fn compare(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cli/snapshots")
        .join(name);
    if std::env::var("RODA_SNAPSHOTS").as_deref() == Ok("write") {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    // The first line that differs says more than two walls of text.
    for (number, (now, before)) in text.lines().zip(expected.lines()).enumerate() {
        assert_eq!(now, before, "line {} of {name}", number + 1);
    }
    assert!(text == expected, "{name} is longer or shorter now");
}

const COMMANDS: [&[&str]; 46] = [
    &[],
    &["create"],
    &["invite"],
    &["join"],
    &["members"],
    &["remove"],
    &["leave"],
    &["up"],
    &["down"],
    &["status"],
    &["say"],
    &["history"],
    &["topics"],
    &["chat"],
    &["mirror"],
    &["lock"],
    &["lock", "release"],
    &["locks"],
    &["push"],
    &["work"],
    &["jobs"],
    &["job"],
    &["job", "show"],
    &["job", "wait"],
    &["job", "retry"],
    &["job", "cancel"],
    &["job", "log"],
    &["queue"],
    &["queue", "list"],
    &["queue", "pause"],
    &["queue", "purge"],
    &["queue", "retain"],
    &["queue", "stats"],
    &["checkpoint"],
    &["checkpoint", "save"],
    &["checkpoint", "load"],
    &["backup"],
    &["restore"],
    &["verify"],
    &["completions"],
    &["demo"],
    &["bench"],
    &["bench", "multicast"],
    &["bench", "lock"],
    &["help"],
    &["help", "exit-codes"],
];

fn all_help(lang: &str) -> String {
    let mut text = String::new();
    for command in COMMANDS {
        let mut arguments = vec!["--lang", lang];
        if command == ["help", "exit-codes"] {
            arguments.extend(command);
        } else {
            arguments.push("help");
            arguments.extend(command);
        }
        let ended = run(&arguments);
        assert_eq!(ended.code, Some(0), "{command:?}: {}", ended.stderr);
        text.push_str(&format!(
            "$ roda {}\n{}\n",
            arguments[2..].join(" "),
            ended.stdout
        ));
    }
    text
}

#[test]
fn help_in_english() {
    compare("help.en.txt", &all_help("en"));
}

#[test]
fn help_in_portuguese() {
    compare("help.pt-BR.txt", &all_help("pt-BR"));
}

#[test]
fn the_help_command_and_the_help_option_say_the_same() {
    let command = run(&["help", "history"]).stdout;
    assert_eq!(command, run(&["history", "--help"]).stdout);
    assert_eq!(command, run(&["history", "-h"]).stdout);
}

#[test]
fn without_a_command_the_help_is_shown_as_an_error() {
    let ended = run(&[]);
    assert_eq!(ended.code, Some(2));
    assert_eq!(ended.stdout, run(&["help"]).stdout);
}

#[test]
fn completions_name_the_commands_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ended = run(&["completions", shell]);
        assert_eq!(ended.code, Some(0));
        assert!(ended.stdout.contains("history"), "{shell}");
        for hidden in [
            "danger-loss",
            "bench-worker",
            "daemon",
            "__exec",
            "timeout-ms",
        ] {
            assert!(!ended.stdout.contains(hidden), "{hidden} in {shell}");
        }
    }
}

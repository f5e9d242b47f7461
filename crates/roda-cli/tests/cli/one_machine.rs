//! Several nodes on this machine, over loopback, as people and scripts use them.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;
use serde_json::Value;

use crate::roda::{Ended, Home, Lines};
use crate::wrapper::wait_until;

fn parsed(lines: &str) -> Vec<Value> {
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn texts(lines: &str) -> Vec<String> {
    let lines = parsed(lines);
    lines
        .iter()
        .map(|line| line["text"].as_str().unwrap().to_owned())
        .collect()
}

fn numbered(word: &str, count: usize) -> String {
    (1..=count)
        .map(|number| format!("{word} {number}\n"))
        .collect()
}

#[test]
fn three_nodes_have_the_same_history_to_the_byte() {
    let homes = [Home::new(), Home::new(), Home::new()];
    homes[0].create("ana");
    homes[1].join(&homes[0], "bia");
    homes[2].join(&homes[0], "caio");
    let followers: Vec<_> = homes.iter().map(|home| home.follow("praça")).collect();
    for (home, nick) in homes.iter().zip(["ana", "bia", "caio"]) {
        let ended = home.run_with_input(&["say", "praça", "-"], numbered(nick, 100).as_bytes());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""));
        assert_eq!(ended.stderr, "100 messages stored.\n");
    }
    for follower in &followers {
        let unique: BTreeSet<String> = follower.take(300).into_iter().collect();
        assert_eq!(unique.len(), 300);
    }
    let history = homes[0].history("praça");
    assert_eq!(history.lines().count(), 300);
    for home in &homes[1..] {
        assert_eq!(home.history("praça"), history);
    }
    let members = parsed(&homes[0].ok(&["members", "--json"]));
    let nicks: BTreeSet<_> = members
        .iter()
        .map(|member| member["nick"].as_str().unwrap())
        .collect();
    assert_eq!(nicks, BTreeSet::from(["ana", "bia", "caio"]));
}

#[test]
fn reading_can_be_limited_filtered_and_made_for_people() {
    let home = Home::new();
    home.create("ana");
    home.run_with_input(&["say", "t", "-"], numbered("line", 12).as_bytes());
    home.ok(&["say", "t", "two", "words"]);
    let read = |options: &[&str]| {
        let mut arguments = vec!["history", "t", "--json"];
        arguments.extend(options);
        texts(&home.ok(&arguments))
    };
    assert_eq!(read(&["-n", "2"]), ["line 12", "two words"]);
    assert_eq!(
        read(&["--grep", "^line 1"]),
        ["line 1", "line 10", "line 11", "line 12"]
    );
    assert_eq!(read(&["--grep", "^line 1", "-n", "1"]), ["line 12"]);
    assert_eq!(read(&["--since", "1h"]).len(), 13);
    assert_eq!(read(&["--since", "2999-01-01T00:00:00Z"]).len(), 0);
    let human = home.ok(&["history", "t", "-n", "1"]);
    assert!(human.ends_with(" ana: two words\n"), "{human}");
    let topics = parsed(&home.ok(&["topics", "--json"]));
    assert_eq!(
        (&topics[0]["topic"], &topics[0]["messages"]),
        (&"t".into(), &13.into())
    );
}

#[test]
fn what_a_peer_writes_cannot_steer_the_terminal() {
    let home = Home::new();
    home.create("ana");
    home.ok(&["say", "t", "a\u{1b}[2J\nb"]);
    let human = home.ok(&["history", "t"]);
    assert!(human.ends_with(" ana: a\\u{1b}[2J\\nb\n"), "{human:?}");
    assert_eq!(texts(&home.history("t")), ["a\u{1b}[2J\nb"]);
}

#[test]
fn a_bad_line_is_named_and_the_lines_before_it_are_stored() {
    let home = Home::new();
    home.create("ana");
    let ended = home.run_with_input(&["say", "t", "-"], b"one\n\ntwo\nb\xffd\nfour\n");
    assert_eq!(ended.code, Some(1));
    let error = "error: line 4 is not valid UTF-8 at byte 2; lines before it are stored (2)";
    assert!(ended.stderr.contains(error), "{}", ended.stderr);
    let long = [b"three\n".to_vec(), vec![b'x'; 10 * 1024 * 1024]].concat();
    let ended = home.run_with_input(&["say", "t", "-"], &long);
    let error = "error: line 2 has more than 32768 bytes; lines before it are stored (1)";
    assert!(ended.stderr.contains(error), "{}", ended.stderr);
    let longest = "y".repeat(32 * 1024);
    home.ok(&["say", "t", &longest]);
    assert_eq!(texts(&home.history("t")), ["one", "two", "three", &longest]);
}

#[test]
fn two_commands_at_once_start_one_daemon() {
    let home = Home::new();
    home.create("ana");
    home.ok(&["down"]);
    let children: Vec<_> = (0..4)
        .map(|_| home.command(&["status", "--json"]).spawn().unwrap())
        .collect();
    let mut pids = BTreeSet::new();
    for child in children {
        let ended: Ended = child.wait_with_output().unwrap().into();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let status: Value = serde_json::from_str(&ended.stdout).unwrap();
        pids.insert(status["pid"].as_u64().unwrap());
    }
    assert_eq!(pids.len(), 1);
    let ended = home.run(&["up"]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.starts_with("error: another Roda already runs"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_killed_node_starts_again_and_has_everything() {
    let home = Home::new();
    home.create("ana");
    home.run_with_input(&["say", "t", "-"], numbered("line", 50).as_bytes());
    let before = home.history("t");
    home.kill();
    assert!(
        home.path().join("control.sock").exists(),
        "a stale socket is left"
    );
    let ended = home.run(&["--no-spawn", "status"]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.starts_with("error: no node runs on"),
        "{}",
        ended.stderr
    );
    assert_eq!(home.history("t"), before);
    assert!(home.ok(&["verify"]).starts_with("All is well"));
    home.ok(&["down"]);
    assert!(
        home.ok(&["verify"]).starts_with("All is well"),
        "also when stopped"
    );
    assert_eq!(home.ok(&["down"]), "No node was running.\n");
}

#[test]
fn a_command_that_has_started_the_node_ends_by_a_signal() {
    let home = Home::new();
    home.create("ana");
    home.ok(&["say", "log", "x"]);
    for signal in [Signal::INT, Signal::TERM] {
        home.ok(&["down"]);
        let mut follower = home.follow("log");
        follower.take(1);
        assert_eq!(follower.end_by(signal), Some(signal.as_raw()));
    }
}

#[test]
fn a_node_in_the_foreground_says_whose_it_is() {
    let home = Home::new();
    home.create("ana");
    home.ok(&["down"]);
    let node = Lines::of(home.command(&["up"]));
    assert!(node.take(1)[0].starts_with("Ready: “tests”, process "));
}

#[test]
fn only_the_owner_can_reach_the_control_socket() {
    let home = Home::new();
    home.create("ana");
    let mode =
        |path: std::path::PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(home.path()), 0o700);
    assert_eq!(mode(home.path().join("control.sock")), 0o600);
}

#[test]
fn a_home_with_a_long_path_has_its_socket_elsewhere_and_says_so() {
    let short = Home::new();
    let long = short.path().join("x".repeat(120));
    let with_home = |arguments: &[&str]| {
        let long = long.display().to_string();
        short.ok(&[&["--home", &long], arguments].concat())
    };
    with_home(&["create", "--iface", "lo"]);
    assert!(with_home(&["status"]).contains("(the home's path is too long for a socket)"));
    with_home(&["down"]);
}

#[test]
fn settings_are_remembered() {
    let home = Home::new();
    home.create("ana");
    let ended = home.run(&["up", "--detach", "--nick", "bia"]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("already runs, with other settings"),
        "{}",
        ended.stderr
    );
    home.ok(&["down"]);
    home.ok(&["up", "--detach", "--nick", "bia"]);
    home.ok(&["down"]);
    let status = home.status();
    assert_eq!(status["nick"], "bia");
    assert_eq!(status["interfaces"][0]["name"], "lo");
}

#[test]
fn groups_cannot_be_made_or_joined_twice_and_bad_tokens_leave_nothing() {
    let (first, second) = (Home::new(), Home::new());
    first.create("ana");
    let token = first.ok(&["invite"]);
    let ended = first.run(&["create"]);
    assert!(
        ended.stderr.contains("already belongs to a group"),
        "{}",
        ended.stderr
    );
    first.ok(&["down"]);
    let ended = first.run_with_input(&["join", "-"], token.as_bytes());
    assert!(
        ended.stderr.contains("already belongs to a group"),
        "{}",
        ended.stderr
    );
    let ended = second.run_with_input(
        &["join", "-", "--timeout", "300ms", "--iface", "lo"],
        token.as_bytes(),
    );
    assert_eq!(ended.code, Some(75), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("error: no member answered"),
        "{}",
        ended.stderr
    );
    assert!(!second.path().exists());
    let ended = second.run(&["create", "--iface", "nope0"]);
    assert_eq!(ended.code, Some(1));
    let error = "error: there is no usable interface “nope0”";
    assert!(ended.stderr.contains(error), "{}", ended.stderr);
    assert!(!second.path().exists());
}

#[test]
fn a_token_serves_as_often_as_it_says() {
    let homes = [Home::new(), Home::new(), Home::new()];
    homes[0].create("ana");
    let token = homes[0].ok(&["invite", "--uses", "1"]);
    let join = |home: &Home| {
        home.run_with_input(
            &["join", "-", "--iface", "lo", "--timeout", "5s"],
            token.as_bytes(),
        )
    };
    assert_eq!(join(&homes[1]).code, Some(0));
    let ended = join(&homes[2]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("has been used up"),
        "{}",
        ended.stderr
    );
    let ended = homes[0].run(&["remove", "zoe"]);
    assert!(
        ended.stderr.contains("error: no member is called “zoe”"),
        "{}",
        ended.stderr
    );
    let ended = homes[0].run(&["history", "nothing"]);
    assert!(
        ended.stderr.contains("topic “nothing” has no messages"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_node_that_was_removed_is_told_so_by_every_command() {
    let homes = [Home::new(), Home::new()];
    homes[0].create("ana");
    homes[1].join(&homes[0], "bia");
    homes[0].ok(&["remove", "bia"]);
    let removed = "error: this node is not a member of the group any more\n";
    wait_until("it is told", || {
        homes[1]
            .run(&["say", "log", "x"])
            .stderr
            .starts_with(removed)
    });
    for (arguments, code) in [
        (&["lock", "printer", "--", "true"][..], 125),
        (&["lock", "printer", "--try", "--", "true"], 125),
        (&["work", "thumbs", "--", "true"], 125),
        (&["locks"], 1),
        (&["push", "thumbs", "a.jpg"], 1),
    ] {
        let ended = homes[1].run(arguments);
        assert!(
            ended.stderr.starts_with(removed),
            "{arguments:?}: {}",
            ended.stderr
        );
        assert_eq!(ended.code, Some(code), "{arguments:?}");
    }
}

#[test]
fn piped_chat_sends_its_lines_and_shows_everything_once() {
    let homes = [Home::new(), Home::new()];
    homes[0].create("ana");
    homes[1].join(&homes[0], "bia");
    let mut command = homes[1].command(&["chat", "sala", "--json"]);
    command.stdin(std::process::Stdio::piped());
    let chat = Lines::of(command);
    homes[0].ok(&["say", "sala", "before or after"]);
    let follower = homes[1].follow("sala");
    follower.take(1);
    let ended = homes[0].run_with_input(&["chat", "sala"], b"hello\nworld\n");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let own: Vec<_> = ended.stdout.lines().map(|line| &line[9..]).collect();
    assert_eq!(own, ["ana: hello", "ana: world"]);
    follower.take(2);
    let mut seen = chat.take(2);
    if seen[0].contains("before or after") {
        seen.remove(0);
        seen.extend(chat.take(1));
    }
    let seen = parsed(&seen.join("\n"));
    assert_eq!(
        (&seen[0]["text"], &seen[0]["nick"]),
        (&"hello".into(), &"ana".into())
    );
    assert_eq!(seen[1]["text"], "world");
}

#[test]
fn a_mirror_is_listed_and_stopped() {
    let home = Home::new();
    home.create("ana");
    home.ok(&["say", "t", "hello"]);
    let file = home.file("t.log");
    let path = file.display().to_string();
    home.ok(&["mirror", "t", &path]);
    let mirrors = parsed(&home.ok(&["mirror", "--list", "--json"]));
    assert_eq!(
        (&mirrors[0]["topic"], &mirrors[0]["path"]),
        (&"t".into(), &path.as_str().into())
    );
    home.ok(&["mirror", "t", &path, "--stop"]);
    assert_eq!(home.ok(&["mirror"]), "");
    let ended = home.run(&["mirror", "t", &path, "--stop"]);
    assert!(ended.stderr.contains("is no mirror"), "{}", ended.stderr);
    let nowhere = home.file("missing").join("t.log").display().to_string();
    let ended = home.run(&["mirror", "t", &nowhere]);
    assert!(
        ended.stderr.contains("/missing: No such file or directory"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_home_whose_node_left_is_free() {
    let homes = [Home::new(), Home::new()];
    homes[0].create("ana");
    homes[1].join(&homes[0], "bia");
    assert_eq!(homes[1].ok(&["leave"]), "Left “tests”.\n");
    let ended = homes[1].run(&["say", "t", "anyone?"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(
        ended.stderr.contains("has no group yet"),
        "{}",
        ended.stderr
    );
    homes[1].create("bia");
}

#[test]
fn the_demonstration_ends_well_and_cleans_up() {
    let scratch = tempfile::tempdir().unwrap();
    let ended: Ended = crate::roda::roda()
        .env("TMPDIR", scratch.path())
        .args(["demo", "--fast", "--json"])
        .output()
        .unwrap()
        .into();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let result: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (&result["identical"], &result["messages"]),
        (&true.into(), &803.into())
    );
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
}

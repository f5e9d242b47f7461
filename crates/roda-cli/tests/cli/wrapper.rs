//! `roda lock`'s wrapper beside a node that does what the test wants.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::fake_node::{FakeNode, SESSION, ended};

/// Enough for a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// A lease that does not end during a test.
const LONG: u64 = 600_000;

fn pid_of(child: &std::process::Child) -> Pid {
    Pid::from_child(child)
}

/// Whether a process runs; a zombie does not.
pub(crate) fn lives(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(") ").unwrap().1.starts_with('Z'))
}

pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        // What other processes do can only be looked at again.
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The line that a script writes into a file once it is where the test wants it.
fn line_of(path: &Path) -> String {
    let mut line = String::new();
    wait_until("the script writes", || {
        line = fs::read_to_string(path).unwrap_or_default();
        line.ends_with('\n')
    });
    line.trim().to_owned()
}

fn file(node: &FakeNode, name: &str) -> (PathBuf, String) {
    let path = node.home.file(name);
    let text = path.display().to_string();
    (path, text)
}

/// Renews the lock again and again. Time itself is what this is about: no shorter one outlasts a lease.
fn renew_for(node: &FakeNode, time: Duration) {
    let begun = Instant::now();
    let mut renewed = begun;
    wait_until("the time passes", || {
        // Seldom: a wrapper that is stopped can take few of them.
        if renewed.elapsed() >= SESSION / 8 {
            node.state("safe", None, 1000);
            renewed = Instant::now();
        }
        begun.elapsed() >= time
    });
}

/// A script that goes on until the test creates a file.
fn until_there(path: &str) -> String {
    format!("while [ ! -e {path} ]; do sleep 0.01; done; echo done")
}

/// Control groups that the hold has left.
fn cgroups(node: &FakeNode) -> Vec<PathBuf> {
    let Ok(mounts) = fs::read_to_string("/proc/self/mountinfo") else {
        return Vec::new();
    };
    let mounts = mounts.lines().filter(|line| line.contains(" - cgroup2 "));
    mounts
        .filter_map(|line| line.split(' ').nth(4))
        .map(|mount| Path::new(mount).join(format!("roda-{}", node.hold)))
        .filter(|path| path.exists())
        .collect()
}

#[test]
fn the_command_gets_its_environment_its_input_and_its_own_exit_code() {
    let node = FakeNode::new();
    let script = "cat; echo $RODA_LOCK $RODA_FENCE $RODA_LEASE_MS $RODA_HOLD; \
                  test -r /dev/fd/$RODA_LOST_FD && echo readable; echo $RODA_HOME; exit 7";
    let mut child = node.lock(&[], script);
    let wish = node.request("POST /v1/holds ").body;
    assert_eq!(wish["locks"], serde_json::json!(["a"]));
    node.request("POST /v1/holds/");
    node.grant(LONG);
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"hello\n").unwrap();
    drop(input);
    node.request("DELETE /v1/holds/");
    let ended = ended(child);
    let expected = format!(
        "hello\na 77 1000 {}\nreadable\n{}\n",
        node.hold,
        node.home.path().display()
    );
    assert_eq!((ended.code, ended.stdout), (Some(7), expected));
    assert_eq!(ended.stderr, "");
    assert!(cgroups(&node).is_empty());
}

#[test]
fn nothing_runs_before_the_lock_is_there() {
    let node = FakeNode::new();
    let (path, text) = file(&node, "started");
    let child = node.lock(&[], &format!("echo yes > {text}"));
    let registered = node.until_registered();
    assert!(lives(&registered["pid"].to_string()), "it waits already");
    kill_process(pid_of(&child), Signal::INT).unwrap();
    assert!(node.is_left(), "the wish is withdrawn");
    assert_eq!(ended(child).code, Some(130));
    assert!(!lives(&registered["pid"].to_string()));
    assert!(!path.exists());
    assert!(cgroups(&node).is_empty());
}

#[test]
fn a_command_that_is_killed_by_a_signal_is_told_by_the_exit_code() {
    let node = FakeNode::new();
    let child = node.lock(&[], "kill -USR1 $$");
    node.until_registered();
    node.grant(LONG);
    node.request("DELETE /v1/holds/");
    assert_eq!(ended(child).code, Some(128 + Signal::USR1.as_raw()));
}

#[test]
fn signals_are_passed_on() {
    let node = FakeNode::new();
    let (path, text) = file(&node, "ready");
    let script =
        format!("trap 'echo usr1; kill $! ; exit 5' USR1; sleep 1000 & echo $$ > {text}; wait");
    let child = node.lock(&[], &script);
    node.until_registered();
    node.grant(LONG);
    line_of(&path);
    kill_process(pid_of(&child), Signal::USR1).unwrap();
    node.request("DELETE /v1/holds/");
    let ended = ended(child);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(5), "usr1\n"));
}

#[test]
fn what_the_command_leaves_behind_ends_before_the_lock_is_let_go() {
    let node = FakeNode::new();
    let (path, text) = file(&node, "left");
    let script = format!(
        "(setsid sh -c 'trap \"\" TERM; echo $$ > {text}; while :; do sleep 1; done' &); \
         while [ ! -s {text} ]; do :; done; exit 3"
    );
    let child = node.lock(&[], &script);
    node.until_registered();
    node.grant(LONG);
    let left = line_of(&path);
    node.request("DELETE /v1/holds/");
    assert!(!lives(&left), "the lock was let go too early");
    let ended = ended(child);
    assert_eq!(ended.code, Some(3));
    assert!(ended.stderr.contains("process"), "{}", ended.stderr);
    assert!(cgroups(&node).is_empty());
}

#[test]
fn with_a_silent_node_the_command_is_dead_before_the_lease_ends() {
    let node = FakeNode::new();
    let (path, text) = file(&node, "pid");
    let script = format!("trap '' TERM; echo $$ > {text}; while :; do sleep 0.1; done");
    let child = node.lock(&[], &script);
    node.until_registered();
    let granted = Instant::now();
    node.grant(1000);
    let pid = line_of(&path);
    wait_until("the command dies", || !lives(&pid));
    let died = granted.elapsed();
    assert!(died < SESSION, "{died:?}");
    assert!(died > SESSION * 3 / 4, "{died:?}: it ignores being asked");
    let ended = ended(child);
    assert_eq!(ended.code, Some(76));
    let error = "error: the lock is being lost: the node does not answer";
    assert!(ended.stderr.starts_with(error), "{}", ended.stderr);
}

#[test]
fn a_node_that_cannot_renew_is_not_blamed_for_being_silent() {
    let node = FakeNode::new();
    let (path, text) = file(&node, "ready");
    let child = node.lock(&[], &format!("echo go > {text}; exec sleep 1000"));
    node.until_registered();
    node.grant(1000);
    line_of(&path);
    node.state("at-risk", None, 500);
    let ended = ended(child);
    assert_eq!(ended.code, Some(76));
    let error = "error: the lock is being lost: too few voters answer";
    assert!(ended.stderr.starts_with(error), "{}", ended.stderr);
}

#[test]
fn with_a_dead_node_the_command_is_warned_and_may_finish_in_time() {
    let node = FakeNode::new();
    let (path, text) = file(&node, "ready");
    let script = format!("echo go > {text}; read word <&$RODA_LOST_FD; echo $word; exit 4");
    let child = node.lock(&[], &script);
    node.until_registered();
    node.grant(1000);
    line_of(&path);
    node.die();
    let ended = ended(child);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(4), "at-risk\n"));
}

#[test]
fn renewals_keep_the_command_running() {
    let node = FakeNode::new();
    let (path, text) = file(&node, "end");
    let child = node.lock(&[], &until_there(&text));
    node.until_registered();
    node.grant(1000);
    renew_for(&node, SESSION * 5 / 4);
    fs::write(path, "").unwrap();
    node.request("DELETE /v1/holds/");
    let ended = ended(child);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "done\n"));
}

#[test]
fn a_lock_that_is_being_lost_is_told_to_the_command_first() {
    let node = FakeNode::new();
    let (path, text) = file(&node, "ready");
    let script = format!(
        "trap 'cat <&$RODA_LOST_FD & sleep 0.1; exit 0' TERM; echo go > {text}; \
         while :; do sleep 0.01; done"
    );
    let child = node.lock(&[], &script);
    node.until_registered();
    node.grant(LONG);
    line_of(&path);
    node.state("at-risk", None, LONG);
    node.state("safe", None, LONG);
    node.state("stop", Some("revoked"), LONG);
    node.request("DELETE /v1/holds/");
    let ended = ended(child);
    assert_eq!(ended.code, Some(76));
    assert_eq!(ended.stdout, "at-risk\nsafe\nstop\n");
    let error = "error: an operator has released the lock by force";
    assert!(ended.stderr.contains(error), "{}", ended.stderr);
}

#[test]
fn a_node_that_says_kill_is_obeyed_at_once() {
    let node = FakeNode::new();
    let (path, text) = file(&node, "pid");
    let script = format!("trap '' TERM; echo $$ > {text}; while :; do sleep 1000; done");
    let child = node.lock(&[], &script);
    node.until_registered();
    node.grant(LONG);
    let pid = line_of(&path);
    node.state("kill", Some("session-ended"), 0);
    node.request("DELETE /v1/holds/");
    assert!(!lives(&pid));
    assert_eq!(ended(child).code, Some(76));
}

#[test]
fn a_killed_wrapper_takes_the_command_with_it() {
    let node = FakeNode::new();
    let (path, text) = file(&node, "pid");
    let child = node.lock(&[], &format!("echo $$ > {text}; exec sleep 1000"));
    node.until_registered();
    node.grant(LONG);
    let pid = line_of(&path);
    kill_process(pid_of(&child), Signal::KILL).unwrap();
    wait_until("the command dies", || !lives(&pid));
    assert!(node.is_left(), "so that the node sees it");
    assert_eq!(ended(child).code, None);
    for left in cgroups(&node) {
        // A real node does this.
        fs::remove_dir(left).unwrap();
    }
}

#[test]
fn a_wrapper_that_was_stopped_does_not_mistake_old_news_for_new() {
    let node = FakeNode::new();
    let (path, text) = file(&node, "pid");
    let (end, end_text) = file(&node, "end");
    let script = format!("echo $$ > {text}; {}", until_there(&end_text));
    let child = node.lock(&[], &script);
    node.until_registered();
    node.grant(1000);
    line_of(&path);
    kill_process(pid_of(&child), Signal::STOP).unwrap();
    renew_for(&node, SESSION * 5 / 4);
    kill_process(pid_of(&child), Signal::CONT).unwrap();
    renew_for(&node, SESSION * 3 / 4);
    fs::write(end, "").unwrap();
    let ended = ended(child);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "done\n"));
}

#[test]
fn a_lock_that_is_not_to_be_had_is_no_failure_of_the_command() {
    let node = FakeNode::new();
    let check = |options: &[&str], error: serde_json::Value, code: i32, text: &str| {
        let child = node.lock(options, "echo never");
        node.until_registered();
        node.send(&serde_json::json!({"event": "failed", "error": error}));
        let ended = ended(child);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""));
        assert!(ended.stderr.starts_with(text), "{}", ended.stderr);
        node.events_forgotten();
    };
    let busy = serde_json::json!({"code": "lock-busy", "args": {"locks": "a"}});
    check(&["--try"], busy, 75, "error: others have a\n");
    let args = serde_json::json!({"reachable": 2, "voters": 5, "needed": 3});
    let quorum = serde_json::json!({"code": "lock-no-quorum", "args": args});
    let text = "error: 2 of 5 voters reachable, 3 needed\n";
    check(&["--wait", "1s"], quorum, 75, text);
    let other = serde_json::json!({"code": "stopped", "args": {}});
    check(&[], other, 125, "error: the node is stopping\n");
}

#[test]
fn too_few_voters_for_too_long_end_the_waiting_with_their_number() {
    let node = FakeNode::new();
    let child = node.lock(&[], "echo never");
    node.until_registered();
    node.send(&serde_json::json!(
        {"event": "no-quorum", "reachable": 1, "voters": 3, "needed": 2}
    ));
    let ended = ended(child);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(75), ""));
    assert!(
        ended
            .stderr
            .starts_with("error: 1 of 3 voters reachable, 2 needed\n"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_typing_error_in_the_command_does_not_wait_in_a_queue() {
    let node = FakeNode::new();
    let run = |command: &str| node.home.run(&["lock", "a", "--", command]);
    let missing = run("no-such-command-here");
    assert_eq!(missing.code, Some(127), "{}", missing.stderr);
    let first = missing.stderr.lines().next();
    assert_eq!(
        first,
        Some("error: there is no command “no-such-command-here”")
    );
    assert_eq!(run("/tmp").code, Some(126));
    assert!(node.is_unknown());
}

#[test]
fn on_a_terminal_the_command_can_read_from_it_and_gets_ctrl_c_once() {
    let node = FakeNode::new();
    let (path, text) = file(&node, "ready");
    let script = format!(
        "trap 'echo int; exit 9' INT; read word; echo got $word; echo go > {text}; \
         while :; do sleep 0.01; done"
    );
    let roda = format!(
        "exec {} --home {} --no-spawn lock a -- sh -c \"{}\"",
        env!("CARGO_BIN_EXE_roda"),
        node.home.path().display(),
        script.replace('$', "\\$")
    );
    // `script` gives its command a terminal of its own. The shell between has to be replaced by Roda,
    // or it would get Ctrl-C too.
    let Ok(mut child) = std::process::Command::new("script")
        .args(["-q", "-e", "-c", &roda, "/dev/null"])
        .env("LANG", "C.UTF-8")
        .env("SHELL", "/bin/sh")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
    else {
        return;
    };
    node.until_registered();
    node.grant(LONG);
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    input.write_all(b"word\n").unwrap();
    let mut line = String::new();
    while !line.starts_with("got") {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0);
    }
    assert_eq!(line.trim(), "got word");
    line_of(&path);
    input.write_all(b"\x03").unwrap();
    node.request("DELETE /v1/holds/");
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest.matches("int").count(), 1, "{rest:?}");
    assert_eq!(child.wait().unwrap().code(), Some(9));
}

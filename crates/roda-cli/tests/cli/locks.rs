//! Locks on one machine with a real node: whoever is next enters when nothing of the last one runs.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::fake_node::{FakeNode, ended};
use crate::roda::{Ended, Home, Lines};
use crate::wrapper::{lives, wait_until};

fn start(home: &Home, options: &[&str], script: &str) -> Child {
    let mut command = home.command(&["lock", "a"]);
    command.args(options).args(["--", "sh", "-c", script]);
    command.stdin(Stdio::null()).spawn().unwrap()
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn report(home: &Home) -> Value {
    serde_json::from_str(&home.ok(&["locks", "--json", "a"])).unwrap()
}

/// How many hold or are chosen, and how many wait.
fn counts(home: &Home) -> (usize, usize) {
    let report = report(home);
    let count = |what: &str| report["locks"][0][what].as_array().map_or(0, Vec::len);
    (count("holders"), count("waiters"))
}

/// A node, and a holder whose script has said that it runs.
struct Scene {
    home: Home,
    holder: Child,
    pids: Vec<String>,
}

impl Scene {
    /// `$1` is the file into which the script writes a line with its processes.
    fn new(script: &str) -> Self {
        let home = Home::new();
        home.create("ana");
        let path = home.file("pids");
        let holder = start(&home, &[], &format!("set -- {}; {script}", path.display()));
        let mut line = String::new();
        wait_until("the holder runs", || {
            line = fs::read_to_string(&path).unwrap_or_default();
            line.ends_with('\n')
        });
        let pids = line.split_whitespace().map(ToOwned::to_owned).collect();
        Self { home, holder, pids }
    }

    /// Somebody who waits and, once inside, says whether one of the processes still runs.
    fn next(&self) -> Child {
        let mut script = String::new();
        for pid in &self.pids {
            script.push_str(&format!(
                "grep -s '^State:.[^ZX]' /proc/{pid}/status && echo overlap; "
            ));
        }
        let child = start(&self.home, &[], &format!("{script} echo inside"));
        wait_until("it waits", || {
            let (holders, waiters) = counts(&self.home);
            holders + waiters == 2
        });
        child
    }

    fn daemon(&self) -> Pid {
        let pid = self.home.status()["pid"].as_i64().unwrap();
        Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}

#[track_caller]
fn entered(next: Child) {
    let ended = ended(next);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "inside\n"));
}

/// A daemon of the textbook: forks twice, starts a session, ignores whoever asks it to end.
const DAEMON: &str = "(setsid sh -c 'trap \"\" TERM HUP; echo $$ > $0.daemon; \
                      while :; do sleep 1; done' $1 &); \
                      while [ ! -s $1.daemon ]; do :; done; ";

#[test]
fn whatever_a_killed_wrapper_leaves_is_dead_before_the_next_enters() {
    let script = format!("{DAEMON} echo $$ $(cat $1.daemon) > $1; sleep 1000");
    let scene = Scene::new(&script);
    let next = scene.next();
    send(&scene.holder, Signal::KILL);
    entered(next);
    assert_eq!(scene.pids.len(), 2);
    assert!(!scene.pids.iter().any(|pid| lives(pid)));
}

#[test]
fn the_end_of_the_command_is_seen_although_its_wrapper_is_stopped() {
    let mut scene = Scene::new("echo $$ > $1; while [ ! -e $1.end ]; do sleep 0.01; done; exit 6");
    let next = scene.next();
    send(&scene.holder, Signal::STOP);
    let end: PathBuf = scene.home.file("pids.end");
    fs::write(end, "").unwrap();
    entered(next);
    send(&scene.holder, Signal::CONT);
    assert_eq!(scene.holder.wait().unwrap().code(), Some(6));
}

#[test]
fn a_stopped_node_does_not_keep_the_command_alive() {
    let mut scene = Scene::new("trap '' TERM; echo $$ > $1; while :; do sleep 0.1; done");
    let daemon = scene.daemon();
    kill_process(daemon, Signal::STOP).unwrap();
    let stopped = Instant::now();
    wait_until("the command dies", || !lives(&scene.pids[0]));
    // By default the lease ends 4 s after the last renewal began.
    assert!(stopped.elapsed() < Duration::from_secs(4));
    kill_process(daemon, Signal::CONT).unwrap();
    assert_eq!(scene.holder.wait().unwrap().code(), Some(76));
}

#[test]
fn a_killed_node_does_not_keep_the_command_alive() {
    let mut scene = Scene::new("trap '' TERM; echo $$ > $1; while :; do sleep 0.1; done");
    scene.home.kill();
    let killed = Instant::now();
    wait_until("the command dies", || !lives(&scene.pids[0]));
    assert!(killed.elapsed() < Duration::from_secs(4));
    assert_eq!(scene.holder.wait().unwrap().code(), Some(76));
    // A node that starts anew waits for the old session's end and grants again.
    let next = start(&scene.home, &[], "echo inside");
    entered(next);
}

#[test]
fn a_node_that_stops_has_its_commands_stopped_first() {
    let mut scene = Scene::new("echo $$ > $1; exec sleep 1000");
    scene.home.ok(&["down"]);
    assert!(!lives(&scene.pids[0]));
    assert_eq!(scene.holder.wait().unwrap().code(), Some(76));
}

#[test]
fn a_lock_released_by_force_is_free_when_the_command_says_so() {
    let mut scene = Scene::new("trap '' TERM; echo $$ > $1; while :; do sleep 0.1; done");
    let told = scene.home.ok(&["lock", "release", "--force", "a"]);
    assert_eq!(told, "a is free.\n");
    assert!(!lives(&scene.pids[0]));
    assert_eq!(scene.holder.wait().unwrap().code(), Some(76));
    entered(start(&scene.home, &["--try"], "echo inside"));
}

#[test]
fn whoever_gives_up_leaves_no_trace_in_the_queue() {
    let scene = Scene::new("echo $$ > $1; exec sleep 1000");
    let waiting = scene.next();
    send(&waiting, Signal::INT);
    assert_eq!(ended(waiting).code, Some(130));
    wait_until("the queue is empty", || counts(&scene.home) == (1, 0));
}

#[test]
fn a_busy_lock_is_told_by_the_exit_code() {
    let scene = Scene::new("echo $$ > $1; exec sleep 1000");
    for options in [&["--try"][..], &["--wait", "300ms"]] {
        let busy = ended(start(&scene.home, options, "echo never"));
        assert_eq!((busy.code, busy.stdout.as_str()), (Some(75), ""));
        let first = busy.stderr.lines().next();
        assert_eq!(first, Some("error: others have a"), "{options:?}");
    }
}

#[test]
fn a_lock_inside_itself_is_refused_at_once() {
    let home = Home::new();
    home.create("ana");
    let roda = env!("CARGO_BIN_EXE_roda");
    let nested = |inner: &str| -> Ended {
        let script = format!("{roda} lock b -- {roda} lock {inner} -- echo inside");
        ended(start(&home, &[], &script))
    };
    assert_eq!(nested("c").stdout, "inside\n");
    for inner in ["a", "c,b"] {
        let ended = nested(inner);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(75), ""));
        let error = "is held by your own parent\n";
        assert!(ended.stderr.contains(error), "{}", ended.stderr);
    }
}

#[test]
fn readers_share_and_a_semaphore_counts() {
    let home = Home::new();
    home.create("ana");
    let script = |name: &str| {
        let path = home.file(name).display().to_string();
        format!("echo > {path}; while [ ! -e {path}.end ]; do sleep 0.01; done")
    };
    for (options, most) in [(&["--shared"][..], 3), (&["--permits", "2"], 2)] {
        let name = |number: usize| format!("{}-{number}", options[0]);
        let children: Vec<Child> = (0..most)
            .map(|number| start(&home, options, &script(&name(number))))
            .collect();
        wait_until("all are inside", || {
            (0..most).all(|number| home.file(&name(number)).exists())
        });
        let alone = ended(start(&home, &["--try"], "echo never"));
        assert_eq!(alone.code, Some(75), "{options:?}");
        if most == 2 {
            let third = ended(start(&home, &["--try", "--permits", "2"], "echo never"));
            assert_eq!(third.code, Some(75));
        }
        for number in 0..most {
            fs::write(home.file(&format!("{}.end", name(number))), "").unwrap();
        }
        for child in children {
            assert_eq!(ended(child).code, Some(0));
        }
    }
}

#[test]
fn watching_prints_a_report_again_and_again() {
    let scene = Scene::new("echo $$ > $1; exec sleep 1000");
    let watching = Lines::of(scene.home.command(&["locks", "--watch", "--json"]));
    for line in watching.take(3) {
        let report: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(report["leader"]["nick"], "ana");
        assert_eq!(report["locks"][0]["lock"], "a");
        assert_eq!(report["locks"][0]["holders"][0]["state"], "inside");
    }
    let table = scene.home.ok(&["locks"]);
    assert!(table.contains("\na     holds  ana "), "{table}");
}

#[test]
fn what_outlived_wrapper_and_node_is_dead_before_the_node_grants_again() {
    let script = format!("{DAEMON} echo $$ $(cat $1.daemon) > $1; sleep 1000");
    let scene = Scene::new(&script);
    let daemon = scene.daemon();
    // Nobody of those who would end it is there when the others die.
    kill_process(daemon, Signal::STOP).unwrap();
    send(&scene.holder, Signal::KILL);
    kill_process(daemon, Signal::KILL).unwrap();
    wait_until("the node is dead", || !lives(&daemon.to_string()));
    let left = &scene.pids[1];
    assert!(lives(left), "what forked away is left behind");
    scene.home.ok(&["status"]);
    assert!(!lives(left), "the node serves");
    let log = fs::read_to_string(scene.home.path().join("daemon.log")).unwrap();
    assert!(log.contains("left by an earlier run"), "{log}");
    entered(start(&scene.home, &[], "echo inside"));
}

#[test]
fn a_node_that_starts_again_leaves_alone_what_a_wrapper_still_guards() {
    let mut scene = Scene::new("echo $$ > $1; while [ ! -e $1.end ]; do sleep 0.01; done; exit 6");
    scene.home.kill();
    scene.home.ok(&["status"]);
    assert!(lives(&scene.pids[0]));
    fs::write(scene.home.file("pids.end"), "").unwrap();
    assert_eq!(scene.holder.wait().unwrap().code(), Some(6));
}

#[test]
fn locks_of_queues_and_workers_are_shown_only_when_asked_for() {
    let node = FakeNode::new();
    let name = json!({"node": "00", "nick": "ana"});
    let lock = |name: &str| json!({"lock": name, "holders": [], "waiters": []});
    let report = json!({
        "leader": name, "voters": [name], "reachable": 1, "needed": 1,
        "locks": [lock("a"), lock("roda/queue/mail/0"), lock("rodas"), lock("roda/worker/ab")],
    });
    node.answer("GET /v1/locks", 200, &report.to_string());
    let shown = |options: &[&str]| -> Vec<String> {
        let mut arguments = vec!["locks", "--json"];
        arguments.extend(options);
        let report: Value = serde_json::from_str(&node.home.ok(&arguments)).unwrap();
        let locks = report["locks"].as_array().unwrap().iter();
        locks
            .map(|lock| lock["lock"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(shown(&[]), ["a", "rodas"]);
    assert_eq!(shown(&["--all"]).len(), 4);
    assert_eq!(
        shown(&["roda/worker/ab"]).len(),
        4,
        "what was named is shown"
    );
}
